"""What VirtualBox's words for a guest's state mean. Pure.

The states are those of ``MachineState`` in VirtualBox's API reference. ``showvminfo`` prints them in two ways, as
``poweroff`` with ``--machinereadable`` and as ``powered off`` without. A word that is not here is one that nobody
knows: unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmsvc.driver import Phase

_PHASES: Mapping[str, Phase] = {
    "running": Phase.RUNNING,
    "livesnapshotting": Phase.RUNNING,
    "deletingsnapshotlive": Phase.RUNNING,
    "starting": Phase.STARTING,
    "restoring": Phase.STARTING,
    "paused": Phase.PAUSED,
    # Snapshots that are taken or deleted while the guest waits.
    "onlinesnapshotting": Phase.PAUSED,
    "deletingsnapshotlivepaused": Phase.PAUSED,
    # An error inside of VirtualBox stopped the guest in the middle of something; its process is still there.
    "gurumeditation": Phase.STUCK,
    "stopping": Phase.STOPPING,
    "saving": Phase.STOPPING,
    "teleporting": Phase.MIGRATING,
    "teleportingpausedvm": Phase.MIGRATING,
    "teleporting(incoming)": Phase.MIGRATING,
    "teleportingin": Phase.MIGRATING,
    "poweroff": Phase.STOPPED,
    "poweredoff": Phase.STOPPED,
    # The guest's process has died: nothing of it runs any more.
    "aborted": Phase.STOPPED,
    "saved": Phase.SAVED,
    "abortedsaved": Phase.SAVED,
    "teleported": Phase.MOVED,
    # Work on the settings or snapshots of a guest that does not run.
    "settingup": Phase.STOPPED,
    "snapshotting": Phase.STOPPED,
    "offlinesnapshotting": Phase.STOPPED,
    "restoringsnapshot": Phase.STOPPED,
    "deletingsnapshot": Phase.STOPPED,
}


def phase_of(word: str) -> Phase:
    """The phase that a word for a state means.

    Args:
        word: The word, in either way of printing it.

    >>> phase_of("powered off"), phase_of("aborted-saved"), phase_of("something new")
    (<Phase.STOPPED: 'stopped'>, <Phase.SAVED: 'saved'>, <Phase.UNKNOWN: 'unknown'>)
    """
    return _PHASES.get(word.replace(" ", "").replace("-", ""), Phase.UNKNOWN)
