"""The lab as pytest fixtures; a conftest.py takes the ones it wants by importing them.

Where the lab can't run, its tests are skipped with the reason; in CI, or with VMSVC_LAB=require, they fail instead:
a run that silently left out the real backends would prove nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

import pytest

from lab import LabError
from lab.dockerd import PrivateDockerd
from lab.domain import Guest, GuestOptions, define_guest
from lab.engine import PrivateEngine
from lab.guest import GuestImage
from lab.image import build_image
from lab.libvirtd import PrivateLibvirtd
from lab.lxc import PrivateLxc
from lab.podman import PrivatePodman
from lab.sshd import PrivateSshd, SshdOptions
from lab.xen.machine import PrivateXen

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on

__all__ = [
    "dockerd",
    "engine",
    "guest_image",
    "libvirtd",
    "lxc",
    "make_guest",
    "make_sshd",
    "podman",
    "private_engine",
    "private_libvirtd",
    "sshd",
    "xen",
]


class MakeGuest(Protocol):
    """Defines a guest, on the session's libvirtd or another, until the test's end."""

    def __call__(self, name: str, *, on: PrivateLibvirtd | None = None, **options: Unpack[GuestOptions]) -> Guest: ...


@contextmanager
def required() -> Iterator[None]:
    """Turn "the lab cannot run here" into a failure or a skip, as the environment asks."""
    try:
        yield
    except LabError as error:
        if os.environ.get("VMSVC_LAB") == "require" or os.environ.get("CI"):
            pytest.fail(f"the lab is required and cannot run: {error}", pytrace=False)
        pytest.skip(f"the lab cannot run here: {error}")


@pytest.fixture(scope="session")
def guest_image() -> GuestImage:
    """The kernel and initramfs of the lab's guest."""
    with required():
        return build_image()


@pytest.fixture(scope="session")
def libvirtd() -> Iterator[PrivateLibvirtd]:
    """A libvirtd for the whole session; tests leave it running."""
    yield from _libvirtd()


class MakeSshd(Protocol):
    """Starts another sshd, until the test's end."""

    def __call__(self, **options: Unpack[SshdOptions]) -> PrivateSshd: ...


@pytest.fixture(scope="module")
def sshd() -> Iterator[PrivateSshd]:
    """An sshd for the tests of a module, which leave it running."""
    with required(), PrivateSshd() as daemon:
        yield daemon


@pytest.fixture
def make_sshd() -> Iterator[MakeSshd]:
    """Starts sshds that a test may kill, freeze or give another key: `make_sshd(more="MaxSessions 1")`."""
    with ExitStack() as ending:

        def make(**options: Unpack[SshdOptions]) -> PrivateSshd:
            with required():
                return ending.enter_context(PrivateSshd(**options))

        yield make


@pytest.fixture
def private_libvirtd() -> Iterator[PrivateLibvirtd]:
    """A libvirtd for one test, which may kill it, stop it, pause it."""
    yield from _libvirtd()


@pytest.fixture
def make_guest(request: pytest.FixtureRequest, guest_image: GuestImage) -> Iterator[MakeGuest]:
    """Defines guests that are gone after the test: `make_guest("name", hang=True)`."""
    guests: list[Guest] = []

    def make(name: str, *, on: PrivateLibvirtd | None = None, **options: Unpack[GuestOptions]) -> Guest:
        daemon: PrivateLibvirtd = on or request.getfixturevalue("libvirtd")
        guest = define_guest(daemon, guest_image, name, options)
        guests.append(guest)
        return guest

    yield make
    for guest in guests:
        if guest.libvirtd.answers:
            guest.remove()


@pytest.fixture(scope="session", params=[PrivateDockerd, PrivatePodman], ids=["docker", "podman"])
def _engine(request: pytest.FixtureRequest) -> Iterator[PrivateEngine]:
    yield from _started(request.param)


@pytest.fixture
def engine(_engine: PrivateEngine) -> Iterator[PrivateEngine]:
    """A dockerd and a podman for the whole session, by turns, without containers; tests leave it running."""
    _engine.clear()
    yield _engine
    _engine.clear()


@pytest.fixture(scope="session")
def _dockerd() -> Iterator[PrivateEngine]:
    yield from _started(PrivateDockerd)


@pytest.fixture
def dockerd(_dockerd: PrivateEngine) -> Iterator[PrivateEngine]:
    """A dockerd for the whole session, without containers, for what podman does not have."""
    _dockerd.clear()
    yield _dockerd
    _dockerd.clear()


@pytest.fixture(scope="session")
def _podman() -> Iterator[PrivateEngine]:
    yield from _started(PrivatePodman)


@pytest.fixture
def podman(_podman: PrivateEngine) -> Iterator[PrivateEngine]:
    """A podman for the whole session, without containers, for what docker does otherwise."""
    _podman.clear()
    yield _podman
    _podman.clear()


@pytest.fixture(params=[PrivateDockerd, PrivatePodman], ids=["docker", "podman"])
def private_engine(request: pytest.FixtureRequest) -> Iterator[PrivateEngine]:
    """A dockerd and a podman, by turns, for one test, which may kill it, stop it, pause it."""
    yield from _started(request.param)


@pytest.fixture(scope="session")
def _lxc() -> Iterator[PrivateLxc]:
    with required():
        containers = PrivateLxc().__enter__()
    try:
        yield containers
    finally:
        containers.close()


@pytest.fixture
def lxc(_lxc: PrivateLxc) -> Iterator[PrivateLxc]:
    """A directory for containers of LXC, without any: those that a test makes are gone after it."""
    _lxc.clear()
    yield _lxc
    _lxc.clear()


@pytest.fixture(scope="session")
def _xen() -> Iterator[PrivateXen]:
    with required():
        machine = PrivateXen().__enter__()
    try:
        yield machine
    finally:
        machine.close()


@pytest.fixture
def xen(_xen: PrivateXen) -> Iterator[PrivateXen]:
    """An emulated machine with Xen, without guests: those that a test makes are gone after it."""
    yield _xen
    _xen.clear()


def _started(kind: type[PrivateEngine]) -> Iterator[PrivateEngine]:
    engine = None
    with required():
        engine = kind()
        engine.__enter__()
    try:
        yield engine
    finally:
        engine.close()


def _libvirtd() -> Iterator[PrivateLibvirtd]:
    daemon = None
    with required():
        daemon = PrivateLibvirtd()
        daemon.__enter__()
    try:
        yield daemon
    finally:
        daemon.close()
