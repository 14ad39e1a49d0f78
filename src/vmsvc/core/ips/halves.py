"""The two halves of a check, ping and adapter: what each has said, and what both together mean. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from attrs import evolve, frozen

from vmsvc.core.answers import GuestAddress
from vmsvc.core.status import Phase


class Found(enum.Enum):
    """Whether an address is there, as far as one half of a check can tell."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    LEFT_OUT = "left out"


@frozen
class Half:
    """One half of a check.

    Attributes:
        found: Whether the address is there, as far as this half can tell.
        words: That in words, as a part of a sentence.
        left_over: What is there beside it, having been added when a name or a file meant something else; in words.
        holder: Who has the address without answering to ping, in words.
    """

    found: Found
    words: str
    left_over: str = ""
    holder: str = ""

    @property
    def all_words(self) -> str:
        """The words, with what is left over."""
        return f"{self.words}; {self.left_over}" if self.left_over else self.words


@frozen(kw_only=True)
class Check:
    """Both halves of the check of one address.

    Attributes:
        address: The address.
        ping: What was heard from outside of the guest.
        adapter: What was seen inside.
    """

    address: str
    ping: Half
    adapter: Half

    @property
    def phase(self) -> Phase:
        """What both halves mean together: what nobody knows is unknown, and where they differ it is degraded."""
        found = {self.ping.found, self.adapter.found} - {Found.LEFT_OUT}
        if not found:
            return Phase.INAPPLICABLE
        if Found.UNKNOWN in found:
            return Phase.UNKNOWN
        if len(found) > 1:
            return Phase.DEGRADED
        if Found.YES in found:
            return Phase.RUNNING
        return Phase.DEGRADED if self.adapter.left_over else Phase.STOPPED

    @property
    def words(self) -> str:
        """Both halves in words."""
        return f"{self.ping.words}; {self.adapter.words}"


#: Of several addresses of one name, one that is up is enough; one that may be up is more than one that is not.
_BEST_FIRST = (Phase.RUNNING, Phase.UNKNOWN, Phase.DEGRADED, Phase.STOPPED, Phase.INAPPLICABLE)


def best(checks: Sequence[Check]) -> tuple[Check, tuple[Check, ...]]:
    """The check that counts where a name has several addresses, and the others.

    Args:
        checks: One for each address, at least one.
    """
    first = min(checks, key=lambda check: _BEST_FIRST.index(check.phase))
    return first, tuple(check for check in checks if check is not first)


def on_adapter(address: str, device: str, told: Sequence[GuestAddress], added: Sequence[GuestAddress] = ()) -> Half:
    """Whether an address is on an adapter, from what all adapters have.

    Args:
        address: The address; its zone does not count.
        device: The adapter, or an alias of one.
        told: The addresses of all adapters.
        added: What this node has added for it.
    """
    left = [f"{_with_prefix(each)} is still on {each.device}" for each in left_over(address, device, told, added)]
    words = f"{', '.join(left)}, added before the name or the file was changed" if left else ""
    return evolve(_is_there(address, device, told), left_over=words)


def left_over(
    address: str, device: str, told: Sequence[GuestAddress], added: Sequence[GuestAddress]
) -> list[GuestAddress]:
    """What was added, is there still, and is not what is meant now.

    Args:
        address: The address that is meant.
        device: The adapter that is meant, or an alias of one.
        told: The addresses of all adapters.
        added: What this node has added, each with the adapter as it was meant then.
    """
    return [
        each
        for each in told
        if any(each.address == one.address and each.is_on(one.device) for one in added)
        and not (each.address == address and each.is_on(device))
    ]


def _is_there(address: str, device: str, told: Sequence[GuestAddress]) -> Half:
    bare = address.partition("%")[0]
    having = [each for each in told if each.address == bare]
    there = [each for each in having if each.is_on(device)]
    usable = [each for each in there if not each.unusable]
    if usable:
        return Half(Found.YES, f"{_with_prefix(usable[0])} is on {usable[0].device}")
    if there:
        return Half(Found.NO, f"{_with_prefix(there[0])} is on {there[0].device}, and of no use: {there[0].unusable}")
    if unsure := [each for each in having if each.may_be_on(device)]:
        words = f"{_with_prefix(unsure[0])} is on {unsure[0].device}…: its guest cuts names, and this may be {device}"
        return Half(Found.UNKNOWN, words)
    if having:
        places = ", ".join(dict.fromkeys(each.device for each in having))
        return Half(Found.NO, f"{_with_prefix(having[0])} is on {places} and not on {device}")
    return Half(Found.NO, f"{bare} is on no adapter")


def _with_prefix(address: GuestAddress) -> str:
    return address.address if address.prefix is None else f"{address.address}/{address.prefix}"
