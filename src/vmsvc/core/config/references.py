"""``{nodename}``, ``{key}``, ``{section.key}``: what a value may refer to, and how it is filled in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from attrs import define, field

from vmsvc.core.config.model import DEFAULT, Entry, Section, did_you_mean, nearest, section_name
from vmsvc.core.options import Raw

_WORD = r"[A-Za-z_][\w-]*"
_SECTION = rf"{_WORD}(?:\#[\w-]+)?"
# Other braces are somebody else's: ${VAR} is a shell's, {print $1} is awk's, {"a": 1} is JSON.
_REFERENCE = re.compile(
    rf"\{{\{{(?P<literal>{_SECTION}(?:\.{_WORD})?)\}}\}}"
    rf"|(?<!\$)\{{(?:(?P<section>{_SECTION})\.)?(?P<key>{_WORD})\}}"
)
# References to references multiply; these bounds are far above any use and keep a hostile file small.
_LONGEST_VALUE = 65536
_DEEPEST = 32


class ReferenceFault(Exception):
    """A reference that cannot be filled in.

    Attributes:
        section: The section in which it stands.
        entry: The entry in which it stands.
        message: What is wrong.
        hint: What to do next.
    """

    def __init__(self, section: str, entry: Entry, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.section = section
        self.entry = entry
        self.message = message
        self.hint = hint


@define
class References:
    """Fills in references, recursively.

    Attributes:
        sections: The file's sections by name.
        node_name: The node's name, for ``{nodename}``.
        service_name: The service's name, for ``{svcname}``.
        choose: Picks the entry that counts on this node out of a key's variants.
        default: The text of a key that the file does not give; ``None`` where the section has no such key.
        keys: The keys that a section may have, for "did you mean".
    """

    sections: Mapping[str, Section]
    node_name: str
    service_name: str
    choose: Callable[[tuple[Entry, ...]], Entry | None]
    default: Callable[[str, str], str | None]
    keys: Callable[[str], set[str]]
    _done: dict[tuple[str, str, str], Raw] = field(factory=dict, init=False)
    _open: list[tuple[str, Entry]] = field(factory=list, init=False)

    def expand(self, section: str, entry: Entry) -> Raw:
        """Fill in the references of an entry's value.

        Args:
            section: The name of the section it belongs to.
            entry: The entry.

        Returns:
            The value; lists element by element, numbers and booleans as they are.

        Raises:
            ReferenceFault: A reference is unknown, part of a cycle, or grows without bounds.
        """
        place = (section, entry.key, entry.scope)
        if (known := self._done.get(place)) is not None:
            return known
        if any(opened is entry for _, opened in self._open):
            self._raise_cycle(entry)
        if len(self._open) >= _DEEPEST:
            raise ReferenceFault(section, entry, f"references lead through more than {_DEEPEST} values")
        self._open.append((section, entry))
        try:
            if isinstance(entry.raw, list):
                value: Raw = [self._fill(part, section, entry) for part in entry.raw]
            else:
                value = self._fill(entry.raw, section, entry)
        finally:
            self._open.pop()
        self._done[place] = value
        return value

    def _fill(self, raw: Raw, section: str, entry: Entry) -> Raw:
        if not isinstance(raw, str) or "{" not in raw:
            return raw
        length = len(raw)

        def value_of(match: re.Match[str]) -> str:
            nonlocal length
            if match["literal"] is not None:
                return f"{{{match['literal']}}}"
            value = self._look_up(match, section, entry)
            length += len(value)
            if length > _LONGEST_VALUE:
                raise ReferenceFault(section, entry, "references make the value longer than 64 KiB")
            return value

        return _REFERENCE.sub(value_of, raw)

    def _look_up(self, match: re.Match[str], section: str, entry: Entry) -> str:
        key = match["key"].lower()
        if match["section"] is None:
            if key in (words := self._words(section)):
                return words[key]
            places = tuple(dict.fromkeys((section, DEFAULT)))
        else:
            places = (section_name(match["section"]),)
        for place in places:
            if place in self.sections and (found := self.choose(self.sections[place].variants(key))):
                return _text(self.expand(place, found))
        for place in places:
            if place in self.sections or place == DEFAULT:
                default = self.default(place, key)
                if default is not None:
                    return default
        raise ReferenceFault(section, entry, f"`{match[0]}` refers to nothing", self._hint(match, section))

    def _words(self, section: str) -> dict[str, str]:
        words = {
            "nodename": self.node_name,
            "short_nodename": self.node_name.partition(".")[0],
            "svcname": self.service_name,
        }
        return words if section == DEFAULT else {**words, "rid": section}

    def _hint(self, match: re.Match[str], section: str) -> str:
        literally = f"write `{{{match[0]}}}` if the braces are meant literally"
        if match["section"] is None:
            candidates = {*self._words(section), *self.keys(section), *self.keys(DEFAULT)}
            return did_you_mean(match[0], (f"{{{word}}}" for word in candidates), otherwise=literally)
        place = section_name(match["section"])
        if place not in self.sections and not (place := nearest(place, self.sections)):
            return literally
        key = nearest(match["key"], self.keys(place))
        return f"did you mean `{{{place}.{key}}}`?" if key else literally

    def _raise_cycle(self, entry: Entry) -> None:
        start = next(index for index, (_, opened) in enumerate(self._open) if opened is entry)
        cycle = self._open[start:]
        # Begun at its first entry in the file, a cycle is told once, whichever entry led to it.
        first = min(range(len(cycle)), key=lambda index: cycle[index][1].position)
        cycle = cycle[first:] + cycle[:first]
        names = [one.label if section == DEFAULT else f"{section}.{one.label}" for section, one in cycle]
        path = " -> ".join([*names, names[0]])
        raise ReferenceFault(*cycle[0], f"references go round in a circle: {path}", "write one of the values out")


def _text(raw: Raw) -> str:
    if isinstance(raw, list):
        return " ".join(_text(part) for part in raw)
    return str(raw).lower() if isinstance(raw, bool) else str(raw)
