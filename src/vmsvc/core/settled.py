"""What a verb may act upon: a guest whose state is known, and that nobody moves. Pure."""

from __future__ import annotations

from vmsvc.core.errors import Undetermined
from vmsvc.core.status import Phase


def settled(phase: Phase, who: str, state: str, *, hint: str = "try again when the migration has ended") -> Phase:
    """The phase of a guest that is to be changed.

    Args:
        phase: Where it stands.
        who: The guest, in words, such as ``domain web``.
        state: Its state, in the technology's word.
        hint: What to do where it is between two nodes.

    Raises:
        Undetermined: Nobody knows its state; or it is between two nodes, and belongs to whoever moves it.
    """
    if phase is Phase.UNKNOWN:
        raise Undetermined(f"{who} is in a state that is not known: {state}")
    if phase is Phase.MIGRATING:
        raise Undetermined(f"{who} is between two nodes: it is {state}", hint=hint)
    return phase
