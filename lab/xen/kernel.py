"""Paravirtual kernels of a few instructions: a guest that is up at once, and does one thing.

A guest with a kernel of Linux takes ten seconds to boot where processors are emulated; most of what is to be known of
`xl` does not depend on what runs in a guest. Each of these asks Xen for one thing, again and again, and is idle in
between. They are ELF files with Xen's notes: elfnote.h below xen/include/public of Xen's sources; for the hypercall,
sched.h.
"""

from __future__ import annotations

import struct

_BASE = 0xFFFFFFFF80000000  # where the guest's memory begins, as its kernel sees it
_PAGE = 4096
_SCHED_OP = 29  # the hypercall, and two of the things that it can be asked for
_SHUTDOWN, _POLL = 2, 3
_ARGUMENT = 64  # where in the page of the program that is written down which of these it is
# Long enough to be told as a tenth of a second of processor time on a quick machine, too: by that, a guest that has
# run is known from others.
_SPIN = 100_000_000

#: What a guest may end for, right away: SHUTDOWN_* of sched.h.
REASONS = {"poweroff": 0, "reboot": 1, "suspend": 2, "crash": 3}


def idle() -> bytes:
    """A kernel that works for a moment, and then waits for an event of which there is none. It hears no request."""
    return _elf(_program(_POLL, bytes(24)))


def ending(reason: str) -> bytes:
    """A kernel that ends at once, for one of `REASONS`."""
    return _elf(_program(_SHUTDOWN, struct.pack("<I", REASONS[reason])))


def _program(command: int, argument: bytes) -> bytes:
    spin = b"\xb9" + struct.pack("<I", _SPIN if command == _POLL else 1)  # mov ecx, …
    spin += b"\xff\xc9\x75\xfc"  # dec ecx; jnz to it
    call = b"\xb8" + struct.pack("<I", _SCHED_OP)  # mov eax, …
    call += b"\xbf" + struct.pack("<I", command)  # mov edi, …
    call += b"\x48\x8d\x35" + struct.pack("<i", _ARGUMENT - len(spin) - len(call) - 7)  # lea rsi, [rip + …]
    call += b"\x0f\x05"  # syscall: from a guest's kernel, that is a hypercall
    again = b"\xeb" + struct.pack("<b", -len(call) - 2)  # jmp to the call
    return (spin + call + again).ljust(_ARGUMENT, b"\0") + argument


def _elf(program: bytes) -> bytes:
    entry = _BASE + _PAGE
    notes = b"".join(
        [
            _note(6, b"lab\0"),  # GUEST_OS
            _note(5, b"xen-3.0\0"),  # XEN_VERSION, of the interface
            _note(8, b"generic\0"),  # LOADER
            _note(9, b"yes\0"),  # PAE_MODE
            _note(3, struct.pack("<Q", _BASE)),  # VIRT_BASE
            _note(4, struct.pack("<Q", 0)),  # PADDR_OFFSET
            _note(1, struct.pack("<Q", entry)),  # ENTRY
            _note(2, struct.pack("<Q", entry + _PAGE)),  # HYPERCALL_PAGE
        ]
    )
    headers = struct.calcsize("<16sHHIQQQIHHHHHH"), struct.calcsize("<IIQQQQQQ")
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, entry, headers[0], 0, 0, *headers, 2, 64, 0, 0
    )
    loaded = struct.pack("<IIQQQQQQ", 1, 7, _PAGE, entry, _PAGE, _PAGE, 2 * _PAGE, _PAGE)
    place = len(head) + 2 * len(loaded)
    noted = struct.pack("<IIQQQQQQ", 4, 4, place, 0, 0, len(notes), len(notes), 4)
    return (head + loaded + noted + notes).ljust(_PAGE, b"\0") + program.ljust(_PAGE, b"\0")


def _note(kind: int, value: bytes) -> bytes:
    return struct.pack("<III", 4, len(value), kind) + b"Xen\0" + value + b"\0" * (-len(value) % 4)
