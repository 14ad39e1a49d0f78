"""What keeps a command from services: told beside what it does for the others."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from vmsvc.cli.call import Call
from vmsvc.core.errors import Problem, VmsvcError


@frozen
class Failure:
    """What kept a command from one service.

    Attributes:
        name: The service's name, or the pattern.
        error: Why.
    """

    name: str
    error: VmsvcError


def tell(call: Call, failures: Sequence[Failure]) -> None:
    """Tell what kept a command from services.

    Args:
        call: The call.
        failures: What did.
    """
    for problem in problems_of(failures):
        call.screen.tell(problem)


def problems_of(failures: Sequence[Failure]) -> list[Problem]:
    """All problems of failures, in their order.

    Args:
        failures: What kept a command from services.
    """
    return [problem for failure in failures for problem in failure.error.problems]
