"""The commands of LXC: run on the node, within a deadline, and believed only where their answer is whole."""

from __future__ import annotations

import time

from attrs import frozen

from vmsvc.driver import DriverError, Host, Outcome, Undetermined, said_last, shown
from vmsvc_lxc.options import LxcGuest

#: Words of its commands and messages as they are in the sources, whoever runs vmsvc.
PLAIN = {"LC_ALL": "C"}


@frozen
class Deadline:
    """When a call has to be over, however many commands it takes.

    Attributes:
        at: When that is, on the monotonic clock, in seconds.
    """

    at: float

    @classmethod
    def within(cls, budget_s: float) -> Deadline:
        """The deadline of a call that begins now.

        Args:
            budget_s: How long it may take, in seconds.
        """
        return cls(time.monotonic() + budget_s)

    @property
    def left_s(self) -> float:
        """How long there is until then, in seconds."""
        return self.at - time.monotonic()

    def share(self, part: float) -> float:
        """A part of the time that is left, in seconds, so that something is left after a command that hangs.

        Args:
            part: The part, up to 1.
        """
        return self.left_s * part


def run(host: Host, *argv: str, budget_s: float) -> Outcome:
    """Run a command whatever its exit code, and let nothing pass that was cut off.

    Args:
        host: Where.
        argv: The command.
        budget_s: How long it may take, in seconds.

    Raises:
        Undetermined: It did not end in time, or printed more than is kept.
        ActionFailed: It could not be run.
    """
    done = host.run(argv, budget_s=budget_s, environment=PLAIN)
    if done.truncated:
        raise Undetermined(f"{shown(argv)}: it printed more than can be read")
    return done


def answer(host: Host, *argv: str, budget_s: float) -> Outcome:
    """The same for a command that has to succeed.

    Args:
        host: Where.
        argv: The command.
        budget_s: How long it may take, in seconds.

    Raises:
        Undetermined: As above; or it failed: what it was to tell is not known.
        ActionFailed: As above.
    """
    done = run(host, *argv, budget_s=budget_s)
    if done.code != 0:
        raise Undetermined(failure(done))
    return done


def failure(done: Outcome) -> str:
    """What to say of a command that failed.

    Args:
        done: What it left behind.
    """
    return f"{shown(done.argv)}: exit code {done.code}{said_last(done.stderr, done.stdout)}"


def refuse(done: Outcome, reason: str = "", hint: str = "") -> DriverError:
    """The error of a command by which LXC has said clearly that it cannot.

    Args:
        done: What it left behind.
        reason: Why it cannot, where that is known better than by what it printed.
        hint: What to do about it.
    """
    said = f"{shown(done.argv)}: exit code {done.code}; {reason}" if reason else failure(done)
    return DriverError(said, hint=hint)


def on(tool: str, guest: LxcGuest, *words: str) -> tuple[str, ...]:
    """A command about one container.

    Args:
        tool: Its name.
        guest: The container.
        words: Its other words.
    """
    return (tool, *at(guest.lxcpath), f"--name={guest.name}", *words)


def at(lxcpath: str) -> tuple[str, ...]:
    """The words by which a command is told where containers are; none where its own default counts.

    Args:
        lxcpath: The directory; empty for the default.
    """
    return (f"--lxcpath={lxcpath}",) if lxcpath else ()


def by_hand(tool: str, guest: LxcGuest, *words: str) -> str:
    """A command for people to type.

    Args:
        tool: Its name.
        guest: The container that it is about.
        words: Its other words.
    """
    path = ("-P", guest.lxcpath) if guest.lxcpath else ()
    return shown((tool, *path, "-n", guest.name, *words))
