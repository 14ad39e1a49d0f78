"""xl on a node, and the files that it reads: run, and answered in records."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping

from attrs import frozen

from vmsvc.driver import Commands, DriverError, Outcome, Phase, Undetermined, VmsvcError, said_last, shown, whole_lines
from vmsvc_xen import config, parse
from vmsvc_xen.config import Value
from vmsvc_xen.device import Device
from vmsvc_xen.options import XenGuest
from vmsvc_xen.parse import Domain, Domains

#: Below the directory of config files, those that the node starts when it boots; and where it keeps the states of
#: guests from which it resumes them then: /etc/default/xendomains, XENDOMAINS_AUTO and XENDOMAINS_SAVE.
AUTO = "auto"
SAVED = "/var/lib/xen/save"
#: Where xl writes what becomes of a guest: `xl-NAME.log` (libxl_create_logfile in tools/libs/light).
LOGS = "/var/log/xen"

# Enough for a guest that has died, or is being made, to have no domain any more, or a name; in seconds.
_MOMENT_S, _PAUSE_S = 2.0, 0.2
# What find and cat say of what is not there, in the locale C (strerror(3), ENOENT and ENOTDIR).
_NOT_THERE = (": No such file or directory", ": Not a directory")
# What becomes of a log's name when a newer one takes its place, or somebody removes it.
_OLDER = re.compile(r"(\.\d+)?( \(deleted\))?")
# Of the time of a start, what is left to take apart what an xl has begun that did not end in time, in seconds.
_CLEANING_S = 10.0


@frozen(kw_only=True)
class Files:
    """Files of this node that exist.

    Attributes:
        inodes: Which file each path leads to, by device and inode: two paths may lead to one.
        at_boot: What the node starts when it boots: entries of its directory, by the files to which they lead, and by
            their own names.
        lost: What could not be looked at, and why; empty where all could.
    """

    inodes: Mapping[str, str]
    at_boot: Mapping[str, str]
    lost: str


@frozen(kw_only=True)
class Keepers:
    """The processes that wait for guests to end: of each `xl create`, the child that it leaves behind.

    One whose guest reboots takes its domain apart, waits two seconds, and makes it another one: create_domain() in
    tools/xl/xl_vmcontrol.c. In between, Xen has no such guest, and nothing but this process tells that it comes back.

    Attributes:
        logs: What each writes to, by its number: do_daemonize() in tools/xl/xl_utils.c.
        lost: Why they could not be looked at; empty where they could.
    """

    logs: Mapping[str, str]
    lost: str = ""

    def of(self, name: str) -> tuple[str, ...]:
        """The numbers of a guest's processes; none where none is left.

        The xl that has received a guest from another node named its log before the guest had its own name again:
        create_domain() in tools/xl/xl_vmcontrol.c.

        Args:
            name: The guest's name.
        """
        logs = [f"{LOGS}/xl-{each}.log" for each in (name, f"{name}{parse.INCOMING}")]
        return tuple(number for number, each in self.logs.items() if any(_is_now(log, each) for log in logs))


class Tool(Commands):
    """xl on a host, for the length of one verb."""

    def domains(self, *wanted: str) -> Domains:
        """All guests that Xen has in memory.

        Args:
            wanted: The names of guests whose absence has to be sure: while there are domains without a name, it is
                looked again for a moment.

        Raises:
            Undetermined: Xen does not tell.
        """
        found = parse.domains(self.told("xl", "list"))
        until = time.monotonic() + min(_MOMENT_S, self.left_s / 2)
        while found.nameless and set(wanted) - set(found.named) and time.monotonic() < until:
            time.sleep(_PAUSE_S)
            found = parse.domains(self.told("xl", "list"))
        return found

    def find(self, name: str) -> Domain | None:
        """A guest that Xen has in memory; ``None`` where it has none of exactly that name.

        Args:
            name: Its name.

        Raises:
            Undetermined: Xen does not tell, or has a domain without a name.
        """
        return self.domains(name).of(name)

    def keepers(self) -> Keepers:
        """The processes that wait for guests to end: one command, or two where there are any."""
        try:
            return Keepers(logs=self._logs())
        except VmsvcError as error:
            return Keepers(logs={}, lost=error.message)

    def _logs(self) -> dict[str, str]:
        found = self.run("pgrep", "-x", "xl")
        if found.code not in (0, 1) or found.truncated or found.err.strip():  # 1: there is none; pgrep(1)
            raise Undetermined(f"{shown(found.argv)} exits with {found.code}{said_last(found.stderr, b'')}")
        outputs = [f"/proc/{number}/fd/1" for number in found.out.split()]
        if not outputs:
            return {}
        done = self.run("find", *outputs, "-maxdepth", "0", "-printf", "%p %l\\0")
        if complaints := _complaints(done):
            raise Undetermined("; ".join(complaints))
        entries = [entry.partition(" ") for entry in done.out.split("\0") if entry]
        return {output.split("/")[2]: log for output, _, log in entries}

    def release(self, name: str) -> bool:
        """End the processes that wait for a guest to end, so that none makes it anew.

        Args:
            name: The guest's name.

        Returns:
            Whether there was one.

        Raises:
            Undetermined: They could not be looked at, or did not end in time.
        """
        was_one = False
        while True:
            keepers = self.keepers()
            if keepers.lost:
                raise Undetermined(f"whether an xl makes {name} anew cannot be told: {keepers.lost}")
            if not (numbers := keepers.of(name)):
                return was_one
            was_one = True
            self.run("kill", "--", *numbers)
            time.sleep(_PAUSE_S)

    def create(self, guest: XenGuest) -> Outcome:
        """Make a domain of a guest's config file; what it has begun when its time is over is taken apart.

        xl makes a domain that is paused, and lets it go at the end: one whose xl was ended before stays so for ever. It
        may be somebody else's, for whose xl ours has waited: as long as there is such an xl, nothing is destroyed.

        Args:
            guest: The guest, of which Xen has no domain.

        Raises:
            Undetermined: It did not end in time.
        """
        try:
            return self.run_sparing(_CLEANING_S, "xl", "create", guest.file)
        except Undetermined:
            with contextlib.suppress(VmsvcError):
                self._take_apart(guest.name)
            raise

    def _take_apart(self, name: str) -> None:
        while self._logs_elsewhere():
            time.sleep(_PAUSE_S)
        domain = self.find(name)
        if domain is not None and domain.phase is Phase.STARTING:
            self.run("xl", "destroy", str(domain.id))

    def _logs_elsewhere(self) -> bool:
        """Whether there is an xl that does not merely wait for a guest to end: those write to logs of their own."""
        return not all(each.startswith(f"{LOGS}/") for each in self._logs().values())

    def devices(self, domain: Domain) -> list[Device]:
        """The disks that Xen has given a guest.

        Args:
            domain: The guest.

        Raises:
            Undetermined: Xen does not tell.
        """
        found = parse.devices(self.told("xl", "list", "-l", str(domain.id)))
        if domain.id not in found:
            raise Undetermined(f"xl list -l: the disks of {domain.name} are not told")
        return found[domain.id]

    def all_devices(self) -> dict[int, list[Device]]:
        """The disks of all guests, by the guests' numbers, as far as they are told."""
        return parse.devices(self.told("xl", "list", "-l"))

    # --- files --------------------------------------------------------------------------------------------------------

    def files(self, directory: str, *files: str) -> Files:
        """Which files there are, and what the node starts or resumes by itself: one command.

        Args:
            directory: Where config files are.
            files: Config files, which may be elsewhere.
        """
        auto = f"{directory}/{AUTO}/"
        places = (*dict.fromkeys(files), auto, SAVED)
        done = self.run("find", "-L", *places, "-maxdepth", "1", "-type", "f", "-printf", "%D:%i %p\\0")
        *whole, rest = done.out.split("\0")
        entries = [entry.partition(" ") for entry in whole]
        lost = [*_complaints(done), *([f"{shown(done.argv)}: its answer ends within a path"] if rest else [])]
        inodes = {path: inode for inode, _, path in entries}
        started = {path: inode for path, inode in inodes.items() if path.startswith(auto)}
        return Files(
            inodes=inodes,
            at_boot={key: path for path, inode in started.items() for key in (inode, path.removeprefix(auto))},
            lost="; ".join(lost),
        )

    def config_files(self, directory: str) -> list[str]:
        """The config files of a directory, by their names.

        Args:
            directory: Where they are.

        Raises:
            Undetermined: They cannot be told.
        """
        *entries, rest = self.told("find", "-L", directory, "-maxdepth", "1", "-printf", "%y%p\\0").split("\0")
        if rest or f"d{directory}" not in entries:
            raise Undetermined(f"find: what it tells of {directory} is not whole")
        return sorted(each[1:] for each in entries if each.startswith("f") and each.endswith(".cfg"))

    def text(self, guest: XenGuest) -> str:
        """A guest's config file, as it is.

        Args:
            guest: The guest.

        Raises:
            DriverError: There is no such file, or it describes another guest.
            Undetermined: It cannot be read, is not whole, or xl could not read it.
        """
        done = self.run("cat", "--", guest.file)
        if done.code and done.err.rstrip().endswith(_NOT_THERE):
            raise DriverError(
                f"the guest {guest.name!r} has no config file {guest.file}",
                code="driver.no-guest",
                hint="the keys `config` and `config_dir` tell where it is; once `push` has kept it, a start on another "
                "node brings it there",
            )
        if done.code or done.truncated:
            raise Undetermined(f"{guest.file} cannot be read{said_last(done.stderr, b'')}")
        whole_lines(done)
        described = config.name(self._settings(guest.file, done.out))
        if described != guest.name:
            raise DriverError(
                f"{guest.file} does not describe the guest {guest.name!r}, but {described!r}",
                hint="the key `name` is to be the name in that file; the key `config` tells of another file",
            )
        return done.out

    def settings(self, guest: XenGuest) -> dict[str, Value]:
        """The settings of a guest's config file.

        Args:
            guest: The guest.

        Raises:
            DriverError: There is no such file, or it describes another guest.
            Undetermined: It cannot be read.
        """
        return self._settings(guest.file, self.text(guest))

    def named(self, file: str) -> str:
        """The name of the guest that a config file describes; empty where it describes none.

        Args:
            file: Where it is.

        Raises:
            Undetermined: It cannot be read, is not whole, or xl could not read it: it may describe any.
        """
        return config.name(self._settings(file, self.file(file)))

    def configured(self, guest: XenGuest) -> list[Device]:
        """The disks that a guest's config file gives it.

        Args:
            guest: The guest.

        Raises:
            DriverError: There is no such file, or it describes another guest.
            Undetermined: It cannot be read.
        """
        found = self.settings(guest)
        try:
            return config.devices(found)
        except ValueError as error:
            raise Undetermined(f"{guest.file}: {error}") from None

    def _settings(self, file: str, text: str) -> dict[str, Value]:
        try:
            return config.settings(text)
        except ValueError as error:
            raise Undetermined(f"{file} is no config file that xl could read: {error}") from None


def _is_now(log: str, path: str) -> bool:
    """Whether a path is that of a log, or what has become of it."""
    return path.startswith(log) and _OLDER.fullmatch(path.removeprefix(log)) is not None


def _complaints(done: Outcome) -> list[str]:
    """What find could not look at, but for what is not there, which is an answer."""
    found = [line for line in done.err.splitlines() if not line.endswith(_NOT_THERE)]
    if done.truncated or (done.code and not done.err.strip()):
        found.append(f"{shown(done.argv)}: its answer is not whole")
    return found
