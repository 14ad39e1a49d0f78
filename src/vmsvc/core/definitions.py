"""The guests' definitions that the node keeps, so that a start can define a guest that the hypervisor has lost."""

from __future__ import annotations

from vmsvc.core.config import write_atomically
from vmsvc.core.errors import ActionFailed
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
    if not facts.definition:
        return
    path = node.definition_file(facts.guest.service, facts.guest.rid)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ActionFailed(
            f"the guest's definition cannot be kept: {path.parent} cannot be made: {error.strerror}",
            code="failed.write",
            hint="become root, or make room for the directory",
        ) from error
    write_atomically(path, facts.definition)
