"""The self-test: vmsvc's own key permits the verbs, and nothing else. What is tried does no harm where it is let in."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from vmsvc.core.errors import NoWayIn, Undetermined
from vmsvc.core.transport.command import said_last

if TYPE_CHECKING:
    from vmsvc.core.transport.asking import Script
    from vmsvc.core.transport.ssh import SshHost
    from vmsvc.core.transport.ssh.trial import Answer, Trial

#: How long one of the trials may take, in seconds.
_BUDGET_S = 10.0

#: The exit code of the script where it refuses.
_REFUSED = 126

#: What a shell makes of :data:`_COMMAND`: seen in an answer, it proves that something was evaluated.
_PROOF = b"vmsvc-2*21=42"
_COMMAND = "echo vmsvc-2*21=$((2 * 21))"

#: Words of which no shell may make more than the words that they are, by what is in them.
EVALUATED: Mapping[str, str] = {
    ";": f";{_COMMAND}",
    "$()": f"$({_COMMAND})",
    "backquotes": f"`{_COMMAND}`",
    "a newline": f"x\n{_COMMAND}",
}


class Verdict(enum.Enum):
    """What became of a trial."""

    WORKS = "works as it should"
    REFUSED = "refused as it should be"
    DOES_NOT_WORK = "does NOT work"
    NOT_REFUSED = "NOT refused"
    UNKNOWN = "unknown"

    @property
    def is_right(self) -> bool | None:
        """Whether it is as it should be; ``None`` where that is not known."""
        return None if self is Verdict.UNKNOWN else self in (Verdict.WORKS, Verdict.REFUSED)


@frozen
class Tried:
    """One trial.

    Attributes:
        name: What was tried.
        verdict: What became of it.
        detail: What was answered; empty where the verdict says it all.
    """

    name: str
    verdict: Verdict
    detail: str = ""


@frozen
class Works:
    """A verb that is to work.

    Attributes:
        name: What is tried, for people.
        words: The verb, and what belongs to it.
        proof: What only the script says: the beginning of a line that it prints, behind what a start-up file may have
            printed, or, where it says why it did nothing, of the last line of its standard error.
        code: Its exit code.
    """

    name: str
    words: str
    proof: str
    code: int = 0


@frozen(kw_only=True)
class Expected:
    """What vmsvc's own key is to permit, and what it is not.

    Attributes:
        script: The script that the key runs.
        works: The verbs that are to work, beside ``hello``.
        refused: Requests that the script is to refuse, by what they try.
        literal: Requests whose odd words are to be taken for names that nothing has, alike.
    """

    script: Script
    works: Sequence[Works]
    refused: Mapping[str, str]
    literal: Mapping[str, str]


def try_out(host: SshHost, expected: Expected, *, budget_s: float) -> list[Tried]:
    """Try what vmsvc's own key lets in.

    Args:
        host: The guest or the peer, where vmsvc's own key is offered first.
        expected: What it is to let in, and what not.
        budget_s: How long it may take to get in, in seconds.

    Returns:
        What was tried, in order; where the key is not taken, that alone.

    Raises:
        NoWayIn: The host cannot be reached at all.
    """
    name = "vmsvc's own key is let in"
    try:
        trial = host.trial(budget_s=budget_s)
    except NoWayIn as error:
        if error.code != "undetermined.ssh-denied":
            raise
        return [Tried(name, Verdict.DOES_NOT_WORK, error.message)]
    if not host.is_restricted:
        return [Tried(name, Verdict.DOES_NOT_WORK, "another key of yours was taken instead")]
    return [Tried(name, Verdict.WORKS), *_verbs(trial, expected), *_refusals(trial, expected)]


def _verbs(trial: Trial, expected: Expected) -> Iterator[Tried]:
    script = expected.script
    for verb in (Works("the verb hello", "hello", proof=script.greeting), *expected.works):
        yield _works(trial, verb, script.name)


def _works(trial: Trial, verb: Works, name: str) -> Tried:
    """A verb works if it ends as it should, and says what only vmsvc's script says."""

    def judge(answer: Answer) -> Verdict:
        proof = verb.proof.encode()
        is_said = b"\n" + proof in b"\n" + answer.stdout
        is_said |= answer.stderr.strip().rpartition(b"\n")[2].startswith(proof)
        return Verdict.WORKS if answer.code == verb.code and is_said else Verdict.DOES_NOT_WORK

    return _run(trial, verb.name, judge, "exec", f"{name} {verb.words}")


def _refusals(trial: Trial, expected: Expected) -> Iterator[Tried]:
    name = expected.script.name
    commands = {
        "rm -rf of a directory that is nowhere": "rm -rf /vmsvc-no-such-directory",
        "another command": _COMMAND,
        "a command behind ;": f"{name} hello; {_COMMAND}",
        "a command behind &&": f"{name} hello && {_COMMAND}",
        "a command behind a newline": f"{name} hello\n{_COMMAND}",
        "a command in $()": f"{name} hello $({_COMMAND})",
        "a command in backquotes": f"{name} hello `{_COMMAND}`",
        "a verb that is not there": f"{name} vmsvc-no-such-verb",
        **{what: f"{name} {words}" for what, words in expected.refused.items()},
    }
    is_refused, is_literal = _judge(name), _judge(name, literal=True)
    run = partial(_run, trial, deaf=_answer_to_all(trial, name))
    for what, line in commands.items():
        yield run(what, is_refused, "exec", line)
    for what, words in expected.literal.items():
        yield run(what, is_literal, "exec", f"{name} {words}")
    yield run("a shell", is_refused, "shell")
    yield run("sftp", _judge_subsystem, "subsystem", "sftp")
    yield _grant("a terminal", lambda: trial.grants("pty-req", "vt100", 80, 24, 0, 0, "", budget_s=_BUDGET_S))
    yield _grant("forwarding to elsewhere (ssh -L)", lambda: trial.connects("127.0.0.1", 22, budget_s=_BUDGET_S))
    yield _grant("forwarding from there (ssh -R)", lambda: trial.listens(budget_s=_BUDGET_S))
    yield _grant(
        "forwarding of an agent (ssh -A)", lambda: trial.grants("auth-agent-req@openssh.com", budget_s=_BUDGET_S)
    )
    cookie = ("MIT-MAGIC-COOKIE-1", "0" * 32)
    yield _grant("forwarding of X11 (ssh -X)", lambda: trial.grants("x11-req", False, *cookie, 0, budget_s=_BUDGET_S))


def _judge_subsystem(answer: Answer) -> Verdict:
    """As a refusal; but sshd passes on nothing that a subsystem prints to its standard error."""
    is_refused = answer.code == _REFUSED or (answer.code is None and not answer.stdout)
    return Verdict.REFUSED if is_refused else Verdict.NOT_REFUSED


def _judge(name: str, *, literal: bool = False) -> Callable[[Answer], Verdict]:
    """How to tell a refusal by the script of that name; what is taken for a name that nothing has is as good as one."""

    def judge(answer: Answer) -> Verdict:
        is_refused = _is_ours(answer, _REFUSED, f"{name}: refused: ")
        if literal:
            is_refused |= _is_ours(answer, 125, f"{name}: there is no ")
        else:
            is_refused |= answer.code is None and not answer.stdout  # the host has run nothing
        return Verdict.REFUSED if is_refused else Verdict.NOT_REFUSED

    return judge


def _is_ours(answer: Answer, code: int, words: str) -> bool:
    if _PROOF in answer.stdout + answer.stderr:
        return False
    # A name with a newline takes several lines; the script says nothing else, but a start-up file may have, before.
    return answer.code == code and words.encode() in answer.stderr


def _answer_to_all(trial: Trial, name: str) -> Answer | None:
    """What even `hello` is answered where the script cannot be run; ``None`` where it was not answered, or well."""
    try:
        answer = trial.run("exec", f"{name} hello", budget_s=_BUDGET_S)
    except Undetermined:
        return None
    return answer if answer.code else None


def _run(
    trial: Trial,
    name: str,
    judge: Callable[[Answer], Verdict],
    what: str,
    *fields: str,
    deaf: Answer | None = None,
) -> Tried:
    """Try one thing. Where it is answered as even `hello` is, nobody has looked at what was asked, nor run it."""
    try:
        answer = trial.run(what, *fields, budget_s=_BUDGET_S)
    except Undetermined as error:
        return Tried(name, Verdict.UNKNOWN, error.message)
    verdict = judge(answer)
    if verdict.is_right:
        return Tried(name, verdict)
    if deaf is not None and answer in (deaf, evolve(deaf, stderr=b"")):  # sshd passes on no such output of a subsystem
        return Tried(name, Verdict.UNKNOWN, f"not run, as nothing is: exit code {answer.code}")
    return Tried(name, verdict, f"exit code {answer.code}{said_last(answer.stderr, answer.stdout)}")


def _grant(name: str, asked: Callable[[], bool]) -> Tried:
    try:
        return Tried(name, Verdict.NOT_REFUSED if asked() else Verdict.REFUSED)
    except Undetermined as error:
        return Tried(name, Verdict.UNKNOWN, error.message)
