"""What a target answers, as a table, ``cases.txt``: the in-memory target and a real one are both run through it.

A case is a name, commands, and after ``=>`` what is to be seen then. A command is ``NEXUS VERB ARGUMENTS``, followed
by ``: ANSWER`` where it is not done. A nexus is an initiator and a target port; an initiator's key is its capital
letter:

========================  ==========================================================================================
``a1 read``               READ KEYS
``a1 register [KEY]``     REGISTER AND IGNORE EXISTING KEY; the initiator's own key, or another one
``a1 change OLD NEW``     REGISTER, which checks the old key
``a1 unregister``         the same, from the initiator's own key to none
``a1 reserve TYPE``       RESERVE; ``release TYPE`` and ``clear`` likewise
``b1 abort KEY TYPE``     PREEMPT AND ABORT; ``preempt KEY TYPE`` is PREEMPT
``b1 release 5 as C``     any of the last, with a key that is not the initiator's
========================  ==========================================================================================

What is to be seen: ``registered`` nexuses and their keys, ``reserved`` by a key (0 where all hold it) with a type, the
``holders``, ``writers`` and ``readers`` among the nexuses (all of them may write, or read, if nothing is said), and by
how much PRGENERATION has ``counted``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from attrs import fields, frozen

from vmsvc.core.vmdg.keys import LARGEST
from vmsvc.core.vmdg.seen import Answer
from vmsvc.testing.target import Action, Request

NEXUSES = ("a1", "a2", "b1", "b2", "c1", "c2")

#: Keys by their letters: with leading zeros, one a prefix of another, and the largest there is.
KEYS = {"0": 0, "A": 0xA1, "B": 0xA1B2, "C": LARGEST}

_ANSWERS = {
    "done": Answer.DONE,
    "attention": Answer.ATTENTION,
    "conflict": Answer.CONFLICT,
    "not ready": Answer.NOT_READY,
    "invalid": Answer.INVALID,
}


@frozen
class Step:
    """One command of a case, and what it is answered."""

    nexus: str
    request: Request
    answer: Answer


@frozen
class Shown:
    """What a target shows after the commands.

    Attributes:
        registered: Each nexus that is registered, and its key.
        reserved: The key that READ RESERVATION shows, and the type; ``None`` if nothing is reserved.
        holders: Each nexus that READ FULL STATUS calls a holder.
        writers: Each nexus through which a write is carried out.
        readers: Each nexus through which a read is.
        counted: By how much PRGENERATION has grown.
    """

    registered: dict[str, int]
    reserved: tuple[int, int] | None
    holders: frozenset[str]
    writers: frozenset[str]
    readers: frozenset[str]
    counted: int


@frozen
class Case:
    """Commands, and what is to be seen after them."""

    name: str
    steps: tuple[Step, ...]
    shown: Shown


class Backend(Protocol):
    """A target that can be run through the table."""

    def begin(self) -> None:
        """Forget every registration and every attention."""

    def ask(self, nexus: str, request: Request) -> Answer:
        """Send one command through a nexus."""

    def show(self) -> Shown:
        """What there is to see; attentions that are pending may be taken for it."""


def run(case: Case, backend: Backend) -> list[str]:
    """Run a target through a case.

    Args:
        case: The case.
        backend: The target.

    Returns:
        Every difference from what the case expects, in words; none if the target is as it should be.
    """
    backend.begin()
    wrong = []
    for number, step in enumerate(case.steps, 1):
        answer = backend.ask(step.nexus, step.request)
        if answer is not step.answer:
            wrong.append(f"{number}. {step.nexus} {step.request}: {answer}, not {step.answer}")
    shown = backend.show()
    for name in (attribute.name for attribute in fields(Shown)):
        seen, expected = getattr(shown, name), getattr(case.shown, name)
        if seen != expected:
            wrong.append(f"{name}: {seen}, not {expected}")
    return wrong


def parse_cases(text: str) -> tuple[Case, ...]:
    """Read a table of cases.

    Args:
        text: The table, in the notation of ``cases.txt``.

    Returns:
        The cases, in order.

    >>> [case] = parse_cases('''
    ... a second path of the holder cannot reserve
    ...     a1 register; a2 register; a1 reserve 5; a2 reserve 5: conflict
    ...     => registered a1=A a2=A; reserved A 5; holders a1; writers a1 a2; counted 2
    ... ''')
    >>> case.steps[3].answer, case.shown.reserved
    (<Answer.CONFLICT: 'reservation conflict'>, (161, 5))
    """
    cases = []
    for block in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n", "", text).strip()):
        name, _, rest = block.partition("\n")
        commands, _, shown = rest.partition("=>")
        cases.append(Case(name, tuple(_step(" ".join(each.split())) for each in commands.split(";")), _shown(shown)))
    return tuple(cases)


def _step(text: str) -> Step:
    command, _, answer = text.partition(": ")
    command, _, key = command.partition(" as ")
    nexus, verb, *words = command.split()
    return Step(nexus, _request(verb, words, KEYS[key or nexus[0].upper()]), _ANSWERS[answer or "done"])


def _request(verb: str, words: list[str], own: int) -> Request:
    match verb, words:
        case "read", []:
            return Request(Action.READ)
        case "register", _:
            return Request(Action.REGISTER_AND_IGNORE, action_key=KEYS[words[0]] if words else own)
        case "change", [old, new]:
            return Request(Action.REGISTER, key=KEYS[old], action_key=KEYS[new])
        case "unregister", []:
            return Request(Action.REGISTER, key=own)
        case (("reserve" | "release" | "clear"), _):
            return Request(Action(verb), key=own, type=int(words[0]) if words else 0)
        case (("abort" | "preempt"), [victim, type]):
            action = Action.PREEMPT_AND_ABORT if verb == "abort" else Action.PREEMPT
            return Request(action, key=own, action_key=KEYS[victim], type=int(type))
    raise ValueError(f"{verb} {' '.join(words)} is no command")


def _shown(text: str) -> Shown:
    said = {name: words for name, *words in (each.split() for each in text.split(";"))}
    return Shown(
        registered={nexus: KEYS[key] for nexus, key in (each.split("=") for each in said.get("registered", []))},
        reserved=(KEYS[said["reserved"][0]], int(said["reserved"][1])) if "reserved" in said else None,
        holders=frozenset(said.get("holders", [])),
        writers=frozenset(said.get("writers", NEXUSES)),
        readers=frozenset(said.get("readers", NEXUSES)),
        counted=int(said["counted"][0]),
    )


#: The whole table.
CASES = parse_cases((Path(__file__).parent / "cases.txt").read_text("utf-8"))
