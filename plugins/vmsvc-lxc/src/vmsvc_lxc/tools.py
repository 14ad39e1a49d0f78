"""The commands of LXC: run on the node, within a deadline, and believed only where their answer is whole."""

from __future__ import annotations

from vmsvc.driver import Commands, DriverError, Outcome, Undetermined, said_last, shown
from vmsvc_lxc.options import LxcGuest


class Tools(Commands):
    """The commands of LXC on a node, for the length of one verb."""

    def run_sparing(self, spare_s: float, *argv: str) -> Outcome:
        """Run a command whatever its exit code, and let nothing pass that was cut off.

        Args:
            spare_s: How much of the time to leave, in seconds; no more than a quarter of it is left.
            argv: The command.

        Raises:
            Undetermined: It did not end in time, or printed more than is kept.
            ActionFailed: It could not be run.
        """
        done = super().run_sparing(spare_s, *argv)
        if done.truncated:
            raise Undetermined(f"{shown(argv)}: it printed more than can be read")
        return done

    def answer(self, *argv: str) -> Outcome:
        """What a command has left behind that has to succeed.

        Args:
            argv: The command.

        Raises:
            Undetermined: As above; or it failed: what it was to tell is not known.
            ActionFailed: As above.
        """
        done = self.run(*argv)
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
