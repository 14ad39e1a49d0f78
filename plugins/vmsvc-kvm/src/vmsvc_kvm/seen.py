"""What libvirt tells of guests, as plain data: nothing here keeps one of its objects alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from vmsvc_kvm import definition

if TYPE_CHECKING:
    from vmsvc.driver import GuestDisk
    from vmsvc_kvm.definition import Definition


@frozen(kw_only=True)
class Seen:
    """A guest as libvirt lists it.

    Attributes:
        state: A ``virDomainState``.
        reason: The reason that goes with it.
        uuid: Its UUID, in lower case.
        saved: Whether its next start resumes it from a managed save image.
        autostart: Whether libvirt starts it by itself.
    """

    state: int
    reason: int
    uuid: str
    saved: bool = False
    autostart: bool = False


@frozen(kw_only=True)
class Described:
    """A guest's definitions.

    Attributes:
        live: What the running guest has; ``None`` where it does not run.
        persistent: What its next start takes; ``None`` for a guest that vanishes when it stops.
        saved: What its next start takes instead, with the disks that it had when it was saved; ``None`` where it has no
            managed save image.
    """

    live: Definition | None
    persistent: Definition | None
    saved: Definition | None = None

    @property
    def disks(self) -> tuple[GuestDisk, ...]:
        """The disks of all of them, each once."""
        return definition.with_devices(definition.merge(self.live, self.persistent, self.saved))


@frozen(kw_only=True)
class Listed:
    """A guest with all that one look at its libvirt tells.

    Attributes:
        name: Its name.
        seen: Where it stands.
        described: Its definitions.
    """

    name: str
    seen: Seen
    described: Described
