"""What launchers tell of applications."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vmsvc.core.errors import Problem

if TYPE_CHECKING:
    from vmsvc.core.inside.launching import Told

from vmsvc.core.documents.envelope import Data, document, problem


def app_info(items: Iterable[Told], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.app-info/1``: what launchers tell about the applications that they start.

    Args:
        items: What those of each application tell.
        problems: Why others could not be asked.
    """
    applications = [
        {
            "service": item.service,
            "rid": item.rid,
            "why_none": item.useless or None,
            "launchers": [
                {
                    "name": each.name,
                    "exit_code": None if each.outcome is None else each.outcome.code,
                    "output": None if each.outcome is None else each.outcome.out,
                    "truncated": each.outcome is not None and each.outcome.truncated,
                    "error": str(each) if each.has_failed else None,
                }
                for each in item.ran
            ],
        }
        for item in items
    ]
    return document("vmsvc.app-info/1", {"applications": applications, "errors": [problem(item) for item in problems]})
