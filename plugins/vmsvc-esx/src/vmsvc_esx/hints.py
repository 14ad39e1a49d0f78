"""What people may do about a guest, and about a name that a server does not know. Pure."""

from __future__ import annotations

from collections.abc import Collection

from vmsvc.driver import Phase
from vmsvc_esx.options import EsxGuest

# Comparing takes time, and a status call has little: among more guests than these, nothing is suggested.
_MOST_COMPARED = 500


def similar(name: str, names: Collection[str]) -> str:
    """The guest that was probably meant.

    Args:
        name: A name that no guest has.
        names: Those that guests have.

    Returns:
        ``did you mean 'web1'?``; empty where none is near.
    """
    if len(names) > _MOST_COMPARED:
        return ""
    import difflib  # noqa: PLC0415 - right names need none of it

    by_folded = {one.casefold(): one for one in names}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    return f"did you mean {by_folded[near[0]]!r}?" if near else ""


def about_autostart(guest: EsxGuest) -> str:
    """What to say of a guest that its host starts by itself.

    Args:
        guest: The guest.
    """
    return (
        f"{guest.name} is among the guests that its host starts when it boots, behind the service's back, as while the "
        "service runs elsewhere: take it out in the host's client (Manage, System, Autostart)"
    )


def way_back(phase: Phase) -> str:
    """How people bring a guest where it can be started.

    Args:
        phase: Where it stands.
    """
    if phase is Phase.STUCK:
        return "answer its question in the host's or vCenter's client"
    if phase is Phase.SUSPENDED:
        return "its operating system sleeps: wake it at its console, or stop the service first"
    return "it is going down; try again when it has"
