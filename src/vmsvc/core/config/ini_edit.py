"""Changing single keys of an INI text, line by line, so that comments, order and indentation stay."""

from __future__ import annotations

import re

from vmsvc.core.config import ini
from vmsvc.core.config.model import Entry, Findings, Section

_TIGHT = re.compile(r"[^=:]*[^=:\s]([=:])[^\s]")
_HEAD = re.compile(r"(?P<head>[^=:]*[=:][ \t]*)(?P<value>.*?)(?P<tail>\s+;.*)?", re.DOTALL)


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
    lines = ini.lines_of(text)
    end = _line_end(lines)
    there = _section(text, section)
    if there is None:
        _end_last_line(lines, end)
        margin = next((_margin(line) for line in lines if line.lstrip().startswith("[")), "")
        gap = [end] if lines and lines[-1].strip() else []
        lines += [*gap, f"{margin}[{section}]{end}", *_lines(f"{margin}{label} = ", value, "", end)]
    elif entry := _entry(there, label):
        first = lines[entry.position - 1]
        found = _HEAD.fullmatch(first.rstrip("\r\n"))
        assert found is not None  # the reader found a key here
        head = found["head"]
        if not found["value"] and head[-2:-1].isspace():
            head = f"{head} "  # `key =` is to become `key = value`, and `key=` is to become `key=value`
        new = _lines(head, value, found["tail"] or "", _line_end([first]) if first.endswith(("\r", "\n")) else end)
        lines[entry.position - 1 : entry.end] = new
    else:
        last = max((entry.end for entry in there.entries), default=there.position)
        _end_last_line(lines, end)
        model = lines[(there.entries[-1] if there.entries else there).position - 1]
        sign = _TIGHT.match(model)
        lines[last:last] = _lines(f"{_margin(model)}{label}{sign[1] if sign else ' = '}", value, "", end)
    return "".join(lines)


def trouble(value: str) -> str:
    """What keeps a value from being written in INI.

    Args:
        value: The value.

    Returns:
        The reason, to complete a sentence.
    """
    first, *more = [line.strip() for line in value.split("\n")]
    if ini.without_comment(f"= {first}") != f"= {first}".rstrip() or any(
        ini.without_comment(line) != line for line in more
    ):
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
    there = _section(text, section)
    entry = _entry(there, label) if there else None
    lines = ini.lines_of(text)
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
    there = _section(text, section)
    lines = ini.lines_of(text)
    if there:
        end = max((entry.end for entry in there.entries), default=there.position)
        while end < len(lines) and not lines[end].strip():
            end += 1
        del lines[there.position - 1 : end]
    return "".join(lines)


def _section(text: str, name: str) -> Section | None:
    return next((section for section in ini.read(text, Findings("")) if section.name == name), None)


def _entry(section: Section, label: str) -> Entry | None:
    return next((entry for entry in section.entries if entry.label.casefold() == label.casefold()), None)


def _lines(head: str, value: str, tail: str, end: str) -> list[str]:
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
