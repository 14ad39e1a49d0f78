"""Addresses of guests that are down, which nobody is expected to have: all of them are asked at once, for all looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from vmsvc.core.deadline import left_until
from vmsvc.core.ips.halves import Found, Half
from vmsvc.core.ips.neighbours import silent_holders
from vmsvc.core.transport import Host
from vmsvc.core.transport.echo import Heard, answering

#: Up to so many addresses are asked by ping(8), a process for each.
_FEW = 16
#: How long nobody's answer is waited for, and how long who asks next is told what was heard, in seconds.
_WAIT_S, _FRESH_S = 0.5, 2.0


class Sweep:
    """Who wants to know first of one address asks all; the others wait for that.

    Args:
        addresses: Tells all addresses that somebody may want to know of.
        node: Makes the host where the node's commands run.
    """

    def __init__(self, addresses: Callable[[], Sequence[str]], node: Callable[[], Host]) -> None:
        self._addresses = addresses
        self._node = node
        self._turn = threading.Lock()
        self._heard: Heard | None = None
        self._held: Mapping[str, Half] = {}
        self._asked: frozenset[str] = frozenset()
        self._at = 0.0
        self._is_useless = False

    def check(self, address: str, deadline: float) -> Half | None:
        """Whether an address answers, or somebody in this node's own networks has it.

        Args:
            address: The address.
            deadline: When the answer must be there, on the monotonic clock.

        Returns:
            Whether it does; ``None`` where it is to be asked alone, by ping(8).
        """
        if self._is_useless or not self._turn.acquire(timeout=left_until(deadline)):
            return None if self._is_useless else Half(Found.UNKNOWN, "ping could not ask in time")
        try:
            if self._heard is None or time.monotonic() - self._at > _FRESH_S:
                self._ask(deadline)
            heard, held = self._heard, self._held
        finally:
            self._turn.release()
        if heard is None or address not in self._asked:
            return None
        if address in heard.answers:
            return Half(Found.YES, f"ping answers in {heard.answers[address] * 1000:.1f} ms")
        if address in heard.unasked:
            return Half(Found.UNKNOWN, f"ping could not ask: {heard.unasked[address]}")
        return held.get(address) or Half(Found.NO, "ping does not answer")

    def _ask(self, deadline: float) -> None:
        addresses = tuple(dict.fromkeys(self._addresses()))
        self._is_useless = len(addresses) <= _FEW
        if self._is_useless:
            return
        ask = partial(answering, wait_s=_WAIT_S)
        try:
            self._heard = ask(addresses)
            answered = self._heard.answers.keys() | self._heard.unasked.keys()
            silent = [each for each in addresses if each not in answered]
            self._held = silent_holders(self._node(), silent, ask, deadline=deadline)
        except OSError:  # not permitted, or too few files may be open: each is asked by ping(8), which is permitted
            self._is_useless, self._heard = True, None
        self._asked, self._at = frozenset(addresses), time.monotonic()
