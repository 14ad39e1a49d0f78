"""What ``sg_persist`` prints and exits with, as records. Pure.

Facts: ``src/sg_persist.c`` and ``include/sg_lib.h`` of sg3_utils 1.46 and 1.48, and their recorded outputs, which the
tests read.
"""

from __future__ import annotations

import errno
import re

from attrs import frozen

from vmsvc.core.vmdg import seen
from vmsvc.core.vmdg.seen import HELD_BY_ALL, Answer, Capabilities, Registration, Reservation, ReservationType

#: So many registrations fit into what ``sg_persist`` asks READ FULL STATUS for (8192 bytes), however long their names:
#: each takes 24 bytes and its TransportID, which is of 248 at most (SPC-4, 6.15.5 and 7.6.4.6). Of a list that does not
#: fit, the tool prints what happens to lie behind its buffer.
FULL_STATUS_FITS = 8184 // (24 + 248)

#: So many keys fit into what it asks READ KEYS for.
KEYS_FIT = 8184 // 8

_TYPES = {
    "Write Exclusive": ReservationType.WRITE_EXCLUSIVE,
    "Exclusive Access": ReservationType.EXCLUSIVE_ACCESS,
    "Write Exclusive, registrants only": ReservationType.WRITE_EXCLUSIVE_REGISTRANTS_ONLY,
    "Exclusive Access, registrants only": ReservationType.EXCLUSIVE_ACCESS_REGISTRANTS_ONLY,
    "Write Exclusive, all registrants": ReservationType.WRITE_EXCLUSIVE_ALL_REGISTRANTS,
    "Exclusive Access, all registrants": ReservationType.EXCLUSIVE_ACCESS_ALL_REGISTRANTS,
}

# Exit codes: "EXIT STATUS" of sg3_utils(8).
_CODES = {
    0: Answer.DONE,
    2: Answer.NOT_READY,
    5: Answer.INVALID,
    6: Answer.ATTENTION,
    9: Answer.UNSUPPORTED,
    19: Answer.INVALID,  # in the parameter list; 1.46 says 5
    24: Answer.CONFLICT,
    26: Answer.BUSY,
    27: Answer.BUSY,  # task set full
    28: Answer.BUSY,  # ACA active
    33: Answer.SILENT,
    35: Answer.GONE,  # transport error; 1.46 says 0
}
_FIRST_ERRNO = 50  # above it, an errno of the operating system
_ERRNOS = {
    errno.EPERM: Answer.DENIED,
    errno.ENOENT: Answer.GONE,
    errno.ENXIO: Answer.GONE,
    errno.EACCES: Answer.DENIED,
    errno.EBUSY: Answer.BUSY,
    errno.ENODEV: Answer.GONE,
    errno.EINVAL: Answer.FOREIGN,  # SG_IO on a loop device
    errno.ENOTTY: Answer.FOREIGN,  # SG_IO on virtio-blk, a file, a directory
    errno.EROFS: Answer.DENIED,
}

# 1.46 exits with 0 when the transport was dead, and prints an empty answer: only its standard error tells.
_DEAD = re.compile(r"\btransport:|Host_status=")
_USAGE = re.compile(r"^Usage:", re.MULTILINE)

_GENERATION = re.compile(r"^  PR generation=0x([0-9a-f]{1,8})(?:, (.+))?$")
_COUNT = re.compile(r"(\d+) registered reservation keys? follows?:")
_KEY = re.compile(r"^ {4}0x([0-9a-f]{1,16})$")
_HOLDER_KEY = re.compile(r"^ {4}Key=0x([0-9a-f]{1,16})$")
_SCOPE = re.compile(r"^ +scope: LU_SCOPE,  type: (.+)$")
_OBSOLETE = re.compile(r"obsolete \[(\w+)\]")
_PORT = re.compile(r"^ {6}Relative port address: 0x([0-9a-f]+)$")
_FLAG = re.compile(r"\b([A-Z_]+)\): ([01])$", re.MULTILINE)
_KNOWN_TYPE = re.compile(r"^ {6}(\S[^:]+): ([01])$", re.MULTILINE)
_TRANSPORT_ID = "      Transport Id of initiator:"
# As sg_decode_transportid_str() of lib/sg_lib.c writes them, on one line.
_INITIATORS = (
    ("iscsi", re.compile(r"iSCSI (?:name|world wide unique port id): ([^\s,]+)")),
    ("fc", re.compile(r"FCP-2 World Wide Name: ((?:[0-9a-f]{2} ){7}[0-9a-f]{2})")),
    ("sas", re.compile(r"SAS address: (0x[0-9a-f]{1,16})")),
)
_HOLDS, _HOLDS_NOT = "      << Reservation holder >>", "      not reservation holder"


@frozen(kw_only=True)
class Listing:
    """What one PERSISTENT RESERVE IN told; what it was not asked is empty.

    Attributes:
        generation: The disk's count of changes.
        registrations: Who is registered.
        reservation: The reservation.
    """

    generation: int
    registrations: tuple[Registration, ...] = ()
    reservation: Reservation | None = None


def answer_of(code: int, err: str) -> Answer:
    """How a device answered, from how the tool ended.

    Args:
        code: The tool's exit code; negative where a signal ended it.
        err: Its standard error.
    """
    if _DEAD.search(err):
        return Answer.GONE
    if code == 0 and _USAGE.search(err):
        return Answer.GARBLED  # it does not know an option, has done nothing, and exits with 0
    return _CODES.get(code) or _ERRNOS.get(code - _FIRST_ERRNO, Answer.GARBLED)


def said(code: int, err: str) -> str:
    r"""What the tool said of a failure, in one line.

    Args:
        code: Its exit code.
        err: Its standard error.

    >>> said(24, "PR out (Reserve): Reservation conflict\nsg_persist failed: Reservation conflict\n")
    'PR out (Reserve): Reservation conflict (exit code 24)'
    """
    words = _USAGE.split(err)[0].splitlines()
    lines = [line.strip() for line in words if line.strip() and not line.startswith("sg_persist failed: ")]
    if code < 0:
        lines.append(f"ended by signal {-code}")
    elif code:
        lines.append(f"(exit code {code})" if lines else f"exit code {code}, without a word")
    return "; ".join(lines).replace("; (", " (")


def full_status(text: str) -> Listing:
    """Read what ``--read-full-status`` printed.

    Args:
        text: The standard output.

    Returns:
        Registrations and reservation, of one moment.

    Raises:
        ValueError: It cannot be read, or is not complete.
    """
    generation, rest, lines = _head(text)
    if rest:
        raise ValueError(f"not a full status: {rest!r}")
    if lines == ["  No full status descriptors"]:
        return Listing(generation=generation)
    starts = [number for number, line in enumerate(lines) if _HOLDER_KEY.match(line)]
    if not starts or starts[0] != 0:
        raise ValueError("it does not begin with a registration")
    blocks = [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    if len(blocks) > FULL_STATUS_FITS:
        raise ValueError(f"{len(blocks)} registrations may be more than fit into the tool's buffer")
    found = [_descriptor(block) for block in blocks]
    return Listing(
        generation=generation,
        registrations=tuple(registration for registration, _ in found),
        reservation=next((reservation for _, reservation in found if reservation), None),
    )


def keys(text: str) -> Listing:
    """Read what ``--read-keys`` printed.

    Args:
        text: The standard output.

    Returns:
        Registrations, without their nexuses.

    Raises:
        ValueError: It cannot be read, or is not complete.
    """
    generation, rest, lines = _head(text)
    if rest == "there are NO registered reservation keys" and not lines:
        return Listing(generation=generation)
    counted = _COUNT.fullmatch(rest)
    if not counted:
        raise ValueError(f"not a list of keys: {rest!r}")
    count = int(counted[1])
    if count >= KEYS_FIT:  # some targets count those only that fit
        raise ValueError(f"{count} keys, and sg_persist reads no more than {KEYS_FIT}")
    found = [match for line in lines if (match := _KEY.match(line))]
    if not len(found) == len(lines) == count:
        raise ValueError(f"{count} keys were announced, and {len(found)} listed")
    return Listing(
        generation=generation, registrations=tuple(Registration(key=_registered(match[1])) for match in found)
    )


def reservation(text: str) -> Listing:
    """Read what ``--read-reservation`` printed.

    Args:
        text: The standard output.

    Returns:
        The reservation, without the registrations.

    Raises:
        ValueError: It cannot be read, or is not complete.
    """
    generation, rest, lines = _head(text)
    if rest == "there is NO reservation held" and not lines:
        return Listing(generation=generation)
    key = _HOLDER_KEY.match(lines[0]) if rest == "Reservation follows:" and len(lines) > 1 else None
    if not key:
        raise ValueError(f"not a reservation: {rest!r}")
    return Listing(generation=generation, reservation=Reservation(key=int(key[1], 16), type=_type(lines[1])))


def capabilities(text: str) -> Capabilities:
    """Read what ``--report-capabilities`` printed.

    Args:
        text: The standard output.

    Returns:
        What the disk can do.

    Raises:
        ValueError: It cannot be read, or is not complete.
    """
    told = dict(_FLAG.findall(text))
    if not {"PTPL_C", "PTPL_A", "TMV"} <= told.keys():
        raise ValueError("not the capabilities of a disk")
    types = {_TYPES[name] for name, flag in _KNOWN_TYPE.findall(text) if flag == "1" and name in _TYPES}
    return Capabilities(
        answer=Answer.DONE,
        can_persist=told["PTPL_C"] == "1",
        is_persistent=told["PTPL_A"] == "1",
        types=frozenset(map(int, types)) if told["TMV"] == "1" else None,
    )


def _head(text: str) -> tuple[int, str, list[str]]:
    """The generation, what follows it on its line, and the lines below; lines above are those of an INQUIRY."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if found := _GENERATION.match(line):
            return int(found[1], 16), found[2] or "", lines[number + 1 :]
    raise ValueError("it tells no generation")


def _descriptor(lines: list[str]) -> tuple[Registration, Reservation | None]:
    """One registration of a full status, and the reservation where it holds it."""
    key = _registered(lines[0].partition("=0x")[2])
    if _HOLDS in lines:
        type_ = _type(lines[lines.index(_HOLDS) + 1] if lines[-1] != _HOLDS else "")
        held = Reservation(key=0 if type_ in HELD_BY_ALL else key, type=type_)
    elif _HOLDS_NOT in lines:
        held = None
    else:
        raise ValueError(f"it ends within the registration of key {key:#x}")
    below = lines[lines.index(_TRANSPORT_ID) + 1 :] if _TRANSPORT_ID in lines else []
    told = " ".join(line.strip() for line in below)
    nexus, name = _nexus(told, lines), _initiator(told)
    return Registration(key=key, holds=held is not None, nexus=nexus, initiator=name), held


def _initiator(told: str) -> str:
    """The initiator's name alone; empty for transports of which this node does not know its own."""
    found = [(transport, match[1]) for transport, form in _INITIATORS if (match := form.match(told))]
    return seen.initiator(*found[0]) if found else ""


def _nexus(initiator: str, lines: list[str]) -> str:
    """The initiator, and the target port that it came through."""
    ports = [f"port {int(found[1], 16)}" for line in lines if (found := _PORT.match(line))]
    return " through ".join(filter(None, [initiator.partition(": ")[2] or initiator, *ports]))


def _registered(digits: str) -> int:
    key = int(digits, 16)
    if key == 0:
        raise ValueError("key 0 is listed, which nobody can register: the list is cut off")
    return key


def _type(line: str) -> int:
    found = _SCOPE.match(line)
    if not found:
        raise ValueError(f"not a scope and type: {line.strip()!r}")
    if obsolete := _OBSOLETE.fullmatch(found[1]):
        return int(obsolete[1], 0)
    if found[1] not in _TYPES:
        raise ValueError(f"an unknown type of reservation: {found[1]!r}")
    return int(_TYPES[found[1]])
