"""The independent reader: who is registered, who holds, and who can write.

It shares no code with ``vmsvc.core.vmdg``, reads through a nexus that is nobody's (so that it takes no unit attention
away from a host under test), and believes of writing only what was written.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import struct
from collections import Counter
from dataclasses import dataclass

from lab.scsi.passthrough import ISCSI, READ_FULL_STATUS, READ_KEYS, READ_RESERVATION, Reply, reserve_in

BLOCK = 4096
LOOKS = 10


@dataclass(frozen=True)
class Registrant:
    """One registered nexus.

    Attributes:
        host: The host, by the last part of its iSCSI name.
        port: The target port, by its relative identifier.
        key: The key.
        holds: Whether it holds the reservation.
    """

    host: str
    port: int
    key: int
    holds: bool


@dataclass(frozen=True)
class Seen:
    """What a disk shows.

    Attributes:
        generation: PRGENERATION.
        registrants: Every registered nexus.
        holder: The reservation's key, ``None`` where there is none.
        kind: The reservation's type, 0 where there is none.
    """

    generation: int
    registrants: tuple[Registrant, ...]
    holder: int | None
    kind: int

    @property
    def keys(self) -> dict[str, Counter[int]]:
        """Each host's keys, and how many of its nexuses are registered with each."""
        found: dict[str, Counter[int]] = {}
        for registrant in self.registrants:
            found.setdefault(registrant.host, Counter())[registrant.key] += 1
        return found

    @property
    def hosts(self) -> set[str]:
        """The hosts that have registered somewhere."""
        return set(self.keys)


def look(generic: str) -> Seen:
    """What the disk behind a generic SCSI device shows; the keys are read twice, in two ways, and must agree."""
    for _ in range(LOOKS):
        full, keys, reservation = (_read(generic, what) for what in (READ_FULL_STATUS, READ_KEYS, READ_RESERVATION))
        if full[:4] == keys[:4] == reservation[:4]:  # of one generation; else somebody is changing it right now
            break
    registrants = tuple(_registrants(full))
    listed = struct.unpack(f">{(len(keys) - 8) // 8}Q", keys[8:])
    if sorted(listed) != sorted(registrant.key for registrant in registrants):
        raise AssertionError(f"READ KEYS lists {listed}, READ FULL STATUS {registrants}: it moves")
    held = struct.iter_unpack(">Q5xB2x", reservation[8:])  # one descriptor, or none
    holder, kind = next(held, (None, 0))
    return Seen(struct.unpack(">I", keys[:4])[0], registrants, holder, kind & 0x0F)


def can_write(device: str, *, buffered: bool = False) -> bool:
    """Whether a block can be written through a path, proven by writing it.

    Args:
        device: The block device of the path.
        buffered: Write through the page cache, and believe what ``fsync`` says. A buffered write by itself always
            succeeds.

    Returns:
        Whether it was. ``False`` of a direct write is a reservation conflict and nothing else; ``fsync`` has one word
        for all failures.

    Raises:
        OSError: It failed for another reason.
    """
    data = mmap.mmap(-1, BLOCK)  # aligned, as O_DIRECT wants it
    data.write(os.urandom(BLOCK))
    descriptor = os.open(device, os.O_RDWR | (0 if buffered else os.O_DIRECT))
    try:
        if os.pwrite(descriptor, data, 0) != BLOCK:
            return False
        if buffered:
            os.fsync(descriptor)
    except OSError as error:
        if error.errno == (errno.EIO if buffered else errno.EBADE):
            return False
        raise
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    return True


def can_read(device: str) -> bool:
    """Whether a block can be read through a path; ``False`` is a reservation conflict and nothing else.

    Raises:
        OSError: It failed for another reason.
    """
    descriptor = os.open(device, os.O_RDONLY | os.O_DIRECT)
    try:
        return os.preadv(descriptor, [mmap.mmap(-1, BLOCK)], 0) == BLOCK
    except OSError as error:
        if error.errno == errno.EBADE:
            return False
        raise
    finally:
        os.close(descriptor)


def _read(generic: str, action: int, attempts: int = 4) -> bytes:
    """The valid bytes of a PERSISTENT RESERVE IN."""
    reply = Reply(0, 0, 0, 0)
    for _ in range(attempts):
        reply = reserve_in(generic, action)
        if reply.is_good:
            length = struct.unpack(">4xI", reply.data[:8])[0]
            return reply.data[: 8 + length]
        if not reply.is_attention:
            break
    raise AssertionError(f"the witness cannot read {generic}: {reply}")


def _registrants(data: bytes) -> list[Registrant]:
    """The descriptors of READ FULL STATUS (SPC-4, 6.15.5)."""
    found = []
    place = 8
    while place < len(data):
        key, flags, port, length = struct.unpack_from(">Q4xB5xHI", data, place)
        found.append(Registrant(_host(data[place + 24 : place + 24 + length]), port, key, bool(flags & 1)))
        place += 24 + length
    return found


def _host(transport: bytes) -> str:
    """Whose nexus it is: an iSCSI name, with ``,i,0x`` and the session after it (SPC-4, 7.6.4.6), or other bytes."""
    if transport[0] & 0x0F != ISCSI:
        return transport.hex()
    return transport[4:].partition(b"\0")[0].partition(b",")[0].decode().rpartition(":")[2]
