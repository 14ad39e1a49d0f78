"""Whether a guest may come to another node, from what that node sees of it. Pure.

One rule, asked twice: when a move is planned, and again just before the guest goes.
"""

from __future__ import annotations

from vmsvc.core.errors import Problem
from vmsvc.core.resource import Guest
from vmsvc.core.status import AT_REST, Observation, Phase

#: Down, with nothing kept that would go on: a guest whose memory is saved goes on with an old view of its disks.
ROOM = AT_REST - {Phase.SAVED}
#: Nobody there could see it, or wants to look.
UNSEEN = frozenset({Phase.UNKNOWN, Phase.INAPPLICABLE})


def why_no_room(guest: Guest, there: Observation, to: str) -> Problem | None:
    """What speaks against moving a guest to a node; ``None`` where there is room for it.

    Args:
        guest: The guest.
        there: What the node sees of it.
        to: The node's name.
    """
    if there.phase in ROOM:
        return None
    code, hint = "refused.runs-on-peer", f"look at it there; `vmsvc status --peers {guest.service}` shows both nodes"
    if there.phase in UNSEEN:
        code, message = "refused.peer-silent", f"{to} cannot say whether it runs {guest.rid}: {there.evidence.detail}"
        hint = "nothing is moved to a node that does not answer; see `vmsvc trust peers --test`"
    elif there.phase is Phase.SAVED:
        message = f"its memory is saved on {to}"
        hint = "discard it there, with the hypervisor's own tool: it belongs to an earlier run"
    else:
        message = f"it is {there.state} on {to}, too"
    return Problem(message=message, code=code, section=guest.rid, hint=hint)
