from lab.fixtures import (
    _dockerd,
    _engine,
    dockerd,
    engine,
    guest_image,
    libvirtd,
    make_guest,
    private_engine,
    private_libvirtd,
)

__all__ = [
    "_dockerd",
    "_engine",
    "dockerd",
    "engine",
    "guest_image",
    "libvirtd",
    "make_guest",
    "private_engine",
    "private_libvirtd",
]
