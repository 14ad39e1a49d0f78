"""Echo requests to many addresses at once, by one socket for each family: RFC 792 and RFC 4443; icmp(7), raw(7).

ping(8) is a process for each address. For a thousand of them, which are not expected to answer, that is too slow.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence

from attrs import define, field, frozen

from vmsvc.core.deadline import left_until

#: How often each address is asked, as one request may be lost; and the longest time between two requests, in seconds.
_ROUNDS, _PACE_S = 2, 0.001
#: How long all requests together may take to be sent, in seconds: where there are many, they follow more closely.
_SENDING_S = 1.5
_HEADER = struct.Struct("!BBHHH")
_LARGEST = 2048
#: Of many processes that do this at once, each knows its own requests by so many random bytes.
_TOKEN_BYTES = 8


@frozen(kw_only=True)
class Heard:
    """Who has answered.

    Attributes:
        answers: How long each answer took, in seconds, by the address that was asked.
        unasked: Why an address could not be asked.
    """

    answers: Mapping[str, float]
    unasked: Mapping[str, str]


@frozen
class _Family:
    number: int
    protocol: int
    request: int
    reply: int
    has_own_checksum: bool


_IPV4 = _Family(socket.AF_INET, socket.IPPROTO_ICMP, 8, 0, has_own_checksum=True)
_IPV6 = _Family(socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129, has_own_checksum=False)


def answering(addresses: Sequence[str], *, wait_s: float) -> Heard:
    """Ask addresses whether they are there, one after the other, and wait for all of them together.

    Args:
        addresses: Whom to ask; those of IPv6 may have a zone.
        wait_s: How long to wait for the answer to the last request, in seconds.

    Raises:
        PermissionError: This process may not send such requests.
    """
    families = {_family_of(address) for address in addresses}
    with contextlib.ExitStack() as closing:
        asking = _Asking({family: closing.enter_context(_opened(family)) for family in families})
        pace_s = min(_PACE_S, _SENDING_S / (_ROUNDS * max(len(addresses), 1)))
        due = time.monotonic()
        for _ in range(_ROUNDS):
            for address in addresses:
                if address not in asking.answers:
                    asking.send(address)
                    due += pace_s
                    asking.listen(until=due)
        asking.listen(until=time.monotonic() + wait_s, wanted=len(addresses))
        return Heard(answers=asking.answers, unasked=asking.unasked)


@define
class _Asking:
    """The requests of one call, and what has become of them."""

    sockets: Mapping[_Family, socket.socket]
    answers: dict[str, float] = field(factory=dict)
    unasked: dict[str, str] = field(factory=dict)
    _token: bytes = field(factory=lambda: os.urandom(_TOKEN_BYTES))
    _sent: list[tuple[str, str, float]] = field(factory=list)

    def send(self, address: str) -> None:
        """Send one request."""
        family = _family_of(address)
        packet = _packet(family, len(self._sent) & 0xFFFF, self._token)
        try:
            target = socket.getaddrinfo(address, 0, family.number, flags=socket.AI_NUMERICHOST)[0][4]
            self._sent.append((address, str(target[0]).partition("%")[0], time.monotonic()))
            self.sockets[family].sendto(packet, target)
            self.unasked.pop(address, None)
        except OSError as error:
            self.unasked[address] = error.strerror or str(error)

    def listen(self, *, until: float, wanted: int | None = None) -> None:
        """Take answers until a moment, or until so many have been asked in vain or have answered."""
        while wanted is None or len(self.answers) + len(self.unasked) < wanted:
            ready, _, _ = select.select([*self.sockets.values()], [], [], left_until(until))
            if not ready:
                return
            for family, opened in self.sockets.items():
                if opened in ready:
                    self._take(family, opened)

    def _take(self, family: _Family, opened: socket.socket) -> None:
        try:
            data, source = opened.recvfrom(_LARGEST)
        except OSError:  # what a router says of an address that is not there
            return
        if opened.type == socket.SOCK_RAW and family is _IPV4:
            data = data[(data[0] & 0xF) * 4 :]  # after the header of IP
        if len(data) < _HEADER.size or data[0] != family.reply or data[_HEADER.size :] != self._token:
            return
        sequence = _HEADER.unpack_from(data)[4]
        for number in range(sequence, len(self._sent), 1 << 16):
            address, target, at = self._sent[number]
            if target == str(source[0]).partition("%")[0]:
                self.answers.setdefault(address, time.monotonic() - at)


@contextlib.contextmanager
def _opened(family: _Family) -> Iterator[socket.socket]:
    """A socket that root may open, else one that others may where the node's `ping_group_range` lets them."""
    try:
        opened = socket.socket(family.number, socket.SOCK_RAW, family.protocol)
    except PermissionError:
        opened = socket.socket(family.number, socket.SOCK_DGRAM, family.protocol)
    with opened:
        opened.setblocking(False)
        yield opened


def _family_of(address: str) -> _Family:
    return _IPV6 if ":" in address else _IPV4


def _packet(family: _Family, sequence: int, token: bytes) -> bytes:
    """An echo request; of IPv6 the kernel computes the checksum."""
    identifier = os.getpid() & 0xFFFF
    checksum = 0
    if family.has_own_checksum:
        checksum = _checksum(_HEADER.pack(family.request, 0, 0, identifier, sequence) + token)
    return _HEADER.pack(family.request, 0, checksum, identifier, sequence) + token


def _checksum(data: bytes) -> int:
    """The checksum of the internet, RFC 1071, of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
