"""What an engine's words for a container's state mean. Pure.

docker's words are those of ``State`` in https://docs.docker.com/reference/api/engine/ (ContainerSummary); podman's are
those of ``ContainerStatus.String`` in libpod/define/containerstate.go, which its compatible API mostly translates. A
word that is not here is one that nobody knows: unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmsvc.driver import Phase

#: The state of a container that can only be removed.
DEAD = "dead"

#: What a health check says that has failed too often.
UNHEALTHY = "unhealthy"

_PHASES: Mapping[str, Phase] = {
    "running": Phase.RUNNING,
    # What it ran has ended, and the engine is about to run it again, after a pause that grows.
    "restarting": Phase.STARTING,
    "paused": Phase.PAUSED,
    "created": Phase.STOPPED,
    "exited": Phase.STOPPED,
    # A removal that failed half-way: its processes are gone, some of its files are not.
    DEAD: Phase.STOPPED,
    "removing": Phase.STOPPING,
    # podman's
    "configured": Phase.STOPPED,
    "initialized": Phase.STOPPED,
    "stopped": Phase.STOPPED,
    "stopping": Phase.STOPPING,
}


def judge(state: str, health: str) -> tuple[Phase, str]:
    """Say what an engine's words mean.

    Args:
        state: The container's state.
        health: What its health check says; empty where it has none.

    Returns:
        The phase, and the words for people: ``running (unhealthy)``.
    """
    phase = _PHASES.get(state, Phase.UNKNOWN)
    if phase is not Phase.RUNNING or not health:
        return phase, state
    return Phase.DEGRADED if health == UNHEALTHY else phase, f"{state} ({health})"
