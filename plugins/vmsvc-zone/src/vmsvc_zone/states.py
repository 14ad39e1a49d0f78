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
#: States from which ``attach`` leads to ``installed``.
DETACHED = ("configured", "unavailable")
#: States in which there is nothing to stop.
AT_REST = ("configured", "incomplete", "unavailable", "installed")


def phase_of(state: str) -> Phase:
    """The phase that a state is; one that nobody knows is unknown, and never down.

    Args:
        state: The state's word.
    """
    return PHASES.get(state, Phase.UNKNOWN)
