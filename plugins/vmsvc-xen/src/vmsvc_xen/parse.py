"""What xl prints, as records. Pure; checked against recorded output of Xen 4.17.

Nothing is believed of an answer that is not whole: what does not look as expected is :class:`Undetermined`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

from vmsvc.driver import Phase, Undetermined
from vmsvc_xen import states
from vmsvc_xen.device import Device

#: The domain in which xl itself runs; it is in every list.
DOM0 = 0
# What xl prints in the place of a name that xenstore does not have: of a domain that is being made, or that has died
# and is held by something, or of every domain where xenstore does not answer (printf(3) of a null pointer).
_NAMELESS = "(null)"
#: What `xl migrate` calls a guest on the two nodes until it has arrived (tools/xl/xl_migrate.c).
INCOMING, MIGRATED_AWAY = "--incoming", "--migratedaway"

_HEADER = re.compile(r"Name +ID +Mem +VCPUs\s+State\s+Time\(s\)")
_ROW = re.compile(
    r"(?P<name>.*?) +(?P<id>\d+) +(?P<mib>\d+) +(?P<vcpus>\d+)"
    r" +(?P<letters>[r-][b-][p-][s-][-rscwS?][d-]) +(?P<seconds>\d+\.\d)"
)


@frozen(kw_only=True)
class Domain:
    """A guest that Xen has in memory, in whatever state.

    Attributes:
        id: Its number; no other domain gets it again before the node boots.
        name: Its name.
        phase: Where it stands.
        state: The word for that.
        letters: Xen's own letters for it.
        vcpus: Its processors that are online.
        memory_mib: Its memory, in MiB.
    """

    id: int
    name: str
    phase: Phase
    state: str
    letters: str
    vcpus: int
    memory_mib: int

    @property
    def broken_off(self) -> str:
        """Of one between two nodes: what to do where that was broken off, since xl takes none up again."""
        look = (
            "try again when the migration has ended. Where `pgrep -a xl` shows none at work on either node, it was "
            "broken off: see by `xl list` who has it"
        )
        if self.name.endswith(INCOMING):
            own = self.name.removesuffix(INCOMING)
            return (
                f"{look}. If the other node still does, `xl destroy {self.id}` ends what has come here; if not, "
                f"`xl rename {self.id} {own}` and `xl unpause {self.id}` let it go on here"
            )
        return (
            f"{look}. If the other node does, `xl destroy {self.id}` ends what is left here; if not, the same gives up "
            "what it had in memory, and it can be started again"
        )


@frozen(kw_only=True)
class Domains:
    """All guests that Xen has in memory.

    Attributes:
        named: Those whose names are known, by these.
        nameless: The others.
    """

    named: Mapping[str, Domain]
    nameless: tuple[Domain, ...]

    def of(self, name: str) -> Domain | None:
        """A guest; ``None`` where Xen positively has none of that name.

        Args:
            name: Its name.

        Raises:
            Undetermined: One of those without a name might be it.
        """
        if name in self.named:
            return self.named[name]
        for ending in (INCOMING, MIGRATED_AWAY):
            if domain := self.named.get(f"{name}{ending}"):
                return evolve(domain, phase=Phase.MIGRATING, state=f"migrating, as {domain.name}")
        if self.nameless:
            ids = ", ".join(f"{each.id} ({each.letters})" for each in self.nameless)
            raise Undetermined(
                f"Xen has no guest named {name!r}, and domains whose names nobody knows: {ids}; one may be it",
                hint="they are being made, or have died and are held by something: `xl list` tells if they stay; if "
                "all domains are called (null), xenstored does not answer",
            )
        return None


def domains(text: str) -> Domains:
    """The guests of ``xl list``.

    Args:
        text: What it printed.

    Raises:
        Undetermined: It is no such list, or has two guests of one name: of a name that ends with blanks, these are not
            to be told from those that fill its column.
    """
    header, *rows = text.removesuffix("\n").split("\n")
    if not _HEADER.fullmatch(header):
        raise Undetermined(f"xl list: this is no list of domains: {header[:80]!r}")
    found = [_domain(row) for row in rows]
    if DOM0 not in (domain.id for domain in found):
        raise Undetermined("xl list: the domain 0 is not in it, in which xl runs: this list is not whole")
    guests = [domain for domain in found if domain.id != DOM0]
    names = Counter(domain.name for domain in guests if domain.name != _NAMELESS)
    if twice := [name for name, count in names.items() if count > 1]:
        raise Undetermined(f"xl list: two domains are named {twice[0]!r}")
    return Domains(
        named={each.name: each for each in guests if each.name != _NAMELESS},
        nameless=tuple(each for each in guests if each.name == _NAMELESS),
    )


def _domain(row: str) -> Domain:
    told = _ROW.fullmatch(row)
    if told is None:
        raise Undetermined(f"xl list: a line of its answer cannot be read: {row[:80]!r}")
    phase, state = states.read(told["letters"], has_run=float(told["seconds"]) > 0)
    return Domain(
        id=int(told["id"]),
        name=told["name"],
        phase=phase,
        state=state,
        letters=told["letters"],
        vcpus=int(told["vcpus"]),
        memory_mib=int(told["mib"]),
    )


def devices(text: str) -> dict[int, list[Device]]:
    """The disks of the guests of ``xl list -l``, by the guests' numbers.

    A guest whose disks xl could not find out is not among them: it leaves such out, and succeeds.

    Args:
        text: What it printed.

    Raises:
        Undetermined: It is no such list.
    """
    try:
        return {int(each["domid"]): _devices(each["config"]) for each in json.loads(text)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Undetermined(f"xl list -l: its answer cannot be read: {error!r}") from None


def _devices(config: Mapping[str, Any]) -> list[Device]:
    return [
        Device(
            vdev=disk["vdev"],
            target=disk.get("pdev_path") or "",
            script=disk.get("script") or "",
            backend=disk.get("backend_domname") or "",
            readonly=not disk.get("readwrite"),
            cdrom=bool(disk.get("is_cdrom")),
        )
        for disk in config.get("disks", [])
    ]
