"""What a benchmark has found: one row a comparison, and the table of them. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import asdict, frozen


@frozen(kw_only=True)
class Figure:
    """Something measured several times.

    Attributes:
        median: The middle of the values.
        low: Their first quartile.
        high: Their third quartile.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Sum up measured values.

        Args:
            values: At least one.

        >>> Figure.of([2.0, 1.0, 4.0])
        Figure(median=2.0, low=1.5, high=3.0)
        """
        if len(values) == 1:
            return cls(median=values[0], low=values[0], high=values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median=median, low=low, high=high)


@frozen(kw_only=True)
class Row:
    """One comparison, or one figure that must not grow.

    Attributes:
        what: What was measured.
        against: What was measured beside it; empty where a figure stands by itself.
        size: How many of them: services, disks …
        value: What came out.
        unit: The value's unit: ``x`` for a ratio, else ``ms``, ``MiB``, ``calls`` …
        at_most: What the value must not exceed; ``None`` where it is only told.
        told: What else there is to know, such as both sides in milliseconds.
    """

    what: str
    value: Figure
    unit: str = "x"
    against: str = ""
    size: int = 1
    at_most: float | None = None
    told: str = ""

    def is_met(self, tolerance: float) -> bool:
        """Whether the value keeps its limit.

        Args:
            tolerance: By which part of the limit a noisy machine may be off.
        """
        return self.at_most is None or self.value.median <= self.at_most * (1 + tolerance)


_HEADS = ("measured", "against", "n", "value", "spread", "at most", "", "")


def lines(title: str, rows: Iterable[Row], *, tolerance: float) -> Iterator[str]:
    """The table of one benchmark.

    Args:
        title: Its title.
        rows: What it has found.
        tolerance: See :meth:`Row.is_met`.

    Yields:
        Lines of text.
    """
    table = [_HEADS, *(_cells(row, tolerance) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    yield title
    for cells in table:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cells(row: Row, tolerance: float) -> tuple[str, ...]:
    verdict = "" if row.at_most is None else "ok" if row.is_met(tolerance) else "TOO MUCH"
    return (
        row.what,
        row.against,
        str(row.size),
        f"{row.value.median:.3g} {row.unit}",
        f"{row.value.low:.3g}-{row.value.high:.3g}",
        "" if row.at_most is None else f"{row.at_most:g} {row.unit}",
        verdict,
        row.told,
    )


def document(found: dict[str, Sequence[Row]], *, tolerance: float) -> dict[str, Any]:
    """The same for programs.

    Args:
        found: Rows by the benchmark's name.
        tolerance: See :meth:`Row.is_met`.

    Returns:
        What JSON can hold.
    """
    return {name: [{**asdict(row), "met": row.is_met(tolerance)} for row in rows] for name, rows in found.items()}
