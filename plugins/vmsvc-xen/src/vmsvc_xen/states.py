"""What the letters of Xen for a guest's state mean. Pure.

They are six columns, one for each of running, blocked, paused, shutdown, the reason of that, and dying: xl(1),
``list``, STATES, and ``list_domains`` in tools/xl/xl_info.c. Several can be set at a time: a guest that has shut down
and is taken apart is ``--ps--`` for a while. A guest without any of them is one whose processor is about to get its
turn. One that is paused, and has never run, is being made: xl lets it go when it has all that it needs.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmsvc.driver import Phase

#: Of a guest that Xen does not know, and whose config file is there, or is not; no words of its own.
STOPPED, ABSENT = "stopped", "absent"
#: Of one that is between two domains, of which the first has ended and xl makes the second.
REBOOTING = "rebooting"

#: Why a guest has shut down: SHUTDOWN_* in xen/include/public/sched.h.
_REASONS: Mapping[str, tuple[Phase, str]] = {
    "-": (Phase.STOPPING, "shut down"),
    "r": (Phase.STOPPING, "shut down to reboot"),
    "s": (Phase.SUSPENDED, "suspended"),
    "c": (Phase.CRASHED, "crashed"),
    "w": (Phase.CRASHED, "crashed, by its watchdog"),
    "S": (Phase.STOPPING, "shut down for a soft reset"),
}


def read(letters: str, *, has_run: bool = True) -> tuple[Phase, str]:
    """The phase that letters mean, and a word for it.

    Whether a guest has a processor at this very moment is not told: it would be another word at each look.

    Args:
        letters: The six letters.
        has_run: Whether it has used a processor so far.

    >>> read("-b----"), read("--ps--")
    ((<Phase.RUNNING: 'running'>, 'running'), (<Phase.STOPPING: 'stopping'>, 'shut down'))
    >>> read("--p---"), read("--p---", has_run=False)
    ((<Phase.PAUSED: 'paused'>, 'paused'), (<Phase.STARTING: 'starting'>, 'being made'))
    """
    _, _, paused, shutdown, reason, dying = list(letters)
    if dying == "d":
        return Phase.STOPPING, "dying"
    if shutdown == "s":
        return _REASONS.get(reason, (Phase.UNKNOWN, f"shut down, for the reason {reason!r}"))
    if paused == "p":
        return (Phase.PAUSED, "paused") if has_run else (Phase.STARTING, "being made")
    return Phase.RUNNING, "running"
