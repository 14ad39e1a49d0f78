"""An engine's answers about containers, read into records. Pure.

Source: https://docs.docker.com/reference/api/engine/ (ContainerList, ContainerInspect). What is not shaped as it ought
to be is no answer: nobody may conclude from garbage that a container is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from vmsvc.driver import Undetermined

# A list tells of health only at the end of its words, which are the same in all languages: `Up 3 hours (unhealthy)`.
_HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)$", re.ASCII)
#: The label of containers that vmsvc has made, by which one tells whether their service still describes them so.
MADE_OF = "vmsvc.made-of"

# States of a container that is being removed: it may have lost its name already.
_VANISHING = frozenset({"removing", "dead"})
_RETURNS = frozenset({"always", "unless-stopped"})


@frozen(kw_only=True)
class Seen:
    """A container as a list shows it.

    Attributes:
        id: Its id, by which it is acted upon: names can be taken over, and beginnings of ids look like names.
        name: Its name.
        state: The engine's word for its state.
        health: What its health check says: ``healthy``, ``unhealthy`` or ``starting``; empty where it has none.
        words: More about that, for people, such as ``Exited (137) 3 seconds ago``.
        made_of: What :data:`MADE_OF` says of it; empty where vmsvc has not made it.
    """

    id: str
    name: str
    state: str
    health: str = ""
    words: str = ""
    made_of: str = ""


@frozen(kw_only=True)
class Inspected:
    """A container with all that an inspection tells.

    Attributes:
        seen: Where it stands.
        facts: The answer itself.
    """

    seen: Seen
    facts: Mapping[str, Any] = field(repr=False)

    @property
    def config(self) -> Mapping[str, Any]:
        """What it runs."""
        return mapping(self.facts, "Config")

    @property
    def host_config(self) -> Mapping[str, Any]:
        """What it is given."""
        return mapping(self.facts, "HostConfig")

    @property
    def restart_policy(self) -> str:
        """When the engine starts it by itself: ``no``, ``on-failure``, ``always`` or ``unless-stopped``."""
        return str(mapping(self.host_config, "RestartPolicy").get("Name") or "no")

    @property
    def comes_back(self) -> bool:
        """Whether the engine starts it again when the engine itself is started, as when the node boots."""
        return self.restart_policy in _RETURNS

    @property
    def stop_signal(self) -> str:
        """The signal that asks it to stop: its image may name another than SIGTERM."""
        return str(self.config.get("StopSignal") or "SIGTERM")


@frozen(kw_only=True)
class Ended:
    """A command inside of a container, once it has ended.

    Attributes:
        code: Its exit code.
        pid: Its number on the engine's machine; 0 where it was never started. podman forgets it.
    """

    code: int
    pid: int


def ended(answer: Any) -> Ended | None:
    """Read what an inspection of a command inside of a container has told.

    Args:
        answer: What the engine answered.

    Returns:
        How it ended; ``None`` where it goes on.

    Raises:
        Undetermined: It is no such answer.
    """
    if not isinstance(answer, Mapping):
        raise unreadable("a command", answer)
    runs, code, pid = answer.get("Running"), answer.get("ExitCode"), answer.get("Pid") or 0
    if runs is True:
        return None
    if runs is not False or not isinstance(code, int) or not isinstance(pid, int):
        raise unreadable("a command", answer)
    return Ended(code=code, pid=pid)


def listed(answer: Any) -> dict[str, Seen]:
    """Read a list of containers.

    Args:
        answer: What the engine answered.

    Returns:
        The containers by name.

    Raises:
        Undetermined: It is not such a list, or two of it have one name, which no engine allows.
    """
    if not isinstance(answer, list):
        raise unreadable("a list of containers", answer)
    found: dict[str, Seen] = {}
    for seen in filter(None, map(_summary, answer)):
        if found.setdefault(seen.name, seen) is not seen:
            raise unreadable("a list of containers", f"two are named {seen.name!r}")
    return found


def _summary(entry: Any) -> Seen | None:
    """One container of a list; ``None`` for one that has lost its name in the middle of its removal."""
    if not isinstance(entry, Mapping) or "Names" not in entry:
        raise unreadable("a container of a list", entry)
    name = _own_name(entry["Names"] or ())
    identity, state, words = entry.get("Id"), entry.get("State"), entry.get("Status") or ""
    if not isinstance(identity, str) or not identity or not isinstance(state, str) or not isinstance(words, str):
        raise unreadable("a container of a list", entry)
    if not name and state.lower() in _VANISHING:
        return None
    if not name:
        raise unreadable("a container of a list", entry)
    # From version 1.52 of the API on, a list tells of health by itself.
    health = mapping(entry, "Health").get("Status") or "".join(_HEALTH.findall(words))
    made_of = str(mapping(entry, "Labels").get(MADE_OF) or "")
    return Seen(id=identity, name=name, state=state.lower(), health=_health(health), words=words, made_of=made_of)


def _own_name(names: Any) -> str:
    """A container's own name; the others are what containers that link to it call it: ``/web/db``."""
    if not isinstance(names, Sequence) or isinstance(names, str) or not all(isinstance(each, str) for each in names):
        raise unreadable("the names of a container", names)
    return next((each.removeprefix("/") for each in names if "/" not in each.removeprefix("/")), "")


def inspected(answer: Any) -> Inspected:
    """Read what an inspection of a container has told.

    Args:
        answer: What the engine answered.

    Raises:
        Undetermined: It is no such answer.
    """
    if not isinstance(answer, Mapping):
        raise unreadable("a container", answer)
    state = mapping(answer, "State")
    identity, name, status = answer.get("Id"), answer.get("Name"), state.get("Status")
    if not isinstance(identity, str) or not isinstance(name, str) or not isinstance(status, str):
        raise unreadable("a container", answer)
    seen = Seen(
        id=identity,
        name=name.removeprefix("/"),
        state=status.lower(),
        health=_health(mapping(state, "Health").get("Status") or ""),
        words="; ".join(_said(status.lower(), state)),
        made_of=str(mapping(mapping(answer, "Config"), "Labels").get(MADE_OF) or ""),
    )
    return Inspected(seen=seen, facts=answer)


def _said(status: str, state: Mapping[str, Any]) -> Iterator[str]:
    """What an inspection tells of a state, in words such as those of a list."""
    yield status
    if status not in ("running", "paused", "created") and isinstance(state.get("ExitCode"), int):
        yield f"exit code {state['ExitCode']}"
    if error := state.get("Error"):  # of its last start
        yield str(error)


def _health(word: Any) -> str:
    return "" if word in ("", "none") else str(word)


def mapping(answer: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part of an answer that has keys; empty where there is none.

    Args:
        answer: The answer.
        key: The part's name.

    Raises:
        Undetermined: It is something else.
    """
    part = answer.get(key) or {}
    if not isinstance(part, Mapping):
        raise unreadable(key, part)
    return part


def mappings(answer: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """A part of an answer that is a list of things with keys; empty where there is none.

    Args:
        answer: The answer.
        key: The part's name.

    Raises:
        Undetermined: It is something else.
    """
    part = answer.get(key) or []
    if not isinstance(part, list) or not all(isinstance(each, Mapping) for each in part):
        raise unreadable(key, part)
    return part


def unreadable(what: str, answer: object) -> Undetermined:
    """The error for an answer that nobody can read.

    Args:
        what: What it ought to be.
        answer: What it is.
    """
    shown = repr(answer)
    return Undetermined(
        f"the engine's answer cannot be read as {what}: {shown if len(shown) < 80 else shown[:77] + '...'}",  # noqa: PLR2004
        code="undetermined.unreadable",
    )
