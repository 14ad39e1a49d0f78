"""The one room that calls libvirt: typed methods over its untyped bindings, and its error codes as our errors.

Everything here runs in a lane's thread (:class:`vmsvc.driver.Lane`), since any call can block for ever. What leaves it
is plain data, and errors without a trace of libvirt's objects: whoever drops the last reference to one of those closes
the connection, and closing blocks when the daemon has stopped.
"""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve

from vmsvc.driver import TIMED_OUT, ConnectionLost, DriverError, Undetermined, VmsvcError
from vmsvc_kvm import definition, hints
from vmsvc_kvm.definition import Definition
from vmsvc_kvm.library import library
from vmsvc_kvm.options import driver_of, is_session, unattended
from vmsvc_kvm.seen import Described, Listed, Seen
from vmsvc_kvm.states import SHUTOFF

if TYPE_CHECKING:
    from vmsvc.driver import Definitions, GuestDisk

T = TypeVar("T")

#: ``virDomainShutdownFlagValues``: the hypervisor's own way, ``ACPI_POWER_BTN`` and ``GUEST_AGENT``.
BY_DEFAULT, BY_ACPI, BY_AGENT = 0, 1, 2

#: The code of an error about a guest that libvirt positively does not know.
ABSENT = "driver.absent"

# A connection whose daemon says nothing for this long fails by itself, which frees the threads that wait for it. Long
# enough for a daemon on an overloaded machine; the callers' budgets are what bounds a status call.
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_COUNT = 3


class Connection:
    """An open connection to one libvirt.

    Args:
        uri: What to connect to.
        readonly: Whether libvirt itself shall refuse every change. A session has no socket for that: libvirt's client
            would go to the system's, and ask the wrong libvirt.

    Raises:
        Undetermined: There is no libvirt to be had, or it refused.
    """

    def __init__(self, uri: str, *, readonly: bool = False) -> None:
        self._uri = uri
        self._deadline = 0.0
        self._virt = library()
        opening = self._virt.openReadOnly if readonly and not is_session(uri) else self._virt.open
        try:
            self._conn = opening(unattended(uri))
        except self._virt.libvirtError as error:
            reason = _words(error)
            hint = hints.no_connection(uri, error.get_error_code(), error.get_int1())
        else:
            with contextlib.suppress(self._virt.libvirtError):  # not every hypervisor's client has keepalives
                self._conn.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
            return
        raise Undetermined(f"no connection to {uri}: {reason}", code="undetermined.no-connection", hint=hint)

    def close(self) -> None:
        """Close the connection; blocks while the daemon does not answer."""
        self._conn.close()

    # --- looking -----------------------------------------------------------------------------------------------------

    def survey(self) -> tuple[str, dict[str, Seen]]:
        """All guests of the hypervisor, in three calls however many there are.

        Returns:
            The call that told their states, and the guests by name.
        """
        try:
            stats = self._conn.getAllDomainStats(self._virt.VIR_DOMAIN_STATS_STATE)
        except self._virt.libvirtError as error:
            if error.get_error_code() != self._virt.VIR_ERR_NO_SUPPORT:
                raise
            return "virConnectListAllDomains", self._survey_one_by_one()
        autostart = self._names(self._virt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
        saved = self._names(self._virt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
        return "virConnectGetAllDomainStats", {
            (name := domain.name()): Seen(
                state=told.get("state.state", 0),
                reason=told.get("state.reason", 0),
                uuid=domain.UUIDString(),
                saved=name in saved,
                autostart=name in autostart,
            )
            for domain, told in stats
        }

    def _survey_one_by_one(self) -> dict[str, Seen]:
        """All guests of a hypervisor that cannot tell their states in one call."""
        autostart = self._names(self._virt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
        found = {name: self.find(name) for name in [domain.name() for domain in self._conn.listAllDomains()]}
        return {name: evolve(one, autostart=name in autostart) for name, one in found.items() if one is not None}

    def find(self, name: str) -> Seen | None:
        """One guest.

        Args:
            name: Its name, exactly.

        Returns:
            What libvirt knows; ``None`` where it says that there is no such guest.
        """
        try:
            domain = self._conn.lookupByName(name)
            state, reason = domain.state()
            saved = state == SHUTOFF and bool(self._where_supported(domain.hasManagedSaveImage, 0))
            return Seen(state=state, reason=reason, uuid=domain.UUIDString(), saved=saved)
        except self._virt.libvirtError as error:
            if error.get_error_code() == self._virt.VIR_ERR_NO_DOMAIN:
                return None
            raise

    def listed(self) -> list[Listed]:
        """All guests with their definitions: one survey, and then what libvirt tells of each only by itself."""
        _probe, seen = self.survey()
        found = []
        for name, one in sorted(seen.items()):
            try:
                found.append(Listed(name=name, seen=one, described=self.describe(name)))
            except self._virt.libvirtError as error:
                if error.get_error_code() != self._virt.VIR_ERR_NO_DOMAIN:
                    raise
            except DriverError as error:
                if error.code != ABSENT:  # it has gone since the survey
                    raise
        return found

    def names(self) -> set[str]:
        """The names of all guests."""
        return self._names(0)

    def describe(self, name: str) -> Described:
        """A guest's live and persistent definitions.

        Args:
            name: Its name.

        Raises:
            DriverError: There is no such guest.
        """
        domain = self._domain(name)
        origin = f"the definition of {name} on {self._uri}"
        live = persistent = saved = None
        if domain.isActive():
            live = self.read(domain.XMLDesc(), origin=f"the live part of {origin}")
        elif self._where_supported(domain.hasManagedSaveImage, 0):
            saved = self._saved(domain, f"the save image of {name} on {self._uri}")
        if domain.isPersistent():
            persistent = self.read(domain.XMLDesc(self._virt.VIR_DOMAIN_XML_INACTIVE), origin=origin)
        return Described(live=live, persistent=persistent, saved=saved)

    def read(self, xml: str, *, origin: str) -> Definition:
        """Read domain XML, with volumes of storage pools as what they are on the node.

        Args:
            xml: The definition.
            origin: Where it comes from, for the error.

        Raises:
            DriverError: It is not a domain's definition.
        """
        found = definition.read(xml, origin=origin)
        return evolve(found, disks=tuple(map(self._resolved, found.disks)))

    def _saved(self, domain: Any, origin: str) -> Definition | None:
        """What a guest is restored with; an image that cannot be read stands for disks that nobody knows."""
        try:
            return self.read(domain.managedSaveGetXMLDesc(), origin=origin)
        except self._virt.libvirtError as error:
            if not self._is_alive():
                raise
            if error.get_error_code() == self._virt.VIR_ERR_NO_DOMAIN:
                raise
        except DriverError:
            pass
        return Definition(name=domain.name(), uuid="", disks=(definition.unknown(origin),), files=())

    def _resolved(self, disk: GuestDisk) -> GuestDisk:
        """A disk with the path of its volume; one whose pool is not there, or not active, stays a volume."""
        pool, _, volume = disk.source.partition("/")
        if disk.kind != definition.VOLUME or not volume:
            return disk
        try:
            found = self._conn.storagePoolLookupByName(pool).storageVolLookupByName(volume)
            kind = definition.VOLUME_KINDS.get(found.info()[0])
            return evolve(disk, kind=kind, source=found.path()) if kind else disk
        except self._virt.libvirtError:
            if not self._is_alive():
                raise
        return disk

    def definition(self, name: str) -> str:
        """A guest's definition, complete with its passwords, as its next start would take it.

        Args:
            name: Its name.

        Raises:
            DriverError: There is no such guest.
        """
        flags = self._virt.VIR_DOMAIN_XML_INACTIVE | self._virt.VIR_DOMAIN_XML_SECURE
        return str(self._domain(name).XMLDesc(flags))

    def definitions(self, name: str) -> Definitions:
        """A guest's live and persistent definitions, complete with its passwords.

        Args:
            name: Its name.

        Raises:
            DriverError: There is no such guest.
        """
        from vmsvc.driver import Definitions  # noqa: PLC0415 - a look at states asks for none

        domain = self._domain(name)
        secure = self._virt.VIR_DOMAIN_XML_SECURE
        live = persistent = None
        if domain.isActive():
            # As it would be sent to another node: without what this run made of it, such as a CPU with all its flags.
            migratable = secure | self._virt.VIR_DOMAIN_XML_MIGRATABLE
            live = self._where_supported(lambda: domain.XMLDesc(migratable), None) or domain.XMLDesc(secure)
        if domain.isPersistent():
            persistent = domain.XMLDesc(secure | self._virt.VIR_DOMAIN_XML_INACTIVE)
        return Definitions(live=live, persistent=persistent)

    def capacity(self, name: str, target: str) -> int | None:
        """How large a disk is; may block as long as its storage or its guest does.

        Args:
            name: The guest's name.
            target: The disk's device in the guest.

        Returns:
            Bytes; ``None`` where libvirt cannot tell.
        """
        try:
            return int(self._domain(name).blockInfo(target)[0]) or None
        except self._virt.libvirtError:
            return None

    def sizes(self, name: str) -> tuple[int, int]:
        """A guest's virtual processors and its memory in KiB, current ones where it runs.

        Args:
            name: Its name.

        Raises:
            DriverError: There is no such guest.
        """
        _state, _maximum, memory, vcpus, _time = self._domain(name).info()
        return int(vcpus), int(memory)

    def agent_channel(self, name: str) -> str:
        """How a guest's channel to its agent stands.

        Args:
            name: The guest's name.

        Returns:
            What :func:`~vmsvc_kvm.definition.agent_channel` reads of its definition.

        Raises:
            DriverError: There is no such guest.
        """
        return definition.agent_channel(self._domain(name).XMLDesc(), origin=f"the definition of {name} on {self._uri}")

    def on_change(self, name: str, tell: Callable[[], object]) -> None:
        """Have a function called, in libvirt's event thread, at each step of a guest's life.

        Args:
            name: The guest's name; it need not exist yet.
            tell: What to call.
        """

        def receive(_conn: Any, domain: Any, _event: int, _detail: int, _opaque: Any) -> None:
            if domain.name() == name:
                tell()

        lifecycle = self._virt.VIR_DOMAIN_EVENT_ID_LIFECYCLE
        self._where_supported(lambda: self._conn.domainEventRegisterAny(None, lifecycle, receive, None), -1)

    # --- changing ----------------------------------------------------------------------------------------------------

    def define(self, xml: str) -> None:
        """Make a guest known, without starting it.

        Args:
            xml: Its definition.
        """
        self._check_time()
        self._conn.defineXML(xml)

    def create(self, name: str) -> None:
        """Start a guest.

        Args:
            name: Its name.
        """
        domain = self._domain(name)
        self._check_time()
        domain.create()

    def shutdown(self, name: str, flags: int) -> None:
        """Ask a guest to shut down. Asking its agent blocks until it has, for up to a minute.

        Args:
            name: Its name.
            flags: :data:`BY_DEFAULT`, :data:`BY_ACPI` or :data:`BY_AGENT`.
        """
        domain = self._domain(name)
        self._check_time()
        domain.shutdownFlags(flags)

    def destroy(self, name: str) -> None:
        """Stop a guest by force.

        Args:
            name: Its name.
        """
        domain = self._domain(name)
        self._check_time()
        domain.destroy()

    def migrate(self, name: str, uri: str) -> None:
        """Have this libvirt move a guest that runs to another one. Blocks until it is there, or called off.

        Its memory is sent while it runs, and the other libvirt learns its definition, in the place of one that it may
        have. Where it is QEMU's, an error of its disks ends the move. Files that libvirt does not take for shared are
        refused; of devices, it knows nothing.

        Args:
            name: Its name.
            uri: How this libvirt reaches the other one.
        """
        virt = self._virt
        domain = self._domain(name)
        flags = virt.VIR_MIGRATE_LIVE | virt.VIR_MIGRATE_PEER2PEER
        if driver_of(self._uri) == "qemu":  # others refuse it: LIBXL_MIGRATION_FLAGS of libxl_migration.h
            flags |= virt.VIR_MIGRATE_ABORT_ON_ERROR
        if domain.isPersistent():
            flags |= virt.VIR_MIGRATE_PERSIST_DEST
        self._check_time()
        domain.migrateToURI3(unattended(uri), {}, flags)

    def call_off(self, name: str) -> bool:
        """End the move of a guest, which then stays; do nothing where none goes on.

        Args:
            name: Its name.

        Returns:
            Whether there was one that libvirt has taken to be ended.
        """
        if not self.is_moving(name):
            return False
        try:
            self._domain(name).abortJob()
        except self._virt.libvirtError as error:
            if error.get_error_code() != self._virt.VIR_ERR_OPERATION_INVALID:  # it has just ended
                raise
            return False
        return True

    def is_moving(self, name: str) -> bool:
        """Whether a guest is being moved from here to another libvirt.

        A job may be one of another kind, such as a save; libvirt tells that since 3.3, and a job that is not told apart
        is taken for a move. A hypervisor that knows no jobs moves nobody.

        Args:
            name: Its name.
        """
        virt = self._virt
        nobody = (virt.VIR_ERR_NO_DOMAIN, virt.VIR_ERR_OPERATION_INVALID, virt.VIR_ERR_NO_SUPPORT)
        try:
            told = self._conn.lookupByName(name).jobStats()
        except virt.libvirtError as error:
            if error.get_error_code() in nobody:
                return False  # it has gone, or does not run
            raise
        is_idle = told.get("type", virt.VIR_DOMAIN_JOB_NONE) == virt.VIR_DOMAIN_JOB_NONE
        out = virt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT
        return not is_idle and told.get("operation", out) == out

    def ask_agent(self, name: str, command: str, timeout_s: int) -> str:
        """Have a guest's agent do something. Blocks for the timeout; where it was silent before, for five seconds.

        Args:
            name: The guest's name.
            command: What to do, in JSON.
            timeout_s: How long its answer may take, in seconds, at least one.

        Returns:
            The answer, in JSON.
        """
        domain = self._domain(name)
        self._check_time()
        return str(importlib.import_module("libvirt_qemu").qemuAgentCommand(domain, command, timeout_s, 0))

    # --- inside ------------------------------------------------------------------------------------------------------

    def guarded(self, work: Callable[[Connection], T], deadline: float) -> T:
        """Do some work with the connection, with libvirt's errors as ours.

        Args:
            work: What to do.
            deadline: Until when it may change anything, on the monotonic clock: whoever asked has given up then, and a
                guest that starts minutes later, when its libvirt goes on, might run on another node by now.

        Returns:
            What it returned.

        Raises:
            ConnectionLost: The connection broke.
            Undetermined: libvirt, or what it asked, did not answer in its time.
            DriverError: libvirt said clearly that it cannot.
        """
        failure: VmsvcError
        self._deadline = deadline
        try:
            return work(self)
        except self._virt.libvirtError as error:
            failure = self._failure(error)
        except VmsvcError as error:
            failure = error
        # Raised outside of the handler: neither its traceback nor its context keeps an object of libvirt alive.
        failure.__context__ = None
        raise failure.with_traceback(None)

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise Undetermined(f"{self._uri} answered too late", code=TIMED_OUT)

    def _failure(self, error: Any) -> VmsvcError:
        virt = self._virt
        if not self._is_alive():
            return ConnectionLost(f"the connection to {self._uri} broke: {_words(error)}")
        # libvirt has an answer here, but the guest's monitor or agent had none; without a code it has none either.
        if error.get_error_code() in (virt.VIR_ERR_OPERATION_TIMEOUT, virt.VIR_ERR_AGENT_UNRESPONSIVE, None):
            return Undetermined(_words(error))
        return DriverError(_words(error), code=f"driver.libvirt-{error.get_error_code()}")

    def _is_alive(self) -> bool:
        return bool(self._where_supported(self._conn.isAlive, 1))

    def _domain(self, name: str) -> Any:
        try:
            return self._conn.lookupByName(name)
        except self._virt.libvirtError as error:
            if error.get_error_code() != self._virt.VIR_ERR_NO_DOMAIN:
                raise
        raise absent(name, self._uri)

    def _names(self, flag: int) -> set[str]:
        return {domain.name() for domain in self._where_supported(lambda: self._conn.listAllDomains(flag), ())}

    def _where_supported(self, call: Callable[[], Any], otherwise: Any) -> Any:
        """Do without what this hypervisor's driver does not have; libvirt says so in one of three ways."""
        virt = self._virt
        lacking = (virt.VIR_ERR_NO_SUPPORT, virt.VIR_ERR_INVALID_ARG, virt.VIR_ERR_ARGUMENT_UNSUPPORTED)
        try:
            return call()
        except virt.libvirtError as error:
            if error.get_error_code() not in lacking:
                raise
        return otherwise


def absent(name: str, uri: str) -> DriverError:
    """The error for a guest that libvirt positively does not know.

    Args:
        name: The guest's name.
        uri: The libvirt that was asked.
    """
    return DriverError(
        f"{uri} has no guest named {name!r}",
        code=ABSENT,
        hint="`virsh list --all` on its node tells which names there are",
    )


def _words(error: Any) -> str:
    return f"libvirt error {error.get_error_code()}: {error.get_error_message()}"
