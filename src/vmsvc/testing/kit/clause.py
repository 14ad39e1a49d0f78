"""A clause: a sentence of the contract that can be tried, with the reason why it matters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from attrs import frozen

from vmsvc.core.contract import Capability
from vmsvc.core.errors import UsageError
from vmsvc.core.nearest import did_you_mean
from vmsvc.core.status import Phase

if TYPE_CHECKING:
    from vmsvc.testing.kit.bench import Bench

Check = Callable[["Bench"], None]


@frozen(kw_only=True)
class Clause:
    """One clause.

    Attributes:
        name: A word that does not change; waivers, reports and the names of tests use it.
        why: What a driver that breaks it does to its users, in one sentence.
        check: Tries it, and raises an :class:`AssertionError` that says what was seen.
        trouble: The trouble that a backend must be able to make; empty for none.
        phase: The phase that a backend must be able to put a guest into; ``None`` for none.
        capabilities: It holds for drivers that declare one of these; for all where there are none.
    """

    name: str
    why: str
    check: Check
    trouble: str = ""
    phase: Phase | None = None
    capabilities: frozenset[Capability] = frozenset()

    def __str__(self) -> str:
        """Its name, for the names of tests."""
        return self.name


CLAUSES: dict[str, Clause] = {}


def clause(
    name: str, *capabilities: Capability, trouble: str = "", phase: Phase | None = None
) -> Callable[[Check], Check]:
    """Register a check as a clause; the first line of its docstring tells why.

    Args:
        name: The clause's name.
        capabilities: It holds for drivers that declare one of these; for all where there are none.
        trouble: The trouble that a backend must be able to make.
        phase: The phase that a backend must be able to put a guest into.
    """

    def register(check: Check) -> Check:
        why = (inspect.getdoc(check) or "").partition("\n")[0]
        CLAUSES[name] = Clause(
            name=name, why=why, check=check, trouble=trouble, phase=phase, capabilities=frozenset(capabilities)
        )
        return check

    return register


def clauses_named(names: Iterable[str]) -> list[Clause]:
    """The clauses that somebody has asked for; all of them where no name is given.

    Args:
        names: Their names.

    Raises:
        UsageError: There is no such clause.
    """
    wanted = list(names)
    for name in wanted:
        if name not in CLAUSES:
            hint = did_you_mean(name, CLAUSES, otherwise=f"clauses are: {', '.join(CLAUSES)}")
            raise UsageError(f"there is no clause {name!r}", hint=hint)
    return [CLAUSES[name] for name in wanted or CLAUSES]
