"""Answers of libvirt that are older than they look."""

import pytest
from vmsvc_kvm.observing import STALE_S, _observations
from vmsvc_kvm.options import KvmGuest
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
