"""What a watcher says of disks whose keys are lost, and of those that nobody uses."""

from __future__ import annotations

import pytest

from tests.support import guest, resource, seen, service
from vmsvc.core.disk_sets import DiskReport, DiskSet
from vmsvc.core.errors import Undetermined
from vmsvc.core.status import Phase
from vmsvc.core.vmdg.judge import Judged
from vmsvc.core.watch import Concern, users_of, watched

DISKS = resource("vmdg", container_id="container#1", scsireserv=True)
RUNNING = {"container#1": seen(Phase.RUNNING)}


def report(phase, *, is_lost=False):
    whole = Judged(phase=phase, state=phase.value, detail="as told", is_lost=is_lost)
    return DiskReport(
        found=DiskSet(resource=DISKS), key=1, names={}, readings=(), judged=(), others=(), whole=whole, duration_s=0.0
    )


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
