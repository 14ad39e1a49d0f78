"""Options as data: a key's type, default and help are declared once, by whoever owns the key.

Validation, ``--help``, the reference and completion all read the same declarations.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar, overload

import attrs
from attrs import field, frozen

T = TypeVar("T")

#: What a value may be before it is parsed: text from INI, or one of TOML's scalars and arrays.
Raw = str | bool | int | float | list[Any]

_METADATA = "vmsvc"
# How many texts a type of value remembers the values of.
_MOST_KNOWN = 4096


@frozen
class Value(Generic[T]):
    """A type of value: how it is read, and how it is described.

    Attributes:
        label: What a value must look like, to complete the sentence "expected …".
        parse: Turns raw text or a TOML scalar into the value; raises ``ValueError`` saying what is wrong. What it says
            depends on nothing else.
        choices: The only words allowed, when there is such a list; used by completion and by "did you mean".
    """

    label: str
    parse: Callable[[Raw], T]
    choices: tuple[str, ...] = ()
    _known: dict[str, T] = field(factory=dict, init=False, eq=False, repr=False)

    def of(self, raw: Raw) -> T:
        """The value of raw text or of a TOML scalar; services of one node say the same words again and again.

        Args:
            raw: What stands in a file.

        Raises:
            ValueError: It is wrong; the message says how.
        """
        if type(raw) is not str:
            return self.parse(raw)
        if raw in self._known:
            return self._known[raw]
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        value = self._known[raw] = self.parse(raw)
        return value


@frozen(kw_only=True)
class Option:
    """One key, as its owner declared it.

    Attributes:
        key: The key as it stands in a file.
        value: Its type.
        help: What it is for, in one sentence.
        required: Whether a file must give it.
        default: What it is otherwise.
        inherited: Whether ``[DEFAULT]`` may give it for all sections.
        scoped: Whether ``key@node`` forms are allowed.
        identifies: Whether it tells guests of one type and one name apart.
    """

    key: str
    value: Value[Any]
    help: str
    required: bool
    default: Any
    inherited: bool
    scoped: bool
    identifies: bool = False


class Declared:
    """Compares, hashes and shows a record of options by all of its fields, as attrs does.

    attrs would write these methods anew for each class, and classes of twenty keys and more make them long: that took a
    seventh of a command's start. A class gets these with ``@frozen(kw_only=True, eq=False, repr=False)``.
    """

    __slots__ = ()
    __attrs_attrs__: ClassVar[Any]

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, field.name) for field in attrs.fields(type(self)))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        pairs = zip(attrs.fields(type(self)), self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{field.name}={value!r}' for field, value in pairs)})"


@overload
def option(value: Value[T], *, help: str, inherited: bool = ..., scoped: bool = ..., identifies: bool = ...) -> T: ...
@overload
def option(
    value: Value[T], *, default: T, help: str, inherited: bool = ..., scoped: bool = ..., identifies: bool = ...
) -> T: ...
def option(
    value: Value[Any],
    *,
    default: Any = attrs.NOTHING,
    help: str,  # noqa: A002 - the field's standard name
    inherited: bool = False,
    scoped: bool = True,
    identifies: bool = False,
) -> Any:
    """Declare a key in an attrs class of options.

    Args:
        value: The type of the key's value, such as :data:`seconds`.
        default: The value when a file does not give the key; without it, the key is required.
        help: What the key is for, in one sentence.
        inherited: Whether the key may stand in ``[DEFAULT]`` for all sections.
        scoped: Whether ``key@node`` forms are allowed.
        identifies: Whether guests of one type and one name are different guests where this key differs: where their
            hypervisor is, for instance.

    Returns:
        An attrs field; typed as its value, so that a type checker compares it with the annotation.

    >>> from attrs import field, frozen
    >>> @frozen(kw_only=True)
    ... class Example:
    ...     start_timeout: float = option(seconds, default=240.0, help="How long a start may take.")
    >>> Example().start_timeout
    240.0
    """
    declared = {"value": value, "help": help, "inherited": inherited, "scoped": scoped, "identifies": identifies}
    return attrs.field(default=default, metadata={_METADATA: declared}, kw_only=True)


#: What classes declare never changes; every key of every file is looked up in it.
_declarations: dict[type[Any], tuple[Option, ...]] = {}


def options_of(owner: type[Any]) -> tuple[Option, ...]:
    """The keys that an attrs class declares, in the order of their declaration.

    Args:
        owner: A class whose fields were declared with :func:`option`.

    Returns:
        One record for each key.
    """

    def declared(field: attrs.Attribute[Any]) -> Option:
        required = field.default is attrs.NOTHING
        default = None if required else field.default
        return Option(key=field.name, required=required, default=default, **field.metadata[_METADATA])

    if owner not in _declarations:
        _declarations[owner] = tuple(declared(field) for field in attrs.fields(owner) if _METADATA in field.metadata)
    return _declarations[owner]


def _printable(text: str) -> bool:
    # All that is wrong here is not printable, but not all that is not printable is wrong.
    return text.isprintable() or not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def _shown(raw: Raw) -> str:
    """A raw value as it stands in a file."""
    return str(raw).lower() if isinstance(raw, bool) else repr(raw)


def _scalar(raw: Raw) -> str:
    """One value as text, whether it was quoted or not."""
    if isinstance(raw, list):
        raise ValueError("expected one value, not a list")  # noqa: TRY004 - what `Value.parse` promises
    return str(raw).lower() if isinstance(raw, bool) else str(raw)


def _text(raw: Raw) -> str:
    if not isinstance(raw, (str, list)):
        kind = "true or false" if isinstance(raw, bool) else "a number"
        raise ValueError(f'{_shown(raw)} is {kind}: write it in quotes, "{_scalar(raw)}"')  # noqa: TRY004
    return _scalar(raw)


def _line(raw: Raw) -> str:
    value = _text(raw)
    if not _printable(value):
        raise ValueError(f"{value!r} has a line break or a control character in it")
    return value


def _name(raw: Raw) -> str:
    value = _line(raw)
    if not value:
        raise ValueError("a name cannot be empty")
    if "/" in value or value.startswith("-"):
        raise ValueError(f"{value!r} cannot be a name: no '/', and no '-' at the start")
    return value


def _node_name(raw: Raw) -> str:
    value = _name(raw)
    if not re.fullmatch(r"[\w.-]+", value, re.ASCII):
        raise ValueError(f"{value!r} is no host name, which has letters, digits, '-', '_' and '.' only")
    return value


_BOOLEANS = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


def _boolean(raw: Raw) -> bool:
    try:
        return _BOOLEANS[_scalar(raw).strip().lower()]
    except KeyError:
        raise ValueError(f"{_shown(raw)} is neither true nor false") from None


def _integer(raw: Raw) -> int:
    if isinstance(raw, str) and re.fullmatch(r"[+-]?\d+", raw.strip(), re.ASCII):
        return int(raw)
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    raise ValueError(f"{_shown(raw)} is not a whole number")


def _whole(raw: Raw) -> int:
    value = _integer(raw)
    if value < 0:
        raise ValueError(f"{value} is less than 0")
    return value


def _count(raw: Raw) -> int:
    value = _integer(raw)
    if value < 1:
        raise ValueError(f"{value} is less than 1")
    return value


_UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DAY_LIMIT = 365 * 86400.0


def _seconds(raw: Raw) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|[smhd]?)", _scalar(raw).strip().lower(), re.ASCII)
    if not found:
        raise ValueError(f"{_shown(raw)} is not a duration such as 90, 90s, 2m or 1h")
    value = float(found[1]) * _UNITS[found[2]]
    if value > _DAY_LIMIT:
        raise ValueError(f"{_shown(raw)} is longer than a year")
    return value


def _some_seconds(raw: Raw) -> float:
    value = _seconds(raw)
    if not value:
        raise ValueError(f"{_shown(raw)} leaves no time at all")
    return value


def _each(raw: Raw, parse: Callable[[Raw], str]) -> tuple[str, ...]:
    """Every word of a list, once; what is wrong with any of them is told at once."""
    found: dict[str, None] = {}
    faults: dict[str, None] = {}
    for part in raw if isinstance(raw, list) else re.split(r"[\s,]+", _text(raw).strip()):
        try:
            if isinstance(part, str) and re.search(r"\s", part):
                raise ValueError(f"{part!r} has blanks in it: an element is one word")
            if part != "":
                found[parse(part)] = None
        except ValueError as error:
            faults[str(error)] = None
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(found)


def _argv(raw: Raw) -> tuple[str, ...]:
    try:
        parts = [_scalar(part) for part in raw] if isinstance(raw, list) else shlex.split(_scalar(raw))
    except ValueError as error:
        raise ValueError(f"{_shown(raw)} cannot be split into words: {error}") from None
    if any("\0" in part for part in parts):
        raise ValueError(f"{_shown(raw)} has a NUL in it, which no command can be given")
    return tuple(parts)


_HEXADECIMAL = re.compile(r"0[xX]0*([0-9a-fA-F]{1,16})", re.ASCII)


def _hexadecimal(raw: Raw) -> str:
    found = _HEXADECIMAL.fullmatch(_text(raw).strip())
    if not found or int(found[1], 16) == 0:
        raise ValueError(f"{_shown(raw)} is not 0x and up to 16 hexadecimal digits, or is 0")
    return f"0x{int(found[1], 16):016x}"


def _path(raw: Raw) -> str:
    value = _line(raw)
    if value and not value.startswith("/"):
        raise ValueError(f"{value!r} is not an absolute path")
    return value


text: Value[str] = Value("text", _text)
line: Value[str] = Value("text on one line", _line)
name: Value[str] = Value("a name", _name)
names: Value[tuple[str, ...]] = Value("names, separated by blanks", lambda raw: _each(raw, _name))
node_name: Value[str] = Value("a host name", _node_name)
node_names: Value[tuple[str, ...]] = Value("host names, separated by blanks", lambda raw: _each(raw, _node_name))
words: Value[tuple[str, ...]] = Value("words, separated by blanks", lambda raw: _each(raw, _line))
boolean: Value[bool] = Value("true or false", _boolean, ("true", "false"))
integer: Value[int] = Value("a whole number", _integer)
whole: Value[int] = Value("a whole number, 0 or more", _whole)
count: Value[int] = Value("a whole number of at least 1", _count)
seconds: Value[float] = Value("a duration such as 90, 90s, 2m or 1h", _seconds)
some_seconds: Value[float] = Value("a duration of more than 0, such as 90, 90s, 2m or 1h", _some_seconds)
hexadecimal: Value[str] = Value("0x and up to 16 hexadecimal digits, not all 0", _hexadecimal)
argv: Value[tuple[str, ...]] = Value("a command with its arguments; no shell is involved", _argv)
path: Value[str] = Value("an absolute path", _path)
paths: Value[tuple[str, ...]] = Value("absolute paths, separated by blanks", lambda raw: _each(raw, _path))


def choice(*allowed: str, elsewhere: Mapping[str, str] | None = None) -> Value[str]:
    """A value that must be one of a few words.

    Args:
        allowed: The words, in lower case.
        elsewhere: Words that other versions or systems know, and why this one does not.

    Returns:
        The type of value.

    >>> choice("acpi", "agent").parse("ACPI")
    'acpi'
    """
    return Value("one of " + ", ".join(allowed), lambda raw: _one_of(raw, allowed, elsewhere), allowed)


def choices(*allowed: str) -> Value[tuple[str, ...]]:
    """A list of which each word must be one of a few.

    Args:
        allowed: The words, in lower case.

    Returns:
        The type of value.

    >>> choices("nodes", "drpnodes").parse("nodes DRPnodes")
    ('nodes', 'drpnodes')
    """
    label = "words among " + ", ".join(allowed)
    return Value(label, lambda raw: _each(raw, lambda word: _one_of(word, allowed)), allowed)


def _one_of(raw: Raw, allowed: tuple[str, ...], elsewhere: Mapping[str, str] | None = None) -> str:
    value = _line(raw).strip().lower()
    if elsewhere and value in elsewhere:
        raise ValueError(f"{_shown(raw)} is not supported: {elsewhere[value]}")
    if value not in allowed:
        raise ValueError(f"{_shown(raw)} is not one of {', '.join(allowed)}")
    return value
