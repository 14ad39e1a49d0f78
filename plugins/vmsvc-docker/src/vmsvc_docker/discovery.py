"""The containers that an engine has already, for whoever makes services of them."""

from __future__ import annotations

from attrs import evolve

from vmsvc.driver import FoundGuest, ask
from vmsvc_docker.client import Connection
from vmsvc_docker.containers import Inspected
from vmsvc_docker.lanes import Lanes
from vmsvc_docker.observing import about_restart
from vmsvc_docker.options import DockerGuest
from vmsvc_docker.states import judge


def discover(lanes: Lanes, where: DockerGuest, budget_s: float) -> list[FoundGuest]:
    """Name the containers of one engine.

    Args:
        lanes: Where the call runs.
        where: Its ``docker_host`` tells which engine.
        budget_s: How long it may take, in seconds.
    """

    def look(connection: Connection) -> list[FoundGuest]:
        found = (connection.inspect(seen.id) for _, seen in sorted(connection.survey().items()))
        return [_found(connection, where, each) for each in found if each is not None]

    return ask(lanes.to(where.endpoint, "discovery", max_abandoned=1), look, budget_s=budget_s)


def _found(connection: Connection, where: DockerGuest, one: Inspected) -> FoundGuest:
    guest = evolve(where, name=one.seen.name)
    phase, state = judge(one.seen.state, one.seen.health)
    return FoundGuest(
        name=one.seen.name,
        phase=phase,
        state=state,
        options={"docker_host": where.docker_host} if where.docker_host else {},
        autostart=one.comes_back,
        title=f"image {one.config.get('Image', '')}".rstrip(),
        disks=connection.disks(one),
        warnings=(about_restart(guest, one),) if one.comes_back else (),
    )
