"""Guests of ESX: the status of all services, on a simulated host with that many guests, beside a listing by pyvmomi."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from typing import Any

from benchmarks.measure import Unavailable, timed
from benchmarks.run import Run
from benchmarks.table import Figure, Row
from lab import LabError
from lab.vcsim import USER, PrivateVcsim
from vmsvc import Session

_SERVICE = """\
[DEFAULT]
nodes = n1 n2

[container#1]
type = esx
name = {name}
server = {simulator.address}
thumbprint = {simulator.fingerprint}
"""
#: The same question by pyvmomi alone, and nothing made of its answer.
_LISTING = """\
from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl

def connect(host, port, user, password):
    return SmartConnect(host=host, port=port, user=user, pwd=password, disableSslCertValidation=True)

def listing(session):
    content, query = session.content, vmodl.query.PropertyCollector
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    each = query.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)
    spec = query.FilterSpec(
        objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[each])],
        propSet=[query.PropertySpec(type=vim.VirtualMachine, pathSet=PATHS)],
    )
    found = content.propertyCollector.RetrieveContents([spec])
    view.DestroyView()
    return found
"""
#: What vmsvc has to know of each guest.
_PATHS = (
    *("name", "config.files.vmPathName", "runtime.powerState", "runtime.connectionState", "runtime.question"),
    *("guest.guestState", "guest.toolsRunningStatus", "guestHeartbeatStatus"),
)
#: The ratio is promised where there is much to look at.
_MANY = 100


def measure(run: Run) -> Iterator[Row]:
    """Compare looks at all guests with a listing by pyvmomi, and count the requests that they make.

    Args:
        run: The run.

    Raises:
        Unavailable: There is no simulator here, or no pyvmomi.
    """
    try:
        import_module("pyVmomi")
        for size in run.sizes:
            with ExitStack() as ending:
                yield from _rows(run, ending, ending.enter_context(PrivateVcsim(guests=size)), size)
    except (ImportError, LabError) as error:
        raise Unavailable(str(error)) from error


def _rows(run: Run, ending: ExitStack, simulator: PrivateVcsim, size: int) -> Iterator[Row]:
    root = run.directory / "root"
    place = root / "etc/vmsvc/services"
    place.mkdir(parents=True, exist_ok=True)
    for number in range(size):
        text = _SERVICE.format(name=f"ha-host_VM{number}", simulator=simulator)
        (place / f"web{number:04}.conf").write_text(text)
    credentials = root / "etc/vmsvc/esx.toml"
    credentials.touch(mode=0o600)
    credentials.write_text(f'user = "{USER}"\npassword = "{simulator.password}"\n')
    session = ending.enter_context(Session({"VMSVC_ROOT": str(root), "VMSVC_NODENAME": "n1"}))
    services = [session.load(name) for name in session.services()]

    def look() -> None:
        session.statuses(services)

    limit = 2.0 if size >= _MANY else None
    listing, script = _listing(ending, simulator)
    yield run.compare("statuses()", timed(look), "the same by pyvmomi", timed(listing), size=size, at_most=limit)
    yield run.compare("vmsvc status", run.vmsvc("status"), "a script of pyvmomi's", run.python(script), size=size)
    simulator.gateway.requests.clear()
    look()
    made = Figure.of([len(simulator.gateway.requests)])
    yield Row(what="statuses()", size=size, value=made, unit="requests", at_most=1)


def _listing(ending: ExitStack, simulator: PrivateVcsim) -> tuple[Callable[[], object], str]:
    """The listing in a session that is kept, and as a script."""
    host, port = simulator.address.split(":")
    who = (host, int(port), USER, simulator.password)
    known: dict[str, Any] = {"PATHS": [*_PATHS]}
    exec(_LISTING, known)
    kept = known["connect"](*who)
    ending.callback(known["Disconnect"], kept)
    script = f"PATHS = {[*_PATHS]!r}\n{_LISTING}\nkept = connect(*{who!r})\nlisting(kept)\nDisconnect(kept)\n"
    return (lambda: known["listing"](kept)), script
