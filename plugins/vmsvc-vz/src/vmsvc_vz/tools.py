"""vzctl with vzlist, and prlctl: two sets of tools that do the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from attrs import frozen

from vmsvc.driver import NO_SUCH_COMMAND, ActionFailed, Commands, NodeHost, Outcome, Undetermined, shown, whole

# What is printed for a container without a name.
_NO_NAME = ("", "-", None)


@frozen(kw_only=True)
class Listed:
    """A container as a list has it.

    Attributes:
        id: Its number, or its UUID.
        name: Its name; empty where it has none.
        state: The tool's word for its state.
        onboot: Whether it is started when the node boots; ``None`` where the list does not tell.
        private: Where its files are; empty where the list does not tell.
        title: What is in it; empty where the list does not tell.
    """

    id: str
    name: str
    state: str
    onboot: bool | None = None
    private: str = ""
    title: str = ""


class Tools(Commands):
    """The tools on a host, for the length of one verb."""

    probe: ClassVar[tuple[str, ...]]
    _start: ClassVar[tuple[str, str]]
    _resume: ClassVar[tuple[str, str]]
    _stop: ClassVar[tuple[str, str]]
    _kill: ClassVar[str]
    _exec: ClassVar[tuple[str, str]]
    #: All that is said, with exit code 1, where there is no container to list; empty where that is no failure.
    _none: ClassVar[str] = ""

    def list(self) -> list[Listed]:
        """Every container, by one command.

        Raises:
            Undetermined: The tool does not tell.
        """
        done = self.run(*self.probe)
        if self._none and done.code == 1 and done.err.strip() == self._none and not done.stdout.strip():
            return []
        try:
            answer = json.loads(whole(done))
            if not isinstance(answer, list):
                raise TypeError(f"{type(answer).__name__} instead of a list")
            return [self._listed(facts) for facts in answer]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Undetermined(f"{shown(done.argv)}: the answer cannot be read: {error!r}") from None

    def find(self, name: str) -> Listed | None:
        """A container; ``None`` where there is none of exactly that name or number.

        Args:
            name: Its number, UUID or name.
        """
        return the_one(self.list(), name)

    def start(self, container: Listed, *, saved: bool) -> Outcome:
        """Start a container.

        Args:
            container: The container.
            saved: Whether it goes on from where its state was saved.
        """
        return self.run(*(self._resume if saved else self._start), container.id)

    def stop(self, container: Listed) -> Outcome:
        """Stop a container, and wait for it.

        Args:
            container: The container.
        """
        return self.run(*self._stop, container.id)

    def kill(self, container: Listed) -> Outcome:
        """Stop a container by force.

        Args:
            container: The container.
        """
        return self.run(*self._stop, container.id, self._kill)

    def enter(self, container: Listed, script: str) -> Outcome:
        """Run a shell's script inside of a container.

        Args:
            container: The container.
            script: The script; the tools hand what they are given to a shell of the container.
        """
        return self.run(*self._exec, container.id, script)

    def _listed(self, facts: Mapping[str, Any]) -> Listed:
        raise NotImplementedError


class Vzctl(Tools):
    """vzctl(8) and vzlist(8)."""

    probe = ("vzlist", "-a", "-j", "-o", "ctid,name,status,onboot,private,hostname,ostemplate")
    _start, _resume, _stop = ("vzctl", "start"), ("vzctl", "resume"), ("vzctl", "stop")
    _kill = "--fast"
    _exec = ("vzctl", "exec2")
    _none = "Container(s) not found"

    def _listed(self, facts: Mapping[str, Any]) -> Listed:
        return Listed(
            id=str(facts["ctid"]),
            name="" if facts.get("name") in _NO_NAME else str(facts["name"]),
            state=str(facts["status"]),
            onboot=facts.get("onboot") is True,
            private=str(facts.get("private") or ""),
            title=" ".join(str(facts[key]) for key in ("hostname", "ostemplate") if facts.get(key) not in _NO_NAME),
        )


class Prlctl(Tools):
    """prlctl of Virtuozzo 7."""

    probe = ("prlctl", "list", "-a", "-j", "-o", "uuid,status,name")
    _start, _resume, _stop = ("prlctl", "start"), ("prlctl", "resume"), ("prlctl", "stop")
    _kill = "--kill"
    _exec = ("prlctl", "exec")

    def _listed(self, facts: Mapping[str, Any]) -> Listed:
        name = "" if facts.get("name") in _NO_NAME else str(facts["name"])
        return Listed(id=str(facts["uuid"]).strip("{}"), name=name, state=str(facts["status"]))


def listed_by(host: NodeHost, tool: str, budget_s: float) -> tuple[Tools, list[Listed]]:
    """The tools of a node, and every container.

    Args:
        host: The node.
        tool: Which tools; ``auto`` for those that are installed.
        budget_s: How long all calls may take together, in seconds.

    Raises:
        Undetermined: The tool does not tell.
        ActionFailed: It is not installed.
    """
    if tool == "prlctl":
        tools: Tools = Prlctl(host, budget_s)
        return tools, tools.list()
    tools = Vzctl(host, budget_s)
    try:
        return tools, tools.list()
    except ActionFailed as error:
        if tool == "vzctl" or error.code != NO_SUCH_COMMAND:
            raise
    tools = Prlctl(host, tools.left_s)
    return tools, tools.list()


def by_word(containers: Sequence[Listed]) -> dict[str, list[Listed]]:
    """Containers by their numbers or UUIDs and by their names, so that many are looked up in one list quickly.

    Args:
        containers: All containers.
    """
    found: dict[str, list[Listed]] = {}
    for each in containers:
        for word in {each.id, each.name}:
            found.setdefault(word, []).append(each)
    return found


def the_one(containers: Sequence[Listed], name: str) -> Listed | None:
    """The container of a number, UUID or name; ``None`` where there is positively none.

    Args:
        containers: All containers, or all that the name may mean.
        name: What it is called; a number counts before a name.

    Raises:
        Undetermined: There are two.
    """
    found = [each for each in containers if each.id == name] or [each for each in containers if each.name == name]
    if len(found) > 1:
        raise Undetermined(f"{len(found)} containers are named {name!r}: {', '.join(each.id for each in found)}")
    return found[0] if found else None
