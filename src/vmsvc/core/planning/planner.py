"""From what was seen to a plan: decided resource by resource, in the order of a start or the other way round. Pure.

The rules of safety that need no host are here too: a plan that may not run carries its refusals, so that
``plan start`` can show them and nothing can run it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from vmsvc.core.errors import UsageError
from vmsvc.core.kinds import Reserved
from vmsvc.core.node import Node
from vmsvc.core.planning.around import around
from vmsvc.core.planning.draft import Draft
from vmsvc.core.planning.ordering import in_order_of_start, in_order_of_stop, ordered
from vmsvc.core.planning.plan import ACTIONS, Plan
from vmsvc.core.planning.rules import Consent
from vmsvc.core.planning.starting import Starting
from vmsvc.core.planning.stopping import stop
from vmsvc.core.service import Service
from vmsvc.core.status import Observation
from vmsvc.core.verb import Verb


def plan(
    action: str,
    service: Service,
    node: Node,
    seen: Mapping[str, Observation],
    consent: Consent | None = None,
    *,
    only: Collection[str] = (),
    freeze: str = "",
) -> Plan:
    """Decide what an action would do.

    Args:
        action: ``start``, ``stop`` or ``restart``.
        service: The service.
        node: The node that would act.
        seen: What was seen of each resource, by rid; a missing one is unknown.
        consent: What the operator has agreed to.
        only: The rids of the resources to limit the action to; empty for all.
        freeze: Of a service that is frozen: since when and why. It is not started then.

    Returns:
        The plan, with its refusals if it may not run.

    Raises:
        UsageError: There is no such action.
    """
    if action not in ACTIONS:
        raise UsageError(
            f"there is no action {action!r}", code="usage.no-such-action", hint=f"there are: {', '.join(ACTIONS)}, boot"
        )
    draft = Draft(service=service, node=node, seen=seen, consent=consent or Consent(), only=frozenset(only))
    resources = [resource for resource in ordered(service) if not only or resource.rid in only]
    draft.rules_of_any_action()
    if action in ("start", "restart"):
        Starting(draft=draft).rules(freeze)
    is_whole = not only  # what runs around the service's own start does not run around that of one of its parts
    if action in ("stop", "restart"):
        for resource in in_order_of_stop(resources):
            # A restart gives up no disk: another node might take it.
            if action == "stop" or not isinstance(resource, Reserved):
                stop(draft, resource, seen.get(resource.rid))
        if is_whole:
            draft.steps = around(service, Verb.STOP, draft.steps)
    if action in ("start", "restart"):
        stops, draft.steps = draft.steps, []
        starting = Starting(draft=draft, stopped={step.rid for step in stops})
        for verb, resource in in_order_of_start(resources):
            starting.start(resource, seen.get(resource.rid), verb)
        draft.steps = stops + (around(service, Verb.START, draft.steps) if is_whole else draft.steps)
    return draft.plan(action)
