"""The verbs of a container."""

from __future__ import annotations

import builtins
import contextlib
import time
from collections.abc import Callable, Container, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from vmsvc.driver import (
    AT_REST,
    AWAKE,
    GOING_DOWN,
    TIMED_OUT,
    Capability,
    Context,
    DefinitionFields,
    Definitions,
    DriverError,
    FoundGuest,
    GuestDisk,
    Lane,
    Observation,
    Outcome,
    Phase,
    Resource,
    Sizes,
    Undetermined,
    ask,
    settled,
)
from vmsvc_docker import hints
from vmsvc_docker.client import ABSENT, Connection
from vmsvc_docker.containers import Inspected
from vmsvc_docker.lanes import Lanes
from vmsvc_docker.observing import Observer
from vmsvc_docker.options import DockerGuest
from vmsvc_docker.states import DEAD, judge

if TYPE_CHECKING:
    from vmsvc_docker.definition import Definition

T = TypeVar("T")

# When podman may kill a container that it was asked to stop, in seconds: never, since the core does that in its time.
FOR_EVER_S = 365 * 24 * 3600
# How long podman has to hear such a request, in seconds; it answers only when the container has ended.
HEARD_S = 2.0


# How much later than its killing a command's lane is given up, in seconds.
LATE_S = 0.5


class DockerDriver:
    """A container of docker, or of podman by its compatible API.

    Each kind of call has a lane of its own: status calls of one engine share one; verbs have theirs for each guest, so
    that one that hangs holds up neither another nor its own forced stop.
    """

    type: ClassVar[str] = "docker"
    kind: ClassVar[str] = "container"
    api: ClassVar[frozenset[int]] = frozenset({1})
    options: ClassVar[builtins.type[Resource]] = DockerGuest
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.BULK,
            Capability.DISKS,
            Capability.DEFINITION,
            Capability.SIZES,
            Capability.DISCOVER,
            Capability.COMPARE,
            Capability.ENTRY,
            Capability.SELF_STARTING,
        }
    )

    def __init__(self, context: Context) -> None:
        """Keep the context."""
        self._context = context
        self._lanes = Lanes()
        self._observer = Observer(self._lanes)

    # --- looking -----------------------------------------------------------------------------------------------------

    def observe(self, resource: DockerGuest, *, budget_s: float) -> Observation:
        """Say where the container stands."""
        return self.observe_all([resource], budget_s=budget_s)[resource.service, resource.rid]

    def observe_all(
        self, resources: Sequence[DockerGuest], *, budget_s: float
    ) -> Mapping[tuple[str, str], Observation]:
        """Say where the containers stand: one list of each engine, all of them at once."""
        return self._observer.survey(resources, budget_s)

    def discover(self, where: DockerGuest, *, budget_s: float) -> Sequence[FoundGuest]:
        """Name every container of the engine that an address means."""
        from vmsvc_docker import discovery  # noqa: PLC0415 - nothing that is done daily pays for it

        return discovery.discover(self._lanes, where, budget_s)

    # --- changing ----------------------------------------------------------------------------------------------------

    def start(self, resource: DockerGuest, *, budget_s: float) -> bool:
        """Start the container; where the engine has none of its name, make it first."""
        lane = self._lane(resource, "start")
        return ask(lane, lambda connection: self._start(connection, resource), budget_s=budget_s)

    def _start(self, connection: Connection, guest: DockerGuest) -> bool:
        found = connection.find(guest.name)
        if found is None:
            return self._start_anew(connection, guest)
        phase, state = _standing(found)
        if phase in AWAKE:
            return False
        settled(phase, f"{guest.name} on {guest.endpoint}", state)
        if phase not in AT_REST or state == DEAD:
            raise DriverError(
                f"{guest.name} on {guest.endpoint} cannot be started: it is {state}",
                hint=_way_back(guest, phase, state),
            )
        return _bring(connection, guest, AWAKE, lambda: connection.start(found.seen))

    def _start_anew(self, connection: Connection, guest: DockerGuest) -> bool:
        """Make the container and start it; one that cannot be started is not left for the next start to find."""
        made = connection.create(guest.name, self._wanted(guest).made_of)
        try:
            return connection.start(made)
        except DriverError:
            with contextlib.suppress(DriverError, Undetermined):
                connection.remove(made)
            raise

    def _wanted(self, guest: DockerGuest) -> Definition:
        """What a container is made of that the engine does not have: by the service file, else as the service keeps it.

        Raises:
            DriverError: Neither says.
        """
        from vmsvc_docker import definition  # noqa: PLC0415 - it reads JSON, which a look leaves to the SDK

        if guest.image:
            return definition.of_guest(guest)
        file = self._context.definition_file(guest)
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise DriverError(
                f"{guest.endpoint} has no container named {guest.name!r}, and the service keeps no definition of it "
                f"({file})",
                code=ABSENT,
                hint=f"is the key `name` right? `{hints.by_hand(guest.endpoint, 'ps', '-a')}` tells the names. Else: "
                f"set the key `image`, or `vmsvc push {guest.service}` on the node that has the container",
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise DriverError(f"the stored definition of {guest.name} cannot be read: {file}: {error}") from None
        kept = definition.read(text, origin=str(file))
        if kept.name != guest.name:
            raise DriverError(
                f"{file} defines a container named {kept.name!r}, not {guest.name!r}",
                hint=f"`vmsvc push {guest.service}` on the node that has the container writes it anew",
            )
        return kept

    def stop(self, resource: DockerGuest, *, budget_s: float) -> None:
        """Send the container the signal by which its image wants to be stopped, and nothing harder after it."""
        deadline = time.monotonic() + budget_s

        def has_asked(connection: Connection) -> bool:
            found = connection.find(resource.name)
            phase, state = _standing(found)
            if found is None or phase in GOING_DOWN:
                return True
            settled(phase, f"{resource.name} on {resource.endpoint}", state)
            if phase is Phase.PAUSED:
                raise DriverError(
                    f"{resource.name} on {resource.endpoint} cannot hear a request to stop: it is {state}"
                )
            if connection.is_podman and found.restart_policy != "no":
                return False
            _bring(connection, resource, GOING_DOWN, lambda: connection.signal(found.seen, found.stop_signal))
            return True

        if not ask(self._lane(resource, "stop"), has_asked, budget_s=budget_s):
            self._stop_for_good(resource, deadline)

    def _stop_for_good(self, guest: DockerGuest, deadline: float) -> None:
        """Have podman itself stop a container, which it would start again after a mere signal, by its policy.

        podman does not answer before the container has ended, and goes on whether or not anybody waits for that.
        """

        def stop(connection: Connection) -> None:
            found = connection.find(guest.name)
            if found is not None and _standing(found)[0] not in GOING_DOWN:
                connection.stop(found.seen, patience_s=FOR_EVER_S)

        way = self._lane(guest, "lasting stop")
        try:
            ask(way, stop, budget_s=min(deadline - time.monotonic(), HEARD_S))
        except Undetermined as silence:
            if silence.code != TIMED_OUT:  # else asked, and not answered yet
                raise

    def kill(self, resource: DockerGuest, *, budget_s: float) -> None:
        """Stop the container by force."""

        def kill(connection: Connection) -> None:
            found = connection.find(resource.name)
            phase, state = _standing(found)
            if found is None or phase in AT_REST:
                return
            settled(phase, f"{resource.name} on {resource.endpoint}", state)
            if phase is Phase.PAUSED and connection.is_podman:
                connection.unpause(found.seen)  # it would wait for an end that does not come, and then believe in it
            _bring(connection, resource, GOING_DOWN, lambda: connection.signal(found.seen, "SIGKILL"))

        ask(self._lane(resource, "kill"), kill, budget_s=budget_s)

    # --- what it is made of ------------------------------------------------------------------------------------------

    def disks(self, guest: DockerGuest, *, budget_s: float) -> Sequence[GuestDisk]:
        """The devices, directories and volumes that the container is handed, or will be when a start makes it."""

        def name(connection: Connection) -> Sequence[GuestDisk]:
            found = connection.find(guest.name)
            if found is None:
                return connection.disks_to_be(self._wanted(guest).made_of)
            return connection.disks(found)

        return self._ask(guest, name, budget_s)

    def definition(self, guest: DockerGuest, *, budget_s: float) -> str:
        """What the container is made of, complete with its environment's passwords: keep it where only root reads."""
        return _definition_of(self._described(guest, budget_s))

    def definitions(self, guest: DockerGuest, *, budget_s: float) -> Definitions:
        """The same for the container that runs and for its next start: an engine keeps one definition."""
        found = self._described(guest, budget_s)
        text = _definition_of(found)
        is_at_rest = _standing(found)[0] in AT_REST
        return Definitions(live=None if is_at_rest else text, persistent=text)

    def fields(self, definition: str) -> DefinitionFields:
        """What a definition says, field by field."""
        from vmsvc_docker.definition import fields  # noqa: PLC0415 - as above

        return fields(definition, origin="the definition")

    def sizes(self, guest: DockerGuest, *, budget_s: float) -> Sizes:
        """The container's limits; where it has none, what the node has."""
        from vmsvc_docker import limits  # noqa: PLC0415 - nothing but `push` pays for it

        def ask_both(connection: Connection) -> Sizes:
            return limits.of_container(connection.described(guest.name), connection.capacity)

        return self._ask(guest, ask_both, budget_s)

    def _described(self, guest: DockerGuest, budget_s: float) -> Inspected:
        return self._ask(guest, lambda connection: connection.described(guest.name), budget_s)

    def _ask(self, guest: DockerGuest, work: Callable[[Connection], T], budget_s: float) -> T:
        return ask(self._lane(guest, "definition"), work, budget_s=budget_s)

    # --- inside of it ------------------------------------------------------------------------------------------------

    def enter(
        self, guest: DockerGuest, argv: Sequence[str], *, budget_s: float, environment: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run one command inside the container, as root; several may run at a time."""
        from vmsvc_docker import entry  # noqa: PLC0415 - a look at containers runs no commands in them

        deadline = time.monotonic() + budget_s

        def enter(connection: Connection) -> Outcome:
            return entry.enter(connection, guest, argv, environment or {}, budget_s=budget_s, deadline=deadline)

        with self._lanes.any_to(guest.endpoint, f"a command in {guest.name}") as way:
            return way.call(
                lambda connection: connection.guarded(enter, deadline), budget_s=budget_s + entry.KILL_S + LATE_S
            )

    def why_no_launchers(self, guest: DockerGuest) -> str:
        """The image's maintainer has dealt with that."""
        return (
            f"the image of {guest.name} starts what is to run in it (its ENTRYPOINT and CMD): launchers are of no use"
        )

    # --- lanes -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let every connection go, and wait for none."""
        self._lanes.close()

    def _lane(self, guest: DockerGuest, purpose: str) -> Lane[Connection]:
        return self._lanes.to(guest.endpoint, f"{purpose} of {guest.name}")


def _definition_of(found: Inspected) -> str:
    from vmsvc_docker import definition  # noqa: PLC0415 - as above

    return definition.of_container(found).text()


def _standing(found: Inspected | None) -> tuple[Phase, str]:
    """What the engine's answer about a container means; ``None`` where it positively knows none."""
    return (Phase.ABSENT, "absent") if found is None else judge(found.seen.state, found.seen.health)


def _way_back(guest: DockerGuest, phase: Phase, state: str) -> str:
    """How people bring a container where it can be started."""
    if phase is Phase.PAUSED:
        return f"`{hints.by_hand(guest.endpoint, 'unpause', guest.name)}`, or stop the service first"
    if state == DEAD:
        return f"a dead container can only be removed: `{hints.by_hand(guest.endpoint, 'rm', '-f', guest.name)}`"
    return "it is going down; try again when it has"


def _bring(connection: Connection, guest: DockerGuest, where: Container[Phase], act: Callable[[], bool | None]) -> bool:
    """Act; a refusal counts only where the container is not where it was to be brought.

    Others act on the container, too, and the engine then complains: the state tells, the error's words do not.

    Returns:
        Whether it was this act that brought it there.
    """
    try:
        return act() is not False
    except DriverError:
        if _standing(connection.find(guest.name))[0] not in where:
            raise
    return False
