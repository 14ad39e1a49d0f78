"""What the tools' words for a container's state mean. Pure.

vzlist's words are those of vzlist(8); prlctl's are those of ``prlctl list`` in Virtuozzo's command line reference. A
word that is not here is one that nobody knows: unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmsvc.driver import Phase

#: The state of a container that does not run, and whose file system is mounted on the node.
MOUNTED = "mounted"

_PHASES: Mapping[str, Phase] = {
    "running": Phase.RUNNING,
    "stopped": Phase.STOPPED,
    MOUNTED: Phase.STOPPED,
    "suspended": Phase.SAVED,
    # prlctl's
    "paused": Phase.PAUSED,
    "starting": Phase.STARTING,
    "resuming": Phase.STARTING,
    "stopping": Phase.STOPPING,
    "suspending": Phase.STOPPING,
    "migrating": Phase.MIGRATING,
}


def phase_of(word: str) -> Phase:
    """The phase that a word for a state means.

    Args:
        word: The word.
    """
    return _PHASES.get(word, Phase.UNKNOWN)
