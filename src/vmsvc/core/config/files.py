"""Where service files are, and how one is read from the disk."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from pathlib import Path

from vmsvc.core.errors import ConfigError, Problem, Severity, UsageError
from vmsvc.core.nearest import did_you_mean
from vmsvc.core.node import Node
from vmsvc.core.options import name as name_value

#: The endings of service files; the first is what `create` uses for INI.
SUFFIXES = (".conf", ".env", ".toml")

# Endings of files that somebody may have meant for a service's.
_LOOKS_LIKE_ONE = (*SUFFIXES, ".cfg", ".ini", "")
_PATTERN_MARKS = ("*", "?", "[", "]")

_LARGEST_FILE = 1024 * 1024
# Names become file names, with endings and prefixes added; most file systems allow 255 bytes.
_LONGEST_NAME = 200


@lru_cache(4096)
def check_name(name: str) -> str:
    """Say why a service, node or guest cannot have a name.

    Args:
        name: The name.

    Returns:
        What is wrong with it; empty when it may be used.
    """
    try:
        name_value.parse(name)
    except ValueError as error:
        return str(error)
    return f"a name of more than {_LONGEST_NAME} bytes is too long" if len(name.encode()) > _LONGEST_NAME else ""


@lru_cache(4096)
def check_service_name(name: str) -> str:
    """Say why a service cannot have a name.

    Args:
        name: The name.

    Returns:
        What is wrong with it; empty when it may be used.
    """
    if any(mark in name for mark in _PATTERN_MARKS):
        return f"{name!r} has one of {' '.join(_PATTERN_MARKS)} in it, which make a pattern of many names"
    return check_name(name)


def is_toml(path: Path) -> bool:
    """Whether a file is TOML, by its ending; all others are INI.

    Args:
        path: The file.
    """
    return path.suffix.lower() == ".toml"


def service_names(node: Node) -> list[str]:
    """The services that have a file on this node.

    Args:
        node: The node.

    Returns:
        Their names, sorted; empty where there is no directory of services.

    Raises:
        ConfigError: The directory cannot be read.
    """
    return list(service_files(node))


def service_files(node: Node) -> dict[str, list[Path]]:
    """The files of all services of this node: one listing, however many there are.

    Hidden files are left out, and so is every file with another ending, such as an editor's backup.

    Args:
        node: The node.

    Returns:
        By the services' names, sorted; more than one file for a name is a mistake.

    Raises:
        ConfigError: The directory cannot be read.
    """
    found: dict[str, list[Path]] = {}
    for file in _files(node):
        if not _why_ignored(file):
            found.setdefault(file.stem, []).append(file)
    return dict(sorted(found.items()))


def ignored_files(node: Node) -> list[Problem]:
    """A warning for each file among those of services that looks like one, and is read as none.

    Args:
        node: The node.

    Raises:
        ConfigError: The directory cannot be read.
    """
    return [
        Problem(
            message="the file is not read",
            code="config.ignored-file",
            hint=why,
            file=str(file),
            severity=Severity.WARNING,
        )
        for file in sorted(_files(node))
        if (why := _why_ignored(file))
    ]


def _files(node: Node) -> list[Path]:
    """What may be meant for a service's file; neither what is hidden, nor what editors and packagers leave behind."""
    try:
        with os.scandir(node.services_dir) as found:
            return [
                file
                for entry in found
                # A name that is not UTF-8 could be neither typed nor printed.
                if entry.name[0] not in ".#" and not entry.name.endswith("~") and _encodable(entry.name)
                if (file := node.services_dir / entry.name).suffix.lower() in _LOOKS_LIKE_ONE and not entry.is_dir()
            ]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(problems=[_unreadable(node.services_dir, error)]) from None


def _why_ignored(file: Path) -> str:
    """Why a file is no service's, and what to do; empty for a file that is."""
    if file.suffix in SUFFIXES:
        fault = check_service_name(file.stem)
        return f"rename it: {fault}" if fault else ""
    suffix = file.suffix.lower() if file.suffix.lower() in SUFFIXES else SUFFIXES[0]
    return f"if it is a service's, rename it to {file.stem}{suffix}: service files end in {', '.join(SUFFIXES)}"


def service_file(node: Node, name: str) -> Path:
    """The file of a service.

    Args:
        node: The node.
        name: The service's name.

    Returns:
        Its path.

    Raises:
        UsageError: There is no such service; the hint has the nearest name.
        ConfigError: There are two files for it.
    """
    found = files_of(node, name)
    if len(found) > 1:
        raise ConfigError(problems=[two_files(*found[:2])])
    if not found:
        names = service_names(node)
        hints = [
            f"{file} is not read; {why}" for file in _files(node) if file.stem == name and (why := _why_ignored(file))
        ]
        hint = did_you_mean(name, names, otherwise=f"`vmsvc create` makes one in {node.services_dir}")
        hint = next(iter(hints), hint)
        raise UsageError(f"there is no service {name!r}", code="usage.no-such-service", hint=hint)
    return found[0]


def files_of(node: Node, name: str) -> list[Path]:
    """All files that describe a service; more than one is a mistake.

    Args:
        node: The node.
        name: The service's name.
    """
    if check_service_name(name):
        return []
    directory, names = node.services_dir, [f"{name}{suffix}" for suffix in SUFFIXES]
    return [directory / each for each in names if os.path.lexists(f"{directory}/{each}")]


def two_files(first: Path, second: Path) -> Problem:
    """The problem of two files for one thing.

    Args:
        first: One of them.
        second: The other.
    """
    return Problem(
        message=f"{first.name} and {second.name} describe the same thing",
        code="config.two-files",
        hint=f"keep one of {first} and {second}",
        file=str(first),
    )


def read_text(path: Path) -> str:
    """Read a configuration file.

    Args:
        path: The file.

    Returns:
        Its text, line ends as they are, without a byte order mark.

    Raises:
        ConfigError: It is missing, unreadable, no regular file, too big, or no text.
    """
    try:
        # A directory or a named pipe must be refused before it is opened: reading a pipe can wait for ever.
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            kind = "a directory" if stat.S_ISDIR(found.st_mode) else "no regular file"
            raise ConfigError(problems=[_problem(path, f"this is {kind}", "give a service file")])
        with path.open("rb") as file:
            # All of it where it is small, since asking for the most would reserve as much.
            data = file.read(_LARGEST_FILE + 1 if found.st_size > _LARGEST_FILE else -1)
    except OSError as error:
        raise ConfigError(problems=[_unreadable(path, error)]) from None
    except ValueError as error:
        raise ConfigError(problems=[_problem(path, f"this cannot be a file's name: {error}", "")]) from None
    if len(data) > _LARGEST_FILE:
        raise ConfigError(problems=[_problem(path, "the file is larger than 1 MiB", "is it a service file at all?")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = "save the file in UTF-8"
        raise ConfigError(problems=[_problem(path, f"line {line} is not UTF-8 text", hint)]) from None
    return check_text(path, text)


def check_text(path: Path, text: str) -> str:
    """Refuse what no configuration can be read from.

    Args:
        path: The file it is, or will be.
        text: The text.

    Returns:
        The text, without a byte order mark.

    Raises:
        ConfigError: It is empty, or not text.
    """
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise ConfigError(problems=[_problem(path, "the file is empty", "")])
    if "\0" in text or not _encodable(text):
        raise ConfigError(problems=[_problem(path, "the file is not text", "is it a service file at all?")])
    return text


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unreadable(path: Path, error: OSError) -> Problem:
    hint = "become root" if isinstance(error, PermissionError) else ""
    return _problem(path, f"cannot be read: {error.strerror}", hint)


def _problem(path: Path, message: str, hint: str) -> Problem:
    return Problem(message=message, code="config.file", hint=hint, file=str(path))
