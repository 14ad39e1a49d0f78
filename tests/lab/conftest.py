from lab.fixtures import (
    _dockerd,
    _engine,
    _podman,
    dockerd,
    engine,
    guest_image,
    libvirtd,
    make_guest,
    make_sshd,
    podman,
    private_engine,
    private_libvirtd,
    sshd,
)
from tests.lab.ways import connect, known_hosts

__all__ = [
    "_dockerd",
    "_engine",
    "_podman",
    "connect",
    "dockerd",
    "engine",
    "guest_image",
    "known_hosts",
    "libvirtd",
    "make_guest",
    "make_sshd",
    "podman",
    "private_engine",
    "private_libvirtd",
    "sshd",
]
