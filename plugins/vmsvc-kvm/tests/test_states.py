"""libvirt's numbers, all of them, and what they mean."""

import libvirt
import pytest
from vmsvc_kvm.states import STATES, judge

from vmsvc.driver import AT_REST, Phase, Status

# Flags of virDomainShutdownFlags, which share a prefix with the reasons of VIR_DOMAIN_SHUTDOWN.
FLAGS = {"DEFAULT", "ACPI_POWER_BTN", "GUEST_AGENT", "INITCTL", "SIGNAL", "PARAVIRT"}
WORDS = {
    "NOSTATE": 0,
    "RUNNING": 1,
    "BLOCKED": 2,
    "PAUSED": 3,
    "SHUTDOWN": 4,
    "SHUTOFF": 5,
    "CRASHED": 6,
    "PMSUSPENDED": 7,
}


def reasons(state):
    prefix = f"VIR_DOMAIN_{state}_"
    names = {name.removeprefix(prefix): value for name, value in vars(libvirt).items() if name.startswith(prefix)}
    return {name: value for name, value in names.items() if state != "SHUTDOWN" or name not in FLAGS}


@pytest.mark.parametrize("state", WORDS)
def test_every_state_and_reason_of_libvirt_has_words(state):
    number = getattr(libvirt, f"VIR_DOMAIN_{state}")
    assert WORDS[state] == number
    assert reasons(state)
    for name, reason in reasons(state).items():
        assert reason in STATES[number].reasons, f"VIR_DOMAIN_{state}_{name} of this libvirt has no words"


@pytest.mark.parametrize(
    ("state", "reason", "phase", "words"),
    [
        (0, 0, Phase.UNKNOWN, "no state (unknown)"),
        (1, 1, Phase.RUNNING, "running (booted)"),
        (1, 10, Phase.MIGRATING, "running (post-copy)"),
        (1, 11, Phase.MIGRATING, "running (post-copy failed)"),
        (3, 12, Phase.MIGRATING, "paused (post-copy)"),
        (3, 13, Phase.MIGRATING, "paused (post-copy failed)"),
        (2, 0, Phase.RUNNING, "blocked (unknown)"),
        (3, 1, Phase.PAUSED, "paused (user)"),
        (3, 2, Phase.MIGRATING, "paused (migrating)"),
        (3, 5, Phase.PAUSED, "paused (I/O error)"),
        (3, 8, Phase.STOPPING, "paused (shutting down)"),
        (3, 10, Phase.CRASHED, "paused (crashed)"),
        (3, 11, Phase.STARTING, "paused (starting up)"),
        (4, 1, Phase.STOPPING, "in shutdown (user)"),
        (5, 2, Phase.STOPPED, "shut off (destroyed)"),
        (5, 4, Phase.MOVED, "shut off (migrated)"),
        (5, 5, Phase.SAVED, "shut off (saved)"),
        (6, 1, Phase.CRASHED, "crashed (panicked)"),
        (7, 0, Phase.SUSPENDED, "pmsuspended (unknown)"),
    ],
)
def test_the_phase_and_the_words(state, reason, phase, words):
    assert judge(state, reason) == (phase, words)


def test_only_a_guest_that_is_off_or_blocked_or_runs_is_down_or_up():
    down = {number for number in STATES for reason in range(20) if judge(number, reason)[0].status is Status.DOWN}
    up = {number for number in STATES for reason in range(20) if judge(number, reason)[0].status is Status.UP}
    assert (down, up) == ({5}, {1, 2})


def test_a_save_image_counts_when_libvirt_has_forgotten_the_reason():
    assert judge(5, 0, saved=True) == (Phase.SAVED, "shut off (saved)")
    assert judge(1, 1, saved=True) == (Phase.RUNNING, "running (booted)")


def test_numbers_of_a_newer_libvirt():
    assert judge(3, 99) == (Phase.PAUSED, "paused (reason 99)")
    phase, words = judge(99, 3)
    assert phase is Phase.UNKNOWN
    assert phase not in AT_REST
    assert words == "state 99 (reason 3)"
