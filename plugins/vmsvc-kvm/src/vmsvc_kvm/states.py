"""What libvirt's numbers for a guest's state and its reason mean. Pure.

The numbers are ``virDomainState`` and the ``virDomain*Reason`` enumerations of libvirt-domain.h: part of libvirt's
ABI, and so never renumbered. The words are those of ``virsh domstate --reason``. A number from a newer libvirt keeps
the phase of its state, or is unknown where the state itself is new.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from vmsvc.driver import Phase

SHUTOFF = 5


@frozen
class _State:
    """A state: its word, what it means, the words for its reasons, and the reasons that change what it means."""

    word: str
    phase: Phase
    reasons: Mapping[int, str]
    unlike: Mapping[int, Phase] = field(factory=dict)


STATES: Mapping[int, _State] = {
    0: _State("no state", Phase.UNKNOWN, {0: "unknown"}),
    1: _State(
        "running",
        Phase.RUNNING,
        {
            0: "unknown",
            1: "booted",
            2: "migrated",
            3: "restored",
            4: "from snapshot",
            5: "unpaused",
            6: "migration canceled",
            7: "save canceled",
            8: "event wakeup",
            9: "crashed",
            10: "post-copy",
            11: "post-copy failed",
        },
        # It runs, but memory of it is still, or for ever, on the other node.
        {10: Phase.MIGRATING, 11: Phase.MIGRATING},
    ),
    # Xen's word for a guest that waits for something to do.
    2: _State("blocked", Phase.RUNNING, {0: "unknown"}),
    3: _State(
        "paused",
        Phase.PAUSED,
        {
            0: "unknown",
            1: "user",
            2: "migrating",
            3: "saving",
            4: "dumping",
            5: "I/O error",
            6: "watchdog",
            7: "from snapshot",
            8: "shutting down",
            9: "creating snapshot",
            10: "crashed",
            11: "starting up",
            12: "post-copy",
            13: "post-copy failed",
            14: "api error",
        },
        {
            2: Phase.MIGRATING,
            8: Phase.STOPPING,
            10: Phase.CRASHED,
            11: Phase.STARTING,
            12: Phase.MIGRATING,
            13: Phase.MIGRATING,  # whoever ends it here ends it on both nodes; see virsh(1), migrate --postcopy-resume
        },
    ),
    4: _State("in shutdown", Phase.STOPPING, {0: "unknown", 1: "user"}),
    SHUTOFF: _State(
        "shut off",
        Phase.STOPPED,
        {
            0: "unknown",
            1: "shutdown",
            2: "destroyed",
            3: "crashed",
            4: "migrated",
            5: "saved",
            6: "failed",
            7: "from snapshot",
            8: "daemon",
        },
        {4: Phase.MOVED, 5: Phase.SAVED},
    ),
    6: _State("crashed", Phase.CRASHED, {0: "unknown", 1: "panicked"}),
    7: _State("pmsuspended", Phase.SUSPENDED, {0: "unknown"}),
}


def judge(state: int, reason: int, *, saved: bool = False) -> tuple[Phase, str]:
    """Say what libvirt's numbers mean.

    Args:
        state: A ``virDomainState``.
        reason: A reason from the enumeration that belongs to the state.
        saved: Whether the guest has a managed save image, from which its next start resumes it. libvirt forgets the
            reason when it is restarted, but not the image.

    Returns:
        The phase, and the words for people: ``paused (I/O error)``.
    """
    known = STATES.get(state)
    if known is None:
        return Phase.UNKNOWN, f"state {state} (reason {reason})"
    if state == SHUTOFF and saved:
        return Phase.SAVED, f"{known.word} (saved)"
    return known.unlike.get(reason, known.phase), f"{known.word} ({known.reasons.get(reason, f'reason {reason}')})"
