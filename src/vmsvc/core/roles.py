"""What a driver can offer beyond the required part: a small protocol for each role, by which its capability is proven.

A role is called where a driver declares its capability, and nowhere else; none of them waits longer than its budget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, runtime_checkable

from attrs import frozen

from vmsvc.core.contract import Capability
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.status import Observation
from vmsvc.core.transport import Outcome

# Every look knows the roles, and none of its answers is one of these.
if TYPE_CHECKING:
    from vmsvc.core.answers import DefinitionFields, Definitions, FoundGuest, GuestAddress, GuestDisk, Sizes

R_contra = TypeVar("R_contra", bound=Resource, contravariant=True)
G_co = TypeVar("G_co", bound=Guest, covariant=True)
G_contra = TypeVar("G_contra", bound=Guest, contravariant=True)


@runtime_checkable
class BulkObserver(Protocol[R_contra]):
    """Capability ``bulk``: one query answers for every resource of the node."""

    def observe_all(self, resources: Sequence[R_contra], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        """Say where each resource stands, with a number of queries that does not depend on how many there are.

        Args:
            resources: The resources to look at.
            budget_s: How long the whole look may take, in seconds.

        Returns:
            Observations by ``(service, rid)``; a resource that is missing counts as unknown.
        """


@runtime_checkable
class Waiter(Protocol[R_contra]):
    """Capability ``wait``: the technology tells of changes, so that nobody polls."""

    def wait(self, resource: R_contra, until: Callable[[Observation], bool], *, budget_s: float) -> Observation:
        """Watch a resource until a condition holds or the budget is spent.

        Args:
            resource: The resource to watch.
            until: Whether an observation is what the caller waits for.
            budget_s: How long to watch, in seconds.

        Returns:
            The last observation, whether or not it satisfies ``until``.
        """


@runtime_checkable
class DiskLister(Protocol[G_contra]):
    """Capability ``disks``: the driver can name the guest's disks. It names them only; reserving is the core's."""

    def disks(self, guest: G_contra, *, budget_s: float) -> Sequence[GuestDisk]:
        """The guest's disks, in a stable order: those it has, and all that its next start may give it.

        Disks that only a state has from which it would be resumed are among the latter. What the driver cannot resolve
        keeps the technology's word as its kind: nothing is started then on what may be a disk to reserve.

        Args:
            guest: The guest to ask about.
            budget_s: How long it may take, in seconds.

        Raises:
            DriverError: The guest is not known here.
            Undetermined: The hypervisor did not answer.
        """


@runtime_checkable
class DefinitionKeeper(Protocol[G_contra]):
    """Capability ``definition``: the guest's definition can be read, kept, and used to start it elsewhere."""

    def definition(self, guest: G_contra, *, budget_s: float) -> str:
        """The guest's persistent definition, complete enough to define it again.

        Args:
            guest: The guest to ask about.
            budget_s: How long it may take, in seconds.

        Raises:
            DriverError: The guest is not known here.
            Undetermined: The hypervisor did not answer.
        """


@runtime_checkable
class DefinitionComparer(Protocol[G_contra]):
    """Capability ``compare``: a guest's definitions can be compared field by field, whatever their format."""

    def definitions(self, guest: G_contra, *, budget_s: float) -> Definitions:
        """The guest's live and persistent definitions, as complete as they are to be had.

        Args:
            guest: The guest to ask about.
            budget_s: How long it may take, in seconds.

        Raises:
            DriverError: The guest is not known here.
            Undetermined: The hypervisor did not answer.
        """

    def fields(self, definition: str) -> DefinitionFields:
        """Read a definition, and ask nobody.

        What means the same gives the same fields: the order in which it is written, units, defaults and whatever the
        technology makes up anew for each run make no difference.

        Args:
            definition: One of :meth:`definitions`, or what ``definition`` has given earlier (see
                :class:`DefinitionKeeper`).

        Raises:
            DriverError: It cannot be read.
        """


@runtime_checkable
class ConfigFiles(Protocol[G_contra]):
    """Capability ``config-files``: files that a peer needs to run the guest, its NVRAM among them."""

    def config_files(self, guest: G_contra, *, budget_s: float) -> Sequence[Path]:
        """Absolute paths on this node, in a stable order; only files that exist.

        Args:
            guest: The guest to ask about.
            budget_s: How long it may take, in seconds.
        """


@runtime_checkable
class Sizer(Protocol[G_contra]):
    """Capability ``sizes``: virtual processors and memory."""

    def sizes(self, guest: G_contra, *, budget_s: float) -> Sizes:
        """What the guest is given, live where it runs, else as defined.

        Args:
            guest: The guest to ask about.
            budget_s: How long it may take, in seconds.
        """


@runtime_checkable
class Discoverer(Protocol[G_contra]):
    """Capability ``discover``: the driver can name the guests that are there already, so that they can be adopted."""

    def discover(self, where: G_contra, *, budget_s: float) -> Sequence[FoundGuest]:
        """Name every guest, in whatever phase, and change nothing.

        Args:
            where: A guest of no service: its options tell where to look, such as another URI. Its name means nothing.
            budget_s: How long the whole look may take, in seconds.

        Returns:
            The guests, in any order; none is a positive answer.

        Raises:
            DriverError: The technology said clearly that it cannot tell.
            Undetermined: It did not answer: there may be guests that nobody sees.
        """


@runtime_checkable
class Entrance(Protocol[G_contra]):
    """Capabilities ``entry`` and ``agent``: commands can be run inside a guest by the technology's own means.

    ``entry`` is a door that is there whenever the guest runs, such as ``docker exec`` or ``zlogin``: it is the way in
    unless the service says otherwise. ``agent`` needs a helper inside the guest, such as QEMU's guest agent, which may
    be missing: it is used where the service asks for it, and where there is no ssh.
    """

    def enter(
        self, guest: G_contra, argv: Sequence[str], *, budget_s: float, environment: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run one command inside the guest, as its administrator, to its end or to the end of its budget.

        No shell is involved, or none that shows: arguments arrive as they are. What the command leaves behind, such as
        a daemon that holds its output open, is not waited for.

        Args:
            guest: The guest.
            argv: The program and its arguments, without NUL characters.
            budget_s: How long it may take, in seconds; then its processes are killed, as far as the technology allows.
            environment: Variables to set in addition to what the guest sets.

        Returns:
            What the command left behind, whatever its exit code; of each stream at most
            :data:`~vmsvc.core.transport.OUTPUT_LIMIT` bytes.

        Raises:
            NoWayIn: Nothing was run: the guest does not run, or its helper does not answer. With the code
                :data:`~vmsvc.core.errors.NO_COMMANDS` where it answers, and was told to run none.
            ActionFailed: The guest has no such program, or it may not be run.
            Undetermined: The budget was spent, or the way broke; what the command did is not known.
        """


@runtime_checkable
class AddressLister(Protocol[G_contra]):
    """Capability ``addresses``: the technology itself can tell which adapter inside the guest has which address.

    It is asked about guests whose way in is their agent, where that can run no command which tells more: in Windows,
    and where the agent was told to run none.
    """

    def addresses(self, guest: G_contra, *, budget_s: float) -> Sequence[GuestAddress]:
        """The addresses of all adapters inside the guest, now.

        Args:
            guest: The guest to ask about.
            budget_s: How long it may take, in seconds.

        Raises:
            NoWayIn: The guest does not run, or its helper does not answer.
            Undetermined: The answer did not come in time, or cannot be read.
        """


@runtime_checkable
class SelfStarting(Protocol[G_contra]):
    """Capability ``self-starting``: what is to run inside a guest starts with it, and launchers are of no use there."""

    def why_no_launchers(self, guest: G_contra) -> str:
        """Explain it, for an operator who wants launchers run: what starts applications, and who decides about that.

        Args:
            guest: The guest.
        """


@runtime_checkable
class SplitStart(Protocol[G_contra]):
    """Capability ``split-start``: a guest can be prepared, and booted later, with other resources' steps in between.

    It is asked so of guests whose options say ``is_split``; :meth:`Driver.start` does both for whoever needs no more. A
    guest that is prepared is told as :attr:`~vmsvc.core.status.Phase.PREPARED`, and :meth:`Driver.stop` takes it down
    at once: there is nobody in it to ask.
    """

    def prepare(self, guest: G_contra, *, budget_s: float) -> bool:
        """Give the guest all that it needs around it, and run nothing in it; do nothing where it is prepared, or runs.

        Args:
            guest: The guest to prepare.
            budget_s: How long the request itself may take, in seconds.

        Returns:
            Whether this very call has prepared it; what is told thereby is what :meth:`Driver.start` tells.

        Raises:
            DriverError: The technology said clearly that it cannot.
            Undetermined: The budget was spent; whether it is prepared is not known.
        """

    def boot(self, guest: G_contra, *, budget_s: float) -> bool:
        """Begin to start a guest that is prepared; do nothing where it runs or is starting.

        Args:
            guest: The guest to boot.
            budget_s: How long the request itself may take, in seconds.

        Returns:
            Whether this very call has set it going, as for :meth:`Driver.start`.

        Raises:
            DriverError: It is not prepared, or the technology said clearly that it cannot.
            Undetermined: The budget was spent; whether it starts is not known.
        """


@runtime_checkable
class AddressPlumber(Protocol[G_contra]):
    """Capability ``plumb``: the node gives the guest its addresses, which the guest could not give itself.

    It is asked so for guests whose options say ``is_plumbed``, while they are prepared or run. Addresses go away with
    their guest, or are taken away after it.
    """

    def plumbed(self, guest: G_contra, *, budget_s: float) -> Sequence[GuestAddress]:
        """The addresses that the guest has on this node's adapters, whatever phase it is in.

        Args:
            guest: The guest to ask about.
            budget_s: How long it may take, in seconds.

        Raises:
            Undetermined: It cannot be told.
        """

    def plumb(self, guest: G_contra, address: GuestAddress, *, budget_s: float) -> bool:
        """Give the guest an address; do nothing where it has it there.

        Args:
            guest: A guest that is prepared, or runs.
            address: The address, and the adapter; without a prefix, that of the node's own network.
            budget_s: How long it may take, in seconds.

        Returns:
            Whether it was this call that gave it.

        Raises:
            DriverError: The adapter is not as it must be, or the address is on another one.
            Undetermined: The budget was spent; whether the guest has it is not known.
        """

    def unplumb(self, guest: G_contra, address: GuestAddress, *, budget_s: float) -> None:
        """Take an address away from the guest, and from nobody else; do nothing where it has it not.

        Args:
            guest: The guest, whatever phase it is in.
            address: The address, and the adapter.
            budget_s: How long it may take, in seconds.

        Raises:
            DriverError: It is refused.
            Undetermined: The budget was spent; whether the guest has it still is not known.
        """


@frozen(kw_only=True)
class Destination(Generic[G_co]):
    """Where a live migration goes.

    Attributes:
        node: The name of the other node, as the service's file spells it.
        guest: The guest as that node reads the file: keys with a scope (``key@n2``) have the other node's values. So an
            option of the driver can say how a node's hypervisor is reached by others.
    """

    node: str
    guest: G_co


@runtime_checkable
class Migrator(Protocol[G_contra]):
    """Capability ``migrate``: a guest that runs can be moved to another node's hypervisor, and goes on there.

    Its storage is shared: both nodes see it by the same names, and nothing of it is copied. The core asks the other
    node first whether the guest is positively down there, and afterwards looks at both ends for itself; what speaks
    against a move otherwise, such as another processor, is the technology's to say.
    """

    def migrate(self, guest: G_contra, destination: Destination[G_contra], *, budget_s: float) -> None:
        """Move a guest that runs here, and return when it runs at the destination, and no longer here.

        The other node needs no definition of the guest before; this node may keep its own, which starts nothing.

        Args:
            guest: The guest, as this node knows it.
            destination: Where it is to go.
            budget_s: How long it may take, in seconds. A move that has not ended by then is called off.

        Raises:
            DriverError: It has not moved, and stays as it is here: the technology said clearly that it cannot move it,
                or has called the move off; or the guest does not run here.
            Undetermined: The budget was spent, or the way broke, and the technology does not say that the move is
                called off: where the guest runs, or will, is not known.
        """


#: Which protocol proves which capability.
ROLES: Mapping[Capability, type] = {
    Capability.BULK: BulkObserver,
    Capability.WAIT: Waiter,
    Capability.DISKS: DiskLister,
    Capability.DEFINITION: DefinitionKeeper,
    Capability.CONFIG_FILES: ConfigFiles,
    Capability.SIZES: Sizer,
    Capability.DISCOVER: Discoverer,
    Capability.COMPARE: DefinitionComparer,
    Capability.ENTRY: Entrance,
    Capability.AGENT: Entrance,
    Capability.ADDRESSES: AddressLister,
    Capability.SELF_STARTING: SelfStarting,
    Capability.SPLIT_START: SplitStart,
    Capability.PLUMB: AddressPlumber,
    Capability.MIGRATE: Migrator,
}
