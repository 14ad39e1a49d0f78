from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import FakeDriver, guest, seen, service
from vmsvc.core.answers import GuestDisk, Sizes
from vmsvc.core.contract import Capability
from vmsvc.core.documents import inventories
from vmsvc.core.errors import DriverError, Undetermined
from vmsvc.core.guests import inventory
from vmsvc.core.guests.inventory import ask, facts_of
from vmsvc.core.instance import ServiceStatus, instance_of
from vmsvc.core.status import Phase

DISK = GuestDisk(target="vda", kind="file", source="/x", size_bytes=10)


class Knowing(FakeDriver):
    """Answers every question; ``fail`` has the ones that raise."""

    capabilities = frozenset({Capability.DISKS, Capability.SIZES, Capability.DEFINITION, Capability.CONFIG_FILES})

    def __init__(self, **fail):
        super().__init__()
        self.fail = fail

    def _answer(self, question, answer):
        if question in self.fail:
            raise self.fail[question]
        return answer

    def disks(self, guest, *, budget_s):
        return self._answer("disks", [DISK])

    def sizes(self, guest, *, budget_s):
        return self._answer("sizes", Sizes(vcpus=2, memory_mib=512))

    def definition(self, guest, *, budget_s):
        return self._answer("definition", "<domain/>")

    def config_files(self, guest, *, budget_s):
        return self._answer("config_files", [Path("/x.xml")])


def test_all_that_a_driver_knows():
    facts = facts_of(guest(), Knowing())
    assert (facts.disks, facts.sizes) == ((DISK,), Sizes(vcpus=2, memory_mib=512))
    assert (facts.definition, facts.config_files, facts.gaps) == ("<domain/>", (Path("/x.xml"),), ())


def test_a_driver_without_roles_leaves_no_gaps_but_knows_nothing():
    facts = facts_of(guest(), FakeDriver())
    assert (facts.disks, facts.sizes, facts.definition, facts.config_files, facts.gaps) == (None, None, "", None, ())


def test_one_gap_hides_nothing_else():
    facts = facts_of(guest(), Knowing(disks=DriverError("no such guest"), sizes=KeyError("vcpu")))
    assert (facts.disks, facts.sizes, facts.definition) == (None, None, "<domain/>")
    assert facts.gaps == ("disks: no such guest", "sizes: the fake driver broke off with KeyError: 'vcpu'")


@pytest.mark.parametrize(("error", "kind"), [(DriverError("x"), DriverError), (ValueError("x"), Undetermined)])
def test_ask_raises_what_a_caller_can_handle(error, kind):
    with pytest.raises(kind):
        ask(guest(), Knowing(disks=error), Capability.DISKS)


def test_a_question_that_hangs(monkeypatch):
    monkeypatch.setattr(inventory, "_BUDGET_S", 0.1)
    monkeypatch.setattr(inventory, "GRACE_S", 0.1)
    driver = Knowing()
    driver.disks = lambda guest, *, budget_s: driver.hang()
    with pytest.raises(Undetermined, match="did not answer within"):
        ask(guest(), driver, Capability.DISKS)
    driver.close()


def test_the_stored_shape_is_plain_json():
    web = service(guest())
    status = ServiceStatus(service=web, instances=(instance_of(web, "n1", {"container#1": seen(Phase.RUNNING)}),))
    stored = inventories.inventory(web, status, [facts_of(guest(), Knowing(sizes=DriverError("no")))])
    assert json.loads(json.dumps(stored)) == stored
    assert stored["service"]["settings"]["nodes"] == ["n1"]
    assert stored["service"]["resources"][0]["settings"]["stop_timeout"] == 1.0
    (row,) = stored["guests"]
    assert (row["sizes"], row["gaps"], row["config_files"]) == (None, ["sizes: no"], ["/x.xml"])
    assert row["disks"][0]["guest"] == "container#1"
    assert row["disks"][0]["size_bytes"] == 10


def test_a_guest_without_answers_in_the_stored_shape():
    row = inventories.guest_facts(facts_of(guest(), FakeDriver()))
    assert (row["disks"], row["sizes"]) == (None, None)
    assert inventories.disks(guest(), None) == []


@pytest.mark.parametrize(
    ("method", "answer", "told"),
    [
        ("disks", ["/dev/sda"], "disks: the fake driver broke off with TypeError: disks answered with a str"),
        ("disks", 7, "disks: the fake driver broke off with TypeError"),
        ("sizes", (1, 2), "sizes: the fake driver broke off with TypeError: sizes answered with a tuple"),
        ("definition", b"x", "definition: the fake driver broke off with TypeError"),
        ("config_files", "/etc/passwd", "config-files: the fake driver broke off with TypeError"),
    ],
)
def test_garbage_is_a_gap(method, answer, told):
    driver = Knowing()
    setattr(driver, method, lambda guest, *, budget_s: answer)
    (gap,) = facts_of(guest(), driver).gaps
    assert gap.startswith(told)


def test_a_disk_of_the_wrong_types_cannot_be_made():
    with pytest.raises(TypeError):
        GuestDisk(target="vda", kind=b"file", source="/x")
