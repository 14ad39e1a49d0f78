"""What `push` and `diskupdate` do: collect facts of a service, store them, say what has changed, and publish them.

What goes wrong with one of these costs none of the others: what was collected is told and published although the store
is full, and stored although nobody can be told.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable

from attrs import evolve, frozen

from vmsvc.core.documents import inventories
from vmsvc.core.errors import Problem, VmsvcError
from vmsvc.core.guests.inventory import GuestFacts
from vmsvc.core.instance import ServiceStatus
from vmsvc.core.node import Node
from vmsvc.core.records.publishing import Publication
from vmsvc.core.records.record import Record, Snapshot, compared
from vmsvc.core.records.store import Store
from vmsvc.core.secrets import masked
from vmsvc.core.service import Service

#: Hands a publication to all who want it, and returns what went wrong.
Publish = Callable[[Publication], Iterable[Problem]]
#: Keeps a guest's definition, and returns notes about what it has replaced.
Keep = Callable[[GuestFacts], Iterable[Problem]]


@frozen
class Collector:
    """Stores and publishes what is collected on a node.

    Args:
        node: The node.
        store: Its store.
        publish: Hands a publication to all who want it.
        keep: Keeps a guest's definition.
    """

    node: Node
    store: Store
    publish: Publish
    keep: Keep

    def push(
        self, service: Service, status: ServiceStatus, facts: Iterable[GuestFacts], *, dry_run: bool = False
    ) -> Record:
        """Record a service's configuration, status and guest facts; and keep each guest's definition.

        Args:
            service: The service.
            status: Its status.
            facts: What is known of its guests.
            dry_run: Whether nothing is to be kept.

        Returns:
            The record.
        """
        known = list(facts)
        losses: list[Problem] = []
        for fact in known if not dry_run else ():
            try:
                losses += self.keep(fact)
            except VmsvcError as error:
                losses.append(error.within(section=fact.guest.rid))
        content = inventories.inventory(service, status, known)
        return self.record(service.name, "push", content, losses, dry_run=dry_run)

    def record(
        self, service: str, topic: str, content: object, losses: Iterable[Problem] = (), *, dry_run: bool = False
    ) -> Record:
        """Store what was collected, compare it with what was known, and publish it.

        Args:
            service: The service's name.
            topic: ``push`` or ``disks``.
            content: Plain data, as in JSON.
            losses: What has been lost already.
            dry_run: Whether it is to be compared only, and neither stored nor published.

        Returns:
            The record.
        """
        now = time.time()
        content = json.loads(json.dumps(content))  # as it is in the store: tuples are lists there
        snapshot = Snapshot(service=service, topic=topic, node=self.node.name, at=now, content=content, confirmed=now)
        lost = list(losses)
        past: tuple[Snapshot, ...] = ()
        try:
            past = self.store.history(service, topic)
            if not dry_run:
                snapshot = self.store.add(service, topic, self.node.name, content)
        except VmsvcError as error:
            lost += error.problems
        made = compared(snapshot, past)
        if dry_run:
            return evolve(made, losses=tuple(lost), is_dry=True)
        publication = Publication(
            service=service, topic=topic, node=self.node.name, document=masked(inventories.snapshot(made))
        )
        return evolve(made, losses=(*lost, *self.publish(publication)))
