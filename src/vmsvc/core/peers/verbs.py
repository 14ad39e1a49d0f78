"""What vmsvc asks of peers: their host mode, whether a file system is mounted there, and what they say of services."""

from __future__ import annotations

from functools import cache

from vmsvc.core.transport.asking import Script

#: What the script calls itself on peers.
NAME = "vmsvc-peer"


@cache
def script() -> Script:
    """The script of the verbs: ``hello``, ``mode``, ``mounted DIRECTORY``, ``status NAME…`` and ``guests NAME…``."""
    return Script.of(NAME, "vmsvc.core.peers")
