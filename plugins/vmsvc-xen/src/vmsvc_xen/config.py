r"""A guest's config file, as xl reads it: xl.cfg(5), SYNTAX. Pure.

It looks like Python, and is none: nothing in it is ever run. Where the manual page is silent, this does what xl 4.17
was seen to do (``xl create --dryrun``): of two settings of one key the last one counts, ``+=`` adds to the one before,
keys are in lower case, and a backslash in a text escapes a quote or itself, or begins one of
``\a \b \f \n \r \t \v``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from vmsvc_xen.device import Device, device

#: A text or a number, as it is written; or a list, which may have lists in it.
Value = str | list["Value"]

_TOKEN = re.compile(
    r"""
    (?P<blank>   [ \t]+ | \#[^\n]* )
  | (?P<newline> \n )
  | (?P<word>    [a-z][a-z0-9_]* )
  | (?P<number>  0x[0-9a-f]+ | [0-9]+ )
  | (?P<text>    "(?: [^"\\\n] | \\. )*" | '(?: [^'\\\n] | \\. )*' )
  | (?P<sign>    \+= | [=;,\[\]] )
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", '"': '"', "\\": "\\"}
_DEEPEST = 8  # a list of lists is the most that any key has


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def settings(text: str) -> dict[str, Value]:
    r"""The settings of a config file.

    Args:
        text: The file.

    Raises:
        ValueError: xl could not read it; the message says where.

    >>> settings('name = "web"; vcpus = 2\ndisk = [ "phy:vg/web,xvda,w", ]')
    {'name': 'web', 'vcpus': '2', 'disk': ['phy:vg/web,xvda,w']}
    """
    return _Reader(text).settings()


def name(found: Mapping[str, Value]) -> str:
    """What a config file calls its guest; empty where it does not tell.

    Args:
        found: Its settings.
    """
    given = found.get("name", "")
    return given if isinstance(given, str) else ""


def number(found: Mapping[str, Value], key: str) -> int | None:
    """A number of a config file; ``None`` where it has none.

    Args:
        found: Its settings.
        key: Which one.

    >>> [number({"memory": written}, "memory") for written in ("64", "0x40", "0100", "much")]
    [64, 64, 64, None]
    """
    given = found.get(key)
    if not isinstance(given, str) or not re.fullmatch(r"0x[0-9a-fA-F]+|[0-9]+", given):
        return None
    is_octal = len(given) > 1 and given.isdigit() and given.startswith("0")
    try:
        return int(given, 8 if is_octal else 0)
    except ValueError:
        return None


def devices(found: Mapping[str, Value]) -> list[Device]:
    """The disks of a config file.

    Args:
        found: Its settings.

    Raises:
        ValueError: One cannot be read.
    """
    given = found.get("disk", [])
    if isinstance(given, str):
        raise ValueError("`disk` is no list, and xl would start the guest without disks")  # noqa: TRY004 - of a file
    for each in given:
        if not isinstance(each, str):
            raise ValueError("`disk` has a list in it where a text is expected")  # noqa: TRY004 - as above
    return [device(each) for each in given if isinstance(each, str)]


class _Reader:
    """Reads tokens from the first to the last, with one to look ahead."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = next(self._tokens)

    def settings(self) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while self._next.kind != "end":
            if self._took("\n", ";"):
                continue
            key = self._take("word").text
            adds = self._next.text == "+="
            if not adds and self._next.text != "=":
                raise self._unexpected()
            self._step()
            value = self._value()
            found[key] = _sum(found[key], value) if adds and key in found else value
            if self._next.kind != "end" and not self._took("\n", ";"):
                raise self._unexpected()
        return found

    def _value(self, depth: int = 0) -> Value:
        if self._next.text == "[" and depth < _DEEPEST:
            return self._list(depth + 1)
        return _plain(self._take("text", "number"))

    def _list(self, depth: int) -> list[Value]:
        self._step()
        items: list[Value] = []
        self._skip_lines()
        while not self._took("]"):
            items.append(self._value(depth))
            self._skip_lines()
            if self._took(","):
                self._skip_lines()
            elif self._next.text != "]":
                raise self._unexpected()
        return items

    def _skip_lines(self) -> None:
        while self._took("\n"):
            pass

    def _took(self, *signs: str) -> bool:
        """Whether the next token is one of these signs, which is left behind then."""
        is_one = self._next.kind in ("newline", "sign") and self._next.text in signs
        if is_one:
            self._step()
        return is_one

    def _take(self, *kinds: str) -> _Token:
        token = self._next
        if token.kind not in kinds:
            raise self._unexpected()
        self._step()
        return token

    def _step(self) -> None:
        self._next = next(self._tokens, self._next)

    def _unexpected(self) -> ValueError:
        what = {"end": "the end of the file", "newline": "the end of the line"}.get(self._next.kind)
        return ValueError(f"line {self._next.line}: {what or repr(self._next.text[:40])} is not expected here")


def _tokens(text: str) -> Iterator[_Token]:
    place, line = 0, 1
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            rest = text[place:].partition("\n")[0]
            raise ValueError(f"line {line}: {rest[:40]!r} cannot be read")
        if found.lastgroup != "blank":
            yield _Token(found.lastgroup or "", found[0], line)
        line += found[0].count("\n")
        place = found.end()
    yield _Token("end", "", line)


def _plain(token: _Token) -> str:
    if token.kind == "number":
        return token.text

    def unescaped(escape: re.Match[str]) -> str:
        if escape[1] not in _ESCAPES:
            raise ValueError(f"line {token.line}: xl does not read {escape[0]!r} as a character")
        return _ESCAPES[escape[1]]

    return _ESCAPE.sub(unescaped, token.text[1:-1])


def _sum(before: Value, value: Value) -> Value:
    if isinstance(before, list) and isinstance(value, list):
        return before + value
    if isinstance(before, str) and isinstance(value, str):
        return before + value
    raise ValueError("`+=` adds a list to a text, or a text to a list")
