"""The states of a zone, and the phases that they are: zones(7), zone_state_str() of libzonecfg. Pure."""

from __future__ import annotations

from vmsvc.driver import Phase

#: Solaris 11.2 and later know one more than illumos: ``unavailable``, whose storage or system is not to be had.
PHASES = {
    "configured": Phase.STOPPED,
    "incomplete": Phase.STOPPED,
    "unavailable": Phase.STOPPED,
    "installed": Phase.STOPPED,
    "ready": Phase.PREPARED,
    "running": Phase.RUNNING,
    "shutting_down": Phase.STOPPING,
    "down": Phase.STOPPING,
    "mounted": Phase.DEGRADED,
}
#: What a later field of Solaris adds to the state of a kernel zone: "Auxiliary States" of solaris-kz(7). Where that
#: field stands is not the same in all versions, so each of these words counts wherever it is.
AUXILIARY = {
    "suspended": Phase.SUSPENDED,
    "migrating-out": Phase.MIGRATING,
    "migrating-in": Phase.MIGRATING,
    "debugging": Phase.STUCK,
    "panicked": Phase.CRASHED,
}
#: States from which ``attach`` leads to ``installed``.
DETACHED = ("configured", "unavailable")


def phase_of(state: str, auxiliary: str = "") -> Phase:
    """The phase that a state is; one that nobody knows is unknown, and never down.

    A suspended zone "will resume on the next boot"; while it is more than installed, it is merely on its way there, as
    before a migration.

    Args:
        state: The state's word.
        auxiliary: What is added to it; empty for nothing.

    >>> phase_of("running", "panicked").value, phase_of("installed", "suspended").value
    ('crashed', 'saved')
    >>> phase_of("running", "suspended").value
    'suspended'
    """
    phase = PHASES.get(state, Phase.UNKNOWN)
    if phase is Phase.UNKNOWN or not auxiliary:
        return phase
    if auxiliary == "suspended" and state == "installed":
        return Phase.SAVED
    return AUXILIARY.get(auxiliary, phase)
