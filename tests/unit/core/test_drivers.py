"""Which driver serves what, made when it is first needed."""

from __future__ import annotations

import threading
import time
from typing import ClassVar

import pytest

from tests.support import NODE, FakeDriver, guest, resource, seen, service
from vmsvc.core import drivers as module
from vmsvc.core.contract import Context
from vmsvc.core.drivers import Drivers
from vmsvc.core.errors import Undetermined, VmsvcError
from vmsvc.core.node import Node
from vmsvc.core.observe import observe
from vmsvc.core.planning.planner import plan
from vmsvc.core.status import Phase


class Host:
    """What drivers are given; nothing runs here."""


class Made(FakeDriver):
    """Remembers what it was made with; ``made`` has all of them."""

    made: ClassVar[list[Made]] = []

    def __init__(self, context):
        super().__init__()
        self.context = context
        self.closed = 0
        Made.made.append(self)

    def close(self):
        self.closed += 1


class Addresses(Made):
    """A plugin's driver for a kind that the core has no behaviour for."""

    kind = "ip"
    type = ""

    def observe(self, resource, *, budget_s):
        return seen(Phase.RUNNING, "plumbed")


class Broken(FakeDriver):
    def __init__(self, context):
        raise OSError("no socket")


class Hanging(FakeDriver):
    def __init__(self, context):
        threading.Event().wait(30)


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(Made, "made", [])
    hosts = []

    def of(*, node=NODE, located=lambda *_: {}, **classes):
        def host():
            hosts.append(Host())
            return hosts[-1]

        types = {(kind, "fake" if kind == "container" else ""): made for kind, made in classes.items()}
        found = Drivers(node, host, types, located)
        found.hosts = hosts
        return found

    return of


def test_a_driver_is_made_once_and_when_it_is_first_needed(make):
    them = make(container=Made)
    web = service(guest(1), guest(2))
    find = them.finder([web])
    assert (Made.made, them.hosts) == ([], [])
    first = find(web.resource("container#1"))
    assert first is find(web.resource("container#2")) is them.of_guest(guest(1)) is them.finder([web])(guest(1))
    assert [first] == Made.made


def test_what_a_driver_is_given(make, tmp_path):
    them = make(node=Node(name="n1", root=tmp_path), container=Made, ip=Addresses)
    made = them.of_guest(guest())
    assert isinstance(made.context, Context)
    assert (made.context.node.name, made.context.host) == ("n1", them.hosts[0])
    assert made.context.state_dir == tmp_path / "var/lib/vmsvc/drivers/fake"
    address = resource("ip#1")
    assert them.finder([service(address)])(address).context.state_dir == tmp_path / "var/lib/vmsvc/drivers/ip"
    assert not any(tmp_path.iterdir())


def test_two_threads_get_the_same_one(make):
    class Slow(Made):
        def __init__(self, context):
            time.sleep(0.1)
            super().__init__(context)

    them = make(container=Slow)
    found = []
    threads = [threading.Thread(target=lambda: found.append(them.of_guest(guest()))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 5
    assert len(Made.made) == len(set(map(id, found))) == 1


@pytest.mark.parametrize("rid", ["ip#1", "vmdg", "disk#1", "fs#1", "sync#1"])
def test_a_kind_without_behaviour_says_so(make, rid):
    each = resource(rid)
    assert make().finder([service(each)])(each) == f"{each.kind} resources are not handled by this version yet"


def test_a_plugin_may_serve_another_kind(make):
    address, share = resource("ip#1"), resource("fs#1")
    web = service(guest(), address, share)
    found = observe(web.resources, make(container=Made, ip=Addresses).finder([web]))
    assert [(rid, observation.phase) for (_, rid), observation in found.items()] == [
        ("container#1", Phase.STOPPED),
        ("ip#1", Phase.RUNNING),
        ("fs#1", Phase.INAPPLICABLE),
    ]
    made = plan("start", web, NODE, {rid: observation for (_, rid), observation in found.items()})
    assert [str(step) for step in made.steps] == ["start container#1"]
    assert {kept.rid: kept.why for kept in made.kept}["ip#1"] == "already up"


def test_what_may_be_inside_a_guest_has_a_driver_of_the_core_made_for_these_services(make):
    address, web = resource("ip#1", container_id="container#1"), service(guest())
    within, made_for = FakeDriver(), []

    def located(services, tell, cancelled):
        assert cancelled is None
        tell("made")
        made_for.append(services)
        return {"ip": within}

    told = []
    assert make(located=located).finder([web], tell=told.append)(address) is within
    assert (made_for, told) == ([[web]], ["made"])


def test_a_plugin_serves_its_kind_though_the_core_could(make):
    address = resource("ip#1")
    find = make(ip=Addresses, located=lambda *_: {"ip": FakeDriver()}).finder([service(address)])
    assert isinstance(find(address), Addresses)


def test_a_driver_that_cannot_be_made_is_undetermined_and_tried_again(make):
    them = make(container=Broken)
    for _ in range(2):
        with pytest.raises(Undetermined, match="container resources of type fake: OSError: no socket") as error:
            them.of_guest(guest())
        assert (error.value.code, error.value.hint) == ("undetermined.driver-defect", "see `vmsvc drivers`")
    them._classes["container", "fake"] = Made
    assert isinstance(them.of_guest(guest()), Made)


def test_a_constructor_that_hangs_is_left_behind(make, monkeypatch):
    monkeypatch.setattr(module, "_MAKE_S", 0.1)
    began = time.monotonic()
    with pytest.raises(Undetermined, match="fake driver, made did not answer within"):
        make(container=Hanging).of_guest(guest())
    assert time.monotonic() - began < 2


def test_one_that_cannot_be_made_keeps_no_other_from_being_made(make):
    them = make(container=Broken, ip=Addresses)
    with pytest.raises(VmsvcError):
        them.of_guest(guest())
    address = resource("ip#1")
    assert isinstance(them.finder([service(address)])(address), Addresses)


def test_close_closes_what_was_made_and_waits_for_nobody(make, monkeypatch, caplog):
    monkeypatch.setattr(module, "_CLOSE_S", 0.1)
    them = make(container=Made, ip=Addresses)
    address = resource("ip#1")
    hanging, good = them.of_guest(guest()), them.finder([service(address)])(address)
    hanging.close = hanging.hang
    began = time.monotonic()
    them.close()
    assert time.monotonic() - began < 2
    hanging.release.set()
    assert good.closed == 1
    assert "the fake driver did not close" in caplog.text
    them.close()
    assert good.closed == 1
    assert them.of_guest(guest()) is not hanging


def test_close_of_a_driver_that_raises_is_told(make, caplog):
    them = make(container=Made)
    made = them.of_guest(guest())

    def close():
        raise KeyError("x")

    made.close = close
    them.close()
    assert "the fake driver did not close: 'x'" in caplog.text
