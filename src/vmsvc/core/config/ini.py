"""The INI form of a service file: read into sections, and changed key by key.

The standard library's ``configparser`` is not used: it stops at the first duplicate, tells neither the line of a key
nor all mistakes at once, and cannot say where to edit a file without losing its comments.
"""

from __future__ import annotations

import re

from attrs import define, evolve, field

from vmsvc.core.config.model import DEFAULT, Entry, Findings, Section, section_name, shortened, split_key

# Lines end as in any text file. str.splitlines() would also break values at form feeds and Unicode separators.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_HEADER = re.compile(r"\[(?P<name>[^\]]*)\]\s*(?:[;#].*)?")
# Of `=` and `:` the first one counts, so that `uri = qemu+ssh://host/system` and `name: vm` both mean what they say.
_KEY = re.compile(r"(?P<key>[^=:]*)[=:]\s*(?P<value>.*)", re.DOTALL)
_COMMENT = re.compile(r"\s;")
_TIGHT = re.compile(r"[^=:]*[^=:\s]([=:])[^\s]")
_HEAD = re.compile(r"(?P<head>[^=:]*[=:][ \t]*)(?P<value>.*?)(?P<tail>\s+;.*)?", re.DOTALL)


@define(eq=False, repr=False)
class _OpenSection:
    """The section that lines are being added to."""

    name: str
    line: int
    entries: dict[tuple[str, str], Entry] = field(factory=dict)

    def closed(self) -> Section:
        return Section(name=self.name, entries=tuple(self.entries.values()), position=self.line)


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
    if not line[:1].isspace():
        return 0
    expanded = line.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())


def without_comment(body: str) -> str:
    """A line's text up to a comment that follows white space; ``#`` begins none there, values may hold it.

    Args:
        body: The line, stripped.
    """
    return (_COMMENT.split(body, maxsplit=1)[0] if ";" in body else body).rstrip()


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
    # The entry whose value may go on in the next line, how far it is indented, and where it is kept.
    current: Entry | None = None
    indent = 0
    kept: dict[tuple[str, str], Entry] = {}
    orphan_told = False
    for number, line in enumerate(lines_of(text), 1):
        body = line.strip()
        if not body:
            current = None
            continue
        if body[0] in "#;":
            continue
        column = indent_of(line)
        # A header always begins a section, however far it is indented: a section that silently became a part of
        # the value before it would be lost without a word.
        if body[0] == "[" and (header := _HEADER.fullmatch(body)):
            current = None
            sections.append(_section(header["name"], number, begun, findings))
        elif current is not None and column > indent:
            current = _continued(current, without_comment(body), number)
            kept[current.identity] = current
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
            key, scope = split_key(found["key"])
            current = Entry(key=key, scope=scope, raw=found["value"], position=number, end=number)
            indent = column
            kept = {}  # what has no place in any section goes on in the next line all the same
            if sections and _is_new(current, sections[-1], findings):
                kept = sections[-1].entries
            elif not sections and not orphan_told:
                orphan_told = True
                findings.add(
                    number,
                    f"line {number} stands before the first section",
                    code="syntax",
                    key=current.key,
                    hint=f"put `[{home}]` above it",
                )
            kept[current.identity] = current
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


def _is_new(entry: Entry, section: _OpenSection, findings: Findings) -> bool:
    """Whether an entry is a key of the section, and the first one of its kind; else that is told."""
    if not entry.key:
        findings.add(
            entry.position,
            f"line {entry.position} has a value but no key",
            code="syntax",
            section=section.name,
            hint="write `key = value`",
        )
        return False
    earlier = section.entries.get(entry.identity)
    if earlier:
        findings.add(
            entry.position,
            f"the key stands on line {earlier.position} and again on line {entry.position}",
            code="duplicate-key",
            section=section.name,
            key=entry.label,
            hint="remove one of them",
        )
    return not earlier


def _continued(entry: Entry, more: str, number: int) -> Entry:
    """An entry whose value goes on in another line."""
    raw = "\n".join(part for part in (str(entry.raw), more) if part)
    return evolve(entry, raw=raw, end=number, continued=(*entry.continued, more))


# --- changing: line by line, so that comments, order and indentation stay --------------------------------------------


def set_key(text: str, section: str, label: str, value: str) -> str:
    """Give a key a value.

    Args:
        text: The file's text.
        section: The section's name; made at the end of the file if there is none.
        label: The key, with its scope if it has one.
        value: The value; it may have several lines.

    Returns:
        The new text.
    """
    lines = lines_of(text)
    end = _line_end(lines)
    there = _section_of(text, section)
    if there is None:
        _end_last_line(lines, end)
        margin = next((_margin(line) for line in lines if line.lstrip().startswith("[")), "")
        gap = [end] if lines and lines[-1].strip() else []
        lines += [*gap, f"{margin}[{section}]{end}", *_written(f"{margin}{label} = ", value, "", end)]
    elif entry := _entry(there, label):
        first = lines[entry.position - 1]
        found = _HEAD.fullmatch(first.rstrip("\r\n"))
        assert found is not None  # the reader found a key here
        head = found["head"]
        if not found["value"] and head[-2:-1].isspace():
            head = f"{head} "  # `key =` is to become `key = value`, and `key=` is to become `key=value`
        new = _written(head, value, found["tail"] or "", _line_end([first]) if first.endswith(("\r", "\n")) else end)
        lines[entry.position - 1 : entry.end] = new
    else:
        last = max((entry.end for entry in there.entries), default=there.position)
        _end_last_line(lines, end)
        model = lines[(there.entries[-1] if there.entries else there).position - 1]
        sign = _TIGHT.match(model)
        lines[last:last] = _written(f"{_margin(model)}{label}{sign[1] if sign else ' = '}", value, "", end)
    return "".join(lines)


def trouble(value: str) -> str:
    """What keeps a value from being written in INI.

    Args:
        value: The value.

    Returns:
        The reason, to complete a sentence.
    """
    first, *more = [line.strip() for line in value.split("\n")]
    if without_comment(f"= {first}") != f"= {first}".rstrip() or any(without_comment(line) != line for line in more):
        return "` ;` begins a comment"
    if "" in more:
        return "an empty line ends a value"
    if any(line.startswith(("#", ";")) for line in more):
        return "a line that begins with `#` or `;` is a comment"
    if any(line.startswith("[") for line in more):
        return "a line that begins with `[` is a section"
    return "blanks and line ends around a line are not kept"


def unset_key(text: str, section: str, label: str) -> str:
    """Remove a key.

    Args:
        text: The file's text.
        section: The section's name.
        label: The key, with its scope if it has one.

    Returns:
        The new text; the same where there is no such key.
    """
    there = _section_of(text, section)
    entry = _entry(there, label) if there else None
    lines = lines_of(text)
    if entry:
        del lines[entry.position - 1 : entry.end]
    return "".join(lines)


def unset_section(text: str, section: str) -> str:
    """Remove a section with its keys; comments after its last key stay.

    Args:
        text: The file's text.
        section: The section's name.

    Returns:
        The new text; the same where there is no such section.
    """
    there = _section_of(text, section)
    lines = lines_of(text)
    if there:
        end = max((entry.end for entry in there.entries), default=there.position)
        while end < len(lines) and not lines[end].strip():
            end += 1
        del lines[there.position - 1 : end]
    return "".join(lines)


def _section_of(text: str, name: str) -> Section | None:
    return next((section for section in read(text, Findings("")) if section.name == name), None)


def _entry(section: Section, label: str) -> Entry | None:
    return next((entry for entry in section.entries if entry.label.casefold() == label.casefold()), None)


def _written(head: str, value: str, tail: str, end: str) -> list[str]:
    first, *more = value.split("\n")
    margin = _margin(head) + "    "
    return [f"{head}{first}{tail}".rstrip() + end, *(f"{margin}{line}{end}" for line in more)]


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _line_end(lines: list[str]) -> str:
    return "\r\n" if lines and lines[0].endswith("\r\n") else "\n"


def _end_last_line(lines: list[str], end: str) -> None:
    if lines and not lines[-1].endswith(("\r", "\n")):
        lines[-1] += end
