"""A server's answers about guests, read into records; and which of them a service means. Pure.

What the server does not tell of a guest is not known of it: a property that is missing never reads as a state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from vmsvc.driver import Undetermined
from vmsvc_esx.options import EsxGuest

#: What is asked of each guest, and where its record has it.
PROPERTIES: Mapping[str, str] = {
    "name": "name",
    "config.files.vmPathName": "vmx",
    "runtime.powerState": "power",
    "runtime.connectionState": "connection",
    "runtime.question": "question",
    "guest.guestState": "guest_state",
    "guest.toolsRunningStatus": "tools",
    "guestHeartbeatStatus": "heartbeat",
}
#: What is asked as well where somebody knows a guest by its UUID: each property of a thousand guests takes its time.
UUIDS: Mapping[str, str] = {"config.uuid": "uuid", "config.instanceUuid": "instance_uuid"}
#: What is asked as well where a node has a host of its own: on which one each guest is.
PLACES: Mapping[str, str] = {"runtime.host": "host"}
#: What is asked of each host: which guests it starts by itself, and what it is called.
AUTOSTART = "config.autoStart"
HOST_PROPERTIES = (AUTOSTART, "name")

# What a host calls guests of which it can read nothing, not even the name.
_NAMELESS = ("/vmfs/", "Unknown")
# How names have what would be a path's: ManagedEntity, `name`. The last is what escapes itself.
_ESCAPED = (("%2f", "/"), ("%2F", "/"), ("%5c", "\\"), ("%5C", "\\"), ("%25", "%"))


@frozen(kw_only=True)
class Machine:
    """A guest as a server tells of it, in the server's words; what is empty, it has not told.

    Attributes:
        id: What it is acted upon by.
        name: Its name.
        uuid: The UUID that its BIOS shows.
        instance_uuid: The UUID by which a vCenter tells it from all others.
        vmx: Where its datastore has it.
        power: Whether it is powered on.
        connection: Whether its host knows how it is.
        question: What it asks, and goes on only when somebody has answered.
        guest_state: What its tools tell of the operating system.
        tools: Whether its tools run.
        heartbeat: Whether its tools give signs of life: ``red`` where they have ceased.
        host: The name of the host that runs it, or that would.
        autostart: Whether its host powers it on when that boots.
    """

    id: str
    name: str = ""
    uuid: str = ""
    instance_uuid: str = ""
    vmx: str = ""
    power: str = ""
    connection: str = ""
    question: str = ""
    guest_state: str = ""
    tools: str = ""
    heartbeat: str = ""
    host: str = ""
    autostart: bool = False

    def may_be(self, guest: EsxGuest) -> bool:
        """Whether it is not told by what a service knows its guest, so that it may be that one.

        Args:
            guest: The guest, as the service describes it.
        """
        return self.lacks_uuids if guest.uuid else self.lacks_a_name

    @property
    def lacks_uuids(self) -> bool:
        """Whether it may be a guest of any UUID."""
        return not (self.uuid or self.instance_uuid)

    @property
    def lacks_a_name(self) -> bool:
        """Whether it may be a guest of any name."""
        return not self.name or (self.connection != "connected" and self.name.startswith(_NAMELESS))


def wanted(guests: Iterable[EsxGuest]) -> tuple[str, ...]:
    """What must be asked to know guests from others, beside what is always asked.

    Args:
        guests: The guests, as their services describe them.
    """
    meant = list(guests)
    uuids = UUIDS if any(guest.uuid for guest in meant) else ()
    places = PLACES if any(guest.host for guest in meant) else ()
    return (*uuids, *places)


def read(identity: str, told: Mapping[str, Any], hosts: Mapping[str, str]) -> Machine:
    """Read what a server has told of a guest.

    Args:
        identity: What it is acted upon by.
        told: Its properties by their names.
        hosts: The names of hosts by what they are acted upon by.
    """
    names = {**PROPERTIES, **UUIDS, **PLACES}
    found = {names[key]: value for key, value in told.items() if key in names}
    question = found.pop("question", None)
    host = hosts.get(str(getattr(found.pop("host", None), "_moId", "")), "")
    texts: dict[str, Any] = {key: str(value) for key, value in found.items() if value is not None}
    for written, meant in _ESCAPED:
        texts["name"] = texts.get("name", "").replace(written, meant)
    return Machine(id=identity, question=asked(question), host=host, **texts)


def asked(question: Any) -> str:
    """A question of a guest in words, with the answers that there are; empty for none.

    Args:
        question: The question (``VirtualMachineQuestionInfo``).
    """
    if question is None:
        return ""
    choices = getattr(getattr(question, "choice", None), "choiceInfo", None) or ()
    labels = " / ".join(str(getattr(each, "label", "")).replace("_", "") for each in choices)
    words = " ".join(str(getattr(question, "text", "")).split()) or "a question without words"
    return f"{words} [{labels}]" if labels else words


def started_by_hosts(machines: Sequence[Machine], autostarts: Sequence[Any]) -> tuple[Machine, ...]:
    """Note which guests their hosts start by themselves.

    Args:
        machines: The guests.
        autostarts: What each host tells of that (``HostAutoStartManagerConfig``).
    """
    begun = set(_begun(autostarts))
    return tuple(evolve(each, autostart=each.id in begun) for each in machines)


def _begun(autostarts: Sequence[Any]) -> Iterator[str]:
    for config in autostarts:
        if getattr(getattr(config, "defaults", None), "enabled", None):
            for each in getattr(config, "powerInfo", None) or ():
                if str(getattr(each, "startAction", "")).lower() == "poweron":
                    yield str(each.key._moId)  # noqa: SLF001 - pyvmomi has no other name for it


class Index:
    """The guests of a server, so that each of many services finds quickly the few that it may mean.

    Args:
        machines: All guests of the server.
    """

    def __init__(self, machines: Sequence[Machine]) -> None:
        self._by_word: dict[str, list[Machine]] = {}
        self._without_uuids = [each for each in machines if each.lacks_uuids]
        self._without_names = [each for each in machines if each.lacks_a_name]
        for each in machines:
            for word in {each.name, each.vmx, each.uuid.lower(), each.instance_uuid.lower()}:
                self._by_word.setdefault(word, []).append(each)

    def around(self, guest: EsxGuest) -> list[Machine]:
        """All guests that :func:`pick` has to look at for a service.

        Args:
            guest: The guest, as the service describes it.
        """
        words = {word for word in (guest.name, guest.vmx, guest.uuid) if word}
        found = [each for word in words for each in self._by_word.get(word, [])]
        found += self._without_uuids if guest.uuid else self._without_names
        return list({each.id: each for each in found}.values())


def pick(guest: EsxGuest, machines: Sequence[Machine]) -> Machine | None:
    """The guest that a service means.

    It is known by its UUID where the service says that, else by its name; and it lies where ``vmx`` says.

    Args:
        guest: The guest, as the service describes it.
        machines: All guests of its server, or all of them that are around this one.

    Returns:
        The one; ``None`` where the server positively has none such.

    Raises:
        Undetermined: It may be any of several, or one that is described otherwise: nobody may guess which is meant.
    """
    alike = [each for each in machines if _is_called(guest, each)]
    found = [each for each in alike if guest.vmx in ("", each.vmx)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(_place(each) for each in found)
        raise Undetermined(
            f"{guest.server} has {len(found)} guests that are {_description(guest)}: {listed}",
            code="undetermined.ambiguous",
            hint="set `uuid`, or `vmx`, to say which is meant",
        )
    near = alike or [each for each in machines if guest.uuid and each.name == guest.name]
    near = near or [each for each in machines if guest.vmx and each.vmx == guest.vmx]
    if near:
        one = near[0]
        raise Undetermined(
            f"{guest.server} has no guest that is {_description(guest)}, and one that may be meant: {one.name!r}, "
            f"{_place(one)}",
            code="undetermined.ambiguous",
            hint="correct `name`, `uuid` or `vmx`",
        )
    if untold := [each for each in machines if each.may_be(guest)]:
        raise Undetermined(
            f"{guest.server} cannot tell which guests some of its guests are ({untold[0].name or untold[0].id}): one "
            f"of them may be {_description(guest)}",
            code="undetermined.nameless",
            hint="are the host's datastores there, and may the user see all guests?",
        )
    return None


def _is_called(guest: EsxGuest, machine: Machine) -> bool:
    if guest.uuid:
        return guest.uuid in (machine.uuid.lower(), machine.instance_uuid.lower())
    return machine.name == guest.name


def _place(machine: Machine) -> str:
    identity = machine.instance_uuid or machine.uuid
    return f"{machine.vmx} ({identity})" if identity else machine.vmx


def _description(guest: EsxGuest) -> str:
    called = guest.uuid or f"called {guest.name!r}"
    return f"{called} in {guest.vmx}" if guest.vmx else called
