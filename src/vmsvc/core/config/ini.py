"""The INI form of a service file: text to sections, with line numbers.

The standard library's ``configparser`` is not used: it stops at the first duplicate, tells neither the line of a key
nor all mistakes at once, and cannot say where to edit a file without losing its comments.
"""

from __future__ import annotations

import re

from attrs import define, field

from vmsvc.core.config.model import DEFAULT, Entry, Findings, Section, section_name, shortened, split_key

# Lines end as in any text file. str.splitlines() would also break values at form feeds and Unicode separators.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_HEADER = re.compile(r"\[(?P<name>[^\]]*)\]\s*(?:[;#].*)?")
# Of `=` and `:` the first one counts, so that `uri = qemu+ssh://host/system` and `name: vm` both mean what they say.
_KEY = re.compile(r"(?P<key>[^=:]*)[=:]\s*(?P<value>.*)", re.DOTALL)
_COMMENT = re.compile(r"\s;")


@define
class _Open:
    """The entry whose value may go on in the next line."""

    key: str
    scope: str
    value: str
    line: int
    indent: int
    end: int
    continued: list[str] = field(factory=list)

    def closed(self) -> Entry:
        return Entry(
            key=self.key,
            scope=self.scope,
            raw="\n".join(part for part in (self.value, *self.continued) if part),
            position=self.line,
            end=self.end,
            continued=tuple(self.continued),
        )


@define
class _OpenSection:
    """The section that lines are being added to."""

    name: str
    line: int
    entries: dict[tuple[str, str], _Open] = field(factory=dict)

    def closed(self) -> Section:
        entries = tuple(entry.closed() for entry in self.entries.values())
        return Section(name=self.name, entries=entries, position=self.line)


def lines_of(text: str) -> list[str]:
    """Split a text into lines that keep their line ends.

    Args:
        text: The file's text.

    Returns:
        The lines; joined, they are the text again.
    """
    return _LINE.findall(text)


def indent_of(line: str) -> int:
    """The column in which a line's text begins, with a tab at every eighth column.

    Args:
        line: A line of a file.
    """
    expanded = line.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())


def without_comment(body: str) -> str:
    """A line's text up to a comment that follows white space; ``#`` begins none there, values may hold it.

    Args:
        body: The line, stripped.
    """
    return _COMMENT.split(body, maxsplit=1)[0].rstrip()


def read(text: str, findings: Findings, *, home: str = DEFAULT) -> tuple[Section, ...]:
    """Read the INI form.

    Args:
        text: The file's text.
        findings: Where what is wrong goes, all of it.
        home: The section where a key without one belongs, for hints.

    Returns:
        The sections in the order of the file; one that stands twice is there twice, so that its keys are checked.
    """
    sections: list[_OpenSection] = []
    begun: dict[str, int] = {}
    current: _Open | None = None
    orphan_told = False
    for number, line in enumerate(lines_of(text), 1):
        body = line.strip()
        if not body:
            current = None
        elif body[0] in "#;":
            continue
        # A header always begins a section, however far it is indented: a section that silently became a part of
        # the value before it would be lost without a word.
        elif header := _HEADER.fullmatch(body):
            current = None
            sections.append(_section(header["name"], number, begun, findings))
        elif current is not None and indent_of(line) > current.indent:
            current.continued.append(without_comment(body))
            current.end = number
        elif body[0] == "[":
            current = None
            _unterminated(body, number, findings)
        elif not (found := _KEY.fullmatch(without_comment(body))):
            current = None
            findings.add(
                number,
                f"line {number} is neither a section, a key nor a comment: {shortened(body, 60)!r}",
                code="syntax",
                section=sections[-1].name if sections else "",
                hint="write `key = value`, or begin the line with `#`",
            )
        else:
            current = _Open(*split_key(found["key"]), found["value"], number, indent_of(line), number)
            if sections:
                _add(current, sections[-1], findings)
            elif not orphan_told:
                orphan_told = True
                findings.add(
                    number,
                    f"line {number} stands before the first section",
                    code="syntax",
                    key=current.key,
                    hint=f"put `[{home}]` above it",
                )
    return tuple(section.closed() for section in sections)


def _section(written: str, number: int, begun: dict[str, int], findings: Findings) -> _OpenSection:
    name = section_name(written.strip())
    earlier = begun.setdefault(name, number)
    if earlier != number:
        findings.add(
            number,
            f"the section stands on line {earlier} and again on line {number}",
            code="duplicate-section",
            section=name,
            hint="make one section of the two, or give one another number",
        )
    return _OpenSection(name, number)


def _unterminated(body: str, number: int, findings: Findings) -> None:
    closed = "]" in body
    findings.add(
        number,
        f"line {number} has text after the section's name: {shortened(body, 60)!r}"
        if closed
        else f"the section's name on line {number} has no end: {shortened(body, 60)!r}",
        code="syntax",
        hint="put what follows `]` on a line of its own" if closed else "add `]`",
    )


def _add(entry: _Open, section: _OpenSection, findings: Findings) -> None:
    if not entry.key:
        findings.add(
            entry.line,
            f"line {entry.line} has a value but no key",
            code="syntax",
            section=section.name,
            hint="write `key = value`",
        )
        return
    closed = entry.closed()
    if earlier := section.entries.get(closed.identity):
        findings.add(
            entry.line,
            f"the key stands on line {earlier.line} and again on line {entry.line}",
            code="duplicate-key",
            section=section.name,
            key=closed.label,
            hint="remove one of them",
        )
        return
    section.entries[closed.identity] = entry
