"""SCSI commands straight to a device, by the kernel's SG_IO: no tool, and no code of vmsvc, in between.

Sources: sg(4) and linux/scsi/sg.h (``struct sg_io_hdr``, interface 3); SPC-4, 4.5 "Sense data" and 6.15 and 6.16,
PERSISTENT RESERVE IN and OUT.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from dataclasses import dataclass

SG_IO = 0x2285
NONE, TO_DEVICE, FROM_DEVICE = -1, -2, -3
# interface_id dxfer_direction cmd_len mx_sb_len iovec_count dxfer_len dxferp cmdp sbp timeout flags pack_id usr_ptr
# status masked_status msg_status sb_len_wr host_status driver_status resid duration info
HEADER = struct.Struct("@iiBBHIPPPIIiPBBBBHHiII")
SENSE_SIZE = 32
TIMEOUT_MS = 20_000

GOOD, CHECK_CONDITION, RESERVATION_CONFLICT = 0x00, 0x02, 0x18
NOT_READY, ILLEGAL_REQUEST, UNIT_ATTENTION = 0x02, 0x05, 0x06
ISCSI = 5  # the protocol of a TransportID (SPC-4, 7.6.4)
TEST_UNIT_READY, PERSISTENT_RESERVE_IN, PERSISTENT_RESERVE_OUT = 0x00, 0x5E, 0x5F
READ_KEYS, READ_RESERVATION, READ_FULL_STATUS = 0, 1, 3
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE_EXISTING_KEY = range(7)
SPECIFY_INITIATOR_PORTS = 0x08


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        status: The SCSI status; `GOOD` says nothing where the transport has failed.
        transport: The transport's error, 0 for none.
        sense: The sense key, 0 for none.
        code: Additional sense code and qualifier, in one number: 0x2A03 is "reservations preempted".
        data: The data that came.
    """

    status: int
    transport: int
    sense: int
    code: int
    data: bytes = b""

    @property
    def is_good(self) -> bool:
        """Whether it was done."""
        return self.status == GOOD and self.transport == 0

    def check(self) -> None:
        """Nothing, if it was done."""
        assert self.is_good, self

    @property
    def is_attention(self) -> bool:
        """Whether it was a unit attention, and so was not done."""
        return self.status == CHECK_CONDITION and self.sense == UNIT_ATTENTION


def send(device: str, command: bytes, *, data: bytes = b"", expected: int = 0) -> Reply:
    """Send one command, once.

    Args:
        device: A generic SCSI device, such as ``/dev/sg0``. Opening one touches no disk.
        command: The command descriptor block.
        data: What goes with it.
        expected: How many bytes come back at most.

    Returns:
        The device's reply, whatever it is.
    """
    direction = TO_DEVICE if data else FROM_DEVICE if expected else NONE
    block = ctypes.create_string_buffer(command, len(command))
    buffer = ctypes.create_string_buffer(data or bytes(expected or 1), len(data) or expected or 1)
    sense = ctypes.create_string_buffer(SENSE_SIZE)
    size = 0 if direction == NONE else len(buffer)
    places = (ctypes.addressof(buffer), ctypes.addressof(block), ctypes.addressof(sense))
    request = (ord("S"), direction, len(command), SENSE_SIZE, 0, size, *places, TIMEOUT_MS, 0, 0, 0)
    header = bytearray(HEADER.pack(*request, *([0] * 9)))
    descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(descriptor, SG_IO, header)
    finally:
        os.close(descriptor)
    status, _masked, _message, _written, transport, _driver, residual, *_ = HEADER.unpack(header)[13:]
    key, code = _sense(sense.raw)
    came = buffer.raw[: size - residual] if direction == FROM_DEVICE else b""
    return Reply(status, transport, key, code, came)


def test(device: str) -> Reply:
    """TEST UNIT READY, which also takes the first unit attention that waits."""
    return send(device, struct.pack(">B5x", TEST_UNIT_READY))


def reserve_in(device: str, action: int, expected: int = 1 << 15) -> Reply:
    """PERSISTENT RESERVE IN."""
    return send(device, struct.pack(">BB5xHx", PERSISTENT_RESERVE_IN, action, expected), expected=expected)


def reserve_out(device: str, action: int, *, key: int = 0, new_key: int = 0, kind: int = 0, other: str = "") -> Reply:
    """PERSISTENT RESERVE OUT.

    Args:
        device: A generic SCSI device.
        action: The service action.
        key: The reservation key.
        new_key: The service action reservation key.
        kind: The type of reservation; its scope is 0, the logical unit.
        other: With REGISTER, the iSCSI name of an initiator that is registered, too (SPEC_I_PT).
    """
    data = struct.pack(">QQ4xB3x", key, new_key, SPECIFY_INITIATOR_PORTS if other else 0)
    if other:
        name = other.encode() + b"\0"
        name += bytes(-len(name) % 4)
        data += struct.pack(">IBxH", 4 + len(name), ISCSI, len(name)) + name
    return send(device, struct.pack(">BBB2xIx", PERSISTENT_RESERVE_OUT, action, kind, len(data)), data=data)


def _sense(data: bytes) -> tuple[int, int]:
    """Sense key and additional sense code, of either format (SPC-4, 4.5.2 and 4.5.3)."""
    form = data[0] & 0x7F
    if form in {0x70, 0x71}:
        return data[2] & 0x0F, data[12] << 8 | data[13]
    if form in {0x72, 0x73}:
        return data[1] & 0x0F, data[2] << 8 | data[3]
    return 0, 0
