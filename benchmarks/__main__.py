"""``python -m benchmarks``: run benchmarks, print their tables, and exit with 1 where a limit is not kept."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from benchmarks import cases
from benchmarks.measure import Unavailable
from benchmarks.run import Run
from benchmarks.table import Row, document, lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks that were asked for.

    Args:
        argv: The arguments; the process's own when not given.

    Returns:
        0; 1 where a limit is not kept; 2 where a benchmark cannot run here and ``VMSVC_LAB=require`` is set.
    """
    asked = _grammar().parse_args(argv)
    code, found = 0, dict[str, Sequence[Row]]()
    for name in asked.names or names():
        case = importlib.import_module(f"{cases.__name__}.{name}")
        rows: list[Row] = []
        with tempfile.TemporaryDirectory(prefix="vmsvc-benchmark-") as directory:
            run = Run(directory=Path(directory), sizes=tuple(asked.sizes), rounds=asked.rounds)
            try:
                rows.extend(_watched(case, run))
            except (Unavailable, ImportError) as reason:
                print(f"{name} cannot be measured here: {reason}", file=sys.stderr)
                code = max(code, 2 if os.environ.get("VMSVC_LAB") == "require" else 0)
        found[name] = rows
        code = max(code, 0 if all(row.is_met(asked.tolerance) for row in rows) else 1)
        if rows and asked.format == "text":
            print("\n".join([*lines(title(case), rows, tolerance=asked.tolerance), ""]), flush=True)
    if asked.format == "json":
        print(json.dumps(document(found, tolerance=asked.tolerance), indent=2))
    return code


def names() -> list[str]:
    """The benchmarks that there are."""
    return sorted(module.name for module in pkgutil.iter_modules(cases.__path__))


def title(case: ModuleType) -> str:
    """The first line of a benchmark's docstring.

    Args:
        case: Its module.
    """
    return (case.__doc__ or case.__name__).partition("\n")[0]


def _watched(case: ModuleType, run: Run) -> Iterator[Row]:
    for row in case.measure(run):
        print(f"{row.what}, {row.size}: {row.value.median:.3g} {row.unit}", file=sys.stderr)
        yield row


def _grammar() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(names())}; all when not given")
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 10, 100, 1000], metavar="N", help="of how many")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="how often each comparison is made")
    parser.add_argument(
        "--tolerance", type=float, default=0.1, help="how far above its limit is still well: 0.1 = 10 %%"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    return parser


if __name__ == "__main__":
    sys.exit(main())
