"""Whether a node's host mode lets a service run there. Pure.

One rule, asked of this node before a start, and of the destination before a move.
"""

from __future__ import annotations

from vmsvc.core.errors import Problem
from vmsvc.core.service import Service


def why_not_on(node: str, mode: str, service: Service) -> Problem | None:
    """What a node's host mode has against a service; ``None`` where it may run there.

    Args:
        node: The node's name.
        mode: Its host mode.
        service: The service.
    """
    if mode != "PRD" or service.env in ("", "PRD"):
        return None
    return Problem(
        code="refused.host-mode",
        message=f"{service.name} is a {service.env} service and {node} is a PRD node",
        hint="only PRD services run on PRD nodes; see `vmsvc node`",
        file=str(service.file),
    )
