"""Facts about a service's guests: what their drivers can tell of disks, sizes, definitions and files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import frozen

from vmsvc.core.answers import Definitions, GuestDisk, Sizes
from vmsvc.core.contract import Capability, Driver
from vmsvc.core.errors import Undetermined, VmsvcError, told
from vmsvc.core.lane import call_within
from vmsvc.core.observe import GRACE_S
from vmsvc.core.resource import Guest

#: How long each question about a guest may take, in seconds.
_BUDGET_S = 10.0


@frozen
class _Question:
    """What answers a capability: a method, and what it returns."""

    method: str
    answer: type
    is_list: bool = False

    def checked(self, answer: Any) -> Any:
        """The answer, lists as tuples; raises ``TypeError`` for what is none."""
        items = tuple(answer) if self.is_list else (answer,)
        for item in items:
            if not isinstance(item, self.answer):
                raise TypeError(f"{self.method} answered with a {type(item).__name__}, not a {self.answer.__name__}")
        return items if self.is_list else answer


_QUESTIONS = {
    Capability.DISKS: _Question("disks", GuestDisk, is_list=True),
    Capability.SIZES: _Question("sizes", Sizes),
    Capability.DEFINITION: _Question("definition", str),
    Capability.CONFIG_FILES: _Question("config_files", Path, is_list=True),
    Capability.COMPARE: _Question("definitions", Definitions),
}
_FACTS = (Capability.DISKS, Capability.SIZES, Capability.DEFINITION, Capability.CONFIG_FILES)


@frozen(kw_only=True)
class GuestFacts:
    """What is known of a guest beyond its status.

    Attributes:
        guest: The guest.
        disks: Its disks; ``None`` where the driver cannot name any.
        sizes: Its processors and memory; ``None`` where the driver cannot tell.
        definition: Its definition, in the technology's format; empty where the driver cannot give one.
        config_files: Files that a peer needs to run it; ``None`` where the driver cannot name any.
        gaps: What could not be learned, and why.
    """

    guest: Guest
    disks: tuple[GuestDisk, ...] | None = None
    sizes: Sizes | None = None
    definition: str = ""
    config_files: tuple[Path, ...] | None = None
    gaps: tuple[str, ...] = ()


def ask(guest: Guest, driver: Driver[Any], capability: Capability) -> Any:
    """Ask a driver one question about a guest.

    Args:
        guest: The guest.
        driver: Its driver.
        capability: The capability that answers it.

    Returns:
        What the role protocol of the capability returns, lists as tuples; ``None`` where the driver does not have it.

    Raises:
        DriverError: The guest is not known on this node.
        Undetermined: The hypervisor did not answer, or the driver has a defect.
    """
    if capability not in driver.capabilities:
        return None
    question = _QUESTIONS[capability]
    method: Callable[..., Any] = getattr(driver, question.method)
    name = f"{driver.type} driver"
    try:
        return question.checked(
            call_within(name, lambda: method(guest, budget_s=_BUDGET_S), budget_s=_BUDGET_S + GRACE_S)
        )
    except VmsvcError:
        raise
    except Exception as error:
        raise Undetermined(f"the {name} broke off with {told(error)}") from error


def facts_of(guest: Guest, driver: Driver[Any]) -> GuestFacts:
    """Ask a driver all that it can tell of a guest.

    Args:
        guest: The guest.
        driver: Its driver.

    Returns:
        The facts; what could not be learned is among the gaps.
    """
    answers: dict[Capability, Any] = {}
    gaps: list[str] = []
    for capability in _FACTS:
        try:
            answers[capability] = ask(guest, driver, capability)
        except VmsvcError as error:
            gaps.append(f"{capability.value}: {error}")
    return GuestFacts(
        guest=guest,
        disks=answers.get(Capability.DISKS),
        sizes=answers.get(Capability.SIZES),
        definition=answers.get(Capability.DEFINITION) or "",
        config_files=answers.get(Capability.CONFIG_FILES),
        gaps=tuple(gaps),
    )
