"""A service file to a :class:`~vmsvc.core.service.Service`, or to everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define, evolve

from vmsvc.core.config import ini
from vmsvc.core.config.addresses import tell_of_addresses
from vmsvc.core.config.binding import Binding
from vmsvc.core.config.files import check_name, check_service_name, check_text, is_toml, read_text
from vmsvc.core.config.guests import identity
from vmsvc.core.config.legacy import translate
from vmsvc.core.config.model import (
    DEFAULT,
    NOTHING,
    Entry,
    Findings,
    Section,
    section_name,
    shortened,
)
from vmsvc.core.config.policies import tell_of_idle_applications, tell_what_has_no_effect
from vmsvc.core.config.schema import KNOWN_TYPES, SERVICE_OPTIONS, TYPE, Catalog
from vmsvc.core.config.values import WRONG, Values
from vmsvc.core.errors import ConfigError, Problem, Severity
from vmsvc.core.kinds import KINDS
from vmsvc.core.nearest import did_you_mean, nearest
from vmsvc.core.node import HOST_MODES, Node
from vmsvc.core.resource import Guest, Resource, kind_of
from vmsvc.core.service import Service

# A rid becomes a file's name and a word of references and command lines.
_SECTION_NAME = re.compile(r"(?P<kind>[^#]*)(?:#[\w-]+)?")


def parse_service(
    path: Path,
    node: Node,
    catalog: Catalog,
    *,
    name: str = "",
    text: str | None = None,
    with_applications: bool = False,
) -> tuple[Service | None, tuple[Problem, ...]]:
    """Read a service file and tell everything that there is to say about it. Never raises for what a file holds.

    Args:
        path: The file; its ending decides between TOML and INI.
        node: The node to read it for.
        catalog: What the drivers declare.
        name: The service's name; the file's name without its ending when not given.
        text: What to read instead of the file's present text.
        with_applications: Whether guests have applications without a section, since there may be launchers in them.

    Returns:
        The service, or ``None`` if there is any error; and all errors, warnings and notes in the file's order.
    """
    try:
        text = read_text(path) if text is None else check_text(path, text)
    except ConfigError as error:
        return None, error.problems
    findings = Findings(str(path))
    sections = read_sections(path, text, findings)
    if not sections and not findings.has_errors:
        findings.add(0, "the file describes nothing", code="file", hint="begin with a `[DEFAULT]` section")
    reading = _Reading(path, node, catalog, findings, name or path.stem, with_applications)
    service = reading.service(translate(sections, findings))
    problems = tuple(findings)
    if service is None or findings.has_errors:
        return None, problems
    return (evolve(service, problems=problems) if problems else service), problems


def load_service(path: Path, node: Node, catalog: Catalog) -> Service:
    """Read a service file that is expected to be right.

    Args:
        path: The file.
        node: The node to read it for.
        catalog: What the drivers declare.

    Returns:
        The service; its ``problems`` hold the warnings and notes.

    Raises:
        ConfigError: The file is wrong; carries all of its errors.
    """
    service, problems = parse_service(path, node, catalog)
    if service is None:
        raise ConfigError(problems=[problem for problem in problems if problem.severity is Severity.ERROR])
    return service


def as_seen_by(peer: str, service: Service, node: Node, catalog: Catalog) -> Service | None:
    """A service as another node reads the same file: keys with that node's scope have their values there.

    Args:
        peer: The other node's name.
        service: The service, as this node reads it.
        node: This node.
        catalog: What the drivers declare.

    Returns:
        The service; ``None`` where the file is wrong for that node. Its environment is empty where the file gives none:
        it is the other node's host mode then, which is not known here.
    """
    return parse_service(service.file, evolve(node, name=peer, mode=""), catalog, name=service.name)[0]


def read_sections(path: Path, text: str, findings: Findings) -> tuple[Section, ...]:
    """Read a file's sections in the format that its ending says.

    Args:
        path: The file, for its ending.
        text: Its text.
        findings: Where problems go.
    """
    if not is_toml(path):
        return ini.read(text, findings)
    from vmsvc.core.config import toml  # noqa: PLC0415 - many nodes have no such file

    return toml.read(text, findings)


# What people call things who do not know our words yet.
_ALIASES = {
    **dict.fromkeys(("vm", "guest", "domain", "machine", "instance", "lxc", "kvm", "docker", "zone"), "container"),
    **dict.fromkeys(("address", "addr", "network", "net", "vip"), "ip"),
    **dict.fromkeys(("application", "script", "command"), "app"),
    **dict.fromkeys(("filesystem", "mount"), "fs"),
    **dict.fromkeys(("disks", "device", "lun", "volume"), "disk"),
    **dict.fromkeys(("vg", "dg", "diskgroup"), "vmdg"),
    **dict.fromkeys(("rsync", "replication"), "sync"),
    **dict.fromkeys(("service", "global", "common", "general"), DEFAULT),
}


@define(eq=False, repr=False)
class _Reading:
    """One reading of one file."""

    path: Path
    node: Node
    catalog: Catalog
    findings: Findings
    name: str
    with_applications: bool

    def service(self, sections: Sequence[Section]) -> Service | None:
        if fault := check_service_name(self.name):
            self.findings.add(0, f"the service cannot have its name: {fault}", code="name", hint="rename the file")
        by_name = {section.name: section for section in reversed(sections)}
        values = Values(by_name, self.node, self.name, self.catalog, self.findings)
        lists = values.read_nodes()
        default = by_name.get(DEFAULT, NOTHING)
        given = {**values.section(default, values.default_options), **lists}
        own = {key: value for key, value in given.items() if key in SERVICE_OPTIONS}
        self._check_nodes(default, own, values.place)
        self._settle_env(default, own)
        resources: list[Resource] = []
        for section in sections:
            if section.name == DEFAULT:
                if section is not default:
                    values.section(section, values.default_options)
            elif self._is_known(section):
                # Of a section that stands twice, the second may well be incomplete: that it is there is the mistake.
                resource = self._resource(section, values, is_whole=section is by_name[section.name])
                resources += [resource] if resource else []
        binding = Binding(self.node, self.catalog, self.findings, by_name, values)
        bound = binding.bound(resources, lambda section: self._resource(section, values, is_whole=True))
        if self.with_applications:
            bound += binding.applications(bound, lambda section: self._resource(section, values, is_whole=True))
        self._check_guests(bound, by_name)
        tell_of_addresses(bound, by_name, self.findings)
        tell_of_idle_applications(bound, by_name, self.findings)
        if self.findings.has_errors:
            return None
        service = Service(name=self.name, file=self.path, resources=tuple(bound), **own)
        tell_what_has_no_effect(service, self.node, self.catalog, by_name, self.findings)
        return service

    def _is_known(self, section: Section) -> bool:
        found = _SECTION_NAME.fullmatch(section.name)
        if found and found["kind"] in KINDS:
            return True
        kind, mark, number = section.name.strip("\"' ").partition("#")
        near = kind if kind in KINDS else _ALIASES.get(kind.lower()) or nearest(kind, (*KINDS, DEFAULT))
        meant = DEFAULT if section_name(near) == DEFAULT else f"{near}{mark}{number}"
        hint = f"did you mean `{meant}`?"
        if not near:
            hint = f"valid are: {DEFAULT}, {', '.join(KINDS)}"
        elif meant != DEFAULT and not _SECTION_NAME.fullmatch(meant):
            hint = f"write `{near}#` and a number, or a word of letters, digits, `-` and `_`"
        if not section.name:
            message = (
                "a section has no name" if is_toml(self.path) else f"the section on line {section.position} has no name"
            )
        elif kind in KINDS:
            message = f"`{shortened(section.name, 60)}` cannot name a resource"
        else:
            message = f"there is no section `{shortened(section.name, 60)}`"
        self.findings.add(section.position, message, code="unknown-section", section=section.name, hint=hint)
        return False

    def _resource(self, section: Section, values: Values, *, is_whole: bool) -> Resource | None:
        kind = kind_of(section.name)
        for entry in section.variants(TYPE.key):
            self._check_type(section, kind, entry, values.value(section.name, entry, TYPE))
        chosen = values.chosen(section.variants(TYPE.key)) or next(iter(section.variants(TYPE.key)), None)
        written = values.value(section.name, chosen, TYPE) if chosen else ""
        type_ = "" if written is WRONG else written.lower()
        options = self.catalog.options(kind, type_)
        served = (kind, type_) in self.catalog.classes
        if kind == "container" and chosen is None and is_whole:
            hint = f"choose among {', '.join(self.catalog.types_of(kind))}"
            self.findings.add(
                section.position, "the type is missing", code="missing-key", section=section.name, key="type", hint=hint
            )
        # Without its driver a container's keys cannot all be known; the common ones are checked all the same.
        given = values.section(section, options, closed=kind != "container" or served)
        missing = [option for option in options.values() if option.required and option.key not in given]
        for option in missing if is_whole else ():
            self.findings.add(
                section.position,
                f"`{option.key}` is missing",
                code="missing-key",
                section=section.name,
                key=option.key,
                hint=f"add `{option.key} = …`: {option.help}",
            )
        if missing or not is_whole or WRONG in given.values():
            return None
        given["type"] = type_
        if kind == "container":
            given["name"] = given.get("name") or self.name
        owner = self.catalog.classes.get((kind, type_)) or KINDS[kind]
        return self._made(owner, section, given)

    def _made(self, owner: type[Resource], section: Section, given: dict[str, Any]) -> Resource | None:
        try:
            return owner(service=self.name, rid=section.name, kind=kind_of(section.name), **given)
        except Exception as error:  # noqa: BLE001 - a driver's own checks are foreign code; its bugs must not stop us
            self.findings.add(section.position, shortened(str(error)), code="type", section=section.name)
            return None

    def _check_type(self, section: Section, kind: str, entry: Entry, written: Any) -> None:
        type_ = "" if written is WRONG else written.lower()
        if written is WRONG or (kind, type_) in self.catalog.classes:
            return
        known = self.catalog.types_of(kind)
        if reason := self.catalog.refused.get(type_):
            self._note(
                section, entry, "refused-driver", f"type `{type_}` has no driver: {reason}", "see `vmsvc drivers`"
            )
        elif kind == "container" and type_ in KNOWN_TYPES:
            package = f"vmsvc-{type_}"
            message = f"type `{type_}` needs the package `{package}`"
            installed = ", ".join(self.catalog.installed(kind)) or "none"
            hint = f"`pip install {package}` into the environment of vmsvc, once that package exists; "
            self._note(section, entry, "no-driver", message, f"{hint}installed types: {installed}")
        elif type_ or kind == "container":
            otherwise = (
                f"choose among {', '.join(known)}" if known else "no driver for such a type is installed: remove it"
            )
            hint = did_you_mean(type_, known, otherwise=otherwise)
            if refused := [*dict.fromkeys(self.catalog.refused.values())]:
                # One that could not be asked may serve any type: the file may well be right.
                more = f", and {len(refused) - 1} more" if refused[1:] else ""
                hint = f"{hint}; or see `vmsvc drivers`, if a plugin in trouble serves it: {refused[0]}{more}"
            self._note(section, entry, "unknown-type", f"there is no {kind} type `{shortened(type_, 60)}`", hint)

    def _check_nodes(self, default: Section, own: dict[str, Any], place: str) -> None:
        wrong = False
        for key in ("nodes", "drpnodes"):
            for member in own[key] if own[key] is not WRONG else ():
                if fault := check_name(member):
                    entry = next(iter(default.variants(key)), Entry(key=key, raw="", position=default.position))
                    self._note(default, entry, "name", f"{fault}: {shortened(member, 60)!r}", "correct the node's name")
            wrong = wrong or own[key] is WRONG
            names = [member.casefold() for member in (own[key] if own[key] is not WRONG else ())]
            twice = dict.fromkeys(name for name in names if names.count(name) > 1)
            for entry in default.variants(key) if twice else ():
                self._note(default, entry, "node-twice", f"more than once: {', '.join(twice)}", "name each node once")
        if not wrong:
            spares = {member.casefold() for member in own["drpnodes"]}
            both = [member for member in own["nodes"] if member.casefold() in spares]
            for entry in default.variants("drpnodes") if both else ():
                message = f"in `nodes` and in `drpnodes`: {', '.join(both)}"
                self._note(default, entry, "node-twice", message, "a node is one or the other")
        if not place and not wrong:
            entry = next(iter(default.variants("nodes")), Entry(key="nodes", raw="", position=default.position))
            self.findings.add(
                entry.position,
                f"this node, {self.node.name}, is in neither `nodes` nor `drpnodes`",
                code="not-listed",
                section=DEFAULT,
                key="nodes",
                hint=f"nodes: {' '.join(own['nodes'])}; drpnodes: {' '.join(own['drpnodes']) or 'none'}",
                severity=Severity.NOTE,
            )

    def _settle_env(self, default: Section, own: dict[str, Any]) -> None:
        """Give the service its environment: one of the host modes in capitals, or a site's own word as it is.

        A word that looks like one of the modes is a slip of the pen, and what a node may run depends on it; any other
        word is a warning and no error, since sites have words of their own.
        """
        word = own.get("env") or self.node.mode
        if word is WRONG:
            return
        own["env"] = word.upper() if word.upper() in HOST_MODES else word
        if own["env"] not in (*HOST_MODES, self.node.mode):
            entry = next(iter(default.variants("env")), Entry(key="env", raw=""))
            near = nearest(word, HOST_MODES)
            self.findings.add(
                entry.position,
                f"`{shortened(word, 60)}` is none of the known environments",
                code="unknown-env",
                section=DEFAULT,
                key="env",
                hint=f"did you mean `{near}`?" if near else f"known are: {', '.join(HOST_MODES)}",
                severity=Severity.ERROR if near else Severity.WARNING,
            )

    def _check_guests(self, resources: Sequence[Resource], sections: dict[str, Section]) -> None:
        seen: dict[str, str] = {}
        for guest in (resource for resource in resources if isinstance(resource, Guest)):
            section = sections[guest.rid]
            if fault := check_name(guest.name):
                entry = next(iter(section.variants("name")), Entry(key="name", raw="", position=section.position))
                self._note(section, entry, "name", f"the guest cannot have its name: {fault}", "correct the name")
            # Two resources for one guest would start it, and stop it, behind each other's back.
            other = seen.setdefault(identity(guest), guest.rid)
            if other != guest.rid:
                self.findings.add(
                    section.position,
                    f"[{other}] means the same guest, `{shortened(guest.name, 60)}`",
                    code="same-guest",
                    section=section.name,
                    key="name",
                    hint="give each container the `name` of its own guest",
                )

    def _note(self, section: Section, entry: Entry, code: str, message: str, hint: str) -> None:
        self.findings.add(entry.position, message, code=code, section=section.name, key=entry.label, hint=hint)
