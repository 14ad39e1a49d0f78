"""One session serves all calls of a process, and is begun anew where its server has forgotten it, and nowhere else."""

from __future__ import annotations

import threading
import time

import pytest
from vmsvc_esx import EsxDriver, EsxGuest

from lab.fixtures import required
from lab.vcsim import USER, PrivateVcsim
from tests.lab.vsphere import Inventory
from vmsvc.driver import Context, Node, Phase
from vmsvc.testing import identity

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def esx():
    with required():
        simulator = PrivateVcsim(guests=3).__enter__()
    try:
        yield simulator
    finally:
        simulator.close()


@pytest.fixture
def driver(esx, tmp_path):
    node = Node(name="n1", root=tmp_path)
    node.config_dir.mkdir(parents=True)
    credentials = node.config_dir / "esx.toml"
    credentials.touch(mode=0o600)
    credentials.write_text(f'user = "{USER}"\npassword = "{esx.password}"\n')
    made = EsxDriver(Context(node=node, host=None, state_dir=tmp_path / "state"))
    yield made
    made.close()


def guest(esx, number=0):
    thumbprint = esx.fingerprint.replace(":", "").lower()
    return EsxGuest(**identity("esx", f"ha-host_VM{number}"), server=esx.address, thumbprint=thumbprint)


def idle(esx):
    with esx.gateway.down():
        pass


def restarted(esx):
    with esx.gateway.down():
        esx.gateway.forget_sessions()


def expired(esx):
    esx.gateway.forget_sessions()


def killed(esx):
    with esx.gateway.down():
        esx.kill()
        esx.start()


@pytest.mark.parametrize(("befalls", "logins"), [(idle, 0), (expired, 1), (restarted, 1), (killed, 1)])
def test_a_look_is_right_whatever_befell_the_session_before(driver, esx, befalls, logins):
    assert driver.observe(guest(esx), budget_s=10).phase is Phase.RUNNING
    befalls(esx)
    esx.gateway.requests.clear()
    assert driver.observe(guest(esx), budget_s=10).phase is Phase.RUNNING
    assert esx.gateway.requests.count("Login") == logins
    esx.gateway.requests.clear()
    assert driver.observe(guest(esx), budget_s=10).phase is Phase.RUNNING
    assert esx.gateway.requests == ["RetrievePropertiesEx"]


def test_verbs_of_many_guests_at_once_share_the_session(driver, esx):
    guests = [guest(esx, number) for number in range(3)]
    threads = [threading.Thread(target=driver.kill, args=(each,), kwargs={"budget_s": 20}) for each in guests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = driver.observe_all(guests, budget_s=10)
    assert {each.phase for each in seen.values()} == {Phase.STOPPED}
    assert esx.gateway.requests.count("Login") == 1
    inventory = Inventory(esx)
    assert inventory.sessions() == 1
    driver.close()
    deadline = time.monotonic() + 5
    while inventory.sessions():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    inventory.close()


def test_a_guest_that_is_not_shown_to_a_user_with_a_role_on_a_part_is_unknown(driver, esx):
    there, gone = guest(esx), EsxGuest(**identity("esx", "gone"), server=esx.address, thumbprint=guest(esx).thumbprint)

    def seen():
        found = driver.observe_all([there, gone], budget_s=20)
        return [found[each.service, each.rid].phase for each in (there, gone)]

    assert seen() == [Phase.RUNNING, Phase.ABSENT]
    esx.gateway.change = lambda answer: answer.replace(b"<int>-1</int>", b"<int>-3</int>")
    assert seen() == [Phase.RUNNING, Phase.UNKNOWN]
