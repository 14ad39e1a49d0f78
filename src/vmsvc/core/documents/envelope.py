"""What every document begins with, and the problems that it may tell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import asdict

from vmsvc.core.errors import Problem

Data = dict[str, Any]


def document(name: str, content: Data) -> Data:
    """A whole document.

    Args:
        name: The schema and its version, such as ``vmsvc.status/1``.
        content: What it holds.
    """
    return {"schema": name, **content}


def error(problems: Iterable[Problem]) -> Data:
    """``vmsvc.error/1``: why a command failed.

    Args:
        problems: What went wrong.
    """
    return document("vmsvc.error/1", {"errors": [problem(item) for item in problems]})


def problem(item: Problem) -> Data:
    """One problem.

    Args:
        item: The problem.
    """
    return {**asdict(item), "severity": item.severity.value}
