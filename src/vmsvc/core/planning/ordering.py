"""In which order resources have their turns: in that of a start, or the other way round. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from vmsvc.core.kinds import KINDS, Ip
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.service import Service
from vmsvc.core.verb import Verb


def ordered(service: Service) -> list[Resource]:
    """The resources in the order of a start: by kind, then by subset, then by number.

    Args:
        service: Their service.
    """
    order = list(KINDS)

    def rank(resource: Resource) -> tuple[int, str, list[tuple[int, int, str]]]:
        parts = re.findall(r"\d+|\D+", resource.rid)
        natural = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
        return order.index(resource.kind), resource.subset, natural

    return sorted(service.resources, key=rank)


def in_order_of_start(resources: Sequence[Resource]) -> Iterator[tuple[Verb, Resource]]:
    """The turns of a start. Where a guest's start is split, the addresses that it is given have theirs in between.

    They have another one after it: nobody answers by them before.

    Args:
        resources: The resources to start, in their order.
    """
    split = {each.rid for each in resources if isinstance(each, Guest) and each.is_split}
    given = [each for each in resources if isinstance(each, Ip) and each.is_plumbed and each.container_id in split]
    for resource in resources:
        if resource.rid in split:
            yield Verb.PREPARE, resource
            its = [each for each in given if each.container_id == resource.rid]
            yield from ((Verb.START, each) for each in its)
            yield Verb.BOOT, resource
            yield from ((Verb.WAIT, each) for each in its)
        elif resource not in given:
            yield Verb.START, resource


def in_order_of_stop(resources: Sequence[Resource]) -> list[Resource]:
    """The turns of a stop: a guest keeps the addresses that it was given until it is down.

    Args:
        resources: The resources to stop, in the order of a start.
    """
    given = [each for each in resources if isinstance(each, Ip) and each.is_plumbed]
    turns: list[Resource] = []
    for resource in reversed(resources):
        if resource not in given:
            turns += [resource, *(each for each in reversed(given) if each.container_id == resource.rid)]
    return [*(each for each in given if each not in turns), *turns]
