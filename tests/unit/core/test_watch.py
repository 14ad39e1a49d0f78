"""What a watcher says of disks whose keys are lost, and of those that nobody uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import guest, resource, seen, service
from vmsvc.core.disk_sets import DiskReport, DiskSet
from vmsvc.core.errors import Undetermined
from vmsvc.core.ledger import Record
from vmsvc.core.status import Phase
from vmsvc.core.vmdg.judge import Judged
from vmsvc.core.watch import Concern, users_of, watched

DISKS = resource("vmdg", container_id="container#1", scsireserv=True)
RUNNING = {"container#1": seen(Phase.RUNNING)}


def report(phase, *, is_lost=False, foreign=(), key=1):
    whole = Judged(phase=phase, state=phase.value, detail="as told", is_lost=is_lost, foreign=foreign)
    record = Record(service=DISKS.service, rid=DISKS.rid, file=Path("/none"))
    found = DiskSet(resource=DISKS, key=key, record=record)
    return DiskReport(found=found, names={}, readings=(), judged=(whole,), others=(), whole=whole, duration_s=0.0)


@pytest.mark.parametrize("user", [Phase.RUNNING, Phase.PAUSED, Phase.STARTING, Phase.STUCK, Phase.UNKNOWN])
@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.CONTESTED])
def test_keys_that_are_lost_under_what_may_write_are_an_alarm(user, phase):
    found = watched(DISKS, report(phase, is_lost=True), {"container#1": seen(user)})
    assert (found.concern, found.users) == (Concern.LOST, ("container#1",))
    assert "lost" in found.text
    assert "pr start" in found.hint


@pytest.mark.parametrize("user", [Phase.STOPPED, Phase.ABSENT, Phase.SAVED])
def test_disks_that_nobody_uses_may_be_anybodys(user):
    found = watched(DISKS, report(Phase.STOPPED, is_lost=True), {"container#1": seen(user)})
    assert (found.concern, found.users) == (Concern.NONE, ())


@pytest.mark.parametrize(
    ("phase", "concern"),
    [
        (Phase.RUNNING, Concern.NONE),
        (Phase.INAPPLICABLE, Concern.NONE),
        (Phase.DEGRADED, Concern.CARE),
        (Phase.CONTESTED, Concern.CARE),
        (Phase.UNKNOWN, Concern.UNKNOWN),
    ],
)
def test_everything_else_is_no_alarm(phase, concern):
    assert watched(DISKS, report(phase), RUNNING).concern is concern


@pytest.mark.parametrize(("foreign", "key", "is_taken"), [((2,), 1, True), ((), 1, False), ((2,), None, False)])
def test_only_what_somebody_else_took_from_us_calls_for_a_kill(foreign, key, is_taken):
    killing = resource("vmdg", container_id="container#1", scsireserv=True, on_lost_keys="kill")
    lost = report(Phase.STOPPED, is_lost=True, foreign=foreign, key=key)
    found = watched(killing, lost, RUNNING)
    assert (found.concern, found.is_taken, found.calls_for_kill) == (Concern.LOST, is_taken, is_taken)
    assert "pr start" in found.hint
    assert not watched(DISKS, lost, RUNNING).calls_for_kill


def test_somebody_registered_beside_what_may_write_is_an_alarm():
    found = watched(DISKS, report(Phase.CONTESTED, foreign=(2,)), RUNNING)
    assert (found.concern, found.concern.is_alarm, found.calls_for_kill) == (Concern.CONTESTED, True, False)
    assert "container#1" in found.text


def test_where_nothing_runs_disks_that_cannot_be_named_are_no_concern():
    found = watched(DISKS, Undetermined("libvirtd hangs"), {"container#1": seen(Phase.STOPPED)})
    assert (found.concern, found.users) == (Concern.NONE, ())
    assert "libvirtd hangs" in found.text


def test_disks_that_cannot_be_named_are_unknown():
    found = watched(DISKS, Undetermined("libvirtd hangs"), RUNNING)
    assert (found.concern, found.text) == (Concern.UNKNOWN, "libvirtd hangs")


def test_who_may_write_to_disks():
    one = service(
        guest(1), guest(2), DISKS, resource("disk#1", scsireserv=True), resource("vmdg#2", container_id="container#2")
    )
    assert users_of(one, DISKS) == ("container#1",)
    assert set(users_of(one)) == {"container#1", "container#2"}
    assert users_of(service(resource("app#1", start=("x",)), resource("disk#1", scsireserv=True))) == ("app#1",)
