from __future__ import annotations

import textwrap

import pytest
from hypothesis import settings

# How long one example takes is the machine's affair; whole tests have their time limit.
settings.register_profile("vmsvc", deadline=None)
settings.load_profile("vmsvc")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The root of a node of its own, called n1."""
    monkeypatch.setenv("VMSVC_ROOT", str(tmp_path))
    monkeypatch.setenv("VMSVC_NODENAME", "n1")
    monkeypatch.delenv("VMSVC_DISABLE_PLUGINS", raising=False)
    (tmp_path / "etc/vmsvc/services").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def make_service(root):
    """Write a service file; its name is returned."""

    def make(text, name="web"):
        (root / "etc/vmsvc/services" / f"{name}.conf").write_text(textwrap.dedent(text))
        return name

    return make


@pytest.fixture
def hypervisor(root):
    """The simulated hypervisor of the node."""
    return pytest.importorskip("vmsvc_null").Hypervisor.of_node(root)


@pytest.fixture
def session(root, hypervisor):
    """A session of the node; its guests are those of the simulated hypervisor."""
    import vmsvc

    with vmsvc.Session() as session:
        yield session
