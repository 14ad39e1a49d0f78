"""Entries to values: which key counts on this node, what it refers to, and whether its type is right."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from attrs import define, field

from vmsvc.core.config.legacy import OLD_NAMES
from vmsvc.core.config.model import DEFAULT, NOTHING, Entry, Findings, Section, shortened
from vmsvc.core.config.references import ReferenceFaults, References
from vmsvc.core.config.schema import SERVICE_OPTIONS, TYPE, Catalog
from vmsvc.core.errors import Severity
from vmsvc.core.kinds import KINDS
from vmsvc.core.nearest import did_you_mean, nearest
from vmsvc.core.node import Node
from vmsvc.core.options import Option, Raw, argv
from vmsvc.core.resource import kind_of

#: What stands for a value that is wrong; the problem has been noted.
WRONG = object()

_QUOTED = re.compile(r"""(["']).*\1""", re.DOTALL)
# What is quoted or escaped is no syntax; `&` inside of a word is more often a part of a URL.
_SHIELDED = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.""", re.DOTALL)
_SHELL = re.compile(r"\|\||&&|[|<>;`]|\$\(|(?:(?<=\s)|^)&(?=\s|$)")
_KEY_LIKE = re.compile(r"(?P<key>[\w.-]+)(?:@\S+)?\s*[=:]")


@define(eq=False, repr=False)
class Values:
    """Reads the values of one file's sections for one node.

    Attributes:
        sections: The sections by name.
        node: The node to read them for.
        service_name: The service's name.
        catalog: What the drivers declare.
        findings: Where problems go.
        default_options: The keys that ``[DEFAULT]`` may have.
    """

    sections: Mapping[str, Section]
    node: Node
    service_name: str
    catalog: Catalog
    findings: Findings
    place: str = field(default="", init=False)
    default_options: Mapping[str, Option] = field(init=False)
    _members: tuple[str, ...] | None = field(default=(), init=False)
    _references: References = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.default_options = self.catalog.default_options(self._types)
        self._references = References(
            self.sections, self.node.name, self.service_name, self.chosen, self._default_text, self._keys
        )

    def read_nodes(self) -> dict[str, Any]:
        """Read ``nodes`` and ``drpnodes``, which every scope depends on, before all other values.

        Returns:
            The two lists; :data:`WRONG` in the place of one that could not be read.
        """
        default = self.sections.get(DEFAULT, NOTHING)
        lists = {}
        for key in ("nodes", "drpnodes"):
            entry = next(iter(default.variants(key)), None)
            lists[key] = self.value(DEFAULT, entry, SERVICE_OPTIONS[key]) if entry else ()
        lists["nodes"] = lists["nodes"] or (self.node.name,)
        if WRONG in lists.values():
            self._members = None
            return lists
        self._members = (*lists["nodes"], *lists["drpnodes"])
        self.place = next((key for key, listed in lists.items() if any(map(self.node.is_called, listed))), "")
        return lists

    @property
    def has_peers(self) -> bool:
        """Whether other nodes than this one may run the service."""
        return any(not self.node.is_called(member) for member in self._members or ())

    def chosen(self, variants: tuple[Entry, ...]) -> Entry | None:
        """The variant of a key that counts on this node: its own, then that of its list, then the plain one.

        Args:
            variants: The entries of one key.
        """
        found, best = None, 0
        for entry in variants:
            rank = self._rank(entry)
            if rank > best:
                found, best = entry, rank
        return found

    def _rank(self, entry: Entry) -> int:
        """How closely an entry is meant for this node; 0 where it is meant for others."""
        if not entry.scope:
            return 1
        if self.node.is_called(entry.scope):
            return 3
        return 2 if self.place and entry.scope.casefold() == self.place else 0

    def section(self, section: Section, options: Mapping[str, Option], *, closed: bool = True) -> dict[str, Any]:
        """Read a section's values, and check every variant of every key on the way.

        Args:
            section: The section.
            options: The keys that it may have.
            closed: Whether other keys are errors.

        Returns:
            The values that the file gives for this node; :data:`WRONG` in the place of one that could not be read.
        """
        read: dict[int, Any] = {}  # by the entry itself, which one that is moved here from elsewhere is, too
        known: dict[str, Option] = {}
        for entry in section.entries:
            option = options.get(entry.key)
            if option is not None:
                known[entry.key] = option
                if entry.scope:
                    self._check_scope(section, entry, option)
                if entry.continued:
                    self._check_continuation(section, entry, options)
                read[id(entry)] = self.value(section.name, entry, option)
            elif closed:
                self._unknown_key(section, entry, options)
        values: dict[str, Any] = {}
        for key, option in known.items():
            variants = section.variants(key)
            if own := self.chosen(variants) or self._anything(option, variants):
                values[key] = read[id(own)]
        if section.name != DEFAULT:
            values.update(self._inherited(options, own=values))
        return values

    def value(self, section: str, entry: Entry, option: Option) -> Any:
        """The value of one entry.

        Args:
            section: The section that it stands in.
            entry: The entry.
            option: What it must be.

        Returns:
            The value, or :data:`WRONG` once the problem has been noted.
        """
        try:
            raw = self._references.expand(section, entry)
        except ReferenceFaults as error:
            for fault in error.faults:
                self.findings.add(
                    fault.entry.position,
                    fault.message,
                    code="reference",
                    section=fault.section,
                    key=fault.entry.label,
                    hint=fault.hint,
                )
            return WRONG
        if raw == "" == option.default:
            return raw  # `name =` says the same as no name at all
        try:
            value = option.value.of(raw)
        except Exception as error:  # noqa: BLE001 - a driver's own type is foreign code; its bugs must not stop us
            reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            self.findings.add(
                entry.position,
                f"expected {option.value.label}: {shortened(reason)}",
                code="type",
                section=section,
                key=entry.label,
                hint=did_you_mean(str(raw), option.value.choices, otherwise=_form_hint(entry)),
            )
            return WRONG
        self._check_form(section, entry, option, value)
        return value

    def _check_form(self, section: str, entry: Entry, option: Option, value: Any) -> None:
        """Warn of what is legal, and hardly meant: a shell's syntax without a shell, quotes that count."""
        if option.value is argv and (shell := _shell_syntax(entry.raw)):
            message, code = f"`{shell}` is for a shell, and no shell runs this", "shell"
            hint = "if it is meant so, write `sh -c '…'`"
        elif isinstance(value, str) and entry.end and _QUOTED.fullmatch(value):
            message, code, hint = "the quotes are a part of the value", "quotes", "INI needs none: leave them out"
        else:
            return
        self.findings.add(
            entry.position,
            message,
            code=code,
            section=section,
            key=entry.label,
            hint=hint,
            severity=Severity.WARNING,
        )

    def _inherited(self, options: Mapping[str, Option], own: Collection[str]) -> dict[str, Any]:
        """What ``[DEFAULT]`` gives a section that does not say it itself."""
        default = self.sections.get(DEFAULT, NOTHING)
        return {
            key: self.value(DEFAULT, given, options[key])
            for key, variants in default.by_key.items()
            if key in options and key not in own and options[key].inherited and (given := self.chosen(variants))
        }

    def _anything(self, option: Option, variants: tuple[Entry, ...]) -> Entry | None:
        """A required key's first variant, on a node that the file does not name.

        Such a node runs nothing of the service, but its operator may well validate the file there.
        """
        wanted = option.required or option is TYPE
        return variants[0] if wanted and not self.place and variants else None

    def _check_scope(self, section: Section, entry: Entry, option: Option) -> None:
        if not option.scoped:
            self._note(section, entry, "scope", f"`{option.key}` is the same on all nodes", f"write `{option.key}`")
            return
        if self._members is None:
            return  # the lists themselves are wrong: what they should have named is not known
        allowed = ("nodes", "drpnodes", *self._members)
        if entry.scope.casefold() not in {scope.casefold() for scope in allowed}:
            near = nearest(entry.scope, allowed)
            hint = f"did you mean `{entry.key}@{near}`?" if near else f"it may be: {', '.join(dict.fromkeys(allowed))}"
            self._note(section, entry, "scope", f"`{entry.scope}` is no node of this service", hint)

    def _check_continuation(self, section: Section, entry: Entry, options: Mapping[str, Option]) -> None:
        for line in entry.continued:
            found = _KEY_LIKE.match(line)
            if found and found["key"].lower() in options:
                self.findings.add(
                    entry.position,
                    f"`{shortened(line, 60)}` was read as a part of this value, since it is indented more",
                    code="continuation",
                    section=section.name,
                    key=entry.label,
                    hint=f"un-indent it if it is the key `{found['key'].lower()}`",
                    severity=Severity.WARNING,
                )

    def _unknown_key(self, section: Section, entry: Entry, options: Mapping[str, Option]) -> None:
        if self.findings.full:  # finding a hint takes time, which a file of nothing but mistakes does not deserve
            self._note(section, entry, "unknown-key", f"there is no key `{shortened(entry.key, 60)}`", "")
            return
        kind = kind_of(section.name)
        if types := self.catalog.types_with(kind, entry.key):
            own, having = self.type_of(section) or "without a name", " and ".join(types)
            message = f"type {own} has no `{entry.key}`"
            self._note(section, entry, "unknown-key", message, f"type {having} has")
            return
        if homes := self.catalog.homes_of(entry.key):
            places = " or ".join(f"[{home}]" for home in homes)
            self._note(
                section, entry, "misplaced-key", f"`{entry.key}` does not belong here", f"it belongs in {places}"
            )
            return
        if section.name == DEFAULT and (old := nearest(entry.key, OLD_NAMES, closeness=0.75)):
            hint = f"did you mean `{old}`? It is now {OLD_NAMES[old]}"
        else:
            hint = did_you_mean(entry.key, options, otherwise=f"valid here: {', '.join(sorted(options))}")
        self._note(section, entry, "unknown-key", f"there is no key `{shortened(entry.key, 60)}`", hint)

    def _note(self, section: Section, entry: Entry, code: str, message: str, hint: str) -> None:
        self.findings.add(entry.position, message, code=code, section=section.name, key=entry.label, hint=hint)

    def _options(self, section: str) -> Mapping[str, Option]:
        if section == DEFAULT:
            return self.default_options
        kind = kind_of(section)
        if kind not in KINDS:
            return {}
        return self.catalog.options(kind, self.type_of(self.sections[section]))

    def _types(self) -> Iterator[tuple[str, str]]:
        """The kinds and types of the sections."""
        return ((kind_of(name), self.type_of(section)) for name, section in self.sections.items() if name != DEFAULT)

    def type_of(self, section: Section) -> str:
        """The type that a section gives for this node, as it is written; empty where it gives none.

        Args:
            section: The section.
        """
        entry = self.chosen(section.variants(TYPE.key))
        return str(entry.raw).lower() if entry else ""

    def _keys(self, section: str) -> set[str]:
        return set(self._options(section))

    def _default_text(self, section: str, key: str) -> str | None:
        """What a key that is not given amounts to, for references to it."""
        computed = {("nodes", DEFAULT): self.node.name, ("env", DEFAULT): self.node.mode}
        if (key, section) in computed:
            return computed[key, section]
        option = self._options(section).get(key)
        if option is None or option.required:
            return None
        if kind_of(section) == "container" and key == "name":
            return self.service_name
        return _text(option.default)


def _shell_syntax(raw: Raw) -> str:
    """The first thing in a command that only a shell would understand; of a list, only whole elements count."""
    found = (
        next((match for part in raw if (match := _SHELL.fullmatch(str(part)))), None)
        if isinstance(raw, list)
        else _SHELL.search(_SHIELDED.sub("x", str(raw)))
    )
    return found[0] if found else ""


def _form_hint(entry: Entry) -> str:
    """What to do about a value that is written as in another kind of file."""
    if not entry.end or not isinstance(entry.raw, str):
        return ""
    if re.search(r"\s#", entry.raw):
        return "a comment begins a line, or stands after ` ;`"
    if any(entry.raw.count(quote) % 2 for quote in "\"'"):
        return "a quote lacks its other half; ` ;` begins a comment within quotes, too: write `;` without the blank"
    if _QUOTED.fullmatch(entry.raw) or re.search(r"""^\[|["']""", entry.raw):
        return "INI needs neither quotes nor brackets: that is TOML"
    return ""


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
