"""zoneadm, zonecfg, zlogin and ifconfig on a node: run, and answered in records."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from vmsvc.driver import Commands, DriverError, Outcome, Undetermined, VmsvcError, said_last, shown
from vmsvc_zone import parse
from vmsvc_zone.parse import Configuration, Plumbed, Zone

#: Where zonecfg keeps configurations, one file each (libzonecfg), and what it writes there of a zone that boots with
#: its node (zonecfg.dtd).
KEPT_IN = Path("/etc/zones")
_AUTOBOOT = "autoboot=.true."
# What is left of the time of a look by what only adds to it, in seconds.
_SPARED_S = 1.0


class Tool(Commands):
    """The tools of zones on a host, for the length of one verb."""

    def run(self, *argv: str) -> Outcome:
        """Run a command, and leave it to the caller what its exit code means.

        Args:
            argv: The command.

        Raises:
            Undetermined: It did not end in time, or there is no such command on this node.
        """
        try:
            return super().run(*argv)
        except VmsvcError as error:
            raise Undetermined(f"`{shown(argv)}`: {error.message}", hint=error.problems[0].hint) from error

    def told(self, *argv: str) -> str:
        """What a command prints that is to succeed.

        Args:
            argv: The command.

        Raises:
            Undetermined: It failed, or printed more than is kept.
        """
        done = self.run(*argv)
        if done.code or done.truncated:
            what = "printed more than is kept" if done.truncated else f"exited with {done.code}"
            raise Undetermined(f"`{shown(argv)}` {what}{said_last(done.stderr, done.stdout)}")
        return done.out

    def do(self, *argv: str) -> Outcome:
        """Run a command that changes something.

        Args:
            argv: The command.

        Raises:
            DriverError: It failed.
        """
        done = self.run(*argv)
        if done.code:
            raise DriverError(f"`{shown(argv)}` exited with {done.code}{said_last(done.stderr, done.stdout)}")
        return done

    def zones(self) -> list[Zone]:
        """Every zone but the global one, by one command."""
        return parse.zones(self.told("zoneadm", "list", "-cp"))

    def find(self, name: str) -> Zone | None:
        """A zone; ``None`` where this node has none of that name.

        Args:
            name: Its name.
        """
        return next((zone for zone in self.zones() if zone.name == name), None)

    def known(self, name: str) -> Zone:
        """A zone that is there.

        Args:
            name: Its name.

        Raises:
            DriverError: This node has none of that name.
        """
        zone = self.find(name)
        if zone is None:
            raise DriverError(
                f"this node has no zone named {name!r}",
                code="driver.no-guest",
                hint="`zoneadm list -cp` tells the names; once `push` has kept the definition of a zone, a start "
                "configures it",
            )
        return zone

    def exported(self, name: str) -> str:
        """A zone's configuration, as the commands that would make it anew.

        Args:
            name: Its name.
        """
        self.known(name)
        text = self.told("zonecfg", "-z", name, "export")
        parse.configuration(text)
        return text

    def configuration(self, name: str) -> Configuration:
        """A zone's configuration.

        Args:
            name: Its name.
        """
        return parse.configuration(self.exported(name))

    def plumbed(self) -> Sequence[Plumbed]:
        """The addresses of all adapters of this node."""
        return parse.plumbed(self.told("ifconfig", "-a"))

    def booted_with_the_node(self, *names: str) -> set[str]:
        """Which zones the node boots by itself, as far as its time allows: it only adds to what is known.

        Args:
            names: Zones that this node has.
        """
        files = {str(file_of(name)): name for name in names}
        with contextlib.suppress(VmsvcError):
            if files:
                done = self.run_sparing(_SPARED_S, "grep", "-ls", _AUTOBOOT, *files, "/dev/null")
                return {files[line] for line in done.out.splitlines() if line in files}
        return set()

    def is_kept(self, name: str) -> bool:
        """Whether zonecfg has a file of a zone.

        Args:
            name: Its name.

        Raises:
            Undetermined: It cannot be told.
        """
        done = self.run("test", "-f", str(file_of(name)))
        if done.code not in (0, 1):
            raise Undetermined(f"`{shown(done.argv)}` exited with {done.code}{said_last(done.stderr, b'')}")
        return not done.code


def file_of(name: str) -> Path:
    """Where zonecfg keeps a zone's configuration.

    Args:
        name: Its name.
    """
    return KEPT_IN / f"{name}.xml"
