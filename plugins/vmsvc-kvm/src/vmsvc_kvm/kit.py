"""What this driver's conformance kit waives; its backend is a real libvirtd, in the tests of its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from vmsvc.testing import DriverKit
from vmsvc_kvm.driver import KvmDriver


class KvmKit(DriverKit):
    """The clauses that a real libvirtd and real guests can be tried on."""

    driver = KvmDriver
    waivers: ClassVar[Mapping[str, str]] = {
        "missing-tool": "libvirt's library is a part of the driver: without it the plugin is refused as a whole",
        "refused": "libvirt's socket refuses nothing to root, who runs the lab",
        "cut": "libvirt's messages say how long they are: one that is cut short is `truncated`",
        "migrate-broken": "nothing breaks a request to libvirtd off at the moment in which the guest has left",
        "new-word": "libvirt tells states by numbers, and one that is new has tests of its own",
        "inside": "the kit's guests have no agent; a real one is held to the same commands in the lab",
        "locale": "libvirt tells by numbers what went wrong, and the driver reads no message",
        "noise": "libvirt's library returns records, and logs warnings elsewhere",
        "extra-column": "libvirt's library returns records, not lines",
        "starting": "a guest is running for libvirt as soon as qemu runs: it has no such state that lasts",
        "stopping": "libvirt shows it for the moment in which qemu ends, and nothing holds a guest there",
    }
