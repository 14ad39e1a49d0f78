"""What a guest tells of its addresses: which command told it, and what that printed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from vmsvc.core.answers import GuestAddress
from vmsvc.core.errors import Undetermined
from vmsvc.core.inside.addresses.build import unreadable
from vmsvc.core.inside.addresses.ifconfig import read_ifconfig
from vmsvc.core.inside.addresses.iproute import read_json, read_text
from vmsvc.core.inside.addresses.netstat import read_netstat
from vmsvc.core.transport import Outcome
from vmsvc.core.transport.command import said_last

#: The reader of each form.
READERS: Mapping[str, Callable[[str], list[GuestAddress]]] = MappingProxyType(
    {"ip-json": read_json, "ip-text": read_text, "ifconfig": read_ifconfig, "netstat": read_netstat}
)
#: The line that begins the answer: a login shell may greet before. The words that begin the two lines after it.
BEGIN = "vmsvc-guest addresses"
SYSTEM, FORM = "SYSTEM", "FORM"


def read_addresses(outcome: Outcome) -> tuple[GuestAddress, ...]:
    """Read what the verb ``addresses`` has told of the inside of a guest.

    Args:
        outcome: The verb's outcome: a line with the system, one with the form, and then what the command printed.

    Returns:
        The addresses of all adapters, in the order in which they were told.

    Raises:
        Undetermined: The command failed, or what it printed cannot be read. Nothing is believed of it then.
    """
    if outcome.code:
        words = f"the command exited with {outcome.code}{said_last(outcome.stderr, outcome.stdout)}"
        raise unreadable(words)
    if outcome.truncated:
        raise unreadable("more was printed than is kept")
    _greeting, _, told = f"\n{outcome.out}".partition(f"\n{BEGIN}\n")
    system, _, rest = told.partition("\n")
    form, _, printed = rest.partition("\n")
    reader = READERS.get(form.removeprefix(f"{FORM} "))
    if not system.startswith(f"{SYSTEM} ") or not form.startswith(f"{FORM} ") or reader is None:
        raise unreadable("it is in no form that is known", system or outcome.out)
    try:
        return tuple(reader(printed))
    except Undetermined:
        raise
    except (ValueError, IndexError, OverflowError) as error:  # a defect of a reader tells nothing of the guest
        raise unreadable(f"{type(error).__name__}: {error}") from error
