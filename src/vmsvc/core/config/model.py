"""What a service file holds, whatever its format: sections of entries, and what was found wrong while reading them."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from attrs import field, frozen

from vmsvc.core.errors import Problem, Severity
from vmsvc.core.options import Raw

#: The section whose keys describe the service itself.
DEFAULT = "DEFAULT"

#: A file with more mistakes than this is not a service file; telling them all would help nobody.
_MOST_PROBLEMS = 500


@frozen(kw_only=True)
class Entry:
    """One key of a file with its raw value.

    Attributes:
        key: The key in lower case, without its scope.
        scope: What stands after ``@``; empty for a plain key.
        raw: The value before it is parsed.
        position: The line it begins on (INI), or its rank in the file (TOML, whose parser tells no lines).
        end: The last line of its value (INI only).
        continued: The lines that continued its value (INI only).
        identity: What must be unique in a section; node names, and so scopes, have no case.
    """

    key: str
    raw: Raw
    scope: str = ""
    position: int = 0
    end: int = 0
    continued: tuple[str, ...] = ()
    identity: tuple[str, str] = field(init=False, eq=False, repr=False)

    @identity.default
    def _identity(self) -> tuple[str, str]:
        return (self.key, self.scope.casefold())

    @property
    def label(self) -> str:
        """The key as it is written in a file, with its scope."""
        return f"{self.key}@{self.scope}" if self.scope else self.key


@frozen(kw_only=True)
class Section:
    """One section of a file.

    Attributes:
        name: Its name; ``DEFAULT`` for any spelling of it.
        entries: Its keys, in the order of the file.
        position: The line of its header (INI), or its rank in the file (TOML).
        by_key: The entries of each key: the plain one and the scoped ones.
    """

    name: str
    entries: tuple[Entry, ...] = ()
    position: int = 0
    by_key: dict[str, tuple[Entry, ...]] = field(factory=dict, init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for entry in self.entries:
            self.by_key[entry.key] = (*self.by_key.get(entry.key, ()), entry)

    def position_of(self, key: str) -> int:
        """Where what is wrong with a key is told: its first entry, or the section where it has none.

        Args:
            key: The key.
        """
        return next((entry.position for entry in self.variants(key)), self.position)

    def variants(self, key: str) -> tuple[Entry, ...]:
        """The entries of one key, which may be none.

        Args:
            key: The key, in lower case.
        """
        return self.by_key.get(key, ())


#: The section of a file that says nothing of the service itself.
NOTHING = Section(name=DEFAULT)


def section_name(written: str) -> str:
    """The name of a section as the model knows it: ``[default]`` has always been legal in any case.

    Args:
        written: The name as it stands in a file or in an address.
    """
    return DEFAULT if written.upper() == DEFAULT else written


def split_key(written: str) -> tuple[str, str]:
    """Split ``key@scope``.

    Args:
        written: A key as it stands in a file.

    Returns:
        The key in lower case, and the scope as written. A scope that was begun and not written stays with the key, so
        that the key is wrong: it must not pass for one that is meant for every node.
    """
    key, mark, scope = written.partition("@")
    if mark and not scope.strip():
        return written.strip().lower(), ""
    return key.strip().lower(), scope.strip()


def shortened(text: str, limit: int = 200) -> str:
    """A text that fits in a message.

    Args:
        text: What to show.
        limit: The longest result, in characters.
    """
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


@frozen
class Findings:
    """Collects the problems of one file, to tell them all at once and in the file's order.

    Attributes:
        file: The file, as problems name it.
    """

    file: str
    _found: dict[Problem, int] = field(factory=dict, init=False)

    def add(
        self,
        position: int,
        message: str,
        *,
        code: str,
        section: str = "",
        key: str = "",
        hint: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Note a problem; the same one is kept once.

        Args:
            position: Where in the file, to sort by.
            message: What is wrong, in one sentence.
            code: A stable word, without its ``config.`` prefix.
            section: The section concerned.
            key: The key concerned.
            hint: What to do next.
            severity: How much it matters.
        """
        if self.full:
            # An error itself, so that no mistake is overlooked because of the many before it.
            message, hint = f"there are more problems than the {_MOST_PROBLEMS} told", "mend those first"
            self._found.setdefault(Problem(message=message, code="config.more", hint=hint, file=self.file), sys.maxsize)
            return
        problem = Problem(
            message=shortened(message, 400),
            code=f"config.{code}",
            hint=shortened(hint, 600),
            file=self.file,
            section=shortened(section),
            key=shortened(key),
            severity=severity,
        )
        self._found.setdefault(problem, position)

    @property
    def full(self) -> bool:
        """Whether there is more than anybody would read."""
        return len(self._found) >= _MOST_PROBLEMS

    def __iter__(self) -> Iterator[Problem]:
        """In the order of the file."""
        return iter(sorted(self._found, key=self._found.__getitem__))

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Those that stop a command."""
        return tuple(problem for problem in self if problem.severity is Severity.ERROR)

    @property
    def has_errors(self) -> bool:
        """Whether there is one that stops a command."""
        return any(problem.severity is Severity.ERROR for problem in self._found)
