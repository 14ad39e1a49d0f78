"""What the words of LXC for a container's state mean. Pure.

They are those of ``lxc_state2str`` in src/lxc/state.c, which are listed in lxc(7), too. A word that is not here is one
that nobody knows: unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmsvc.driver import Phase

#: Of a container that LXC does not know; no word of its own.
ABSENT = "ABSENT"

_PHASES: Mapping[str, Phase] = {
    ABSENT: Phase.ABSENT,
    "STOPPED": Phase.STOPPED,
    "STARTING": Phase.STARTING,
    "RUNNING": Phase.RUNNING,
    "STOPPING": Phase.STOPPING,
    # Its start has failed, and what there is of it is taken down.
    "ABORTING": Phase.STOPPING,
    "FREEZING": Phase.PAUSED,
    "FROZEN": Phase.PAUSED,
    # Its processes go on; RUNNING follows at once.
    "THAWED": Phase.RUNNING,
}


def phase_of(state: str) -> Phase:
    """Say what a word means.

    Args:
        state: The word, as LXC's commands print it.

    >>> phase_of("FROZEN").value, phase_of("SLEEPING").value
    ('paused', 'unknown')
    """
    return _PHASES.get(state, Phase.UNKNOWN)
