"""Commands about service files: validate, create, get, set, unset."""

from __future__ import annotations

import contextlib
import difflib
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from vmsvc.cli import render, selection
from vmsvc.cli.call import Call
from vmsvc.cli.screen import Line, plain
from vmsvc.core import config
from vmsvc.core.config import edit
from vmsvc.core.config.files import SUFFIXES, ignored_files
from vmsvc.core.config.guests import Claims
from vmsvc.core.config.legacy import today
from vmsvc.core.config.model import DEFAULT
from vmsvc.core.config.node_file import NODE_FILES
from vmsvc.core.documents import envelope, services
from vmsvc.core.errors import ExitCode, Problem, Severity, UsageError, VmsvcError
from vmsvc.core.nearest import did_you_mean
from vmsvc.core.options import options_of
from vmsvc.core.resource import Resource
from vmsvc.core.service import Service

#: A file, the service that it describes unless it is wrong, and what there is to say about it.
_Examined = tuple[Path, "Service | None", Sequence[Problem]]

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "bold cyan"}


def validate(call: Call) -> int:
    """Check files. No hypervisor is asked, but for the names of disks that are to be reserved.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    reports = _with_neighbours(call, list(_reports(call)))
    if not reports:
        call.screen.say(f"there is nothing to check in {call.session.node.config_dir}")
    call.screen.answer(services.validation(reports), _validation(reports))
    return ExitCode.USAGE if any(_errors(problems) for _, problems in reports) else ExitCode.DONE


def _with_neighbours(call: Call, examined: Sequence[_Examined]) -> list[tuple[Path, Sequence[Problem]]]:
    """Each file with its problems, and what it has to do with guests and disks of the node's other services."""
    if not any(service and service.resources for _, service, _ in examined):
        return [(path, problems) for path, _, problems in examined]
    session = call.session
    read = {path: service for path, service, _ in examined}
    neighbours = []
    for name in session.services():
        with contextlib.suppress(VmsvcError):  # a service's own mistakes are told when it is asked for
            path = config.service_file(session.node, name)
            neighbours.append(read[path] if path in read else session.examine(path)[0])
    claims = Claims.of(service for service in neighbours if service)
    return [
        (path, (*problems, *claims.against(service), *session.disk_problems(service)) if service else problems)
        for path, service, problems in examined
    ]


def _reports(call: Call) -> Iterator[_Examined]:
    """Each file with its service and its problems; the node's own file first, when all are asked for."""
    session = call.session
    written: Sequence[str] = call.arguments.names
    if not written:
        node = session.node
        files = [path for name in NODE_FILES if (path := node.config_dir / name).exists()]
        yield from ((path, None, node.problems if path == files[0] else ()) for path in files)
        call.screen.told.update(node.problems)
        if ignored := ignored_files(node):
            yield node.services_dir, None, ignored
        written = session.services()
    for word in written:
        # `validate web.conf` means a file here, whether it is there or not, unless a service is so named.
        is_path = "/" in word or Path(word).is_file() or word.endswith(SUFFIXES)
        if is_path and word not in session.services():
            yield Path(word), *session.examine(Path(word))
            continue
        names, failures = selection.names_of(session, [word])
        yield from ((Path(word), None, failure.error.problems) for failure in failures)
        for name in names:
            try:
                path = config.service_file(session.node, name)
                yield path, *session.examine(path)
            except VmsvcError as error:
                yield Path(error.problems[0].file or name), None, error.problems


def _errors(problems: Iterable[Problem]) -> int:
    return sum(problem.severity is Severity.ERROR for problem in problems)


def _validation(reports: Iterable[tuple[Path, Sequence[Problem]]]) -> Iterator[Line]:
    for path, problems in reports:
        for problem in problems:
            yield ((f"{problem.severity.value}: ", _STYLES[problem.severity]), (str(problem), ""))
        errors = _errors(problems)
        verdict = ("ok", "green") if not errors else (f"{errors} error{'s' if errors > 1 else ''}", "bold red")
        yield ((f"{path}: ", ""), verdict)


def create(call: Call) -> int:
    """Make a service.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    arguments, session = call.arguments, call.session
    settings = settings_of(arguments.settings)
    if "=" in arguments.name:
        words = shlex.join([arguments.name, *arguments.settings])
        raise UsageError(f"{arguments.name!r} is a setting, and no name", hint=f"say `vmsvc create NAME {words}`")
    if arguments.type:
        settings = {"container#1.type": arguments.type, **settings}
    template = Path(arguments.template) if arguments.template else None
    is_toml = arguments.toml or (template is not None and template.suffix == ".toml")
    if arguments.toml and template is not None and template.suffix != ".toml":
        raise UsageError(f"{template} is not a TOML file", hint="leave --toml out")
    edit.check_free(session.node, arguments.name)
    made = edit.draft(
        session.node,
        arguments.name,
        session.catalog,
        settings=settings,
        template=config.read_text(template) if template else "",
        suffix=".toml" if is_toml else ".conf",
    )
    if arguments.dry_run:
        return _would_change(call, made.path, "", made.text, made.service.problems)
    made.write()
    return changed(
        call,
        made.path,
        made.service.problems,
        f"made; `vmsvc edit {shlex.quote(arguments.name)}` changes it",
    )


def get(call: Call) -> int:
    """Print the value of a key.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    session, name, key = call.session, call.arguments.name, call.arguments.key
    if call.arguments.raw:
        found = edit.get_key(config.service_file(session.node, name), key)
    else:
        found = render.value(_effective(call, session.load(name), key))
    document = envelope.document("vmsvc.value/1", {"service": name, "key": key, "value": found})
    call.screen.answer(document, found)
    return ExitCode.DONE


def _effective(call: Call, service: Service, written: str) -> object:
    """The value of a key for this node, references and defaults included; an old name means the key of today."""
    address = edit.Address.parse(written)
    if address.scope and not call.session.node.is_called(address.scope):
        raise UsageError(f"{written} is what the file says for other nodes", hint="use --raw")
    section, key = address.section, address.key
    if "#" in key:
        service.resource(key)  # which tells what there is
        raise UsageError(
            f"{key} is a section", hint=f"say `{key}.KEY`; `vmsvc show {shlex.quote(service.name)}` has all"
        )
    owner: Service | Resource = service if section == DEFAULT else service.resource(section)
    known = ["type"] * isinstance(owner, Resource) + [option.key for option in options_of(type(owner))]
    now = today(section, key, [guest.rid for guest in service.guests])
    if key not in known and now:
        section, key = now
        owner = service if section == DEFAULT else service.resource(section)
        call.screen.say(f"`{written}` is an old name; it is now `{section}.{key}`")
    elif key not in known:
        hint = did_you_mean(key, known, otherwise=f"`vmsvc show {shlex.quote(service.name)}` lists all keys")
        raise UsageError(f"{section} has no key {key!r}", code="usage.no-such-key", hint=hint)
    return getattr(owner, key)


def set_keys(call: Call) -> int:
    """Give keys new values.

    Args:
        call: The call.

    Returns:
        The exit code.
    """
    settings = settings_of(call.arguments.settings)

    def change(path: Path, write: edit.Writer) -> tuple[Problem, ...]:
        return edit.set_keys(path, settings, call.session.node, call.session.catalog, write=write)

    return _edited(call, change)


def unset_keys(call: Call) -> int:
    """Remove keys.

    Args:
        call: The call.

    Returns:
        The exit code.
    """

    def change(path: Path, write: edit.Writer) -> tuple[Problem, ...]:
        return edit.unset_keys(path, call.arguments.keys, call.session.node, call.session.catalog, write=write)

    return _edited(call, change)


def _edited(call: Call, change: Callable[[Path, edit.Writer], tuple[Problem, ...]]) -> int:
    """Change a service's file, or show what would change."""
    path = config.service_file(call.session.node, call.arguments.name)
    if not call.arguments.dry_run:
        return changed(call, path, change(path, edit.write_atomically), "changed")
    texts: list[str] = []
    problems = change(path, lambda _, text: texts.append(text))
    return _would_change(call, path, config.read_text(path), texts[-1], problems)


def _would_change(call: Call, path: Path, before: str, after: str, problems: Sequence[Problem]) -> int:
    """Show how a file would be another one; nothing is written."""
    diff = difference(path, before, after)
    return changed(call, path, problems, "nothing would change" if not diff else "would be so", diff=diff)


def difference(path: Path, before: str, after: str) -> str:
    """How a file would change, as `diff -u` tells it.

    Args:
        path: The file.
        before: What it holds.
        after: What it would hold.
    """
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(difflib.unified_diff(*lines, str(path), f"{path} (dry run)"))


def changed(call: Call, path: Path, problems: Sequence[Problem], verdict: str, *, diff: str | None = None) -> int:
    """Tell that a service's file was changed.

    Args:
        call: The call.
        path: The file.
        problems: Warnings and notes about it.
        verdict: What became of it.
        diff: How it would change; ``None`` where it was changed.

    Returns:
        The exit code.
    """
    for problem in problems:
        call.screen.tell(problem)
    content = {
        "service": call.arguments.name,
        "file": str(path),
        "problems": [envelope.problem(problem) for problem in problems],
        **({} if diff is None else {"diff": diff}),
    }
    lines = [*(diff or "").splitlines(), f"{path}: {verdict}"]
    call.screen.answer(envelope.document("vmsvc.changed/1", content), map(plain, lines))
    return ExitCode.DONE


def settings_of(written: Iterable[str]) -> dict[str, str]:
    """What ``SECTION.KEY=VALUE`` words say.

    Args:
        written: The words.

    Returns:
        Values by address.

    Raises:
        UsageError: A word is no setting, or a key is given twice.
    """
    settings: dict[str, str] = {}
    for word in written:
        key, equals, content = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{word!r} is no setting", hint="write SECTION.KEY=VALUE")
        if key in settings:
            raise UsageError(f"{key} is given twice", hint="give it once")
        settings[key] = content
    return settings
