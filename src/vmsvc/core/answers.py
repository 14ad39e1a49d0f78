"""What drivers tell of guests, as records, whose fields are checked when they are made. Pure.

So a driver's mistake shows in the driver, and not in who reads what it has told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import field, frozen
from attrs.validators import deep_iterable, deep_mapping, instance_of, optional

from vmsvc.core.status import Phase


@frozen(kw_only=True)
class GuestDisk:
    """A disk of a guest, as its definition names it.

    Attributes:
        target: The device in the guest, such as ``vda``.
        kind: What backs it: ``block``, ``file``, ``network``, ``volume`` or another word of the technology.
        source: The backing device, file or URL; empty for a drive without a medium.
        bus: How the guest sees it: ``virtio``, ``scsi``, ``sata`` …
        device: ``disk``, ``lun``, ``cdrom`` or ``floppy``.
        serial: The serial number that the guest is shown.
        wwn: The World Wide Name that the guest is shown.
        size_bytes: Its capacity in bytes; ``None`` where it could not be read.
        readonly: Whether the guest may only read.
        shareable: Whether the definition allows several guests to write to it.
        live: Whether the running guest has it.
        persistent: Whether the guest will have it at its next start.
    """

    target: str = field(validator=instance_of(str))
    kind: str = field(validator=instance_of(str))
    source: str = field(validator=instance_of(str))
    bus: str = field(default="", validator=instance_of(str))
    device: str = field(default="disk", validator=instance_of(str))
    serial: str = field(default="", validator=instance_of(str))
    wwn: str = field(default="", validator=instance_of(str))
    size_bytes: int | None = field(default=None, validator=optional(instance_of(int)))
    readonly: bool = field(default=False, validator=instance_of(bool))
    shareable: bool = field(default=False, validator=instance_of(bool))
    live: bool = field(default=False, validator=instance_of(bool))
    persistent: bool = field(default=False, validator=instance_of(bool))


def _as_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


def _as_address(text: str) -> str:
    """An address in its usual form; a :class:`ValueError` for what is none."""
    from ipaddress import ip_address  # noqa: PLC0415 - only who tells addresses pays for it

    address = ip_address(text.partition("%")[0])
    return str(getattr(address, "ipv4_mapped", None) or address)


@frozen(kw_only=True)
class GuestAddress:
    """An address of an adapter inside a guest, as the technology tells it.

    Attributes:
        device: The adapter's name in the guest, such as ``eth0``; of an alias its own, such as ``eth0:1``.
        address: The address, without a prefix or a zone, such as ``192.0.2.7`` or ``2001:db8::7``; one that is mapped
            from IPv4 is kept as that.
        prefix: The length of its network's prefix, in bits; ``None`` where it is not told.
        hardware: The adapter's own address (MAC), as told; empty where it is not.
        unusable: Why it is of no use although it is configured, such as ``the adapter is down``; empty where nothing
            speaks against it.
        also_called: Other names of the adapter, by which it can be meant as well: Linux gives some to many.
        is_cut: Whether the adapter's name may go on beyond what is told of it, as old tools cut names.
    """

    device: str = field(validator=instance_of(str))
    address: str = field(validator=instance_of(str), converter=_as_address)
    prefix: int | None = field(default=None, validator=optional(instance_of(int)))
    hardware: str = field(default="", validator=instance_of(str))
    unusable: str = field(default="", validator=instance_of(str))
    also_called: tuple[str, ...] = field(default=(), converter=_as_names, eq=False)
    is_cut: bool = field(default=False, validator=instance_of(bool), eq=False)

    def is_on(self, device: str) -> bool:
        """Whether it is on an adapter; an alias of an adapter is on that as well.

        Args:
            device: The name of an adapter or of an alias.

        >>> GuestAddress(device="eth0:1", address="192.0.2.7").is_on("eth0")
        True
        """
        return device in (self.device, self.device.partition(":")[0], *self.also_called)

    def may_be_on(self, device: str) -> bool:
        """Whether it cannot be told that it is not on an adapter, since the end of a name is missing.

        Args:
            device: The name of an adapter or of an alias.
        """
        return self.is_on(device) or (self.is_cut and device.startswith(self.device))


@frozen(kw_only=True)
class Sizes:
    """What a guest is given.

    Attributes:
        vcpus: Virtual processors, as a count.
        memory_mib: Memory in MiB.
    """

    vcpus: int = field(validator=instance_of(int))
    memory_mib: int = field(validator=instance_of(int))


@frozen(kw_only=True)
class Definitions:
    """The two definitions that a guest can have at a time, in the technology's format.

    Attributes:
        live: What the running guest has; ``None`` where it does not run.
        persistent: What its next start takes; ``None`` for a guest that vanishes when it stops.
    """

    live: str | None = field(validator=optional(instance_of(str)))
    persistent: str | None = field(validator=optional(instance_of(str)))


@frozen(kw_only=True)
class DefinitionFields:
    """What a definition says, field by field.

    Fields nest: ``disk[vda]/bus`` is a part of ``disk[vda]``. Of a whole that only one definition has, the parts are
    not told one by one.

    Attributes:
        values: The fields; equal texts mean the same. The value of a whole may be empty.
        secret: Those whose values are never shown.
    """

    values: Mapping[str, str] = field(validator=deep_mapping(instance_of(str), instance_of(str)))
    secret: frozenset[str] = field(
        default=frozenset(), validator=deep_iterable(instance_of(str), instance_of(frozenset))
    )


@frozen(kw_only=True)
class FoundGuest:
    """A guest that the technology knows, whether or not a service means it.

    Attributes:
        name: Its name, exactly as the technology has it.
        phase: Where it stands.
        state: The technology's own word for that.
        options: Keys of the driver's options and their values, as a service file would give them: those that identify
            the guest where they are not the defaults, and what its definition tells of others.
        autostart: Whether the technology starts it by itself when the node boots.
        title: What its definition calls it, in a few words; empty where it has none.
        disks: Its disks; their sizes need not be known.
        warnings: Things worth telling whoever makes a service of it, such as an autostart that would fight the
            service.
    """

    name: str = field(validator=instance_of(str))
    phase: Phase = field(validator=instance_of(Phase))
    state: str = field(validator=instance_of(str))
    options: Mapping[str, str] = field(factory=dict, validator=deep_mapping(instance_of(str), instance_of(str)))
    autostart: bool = field(default=False, validator=instance_of(bool))
    title: str = field(default="", validator=instance_of(str))
    disks: tuple[GuestDisk, ...] = field(
        default=(), validator=deep_iterable(instance_of(GuestDisk), instance_of(tuple))
    )
    warnings: tuple[str, ...] = field(default=(), validator=deep_iterable(instance_of(str), instance_of(tuple)))
