"""Answers of libvirt that are older than they look."""

import pytest
from vmsvc_kvm.observing import STALE_S, _observations, may_live
from vmsvc_kvm.options import KvmGuest
from vmsvc_kvm.processes import Qemu
from vmsvc_kvm.seen import Seen

from vmsvc.driver import Evidence, Phase

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("uri", "took_s", "phase"),
    [
        ("qemu:///system", STALE_S + 1, Phase.UNKNOWN),
        ("qemu:///system", STALE_S / 2, Phase.RUNNING),
        ("qemu+ssh://n2/system", STALE_S + 1, Phase.RUNNING),
        ("test:///default", STALE_S + 1, Phase.RUNNING),
    ],
)
def test_a_late_running_of_a_guest_without_a_process_is_not_believed(uri, took_s, phase):
    guest = KvmGuest(service="web", rid="container#1", kind="container", type="kvm", name="web", uri=uri)
    running = Seen(state=1, reason=1, uuid=NOBODY)
    (seen,) = _observations([guest], [running], Evidence(probe="survey", duration_s=took_s))
    assert seen.phase is phase
    if phase is Phase.UNKNOWN:
        assert "no qemu process of the guest is there" in seen.evidence.detail


SHUT_OFF, MOVED = Seen(state=5, reason=8, uuid=NOBODY), Seen(state=5, reason=4, uuid=NOBODY)


@pytest.mark.parametrize("known", [SHUT_OFF, MOVED, None])
@pytest.mark.parametrize(
    ("uri", "is_seen"),
    [
        ("qemu:///system", True),
        ("qemu:///session", True),
        ("qemu:///system?socket=/run/other/libvirt-sock", False),  # one of several: the process may be another's
        ("qemu+ssh://n2/system", False),
        ("lxc:///system", False),
    ],
)
def test_a_guest_whose_process_lives_is_not_down_whatever_libvirt_says(monkeypatch, known, uri, is_seen):
    monkeypatch.setattr("vmsvc_kvm.living.qemus", lambda: [Qemu(pid=4711, uuid=NOBODY, name="web")])
    guest = KvmGuest(service="web", rid="container#1", kind="container", type="kvm", name="web", uri=uri)
    (seen,) = _observations([guest], [known], Evidence(probe="survey"))
    assert (seen.phase is Phase.UNKNOWN, "pid 4711" in seen.evidence.detail) == (is_seen, is_seen)
    assert ("pid 4711" in may_live(guest, known)) == is_seen


def test_processes_of_other_guests_change_nothing(monkeypatch):
    monkeypatch.setattr("vmsvc_kvm.living.qemus", lambda: [Qemu(pid=4711, uuid=f"{NOBODY[:-1]}1", name="web2")])
    guest = KvmGuest(service="web", rid="container#1", kind="container", type="kvm", name="web", uri="qemu:///system")
    seen = _observations([guest, guest], [SHUT_OFF, None], Evidence(probe="survey"))
    assert [each.phase for each in seen] == [Phase.STOPPED, Phase.ABSENT]
    assert may_live(guest, Seen(state=1, reason=1, uuid=f"{NOBODY[:-1]}1")) == ""
