"""Containers of LXC: the status of all services, in a directory of their own with that many, one of which runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure import Unavailable, timed
from benchmarks.run import Run
from benchmarks.table import Row
from lab import LabError
from lab.lxc import PrivateLxc
from vmsvc import Session

_SERVICE = """\
[DEFAULT]
nodes = n1 n2

[container#1]
type = lxc
lxcpath = {path}
"""
#: The ratio is promised where there is much to look at; with few containers, it is
#: what it costs to run a command within a deadline: some 10 ms.
_MANY = 100


def measure(run: Run) -> Iterator[Row]:
    """Compare looks at all containers with ``lxc-ls -f``.

    Args:
        run: The run.

    Raises:
        Unavailable: There is no LXC here.
    """
    with ExitStack() as ending:
        try:
            lxc = ending.enter_context(PrivateLxc())
        except LabError as error:
            raise Unavailable(str(error)) from error
        root = run.directory / "root"
        (root / "etc/vmsvc/services").mkdir(parents=True, exist_ok=True)
        session = ending.enter_context(Session({"VMSVC_ROOT": str(root), "VMSVC_NODENAME": "n1"}))
        there = 0
        for size in run.sizes:
            for number in range(there, size):
                _add(lxc, root, f"web{number:04}")
            if not there:
                lxc.tool("lxc-start", "web0000")
            there = max(there, size)
            yield from _rows(run, session, lxc, size)


def _add(lxc: PrivateLxc, root: Path, name: str) -> None:
    lxc.create(name)
    (root / f"etc/vmsvc/services/{name}.conf").write_text(_SERVICE.format(path=lxc.path))


def _rows(run: Run, session: Session, lxc: PrivateLxc, size: int) -> Iterator[Row]:
    listing = run.command("lxc-ls", "-P", str(lxc.path), "-f")
    services = [session.load(name) for name in session.services()]

    def look() -> None:
        session.statuses(services)

    limit = 2.0 if size >= _MANY else None
    yield run.compare("statuses()", timed(look), "lxc-ls -f", listing, size=size, at_most=limit)
