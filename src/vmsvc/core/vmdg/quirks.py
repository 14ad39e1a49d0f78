"""What particular arrays do differently, as data: who needs another habit adds a row, and no code. Pure.

The table is looked up once for a disk, when it is discovered (:func:`quirks_of`), and the answer travels with it as
``ScsiDisk.quirks``. Tools ask it which requests the array knows, decisions ask it how many registrations to expect.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen


@frozen(kw_only=True)
class Quirks:
    """How one make of disk differs from SPC-4.

    Attributes:
        vendor: The vendor as INQUIRY tells it, without the blanks at its end; compared as a whole.
        product: What the product begins with; empty for everything of the vendor.
        why: Where this is known from, for who reads the table.
        full_status: Whether it knows READ FULL STATUS; without it, keys and reservation are two requests.
        aptpl: Whether registrations may ask to survive a loss of power (APTPL); otherwise they are made without.
        abort: Whether it knows PREEMPT AND ABORT; otherwise PREEMPT is used, and writes of the evicted node that are
            under way may still land.
        per_initiator: Whether it counts one registration for each initiator port, not for each path.
        one_at_a_time: Whether it stumbles over two PERSISTENT RESERVE OUT at once.
        initiators: Whether the initiators that it names in READ FULL STATUS are those that are registered.
    """

    vendor: str = ""
    product: str = ""
    why: str = ""
    full_status: bool = True
    aptpl: bool = True
    abort: bool = True
    per_initiator: bool = False
    one_at_a_time: bool = False
    initiators: bool = True


#: A disk that does as SPC-4 says.
NONE = Quirks()

#: What is known of arrays; the first row that fits counts. Plugins' rows come before these.
KNOWN: tuple[Quirks, ...] = (
    Quirks(
        vendor="3PARdata",
        product="VV",
        why="one registration for each initiator; OpenSVC commit 967a5bba6",
        per_initiator=True,
    ),
    Quirks(
        vendor="VMware",
        why="PREEMPT AND ABORT is refused; OpenSVC commit 413682bd7",
        abort=False,
    ),
    Quirks(
        vendor="IET",
        product="VIRTUAL-DISK",
        why="tgt 1.0.85, usr/spc.c: neither READ FULL STATUS nor PREEMPT AND ABORT nor APTPL",
        full_status=False,
        aptpl=False,
        abort=False,
    ),
)


def quirks_of(vendor: str, product: str, table: Iterable[Quirks] = KNOWN) -> Quirks:
    """What is known of a make of disk.

    Args:
        vendor: The vendor, as INQUIRY tells it.
        product: The product, alike.
        table: What is known; the first row that fits counts.

    Returns:
        The row, or :data:`NONE`.

    >>> quirks_of("3PARdata", "VV").per_initiator
    True
    """
    for row in table:
        if row.vendor == vendor.strip() and product.strip().startswith(row.product):
            return row
    return NONE
