"""A driver's kit, and what came of each clause.

PYTEST_DONT_REWRITE: what an assertion says is what is told of a clause, and pytest would add to it.
"""

from __future__ import annotations

import enum
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from attrs import frozen

from vmsvc.core.errors import told
from vmsvc.testing.kit import (  # noqa: F401 - they register their clauses
    declared,
    ending,
    looks,
    moves,
    roles,
    trouble,
    verbs,
)
from vmsvc.testing.kit.backend import Backend
from vmsvc.testing.kit.backend import trouble as trouble_of
from vmsvc.testing.kit.bench import Bench
from vmsvc.testing.kit.clause import CLAUSES, Clause

#: Where a test of a clause that is broken leaves what was seen: among the properties that pytest's reports carry.
SEEN = "vmsvc_seen"


class DriverKit:
    """Holds a driver to every clause.

    Attributes:
        driver: The driver's class.
        backend: What the author provides; made with an empty directory for each clause. A kit without one is for a
            subclass, in tests whose fixture ``kit_backend`` makes it.
        waivers: Clauses that the driver does not keep, or that its backend cannot try, and the reason for each.
    """

    driver: ClassVar[type[Any]]
    backend: ClassVar[type[Backend]]
    waivers: ClassVar[Mapping[str, str]] = {}

    # What follows is pytest's: it finds both methods by their names, and nothing of pytest is imported before it calls.

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Make a test of each clause that concerns the driver.

        Args:
            metafunc: The test function that pytest has found (``pytest.Metafunc``).
        """
        if "clause" in metafunc.fixturenames:
            # A kit without a driver is one test that fails: else pytest could not read the other tests of its file.
            metafunc.parametrize("clause", ["driver"] if lacks_driver(type(self)) else concerned(type(self)), ids=str)

    def test_clause(self, clause: Clause, request: Any, tmp_path: Path) -> None:
        """Hold the driver to a clause, or leave it out as an expected failure where it is waived.

        Args:
            clause: The clause.
            request: The test that runs (``pytest.FixtureRequest``).
            tmp_path: An empty directory.
        """
        import pytest  # noqa: PLC0415 - see above

        kit = type(self)
        if lack := lacks_driver(kit):
            pytest.fail(lack, pytrace=False)
        if reason := waiver(kit, clause):
            pytest.xfail(f"waived: {reason}")
        backend = request.getfixturevalue("kit_backend") if hasattr(kit, "kit_backend") else kit.backend(tmp_path)
        told = ""
        try:
            hold(kit, clause, backend)
        except AssertionError as error:
            request.node.user_properties.append((SEEN, str(error)))
            told = _for_authors(clause, error)
        if told:  # outside of the handler: pytest would show what it handles, too
            pytest.fail(told, pytrace=False)


def _for_authors(clause: Clause, broken: AssertionError) -> str:
    """What was seen, why it matters, and where in the driver it comes from: no line of the kit's own code."""
    said = [str(broken), f"clause {clause.name}: {clause.why}"]
    if broken.__cause__ is not None:
        said += ["", "".join(traceback.format_exception(broken.__cause__))]
    return "\n".join(said)


class State(str, enum.Enum):
    """What came of a clause."""

    KEPT = "kept"
    BROKEN = "broken"
    WAIVED = "waived"
    NOT_TRIED = "not tried"
    NOT_CONCERNED = "not concerned"

    def __str__(self) -> str:
        """The word itself, on every Python."""
        return self.value


@frozen(kw_only=True)
class Result:
    """What came of one clause.

    Attributes:
        clause: The clause.
        state: What came of it.
        reason: Why it is broken, waived, was not tried, or does not concern the driver.
        duration_s: How long it took, in seconds.
    """

    clause: Clause
    state: State
    reason: str = ""
    duration_s: float = 0.0


def concerned(kit: type[DriverKit]) -> list[Clause]:
    """The clauses that a driver is held to, by what it declares.

    Args:
        kit: The driver's kit.
    """
    return [
        clause
        for clause in CLAUSES.values()
        if not clause.capabilities or clause.capabilities & kit.driver.capabilities
    ]


def lacks_driver(kit: type[DriverKit]) -> str:
    """What is wrong with a kit that names no driver; empty where it names one.

    Args:
        kit: The driver's kit.
    """
    return "" if hasattr(kit, "driver") else f"{kit.__name__} has no `driver`: name the class of the driver in it"


def not_concerned(clause: Clause) -> Result:
    """What comes of a clause that does not concern a driver.

    Args:
        clause: The clause.
    """
    words = " or ".join(sorted(capability.value for capability in clause.capabilities))
    return Result(clause=clause, state=State.NOT_CONCERNED, reason=f"the driver does not declare {words}")


def waiver(kit: type[DriverKit], clause: Clause) -> str:
    """Why a clause is waived; empty where it is not.

    Args:
        kit: The driver's kit.
        clause: The clause.

    Raises:
        AssertionError: The waivers themselves are wrong.
    """
    for name, reason in kit.waivers.items():
        assert name in CLAUSES, f"a waiver names {name!r}, which is no clause; there are {', '.join(CLAUSES)}"
        assert isinstance(reason, str), f"the waiver of {name!r} has no reason"
        assert reason.strip(), f"the waiver of {name!r} has no reason"
    return kit.waivers.get(clause.name, "")


def hold(kit: type[DriverKit], clause: Clause, backend: Backend) -> None:
    """Hold a driver to a clause, waived or not.

    Args:
        kit: The driver's kit.
        clause: The clause.
        backend: A new backend; it is closed.

    Raises:
        AssertionError: The driver breaks it, or the backend cannot try it.
    """
    with closing(backend):
        name = type(backend).__name__
        how = f"or waive {clause.name!r} with the reason"
        if clause.trouble and trouble_of(backend, clause.trouble) is None:
            raise AssertionError(f"{name} has no when_{clause.trouble}(): give it one, {how}")
        if clause.phase is not None and clause.phase not in backend.phases:
            raise AssertionError(f"{name}.phases lacks {clause.phase.name}: let put() make it, {how}")
        bench = Bench(kit.driver, backend)
        try:
            clause.check(bench)
        finally:
            bench.driver.close()


def results(kit: type[DriverKit], clauses: Iterable[Clause] = CLAUSES.values()) -> Iterator[Result]:
    """Hold a driver to clauses, one after the other.

    Args:
        kit: The driver's kit.
        clauses: The clauses; all of them when not given.

    Yields:
        What came of each clause, as soon as it is known.
    """
    concerning = concerned(kit)
    for clause in clauses:
        if clause not in concerning:
            yield not_concerned(clause)
            continue
        begin = time.monotonic()
        state, reason = _judged(kit, clause)
        yield Result(clause=clause, state=state, reason=reason, duration_s=time.monotonic() - begin)


def _judged(kit: type[DriverKit], clause: Clause) -> tuple[State, str]:
    try:
        if reason := waiver(kit, clause):
            return State.WAIVED, reason
        with tempfile.TemporaryDirectory(prefix="kit-", ignore_cleanup_errors=True) as directory:
            hold(kit, clause, kit.backend(Path(directory)))
    except AssertionError as error:
        return State.BROKEN, str(error)
    except Exception as error:  # noqa: BLE001 - a defect of a driver or a backend, which is what is looked for
        return State.BROKEN, told(error)
    return State.KEPT, ""
