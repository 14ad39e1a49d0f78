from lab.fixtures import (
    _dockerd,
    _engine,
    dockerd,
    engine,
    guest_image,
    libvirtd,
    make_guest,
    make_sshd,
    private_engine,
    private_libvirtd,
    sshd,
)

__all__ = [
    "_dockerd",
    "_engine",
    "dockerd",
    "engine",
    "guest_image",
    "libvirtd",
    "make_guest",
    "make_sshd",
    "private_engine",
    "private_libvirtd",
    "sshd",
]
