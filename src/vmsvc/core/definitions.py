"""The guests' definitions that the node keeps, so that a start can define a guest that the hypervisor has lost."""

from __future__ import annotations

from vmsvc.core.config.atomic import write_atomically
from vmsvc.core.inventory import GuestFacts
from vmsvc.core.node import Node


def keep(node: Node, facts: GuestFacts) -> None:
    """Keep a guest's definition; only the owner may read it, since it may hold passwords.

    Args:
        node: The node that keeps it.
        facts: What is known of the guest; nothing is kept where its definition is not.

    Raises:
        VmsvcError: The file cannot be written.
    """
    if facts.definition:
        write_atomically(node.definition_file(facts.guest.service, facts.guest.rid), facts.definition)
