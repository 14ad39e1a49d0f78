"""Whole processes: the status of all services, on a libvirtd of their own with that many guests, all shut off."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module

from benchmarks.estate import Estate
from benchmarks.measure import Unavailable
from benchmarks.run import Run
from benchmarks.table import Figure, Row
from lab import LabError
from lab.libvirtd import PrivateLibvirtd

#: What one status cannot do without: the bindings, the records, the plugins' door and their entry points.
_FLOOR = 'import libvirt, attrs, pluggy, importlib.metadata as m; m.entry_points(group="vmsvc")'
#: A loop of `virsh domstate` for more guests than this takes longer than anybody waits; it is run less often.
_FEW = 100
#: With so many guests, the hypervisor's own work outweighs every start-up.
_MANY = 1000


def measure(run: Run) -> Iterator[Row]:
    """Compare ``vmsvc status`` with ``virsh list --all`` and with a loop of ``virsh domstate``.

    Args:
        run: The run.

    Raises:
        Unavailable: There is no libvirtd here.
    """
    with ExitStack() as ending:
        try:
            daemon = ending.enter_context(PrivateLibvirtd())
        except LabError as error:
            raise Unavailable(str(error)) from error
        connection = import_module("libvirt").open(daemon.uri)
        ending.callback(connection.close)
        estate = Estate(connection, daemon.uri, run.directory / "root", type="qemu")
        for size in run.sizes:
            estate.grow(size)
            yield from _rows(run, daemon.uri, estate.names)


def _rows(run: Run, uri: str, names: list[str]) -> Iterator[Row]:
    size, nothing, status = len(names), run.python("pass"), run.vmsvc("status")
    listing = run.command("virsh", "-c", uri, "list", "--all")
    asking = f"virsh -c {shlex.quote(uri)} domstate"
    loop = run.command("sh", "-c", "; ".join(f"{asking} {name}" for name in names))
    if size == 1:
        yield run.compare("vmsvc status", status, "the imports it needs", run.python(_FLOOR), at_most=2.0)
    both = "virsh list --all + python -c pass"
    yield run.compare("vmsvc status", status, both, listing, nothing, size=size, at_most=2.5 if size >= _MANY else None)
    rounds = max(1, min(run.rounds, _FEW // size))
    yield run.compare("vmsvc status", status, "a loop of virsh domstate", loop, size=size, rounds=rounds)
    peak = Figure.of([status.peak_mib() for _ in range(3)])
    yield Row(what="vmsvc status, peak memory", size=size, value=peak, unit="MiB", at_most=80.0)
