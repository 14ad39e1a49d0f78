"""``{nodename}``, ``{key}``, ``{section.key}``: what a value may refer to, and how it is filled in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from attrs import define, field, frozen

from vmsvc.core.config.model import DEFAULT, Entry, Section, section_name
from vmsvc.core.nearest import did_you_mean, nearest
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


def literally(text: str) -> str:
    """Write a text so that nothing in it refers to anything.

    Args:
        text: What a reader of the value is to see.

    >>> literally("web {old}, ${HOME}")
    'web {{old}}, ${HOME}'
    """
    return _REFERENCE.sub(lambda found: found[0] if found["literal"] else f"{{{found[0]}}}", text)


@frozen
class Fault:
    """A reference that cannot be filled in.

    Attributes:
        section: The section in which it stands.
        entry: The entry in which it stands.
        message: What is wrong.
        hint: What to do next.
    """

    section: str
    entry: Entry
    message: str
    hint: str = ""


class ReferenceFaults(Exception):
    """A value cannot be filled in.

    Attributes:
        faults: All of its references that are wrong, and those of the values that it refers to.
    """

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = tuple({(fault.section, fault.entry.label, fault.message): fault for fault in faults}.values())


@define(eq=False, repr=False)
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
    _done: dict[tuple[str, str, str], Raw | ReferenceFaults] = field(factory=dict, init=False)
    _open: list[tuple[str, Entry]] = field(factory=list, init=False)

    def expand(self, section: str, entry: Entry) -> Raw:
        """Fill in the references of an entry's value.

        Args:
            section: The name of the section it belongs to.
            entry: The entry.

        Returns:
            The value; lists element by element, numbers and booleans as they are.

        Raises:
            ReferenceFaults: References are unknown, part of a cycle, or grow without bounds.
        """
        if not _may_refer(entry.raw):
            return entry.raw
        place = (section, entry.key, entry.scope)
        if place not in self._done:
            try:
                self._done[place] = self._expand(section, entry)
            except ReferenceFaults as faults:
                self._done[place] = faults  # trying again could take for ever, where values fan out
        done = self._done[place]
        if isinstance(done, ReferenceFaults):
            raise done
        return done

    def _expand(self, section: str, entry: Entry) -> Raw:
        if any(opened is entry for _, opened in self._open):
            self._raise_cycle(entry)
        if len(self._open) >= _DEEPEST:
            raise ReferenceFaults(Fault(section, entry, f"references lead through more than {_DEEPEST} values"))
        faults: list[Fault] = []
        self._open.append((section, entry))
        try:
            if isinstance(entry.raw, list):
                value: Raw = [self._fill(part, section, entry, faults) for part in entry.raw]
            else:
                value = self._fill(entry.raw, section, entry, faults)
        finally:
            self._open.pop()
        if faults:
            raise ReferenceFaults(*faults)
        return value

    def _fill(self, raw: Raw, section: str, entry: Entry, faults: list[Fault]) -> Raw:
        if not isinstance(raw, str):
            return raw
        length = len(raw)

        def value_of(match: re.Match[str]) -> str:
            nonlocal length
            if match["literal"] is not None:
                return f"{{{match['literal']}}}"
            try:
                value = self._look_up(match, section, entry)
            except ReferenceFaults as found:
                faults.extend(found.faults)
                return ""
            length += len(value)
            if length > _LONGEST_VALUE:
                raise ReferenceFaults(Fault(section, entry, "references make the value longer than 64 KiB"))
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
        hint = self._hint(match, section, entry)
        raise ReferenceFaults(Fault(section, entry, f"`{match[0]}` refers to nothing", hint))

    def _words(self, section: str) -> dict[str, str]:
        words = {
            "nodename": self.node_name,
            "short_nodename": self.node_name.partition(".")[0],
            "svcname": self.service_name,
        }
        return words if section == DEFAULT else {**words, "rid": section}

    def _hint(self, match: re.Match[str], section: str, entry: Entry) -> str:
        literally = f"write `{{{match[0]}}}` if the braces are meant literally"
        if match["section"] is None:
            candidates = {*self._words(section), *self.keys(section), *self.keys(DEFAULT)} - {entry.key}
            return did_you_mean(match[0], (f"{{{word}}}" for word in candidates), otherwise=literally)
        place = section_name(match["section"])
        if place not in self.sections and not (place := nearest(place, self.sections)):
            return literally
        keys = self.keys(place) - ({entry.key} if place == section else set())
        key = match["key"] if match["key"] in keys else nearest(match["key"], keys)
        return f"did you mean `{{{place}.{key}}}`?" if key else literally

    def _raise_cycle(self, entry: Entry) -> None:
        start = next(index for index, (_, opened) in enumerate(self._open) if opened is entry)
        cycle = self._open[start:]
        # Begun at its first entry in the file, a cycle is told once, whichever entry led to it.
        first = min(range(len(cycle)), key=lambda index: cycle[index][1].position)
        cycle = cycle[first:] + cycle[:first]
        names = [one.label if section == DEFAULT else f"{section}.{one.label}" for section, one in cycle]
        path = " -> ".join([*names, names[0]])
        raise ReferenceFaults(
            Fault(*cycle[0], f"references go round in a circle: {path}", "write one of the values out")
        )


def _may_refer(raw: Raw) -> bool:
    return "{" in raw if isinstance(raw, str) else isinstance(raw, list) and any(map(_may_refer, raw))


def _text(raw: Raw) -> str:
    if isinstance(raw, list):
        return " ".join(_text(part) for part in raw)
    return str(raw).lower() if isinstance(raw, bool) else str(raw)
