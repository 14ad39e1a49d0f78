"""The guests' definitions that the node keeps, so that a start can define a guest that the hypervisor has lost.

Beside them, those that they have replaced: nothing that was kept is lost because of one look at a hypervisor.
"""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from attrs import frozen

from vmsvc.core.answers import DefinitionFields
from vmsvc.core.config.atomic import write_atomically
from vmsvc.core.contract import Capability, Driver
from vmsvc.core.errors import Problem, Severity, Undetermined, VmsvcError, told
from vmsvc.core.guests.drift import KEPT, LIVE, PERSISTENT, Difference, differences
from vmsvc.core.guests.inventory import GuestFacts, ask
from vmsvc.core.node import Node
from vmsvc.core.resource import Guest

#: How many replaced definitions of a guest are kept.
FORMER = 10


@frozen(kw_only=True)
class Drift:
    """How the definitions of a guest differ.

    Attributes:
        guest: The guest.
        forms: Which forms there are: ``live``, ``persistent``, ``kept``.
        differences: The fields that differ.
        errors: What could not be compared, and why.
    """

    guest: Guest
    forms: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    errors: tuple[VmsvcError, ...] = ()


def drift(node: Node, guest: Guest, driver: Driver[Any]) -> Drift:
    """Compare what a guest runs with, what its next start takes, and what its service keeps.

    Args:
        node: The node that keeps definitions.
        guest: The guest.
        driver: Its driver.

    Returns:
        The differences; what could not be read is among the errors, and the rest is compared.
    """
    if Capability.COMPARE not in driver.capabilities:
        message = f"the {driver.type} driver cannot compare definitions"
        return Drift(guest=guest, errors=(Undetermined(message, code="undetermined.no-capability"),))
    errors: list[VmsvcError] = []
    texts: dict[str, str | None] = {}
    try:
        found = ask(guest, driver, Capability.COMPARE)
        texts = {LIVE: found.live, PERSISTENT: found.persistent}
    except VmsvcError as error:
        errors.append(error)
    try:
        texts[KEPT] = _read(node.definition_file(guest.service, guest.rid))
    except VmsvcError as error:
        errors.append(error)
    forms: dict[str, DefinitionFields] = {}
    for form, text in texts.items():
        try:
            if text is not None:
                forms[form] = _fields(driver, text)
        except VmsvcError as error:
            errors.append(type(error)(f"the {form} definition cannot be compared: {error.message}", code=error.code))
    return Drift(guest=guest, forms=tuple(forms), differences=differences(forms), errors=tuple(errors))


def keep(node: Node, facts: GuestFacts, driver: Driver[Any]) -> tuple[Problem, ...]:
    """Keep a guest's definition; only the owner may read it, since it may hold passwords.

    Args:
        node: The node that keeps it.
        facts: What is known of the guest; nothing is kept where its definition is not.
        driver: The guest's driver.

    Returns:
        Where it has replaced another one: a note that says what has changed, and where the other one is now.

    Raises:
        VmsvcError: The file cannot be written; the one that was there still is.
    """
    if not facts.definition:
        return ()
    file = node.definition_file(facts.guest.service, facts.guest.rid)
    try:
        before = _read(file)
        changed = "" if before is None else _changes(driver, before, facts.definition)
    except VmsvcError as error:
        before, changed = "", error.message
    if before == facts.definition:
        return ()
    notes: tuple[Problem, ...] = ()
    if before is not None:
        former = _put_aside(file)
        message = f"its kept definition was replaced: {changed}"
        notes = (
            Problem(
                message=message,
                code="note.definition-replaced",
                hint=f"the former one is {former}",
                section=facts.guest.rid,
                severity=Severity.NOTE,
            ),
        )
    write_atomically(file, facts.definition)
    return notes


def _read(file: Path) -> str | None:
    """A definition that is kept; ``None`` where there is none."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Undetermined(f"the kept definition cannot be read: {file}: {told(error)}") from None


def _fields(driver: Any, text: str) -> DefinitionFields:
    """A definition's fields, whatever defects its driver has."""
    try:
        found = driver.fields(text)
    except VmsvcError:
        raise
    except Exception as error:
        raise Undetermined(f"the {driver.type} driver broke off with {told(error)}") from error
    if not isinstance(found, DefinitionFields):
        raise Undetermined(f"the {driver.type} driver answered with a {type(found).__name__}")
    return found


def _changes(driver: Driver[Any], before: str, now: str) -> str:
    """What has changed, in words."""
    if Capability.COMPARE not in driver.capabilities:
        return "it is another one"
    found = differences({KEPT: _fields(driver, before), PERSISTENT: _fields(driver, now)})
    changed = "; ".join(f"{each.field}: {_or(each.values[KEPT])} → {_or(each.values[PERSISTENT])}" for each in found)
    return changed or "it is written in another way, and says the same"


def _or(value: str | None) -> str:
    return "none" if value is None else value or "yes"


def _put_aside(file: Path) -> Path:
    """Give a file that is about to be replaced a second name; of those that were, only the newest stay."""
    try:
        directory = file.parent / "former"
        directory.mkdir(mode=0o700, exist_ok=True)
        former = directory / f"{file.name}.{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%fZ}"
        former.hardlink_to(file)
    except OSError as error:
        raise VmsvcError(
            f"the definition that is kept could not be put aside: {told(error)}",
            code="failed.write",
            hint=f"it was not replaced: {file}",
        ) from None
    for old in sorted(directory.glob(f"{file.name}.*"))[:-FORMER]:
        with contextlib.suppress(OSError):
            old.unlink()
    return former
