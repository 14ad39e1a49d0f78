"""Text in columns, and a status in its colour: what all that is printed is made of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vmsvc.cli.screen import Line, Span
from vmsvc.core.status import Status

_STYLES = {
    Status.UP: "green",
    Status.DOWN: "red",
    Status.WARN: "yellow",
    Status.UNKNOWN: "bold magenta",
    Status.NA: "dim",
}
#: What stands between two columns.
GAP: Span = ("  ", "")


def word(status: Status) -> Span:
    """A status in its colour.

    Args:
        status: The status.
    """
    return str(status), _STYLES[status]


def columns(rows: Iterable[Sequence[Span]], *, heads: Sequence[str] = ()) -> Iterator[Line]:
    """Align rows.

    Args:
        rows: Cells, row by row.
        heads: The columns' names.

    Yields:
        A line for each row.
    """
    table = [list(row) for row in rows]
    if heads and table:
        table.insert(0, [(head.upper(), "bold") for head in heads])
    widths = [max(len(text) for text, _ in cells) for cells in zip(*table, strict=True)]
    for row in table:
        while row and not row[-1][0]:
            row.pop()
        line: list[Span] = []
        for (text, style), width in zip(row, widths, strict=False):
            line += [(text, style), (" " * (width - len(text)), ""), GAP]
        yield line[:-2]
