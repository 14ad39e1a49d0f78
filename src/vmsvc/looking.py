"""Looking at services: their statuses, with evidence, and whether they are frozen. Changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve

from vmsvc.core.errors import UsageError
from vmsvc.core.instance import Instance, ServiceStatus, instance_of
from vmsvc.core.keeping.freezer import Freeze, freeze_of, freezes
from vmsvc.core.observe import key_of, observe
from vmsvc.core.planning.limits import Limits
from vmsvc.core.service import Service
from vmsvc.core.status import Observation, Phase
from vmsvc.parts import Parts


class Looking(Parts):
    """What a session can see."""

    def status(self, service: Service) -> ServiceStatus:
        """Look at one service. Changes nothing, and answers within ten seconds whatever hangs.

        Args:
            service: The service.

        Returns:
            Its status, with evidence for each resource.
        """
        (status,) = self.statuses([service])
        return status

    def statuses(self, services: Iterable[Service], *, limits: Limits | None = None) -> list[ServiceStatus]:
        """Look at many services, with one query for each technology.

        Args:
            services: The services.
            limits: Which of their resources to look at; all when not given. The statuses are then of these alone.

        Returns:
            Their statuses, in the same order.

        Raises:
            UsageError: Two of them have the same name, or one has no resource within the limits.
        """
        asked = list(services)
        if twice := [name for name, count in Counter(service.name for service in asked).items() if count > 1]:
            raise UsageError(f"two services have the same name: {', '.join(twice)}", code="usage.same-name")
        only = {service.name: limits.rids_of(service) if limits else frozenset() for service in asked}
        wanted = [
            resource
            for service in asked
            for resource in service.resources
            if not resource.disable and (not limits or resource.rid in only[service.name])
        ]
        # Before the look: a start that ends during it may be too late to be seen, and must not be missed by both.
        going = self._goings_on(asked)
        seen = observe(wanted, self._finder(asked))
        frozen = freezes(self.node, (service.name for service in asked))

        def instance(service: Service) -> Instance:
            keys = {resource.rid: key_of(resource) for resource in service.resources}
            return instance_of(
                service,
                self.node.name,
                {rid: seen[key] for rid, key in keys.items() if key in seen},
                notes=tuple(filter(None, (going[service.name].cut_short, *_moved_away(service, seen)))),
                going_on=going[service.name].action,
                freeze=str(frozen.get(service.name, "")),
                only=only[service.name],
            )

        return [ServiceStatus(service=service, instances=(instance(service),)) for service in asked]

    def with_peers(self, statuses: Iterable[ServiceStatus]) -> list[ServiceStatus]:
        """Ask the other nodes of services what they see of them, all at once, within some twelve seconds.

        Args:
            statuses: What this node sees of the services.

        Returns:
            The same, with an instance for each other node; what one does not answer is unknown, with the reason.
        """
        known = list(statuses)
        questions: dict[str, list[str]] = {}
        for status in known:
            for peer in status.service.peers_of(self.node):
                questions.setdefault(peer, []).append(status.name)
        if not questions:
            return known
        answers = self._peers.ask("status", questions)

        def instance(status: ServiceStatus, peer: str) -> Instance:
            answer, service = answers[peer, status.name], status.service
            looked_at = [item.resource for item in status.instances[0].resources]
            overlooking = answer.overlooking(service, self.node)
            return instance_of(
                service,
                peer,
                {each.rid: answer.told_of(each) for each in looked_at},
                notes=(*answer.notes, *((str(overlooking),) if overlooking else ())),
                going_on=answer.going_on,
                only=[each.rid for each in looked_at],
            )

        return [
            evolve(
                status,
                instances=(
                    *status.instances,
                    *(instance(status, peer) for peer in status.service.peers_of(self.node)),
                ),
            )
            for status in known
        ]

    def frozen(self, service: Service) -> Freeze | None:
        """Whether a service is frozen on this node.

        Args:
            service: The service.

        Returns:
            Since when and why; ``None`` where it is not frozen.
        """
        return freeze_of(self.node, service.name)


def _moved_away(service: Service, seen: Mapping[tuple[str, str], Observation]) -> Iterator[str]:
    """What to say of guests that are down here because they were moved: nobody has said where they have come to."""
    for guest in service.guests:
        observation = seen.get(key_of(guest))
        if observation is not None and observation.phase is Phase.MOVED:
            ask = f"`vmsvc status --peers {service.name}` tells which node has it; if none has, find it"
            yield f"{guest.rid} has been moved away: {ask}"
