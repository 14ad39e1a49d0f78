"""From what the operator wrote to services: names, patterns, all of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from vmsvc.cli.failures import Failure
from vmsvc.core.errors import ExitCode, Problem, Severity, UsageError, VmsvcError
from vmsvc.core.planning.limits import Limits
from vmsvc.core.service import Service
from vmsvc.session import Session


def names_of(session: Session, written: Iterable[str]) -> tuple[list[str], list[Failure]]:
    """The services that names and patterns mean.

    Args:
        session: The session.
        written: Names and patterns.

    Returns:
        Names, each once, in the order in which they were written; and the patterns that match nothing. A name is not
        looked up here.
    """
    found: list[str] = []
    failures: list[Failure] = []
    for word in written:
        if not any(mark in word for mark in "*?["):  # which no service's name may have
            found.append(word)
        elif matching := [name for name in session.services() if fnmatchcase(name, word)]:
            found.extend(matching)
        else:
            hint = "`vmsvc ls` lists them"
            error = UsageError(f"no service matches {word!r}", code="usage.no-such-service", hint=hint)
            failures.append(Failure(word, error))
    return list(dict.fromkeys(found)), failures


def load(
    session: Session, names: Iterable[str], files: Mapping[str, Sequence[Path]] | None = None
) -> tuple[list[Service], list[Failure]]:
    """Read services; one that cannot be read does not hide the others.

    Args:
        session: The session.
        names: Their names.
        files: Their files, where these are known already; a service without, or with more than one, is looked for.

    Returns:
        The services, and why the others are not among them.
    """
    services: list[Service] = []
    failures: list[Failure] = []
    for name in names:
        try:
            there = (files or {}).get(name, ())
            services.append(session.load(there[0] if len(there) == 1 else name))
        except VmsvcError as error:
            failures.append(Failure(name, error))
    return services, failures


def chosen(session: Session, written: Iterable[str]) -> tuple[list[Service], list[Failure]]:
    """Read the services that names and patterns mean, or all of them.

    Args:
        session: The session.
        written: Names and patterns; none for all services.

    Returns:
        The services, and what kept the command from others.
    """
    words = list(written)
    if words:
        names, failures = names_of(session, words)
        services, unread = load(session, names)
    else:
        failures, files = [], session.files()
        services, unread = load(session, files, files)
    return services, [*failures, *unread]


def left_behind(session: Session) -> tuple[list[Service], list[Failure]]:
    """The services that have no file any more, and disks that were reserved for them.

    Args:
        session: The session.

    Returns:
        The services; or why nobody can tell which there are. That does not hide those that have a file.
    """
    try:
        return session.left_behind(), []
    except VmsvcError as error:
        return [], [Failure("", error)]


def all_of(session: Session, written: Iterable[str]) -> list[Service]:
    """Read the services that names and patterns mean, every one of them.

    Args:
        session: The session.
        written: Names and patterns.

    Returns:
        The services.

    Raises:
        UsageError: A name or a pattern means nothing, or a file cannot be read. Nothing is to be done then: who has
            asked for three services has not asked for two of them.
    """
    services, failures = chosen(session, written)
    if failures:
        problems = [problem for failure in failures for problem in failure.error.problems]
        if services:
            names = ", ".join(service.name for service in services)
            message = f"nothing was done to {names} either: all that is asked for must be readable"
            problems.append(Problem(message=message, code="note.nothing-done", severity=Severity.NOTE))
        raise UsageError(problems=problems)
    return services


def limits(arguments: argparse.Namespace) -> Limits:
    """The resources that a command is limited to.

    Args:
        arguments: The command's parsed words.
    """
    return Limits(
        rids=_listed(arguments.rid),
        tags=_listed(arguments.tags),
        subsets=_listed(arguments.subset),
        reserved=getattr(arguments, "reserved", False),
        applications=getattr(arguments, "applications", False),
    )


def within(limits: Limits, services: Iterable[Service]) -> tuple[list[Service], list[Failure]]:
    """The services that have resources within limits.

    Args:
        limits: The limits.
        services: The services.

    Returns:
        Those that have; and why the others are not among them.
    """
    meant: list[Service] = []
    failures: list[Failure] = []
    for service in services:
        try:
            limits.rids_of(service)
            meant.append(service)
        except UsageError as error:
            failures.append(Failure(service.name, error))
    return meant, failures


def _listed(written: Iterable[str]) -> tuple[str, ...]:
    """The words of an option that may be repeated, and that may have several with commas between them."""
    return tuple(word for words in written for word in words.split(","))


def worst(codes: Iterable[int]) -> int:
    """The exit code of a command for many services.

    Args:
        codes: The codes of each.

    Returns:
        The highest; 0 for none.
    """
    return max(codes, default=int(ExitCode.DONE))
