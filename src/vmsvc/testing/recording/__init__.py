"""Samples from a user's host: record what a driver's read-only commands print, masked, and replay it in a test.

.. code-block:: python

    def test_the_driver_still_reads_what_was_sent_in():
        replay(AcmeDriver, Path(__file__).parent / "samples/issue-12")

PYTEST_DONT_REWRITE: what an assertion says is what is told of a clause, and pytest would add to it.
"""

from __future__ import annotations

import enum
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from vmsvc.core.contract import Capability, Context, Driver
from vmsvc.core.lane import call_within
from vmsvc.core.node import Node
from vmsvc.core.observe import GRACE_S
from vmsvc.core.options import options_of
from vmsvc.core.resource import Guest
from vmsvc.testing.kit.backend import identity
from vmsvc.testing.recording.masking import Masking
from vmsvc.testing.recording.samples import Recording, RecordingHost, ReplayingHost, read

__all__ = ["Masking", "Recording", "RecordingHost", "ReplayingHost", "answers_of", "read", "replay"]

#: How long each question may take, in seconds.
BUDGET_S = 20.0
#: What is asked of each guest, by the capability that has it. Nothing is asked that goes into a guest.
_OF_EACH = {
    Capability.DISKS: "disks",
    Capability.SIZES: "sizes",
    Capability.DEFINITION: "definition",
    Capability.COMPARE: "definitions",
    Capability.CONFIG_FILES: "config_files",
}
#: What is another each time, whatever was seen.
_FLEETING = frozenset({"at", "duration_s"})


def answers_of(driver: Driver[Any], guests: Sequence[Guest]) -> dict[str, Any]:
    """Ask a driver everything that changes nothing.

    Args:
        driver: The driver.
        guests: The guests to ask about; the first also tells where to look for all.

    Returns:
        Plain data by what was asked; what was raised is told by its class and code.
    """
    return {question: _told(ask) for question, ask in _questions(driver, guests)}


def _questions(driver: Any, guests: Sequence[Guest]) -> Iterator[tuple[str, Callable[[], Any]]]:
    if guests and Capability.DISCOVER in driver.capabilities:
        yield "discover", lambda: driver.discover(guests[0], budget_s=BUDGET_S)
    if Capability.BULK in driver.capabilities:
        yield "observe_all", lambda: driver.observe_all(guests, budget_s=BUDGET_S)
    for guest in guests:
        verbs = ["observe", *(verb for capability, verb in _OF_EACH.items() if capability in driver.capabilities)]
        for verb in verbs:
            method = getattr(driver, verb)
            yield f"{verb} {guest.name}", lambda guest=guest, method=method: method(guest, budget_s=BUDGET_S)  # type: ignore[misc]


def _told(ask: Callable[[], Any]) -> Any:
    try:
        return plain(call_within("a driver that is recorded", ask, budget_s=BUDGET_S + GRACE_S))
    except AssertionError:
        raise
    except Exception as error:  # noqa: BLE001 - what a driver raises is what is recorded
        return {"raised": type(error).__name__, "code": getattr(error, "code", "")}


def plain(value: Any) -> Any:
    """A driver's answer as plain data, without what is another each time.

    Args:
        value: The answer.
    """
    if attrs.has(type(value)):
        fields = (field.name for field in attrs.fields(type(value)))
        return {name: plain(getattr(value, name)) for name in fields if name not in _FLEETING}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {"/".join(key) if isinstance(key, tuple) else str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        rows = [plain(each) for each in value]
        return rows if isinstance(value, (list, tuple)) else sorted(rows)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def described(guest: Guest) -> dict[str, Any]:
    """A guest as plain data: its identity, and the keys that are not as they are when nobody gives them.

    Args:
        guest: The guest.
    """
    given = {option.key: getattr(guest, option.key) for option in options_of(type(guest))}
    defaults = {option.key: option.default for option in options_of(type(guest))}
    kept = {key: plain(value) for key, value in given.items() if key == "name" or value != defaults[key]}
    return {"service": guest.service, "rid": guest.rid, **kept}


def guest_from(options: type[Guest], facts: Mapping[str, Any], served: str) -> Guest:
    """A guest from plain data.

    Args:
        options: The driver's options.
        facts: What :func:`described` has made of it.
        served: The driver's type.
    """
    known = {option.key: option.value for option in options_of(options)}
    given = {key: known[key].parse(value) for key, value in facts.items() if key in known}
    return options(**{**identity(served, ""), "service": facts["service"], "rid": facts["rid"], **given})


def replayed(driver_class: type[Driver[Any]], recording: Recording) -> dict[str, Any]:
    """What a driver tells today of a recording.

    Args:
        driver_class: The driver's class.
        recording: The recording.
    """
    options: Any = driver_class.options
    guests = [guest_from(options, facts, recording.type) for facts in recording.guests]
    with tempfile.TemporaryDirectory(prefix="replay-") as directory:
        node = Node(name="recording", root=Path(directory))
        driver = driver_class(Context(node=node, host=ReplayingHost(recording.commands), state_dir=node.state_dir))
        try:
            return answers_of(driver, guests)
        finally:
            driver.close()


def replay(driver_class: type[Driver[Any]], directory: Path) -> None:
    """Let a driver read a recording, and compare what it tells with what is written there.

    Args:
        driver_class: The driver's class.
        directory: The recording, as ``vmsvc sdk record`` has written it. Where the driver of that day was wrong,
            correct ``answers`` in its ``recording.json``.

    Raises:
        AssertionError: The driver tells something else, or runs a command that was not recorded.
        UsageError: There is no recording.
    """
    recording = read(directory)
    now = replayed(driver_class, recording)
    for question, then in recording.answers.items():
        assert now.get(question) == then, f"{directory}: {question}: it was {then}, and is {now.get(question)}"
