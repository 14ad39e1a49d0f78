"""The one room that asks servers: typed methods over pyvmomi's untyped objects, and its errors as ours."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attrs import frozen

from vmsvc.driver import TIMED_OUT, ConnectionLost, DriverError, Undetermined, VmsvcError
from vmsvc_esx import faults, machines, surveys
from vmsvc_esx.machines import Machine
from vmsvc_esx.options import EsxGuest
from vmsvc_esx.session import Session
from vmsvc_esx.surveys import Survey

T = TypeVar("T")

# How often a task is asked how it stands, in seconds; and how long before the deadline it is called off.
POLL_S = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
_CANCEL_S = 1.0
# What a server says of a guest that has never had any: GuestInfo, `toolsVersionStatus2`.
_NOT_INSTALLED = "guestToolsNotInstalled"
#: What a server calls itself that is one ESX host and no vCenter: AboutInfo, `apiType`.
HOST_AGENT = "HostAgent"
# What tasks that move a guest are called, whoever began them: TaskInfo, `descriptionId`.
_MOVES = ("VirtualMachine.relocate", "VirtualMachine.migrate", "Drm.ExecuteVMotion")


@frozen(kw_only=True)
class Task:
    """How a task stands.

    Attributes:
        state: ``queued``, ``running``, ``success`` or ``error``: TaskInfo, `state`.
        error: What it has ended with.
    """

    state: str
    error: BaseException | None


class Client(Session):
    """A client of one server: a session, and what is asked in it."""

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
        self.until(deadline)
        return work(self)

    # --- looking -----------------------------------------------------------------------------------------------------

    def survey(self, more: Sequence[str] = ()) -> Survey:
        """All guests and hosts, in one request for each thousand of them.

        Args:
            more: Further properties of guests to ask for.
        """
        with self.asking("its guests") as place:
            return surveys.take(self.access.server, place, more)

    def survey_for(self, guest: EsxGuest) -> Survey:
        """The same, with all that it takes to know a guest from others.

        Args:
            guest: The guest, as the service describes it.
        """
        return self.survey(machines.wanted([guest]))

    def find(self, guest: EsxGuest) -> Machine | None:
        """The guest that a service means; ``None`` where the server positively has none such.

        Args:
            guest: The guest, as the service describes it.
        """
        return self.survey_for(guest).find(guest)

    def described(self, guest: EsxGuest) -> Machine:
        """The guest that a service means, and that must be there.

        Args:
            guest: The guest, as the service describes it.

        Raises:
            DriverError: There is no such guest.
        """
        return self.survey_for(guest).described(guest)

    def config(self, machine: Machine) -> Any:
        """All that the server tells of how a guest is made (``VirtualMachineConfigInfo``).

        Args:
            machine: The guest.
        """
        with self.asking(f"how {machine.name} is made"):
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
        with self.changing(what):
            task = self._guest(machine).PowerOnVM_Task()
        self._finish_or_cancel(task, what, asks=machine)

    def power_off(self, machine: Machine) -> None:
        """Power a guest off, and wait until it is.

        Args:
            machine: The guest.
        """
        what = f"{machine.name} cannot be powered off"
        with self.changing(what):
            task = self._guest(machine).PowerOffVM_Task()
        self._finish(task, what)

    def shut_down(self, machine: Machine) -> None:
        """Have a guest's tools shut its operating system down, and wait for nothing.

        Args:
            machine: The guest.
        """
        with self.changing(f"{machine.name} cannot be asked to shut down"):
            self._guest(machine).ShutdownGuest()

    def has_tools(self, machine: Machine) -> bool:
        """Whether a guest has tools, as its host remembers from earlier runs, too; they need not run.

        Args:
            machine: The guest.
        """
        with self.asking(f"the tools of {machine.name}"):
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
        with self.changing(what) as place:
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

    def begin_move(self, machine: Machine, host: str) -> Any:
        """Begin to move a guest to another host of the vCenter: while it runs (vMotion), or as it lies; its files stay.

        Args:
            machine: The guest.
            host: What the host is acted upon by.

        Returns:
            The task, for :meth:`task`.

        Raises:
            DriverError: The server cannot, and has begun nothing.
        """
        from vmsvc_esx.soap import vim  # noqa: PLC0415 - loaded by now

        with self.changing(f"{machine.name} cannot be moved") as place:
            if place.content.about.apiType == HOST_AGENT:
                raise DriverError(
                    f"{self.access.server} is one ESX host, and no vCenter: it can move no guest to another host",
                    code="driver.no-vcenter",
                    hint="`server` must name the vCenter of both hosts; else stop it here, and start it there",
                )
            guest, target = self._guest(machine), vim.HostSystem(host, self.stub)
            pool, compute = guest.resourcePool, target.parent
            spec = vim.vm.RelocateSpec(host=target)
            if pool is None or pool.owner != compute:  # else it keeps its pool, and its share of the cluster
                spec.pool = compute.resourcePool
            return guest.RelocateVM_Task(spec)

    def move(self, machine: Machine, host: str) -> None:
        """Move a guest that does not run to another host of the vCenter, and wait until it is there.

        Args:
            machine: The guest.
            host: What the host is acted upon by.
        """
        self._finish_or_cancel(self.begin_move(machine, host), f"{machine.name} cannot be moved")

    def move_under_way(self, machine: Machine) -> Any:
        """The task that moves a guest now, whoever has begun it; ``None`` where there is none.

        Args:
            machine: The guest.
        """
        with self.asking(f"the tasks of {machine.name}"):
            for each in self._guest(machine).recentTask:
                info = each.info
                if str(info.state) in ("queued", "running") and str(info.descriptionId).startswith(_MOVES):
                    return each
        return None

    def task(self, task: Any, what: str) -> Task:
        """How a task stands.

        Args:
            task: The task.
            what: What it is for, in messages.
        """
        with self.asking(what):
            info = task.info
        return Task(state=str(info.state), error=info.error)

    def cancel(self, task: Any, what: str) -> None:
        """Ask for a task to be called off; whether it is, it tells itself.

        Args:
            task: The task.
            what: What it is for, in messages.
        """
        with contextlib.suppress(VmsvcError), self.asking(what):
            task.CancelTask()

    def _finish_or_cancel(self, task: Any, what: str, *, asks: Machine | None = None) -> None:
        """The same, for a task that must not go on when nobody waits any more."""
        try:
            self._finish(task, what, asks=asks)
        except ConnectionLost:
            raise
        except Undetermined:
            self.cancel(task, what)
            raise

    def _finish(self, task: Any, what: str, *, asks: Machine | None = None) -> None:
        """Wait until a task has ended well; one that waits for an answer of somebody's does not."""
        pauses = iter(POLL_S)
        while True:
            with self.asking(what):
                info = task.info
                question = self._guest(asks).runtime.question if asks and str(info.state) == "running" else None
            if str(info.state) == "success":
                return
            if str(info.state) == "error":
                raise faults.meaning(info.error, what)
            if question is not None:
                self.cancel(task, what)
                raise DriverError(
                    f"{what}: it asks {machines.asked(question)}",
                    code="driver.question",
                    hint="answer it in the host's or vCenter's client, then start the service again",
                )
            pause = next(pauses, POLL_S[-1])
            if self.left_s() - pause < _CANCEL_S:
                raise Undetermined(f"{what} in time: it is still at it", code=TIMED_OUT)
            time.sleep(pause)

    def _guest(self, machine: Machine) -> Any:
        from vmsvc_esx.soap import vim  # noqa: PLC0415 - loaded by now

        return vim.VirtualMachine(machine.id, self.stub)
