"""A stop of a service whose file has changed while its disks were held, on the simulated hypervisor."""

from __future__ import annotations

import pytest

import vmsvc
from tests.unit.test_booting import DB, OURS, keys, san

__all__ = ["san"]  # a fixture
HELD, FREE = [{OURS}, {OURS}], [set(), set()]


@pytest.fixture
def changed(san, session, make_service):
    """Starts the service, and reads it again after its file has changed."""
    session.start(session.load(make_service(DB, "db")))
    assert keys(san) == HELD

    def changed(*changes):
        text = DB
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return session.load(make_service(text, "db"))

    return changed


@pytest.mark.parametrize(
    "change",
    [
        (" /dev/disk1", ""),
        ("scsireserv = true", "scsireserv = false"),
        ("scsireserv = true", "disable = true"),
        ("", ""),
    ],
    ids=["disk gone", "switched off", "disabled", "nothing"],
)
def test_everything_is_given_back_that_was_taken(san, session, changed, hypervisor, change):
    session.stop(changed(change))
    assert (keys(san), hypervisor.machine("db").phase) == (FREE, "stopped")


def test_nothing_is_given_up_under_a_guest_that_the_file_does_not_name_any_more(san, session, changed, hypervisor):
    other = changed(("type = null", "type = null\n    name = other"))
    with pytest.raises(vmsvc.Undetermined, match="the guest db down"):
        session.stop(other)
    with pytest.raises(vmsvc.Undetermined, match="the guest db down"):
        session.act("stop", other, only={"vmdg"})
    assert (keys(san), hypervisor.machine("db").phase) == (HELD, "running")
    session.stop(changed())
    assert keys(san) == FREE


def test_a_guest_whose_section_is_called_otherwise_by_now_is_known(san, session, changed, hypervisor):
    renamed = changed(("container#1", "container#7"))
    with pytest.raises(vmsvc.Refused, match="container#7"):
        session.act("stop", renamed, only={"vmdg"})
    session.stop(renamed)
    assert (keys(san), hypervisor.machine("db").phase) == (FREE, "stopped")


def test_a_guest_that_is_disabled_is_looked_at_all_the_same(san, session, changed):
    with pytest.raises(vmsvc.Refused, match="container#1"):
        session.stop(changed(("type = null", "type = null\n    disable = true")))
    assert keys(san) == HELD
