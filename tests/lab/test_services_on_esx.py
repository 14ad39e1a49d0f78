"""Services on the standard simulator of vSphere, an ESX host and a vCenter, from the command line."""

from __future__ import annotations

import time

import pytest

from lab.fixtures import required
from lab.vcsim import USER, PrivateVcsim
from tests.lab.shell import NODE, Shell, ok
from tests.lab.vsphere import Inventory

pytestmark = pytest.mark.timeout(180)

#: A password that must not be found anywhere but in its file.
CANARY = "c4nary-p4ssw0rd"
#: The first guest of each model.
FIRST = {"esx": "ha-host_VM0", "vpx": "DC0_H0_VM0"}


@pytest.fixture(params=FIRST)
def model(request):
    return request.param


@pytest.fixture
def server(model):
    yield from started(model)


@pytest.fixture
def esx():
    yield from started("esx")


def started(model, **options):
    with required():
        simulator = PrivateVcsim(model, password=CANARY, **options).__enter__()
    try:
        yield simulator
    finally:
        simulator.close()


@pytest.fixture
def inventory(request):
    name = "server" if "server" in request.fixturenames else "esx"
    inventory = Inventory(request.getfixturevalue(name))
    yield inventory
    inventory.close()


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path / "root")
    file = tmp_path / "root/etc/vmsvc/esx.toml"
    file.touch(mode=0o600)
    file.write_text(f'user = "{USER}"\npassword = "{CANARY}"\n')
    return shell


def serve(shell, simulator, name, *lines, trust=True, nodes=NODE):
    text = f"[DEFAULT]\nnodes = {nodes}\n[container#1]\ntype = esx\nserver = {simulator.address}\n"
    trusted = [f"thumbprint = {simulator.fingerprint}"] if trust else []
    shell.file(name, text + "".join(f"{line}\n" for line in (*trusted, *lines)))


def timed(call, *words, **options):
    began = time.monotonic()
    return call(*words, **options), time.monotonic() - began


# --- daily life -------------------------------------------------------------------------------------------------------


@pytest.mark.keyword("container.esx.server")
def test_a_service_lives(shell, server, model, inventory):
    name = FIRST[model]
    serve(shell, server, "web", f"name = {name}")
    assert shell.statuses()["web"][:2] == ("up", "poweredOn")
    ok(shell.run("stop", "web"))
    assert inventory.power(name) == "poweredOff"
    assert "ShutdownGuest" in server.gateway.requests
    assert "PowerOffVM_Task" not in server.gateway.requests
    assert shell.statuses()["web"][:2] == ("down", "poweredOff")
    ok(shell.run("stop", "web"))
    ok(shell.run("start", "web"))
    ok(shell.run("start", "web"))
    assert server.gateway.requests.count("PowerOnVM_Task") == 1
    assert shell.statuses()["web"][:2] == ("up", "poweredOn")
    ok(shell.run("stop", "--kill", "web"))
    assert inventory.power(name) == "poweredOff"
    assert inventory.sessions() == 0, "each command ends its session"


@pytest.mark.keyword("container.esx.ca_file", "container.esx.thumbprint")
def test_a_server_proves_that_it_is_the_right_one_before_it_is_told_anything(shell, esx):
    serve(shell, esx, "web", f"name = {FIRST['esx']}", trust=False)
    avail, _, detail = shell.statuses(code=4)["web"]
    assert avail == "unknown"
    assert "self-signed certificate" in detail or "self signed certificate" in detail
    assert esx.fingerprint in detail
    assert esx.gateway.requests == []
    serve(shell, esx, "web", f"name = {FIRST['esx']}", f"ca_file = {esx.gateway.certificate}", trust=False)
    assert shell.statuses()["web"][0] == "up"
    serve(shell, esx, "web", f"name = {FIRST['esx']}")
    assert shell.statuses()["web"][0] == "up"
    was = esx.fingerprint
    esx.gateway.renew()
    esx.gateway.requests.clear()
    detail = shell.statuses(code=4)["web"][2]
    assert "shows another certificate" in detail
    assert esx.fingerprint in detail
    assert was not in detail
    assert esx.gateway.requests == []
