"""``vmsvc edit``: an editor works on a copy, which replaces the service's file once it is valid."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from pathlib import Path

from vmsvc.cli.call import Call
from vmsvc.cli.files import changed
from vmsvc.cli.screen import plain
from vmsvc.core.config import parse_service, read_text, service_file
from vmsvc.core.config.atomic import write_atomically
from vmsvc.core.documents import envelope
from vmsvc.core.errors import ActionFailed, ConfigError, ExitCode, Problem, Refused, Severity, UsageError
from vmsvc.core.transport.terminal import run_on_terminal

#: What to do where nobody can type.
_WITHOUT_TERMINAL = "`vmsvc set NAME SECTION.KEY=VALUE` changes a file without an editor; EDITOR names another one"


def edit(call: Call) -> int:
    """Edit a service's file.

    Args:
        call: The call.

    Returns:
        The exit code.

    Raises:
        ConfigError: The copy is not valid; it is kept.
        UsageError: The editor's variable cannot be understood; or nobody has chosen one, and there is no terminal.
        ActionFailed: The editor failed; the copy is kept.
        Refused: The file has changed meanwhile; the copy is kept.
    """
    session = call.session
    path = service_file(session.node, call.arguments.name)
    before = read_text(path)
    editor = _editor()
    draft = _copy(path, before)
    while True:
        after, problems = _edited(call, path, draft, editor)
        if after == before:
            draft.unlink()
            return _unchanged(call, path)
        errors = [problem for problem in problems if problem.severity is Severity.ERROR]
        if not errors:
            break
        if not _wants_another_try(call, errors):
            kept = Problem(
                message=f"{path} is unchanged; your draft is {draft}", code="config.draft-kept", severity=Severity.NOTE
            )
            raise ConfigError(problems=[*errors, kept])
    if read_text(path) != before:
        raise Refused(
            f"{path} has changed while you edited it; your draft is {draft}",
            code="refused.changed-meanwhile",
            hint=f"compare the two, then `vmsvc edit {shlex.quote(path.stem)}` again",
        )
    write_atomically(path, after)
    draft.unlink()
    return changed(call, path, problems, "changed")


def _editor() -> list[str]:
    """The words of the operator's editor, as a shell would split them."""
    variable = "VISUAL" if os.environ.get("VISUAL") else "EDITOR"
    written = os.environ.get(variable) or "vi"
    if not os.environ.get(variable) and not (sys.stdin and sys.stdin.isatty()):
        # It would wait for somebody to type, for ever.
        raise UsageError(
            "vi needs a terminal, and standard input is none", hint=_WITHOUT_TERMINAL, code="usage.no-terminal"
        )
    try:
        words = shlex.split(written)
    except ValueError as error:
        reason = str(error).lower()
        raise UsageError(f"{variable} is no command: {reason}: {written}", hint=f"set {variable} anew") from None
    if not words:
        raise UsageError(f"{variable} is no command: it is blank", hint=f"set {variable} anew, or unset it")
    return words


def _copy(path: Path, text: str) -> Path:
    """A draft with the file's ending, by which editors choose their colours; for our eyes only."""
    descriptor, name = tempfile.mkstemp(prefix=f"{path.stem}.", suffix=path.suffix)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return Path(name)


def _edited(call: Call, path: Path, draft: Path, editor: list[str]) -> tuple[str, tuple[Problem, ...]]:
    """Run the editor once; tell what the draft holds then, and what is wrong with it."""
    # Whoever reads JSON finds nothing else in the output.
    code = run_on_terminal([*editor, str(draft)], spares_output=call.screen.json)
    if code:
        raise ActionFailed(
            f"{shlex.join(editor)} ended with exit code {code}; {path} is unchanged; your draft is {draft}"
        )
    try:
        text = read_text(draft)
    except ConfigError as error:
        return "", error.problems
    return text, parse_service(path, call.session.node, call.session.catalog, text=text)[1]


def _wants_another_try(call: Call, errors: list[Problem]) -> bool:
    if call.screen.json or not (sys.stdin and sys.stdin.isatty() and call.screen.err.is_terminal):
        return False
    for problem in errors:
        call.screen.tell(problem)
    call.screen.err.write(plain("Edit again? [Y/n]"))
    return sys.stdin.readline().strip().lower() in ("", "y", "yes")


def _unchanged(call: Call, path: Path) -> int:
    content = {"service": call.arguments.name, "file": str(path), "problems": []}
    call.screen.answer(envelope.document("vmsvc.changed/1", content), [plain(f"{path}: unchanged")])
    return ExitCode.DONE
