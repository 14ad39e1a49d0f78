"""The one room that asks servers: typed methods over pyvmomi's untyped objects, and its errors as ours.

Everything here runs in a lane's thread (:class:`vmsvc.driver.Lane`), since a server that hangs answers nothing at all.
Each request has a deadline of its own as well, so that such a thread ends by itself. One session serves all threads.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import field, frozen

from vmsvc.driver import TIMED_OUT, ConnectionLost, DriverError, Undetermined, VmsvcError
from vmsvc_esx import faults, machines, trouble
from vmsvc_esx.credentials import Credentials, find
from vmsvc_esx.machines import Machine
from vmsvc_esx.options import Access, EsxGuest
from vmsvc_esx.refusals import Refusals

T = TypeVar("T")

# A request without any time would be one without any limit.
_LEAST_S = 0.001
#: How many guests come in one answer: of more, the server is asked for the rest.
PAGE = 1000
# How often a task is asked how it stands, in seconds; and how long before the deadline it is called off.
_POLL_S = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
_CANCEL_S = 1.0
# What a server says of a guest that has never had any: GuestInfo, `toolsVersionStatus2`.
_NOT_INSTALLED = "guestToolsNotInstalled"
#: What a server calls itself that is one ESX host and no vCenter: AboutInfo, `apiType`.
HOST_AGENT = "HostAgent"
# Roles of every server that let their user see nothing of what an object is: View, Anonymous and No access
# (vSphere Web Services API, AuthorizationManager, system roles).
_BLIND_ROLES = frozenset({-3, -4, -5})
_ROLES = "effectiveRole"  # of a ManagedEntity: what the session's user may do with it
_WHOLE_INVENTORY = "give it a role on the whole inventory (read-only is enough to look)"


@frozen(kw_only=True)
class _Place:
    """A session: the server's objects by which everything is asked."""

    content: Any = field(repr=False)
    view: Any = field(repr=False)


class Client:
    """A client of one server.

    Args:
        access: How it is reached.
        config_dir: Where the node's own credentials lie.
        refusals: What the node remembers of logins that were refused.
    """

    def __init__(self, access: Access, config_dir: Path, refusals: Refusals) -> None:
        self.access = access
        self._config_dir = config_dir
        self._refusals = refusals
        self._roles: frozenset[int] = frozenset()
        self._turn = threading.Lock()
        self._stub: Any = None
        self._place: _Place | None = None
        self._is_doubtful = False
        self._moment = threading.local()

    def guarded(self, work: Callable[[Client], T], deadline: float) -> T:
        """Do some work, in time.

        Args:
            work: What to do.
            deadline: Until when it may change anything, on the monotonic clock: whoever asked has given up then, and a
                guest that starts later might run on another host by now.

        Returns:
            What it returned.

        Raises:
            ConnectionLost: The connection, or the session, was lost. Asking again begins another.
            Undetermined: The server did not answer in its time, or not in a way that can be read.
            DriverError: The server said clearly that it cannot.
        """
        self._moment.deadline = deadline
        return work(self)

    # --- looking -----------------------------------------------------------------------------------------------------

    def survey(self, more: Sequence[str] = ()) -> dict[Machine, Mapping[str, Any]]:
        """All guests, in one request for each thousand of guests and hosts.

        Args:
            more: Further properties to ask for.

        Returns:
            The guests, each with its properties by their names.
        """
        with self._asking("its guests") as place:
            told, autostarts = self._retrieve(place, [*machines.PROPERTIES, *more])
        if not told and not autostarts:
            raise Undetermined(
                f"{self.access.server} shows neither guests nor hosts to this user",
                code="undetermined.blind",
                hint=_WHOLE_INVENTORY,
            )
        read = machines.started_by_hosts([machines.read(*each) for each in told.items()], autostarts)
        return {machine: told[machine.id] for machine in read}

    def _retrieve(self, place: _Place, paths: Sequence[str]) -> tuple[dict[str, dict[str, Any]], list[Any]]:
        """What the server tells of guests, by their ids; and of hosts. What the user may see is kept."""
        from vmsvc_esx.soap import vim, vmodl  # noqa: PLC0415 - loaded by now

        query = vmodl.query.PropertyCollector
        each = query.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)
        spec = query.FilterSpec(
            objectSet=[
                query.ObjectSpec(obj=place.view, skip=True, selectSet=[each]),
                query.ObjectSpec(obj=place.content.rootFolder),
            ],
            propSet=[
                query.PropertySpec(type=vim.Folder, pathSet=[_ROLES]),
                query.PropertySpec(type=vim.VirtualMachine, pathSet=list(paths)),
                query.PropertySpec(type=vim.HostSystem, pathSet=list(machines.HOST_PROPERTIES)),
            ],
        )
        collector = place.content.propertyCollector
        answer = collector.RetrievePropertiesEx([spec], query.RetrieveOptions(maxObjects=PAGE))
        told: dict[str, dict[str, Any]] = {}
        autostarts = []
        roles: Sequence[int] = ()
        while answer is not None:
            for one in answer.objects:
                found = {each.name: each.val for each in one.propSet}
                if isinstance(one.obj, vim.VirtualMachine):
                    told[str(one.obj._moId)] = found  # noqa: SLF001 - pyvmomi has no other name for it
                elif isinstance(one.obj, vim.Folder):
                    roles = found.get(_ROLES, ())
                else:
                    autostarts.append(found.get(machines.AUTOSTART))
            answer = collector.ContinueRetrievePropertiesEx(answer.token) if answer.token else None
        self._roles = frozenset(roles)
        return told, autostarts

    def find(self, guest: EsxGuest) -> Machine | None:
        """The guest that a service means; ``None`` where the server positively has none such.

        Args:
            guest: The guest, as the service describes it.
        """
        found = machines.pick(guest, list(self.survey(machines.wanted([guest]))))
        if found is None and (doubt := self.doubt()) is not None:
            raise doubt
        return found

    def doubt(self) -> Undetermined | None:
        """Why a guest that the last survey has not shown may be there all the same; ``None`` where it may not.

        A user whose role is on a part of the inventory sees that part alone.
        """
        if self._roles - _BLIND_ROLES:
            return None
        return Undetermined(
            f"{self.access.server} shows this user a part of its inventory: guests may be there that are not shown",
            code="undetermined.blind",
            hint=_WHOLE_INVENTORY,
        )

    def described(self, guest: EsxGuest) -> Machine:
        """The guest that a service means, and that must be there.

        Args:
            guest: The guest, as the service describes it.

        Raises:
            DriverError: There is no such guest.
        """
        found = self.find(guest)
        if found is None:
            raise absent(guest)
        return found

    def config(self, machine: Machine) -> Any:
        """All that the server tells of how a guest is made (``VirtualMachineConfigInfo``).

        Args:
            machine: The guest.
        """
        with self._asking(f"how {machine.name} is made"):
            config = self._guest(machine).config
        if config is None:
            raise Undetermined(
                f"{self.access.server} does not tell how {machine.name} is made", code="undetermined.unreadable"
            )
        return config

    # --- changing ----------------------------------------------------------------------------------------------------

    def power_on(self, machine: Machine) -> None:
        """Power a guest on, and wait until it is.

        Args:
            machine: The guest.

        Raises:
            DriverError: The server cannot, or the guest asks a question first.
        """
        what = f"{machine.name} cannot be powered on"
        with self._changing(what):
            task = self._guest(machine).PowerOnVM_Task()
        try:
            self._finish(task, what, asks=machine)
        except ConnectionLost:
            raise
        except Undetermined:
            # It would go on whether or not anybody still waits.
            with contextlib.suppress(VmsvcError), self._asking(what):
                task.CancelTask()
            raise

    def power_off(self, machine: Machine) -> None:
        """Power a guest off, and wait until it is.

        Args:
            machine: The guest.
        """
        what = f"{machine.name} cannot be powered off"
        with self._changing(what):
            task = self._guest(machine).PowerOffVM_Task()
        self._finish(task, what)

    def shut_down(self, machine: Machine) -> None:
        """Have a guest's tools shut its operating system down, and wait for nothing.

        Args:
            machine: The guest.
        """
        with self._changing(f"{machine.name} cannot be asked to shut down"):
            self._guest(machine).ShutdownGuest()

    def has_tools(self, machine: Machine) -> bool:
        """Whether a guest has tools, as its host remembers from earlier runs, too; they need not run.

        Args:
            machine: The guest.
        """
        with self._asking(f"the tools of {machine.name}"):
            known = self._guest(machine).guest
        return str(getattr(known, "toolsVersionStatus2", None)) != _NOT_INSTALLED

    def register(self, guest: EsxGuest, vmx: str) -> Machine:
        """Have a host know a guest that lies in one of its datastores.

        Args:
            guest: The guest.
            vmx: Where it lies.

        Returns:
            The guest, as the host knows it now.
        """
        what = f"{vmx} cannot be registered with {self.access.server}"
        with self._changing(what) as place:
            if place.content.about.apiType != HOST_AGENT:
                raise DriverError(
                    f"{self.access.server} is a vCenter, which has no guest that is called {guest.name!r}",
                    code=faults.ABSENT,
                    hint="is `name` right? A vCenter loses no guest by itself: register it by hand",
                )
            center = place.content.rootFolder.childEntity[0]
            pool = center.hostFolder.childEntity[0].resourcePool
            task = center.vmFolder.RegisterVM_Task(path=vmx, name=guest.name, asTemplate=False, pool=pool)
        self._finish(task, what)
        return self.described(guest)

    def _finish(self, task: Any, what: str, *, asks: Machine | None = None) -> None:
        """Wait until a task has ended well; one that waits for an answer of somebody's does not."""
        pauses = iter(_POLL_S)
        while True:
            with self._asking(what):
                info = task.info
                question = self._guest(asks).runtime.question if asks and str(info.state) == "running" else None
            if str(info.state) == "success":
                return
            if str(info.state) == "error":
                raise faults.meaning(info.error, what)
            if question is not None:
                with contextlib.suppress(VmsvcError), self._asking(what):
                    task.CancelTask()
                raise DriverError(
                    f"{what}: it asks {machines.asked(question)}",
                    code="driver.question",
                    hint="answer it in the host's or vCenter's client, then start the service again",
                )
            pause = next(pauses, _POLL_S[-1])
            if self._left() - pause < _CANCEL_S:
                raise Undetermined(f"{what} in time: it is still at it", code=TIMED_OUT)
            time.sleep(pause)

    def _guest(self, machine: Machine) -> Any:
        from vmsvc_esx.soap import vim  # noqa: PLC0415 - loaded by now

        return vim.VirtualMachine(machine.id, self._stub)

    # --- the session -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the session, if there is one, and all connections: servers keep few sessions, each for half an hour."""
        place, self._place = self._place, None
        if place is not None:
            with contextlib.suppress(Exception):
                place.content.sessionManager.Logout()
        if self._stub is not None:
            self._stub.DropConnections()

    @contextlib.contextmanager
    def _asking(self, what: str) -> Iterator[_Place]:
        """The session, begun if need be; errors become ours."""
        place: _Place | None = None
        try:
            place = self._entered()
            yield place
        except VmsvcError:
            raise
        except Exception as error:  # noqa: BLE001 - pyvmomi raises whatever the answer makes it
            raise self._failure(error, place, what) from None

    @contextlib.contextmanager
    def _changing(self, what: str) -> Iterator[_Place]:
        """The same, for a request that changes something: none is made too late."""
        if time.monotonic() > self._moment.deadline:
            raise Undetermined(f"{self.access.server} answered too late", code=TIMED_OUT)
        with self._asking(what) as place:
            yield place

    def _entered(self) -> _Place:
        if not self._turn.acquire(timeout=self._left()):
            raise Undetermined(f"{self.access.server} did not let anybody in in time", code=TIMED_OUT)
        try:
            if self._place is not None and self._is_doubtful and not self._is_known(self._place):
                self._place = None
            self._is_doubtful = False
            if self._place is None:
                credentials = find(self.access, self._config_dir)
                if (said := self._refusals.of(self.access, credentials)) is not None:
                    raise trouble.refused(self.access, credentials, said)
                self._place = self._log_in(credentials)
            return self._place
        finally:
            self._turn.release()

    def _is_known(self, place: _Place) -> bool:
        """Whether the server still knows a session, whose connection has broken: servers close those that are idle."""
        try:
            return place.content.sessionManager.currentSession is not None
        except Exception as error:
            if not faults.is_fault(error):
                raise
            return False

    def _log_in(self, credentials: Credentials) -> _Place:
        try:
            from vmsvc_esx import soap  # noqa: PLC0415 - nobody but who asks a server pays for it
        except ImportError as error:
            raise trouble.no_library(error) from None
        if self._stub is None:
            self._stub = soap.Stub(self.access, self._left)
        self._stub.SetSessionId(None)
        content = soap.vim.ServiceInstance("ServiceInstance", self._stub).RetrieveContent()
        try:
            content.sessionManager.Login(credentials.user, credentials.password)
        except Exception as error:
            if not faults.classes(error) & faults.FORBIDDEN:
                raise
            said = faults.words(error)
            self._refusals.keep(self.access, credentials, said)
            raise trouble.refused(self.access, credentials, said) from None
        self._refusals.forget(self.access, credentials)
        kinds = [soap.vim.VirtualMachine, soap.vim.HostSystem]
        view = content.viewManager.CreateContainerView(content.rootFolder, kinds, True)
        return _Place(content=content, view=view)

    def _left(self) -> float:
        return max(getattr(self._moment, "deadline", 0.0) - time.monotonic(), _LEAST_S)

    def _failure(self, error: Exception, place: _Place | None, what: str) -> VmsvcError:
        """What an exception of pyvmomi's means. A session that is of no more use is forgotten."""
        if faults.is_fault(error):
            is_over = faults.classes(error) & faults.NO_SESSION or (
                faults.classes(error) & faults.GONE and getattr(error, "obj", None) == getattr(place, "view", error)
            )
            if not is_over:
                return faults.meaning(error, f"{self.access.server}: {what}")
            with self._turn:
                if self._place is place:
                    self._place = None
        elif not trouble.is_break(error):
            return trouble.meaning(error, self.access, self._left())
        else:
            self._is_doubtful = True
        said = faults.words(error) if faults.is_fault(error) else trouble.words(error)
        return ConnectionLost(f"the session with {self.access.server} broke: {said}")


def absent(guest: EsxGuest) -> DriverError:
    """The error for a guest that the server positively does not know.

    Args:
        guest: The guest.
    """
    return DriverError(f"{guest.server} has no guest named {guest.name!r}", code=faults.ABSENT)
