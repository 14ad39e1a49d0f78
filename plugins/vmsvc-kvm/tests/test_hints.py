"""What people are told to do, by libvirt's error codes."""

import errno

import pytest
from vmsvc_kvm.hints import no_connection

SYSTEM = "qemu:///system"
FAR = "qemu+ssh://root@n2/system"


@pytest.mark.parametrize(
    ("uri", "code", "system_error", "hint"),
    [
        (SYSTEM, 38, errno.ENOENT, "is libvirtd (or virtqemud) running here? `systemctl status libvirtd`"),
        (SYSTEM, 38, errno.ECONNREFUSED, "is libvirtd (or virtqemud) running here? `systemctl status libvirtd`"),
        ("xen:///system", 38, errno.ENOENT, "the key `uri`"),
        (SYSTEM, 38, errno.EACCES, "as root, or as a member of the group libvirt"),
        (SYSTEM, 45, -1, "as root, or as a member of the group libvirt"),
        (FAR, 45, -1, "may this user use libvirt there?"),
        (FAR, 38, errno.ECONNRESET, "its host reachable"),
        (FAR, 38, errno.ENOENT, "its host reachable"),
        ("qemu:///sytem", 1, -1, "is the key `uri` right? `virsh -c qemu:///sytem list`"),
        ("nosuch:///system", 5, -1, "is the key `uri` right?"),
        ("qemu:///session", 38, errno.ENOENT, "`virsh -c qemu:///session list`"),
        (SYSTEM, None, None, "`virsh -c qemu:///system list`"),
        ("qemu+ssh://n2/system?keyfile=a&b", None, None, "'qemu+ssh://n2/system?keyfile=a&b'"),
    ],
)
def test_hints(uri, code, system_error, hint):
    assert hint in no_connection(uri, code, system_error)
