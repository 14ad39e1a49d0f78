"""What this machine's processes say against libvirt's word."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from attrs import field, frozen

from vmsvc_kvm.options import KvmGuest
from vmsvc_kvm.processes import Qemu, qemus
from vmsvc_kvm.seen import Seen


@frozen(kw_only=True)
class Living:
    """The guests whose qemu processes live on this machine, by one look at all processes.

    A libvirt may have lost sight of a process: its ``/run/libvirt`` was cleaned, it could not reconnect to the process
    when it was restarted, or the guest was started by another libvirt, such as ``qemu:///session``. It then calls the
    guest shut off, or knows no such guest, and would start it a second time.

    Attributes:
        by_uuid: Processes, by their guests' UUIDs.
        by_name: The same, by their guests' names.
        is_only_one: Whether the libvirt that is asked is the machine's own. One with a socket of its own (``socket=``
            in its URI) may be one of several, and a process of such a guest be another's.
    """

    by_uuid: Mapping[str, Qemu] = field(factory=dict)
    by_name: Mapping[str, Qemu] = field(factory=dict)
    is_only_one: bool = False

    @staticmethod
    def now(uri: str) -> Living:
        """Look at all processes.

        Args:
            uri: The libvirt that is asked, which is on this machine.
        """
        found = qemus()
        return Living(
            by_uuid={each.uuid: each for each in found},
            by_name={each.name: each for each in found if each.name},
            is_only_one="socket" not in parse_qs(urlsplit(uri).query),
        )

    def has(self, seen: Seen) -> bool:
        """Whether a guest's process lives.

        Args:
            seen: What libvirt knows of the guest.
        """
        return seen.uuid in self.by_uuid

    def stopped(self, seen: Seen) -> Qemu | None:
        """A guest's process, where it is stopped.

        Args:
            seen: What libvirt knows of the guest.
        """
        process = self.by_uuid.get(seen.uuid)
        return process if process is not None and process.stopped_by else None

    def why_not_down(self, guest: KvmGuest, seen: Seen | None, state: str) -> str:
        """What speaks against libvirt's word that a guest is down.

        Args:
            guest: The guest.
            seen: What libvirt knows of it; ``None`` where it knows no such guest.
            state: Libvirt's word.

        Returns:
            The reason; empty where nothing speaks against it.
        """
        process = self.by_name.get(guest.name) if seen is None else self.by_uuid.get(seen.uuid)
        if process is None or not self.is_only_one:
            return ""
        told = "has no such guest" if seen is None else f"says {state}"
        return f"libvirt {told}, and a qemu process of {guest.name} lives on this machine (pid {process.pid})"


#: What is said of libvirts whose processes nobody can see from here.
NOBODY_LIVES = Living()
