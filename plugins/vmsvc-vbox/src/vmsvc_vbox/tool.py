"""VBoxManage, and the little else that is run on the node."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

from vmsvc.driver import Commands, DriverError, Outcome, Undetermined, said_last, whole_lines
from vmsvc_vbox import parse
from vmsvc_vbox.parse import Listed, Machine, Medium

#: The code of an error, in any language, where no guest has the name (``include/VBox/com/defs.h``).
_NOT_FOUND = "VBOX_E_OBJECT_NOT_FOUND"
# Enough of a VMDK file for its descriptor, in bytes.
_DESCRIPTOR = 65536
# Lists of what may be in a drive that is no hard disk.
_REMOVABLE = ("dvds", "floppies", "hostdvds", "hostfloppies")


class Tool(Commands):
    """VBoxManage on a host, for the length of one verb."""

    environment: ClassVar[dict[str, str]] = {"LC_ALL": "C.UTF-8"}  # English, and names in UTF-8

    def run(self, *argv: str) -> Outcome:
        """Run VBoxManage, and leave it to the caller what its exit code means.

        Args:
            argv: Its arguments.
        """
        return super().run("VBoxManage", *argv)

    def survey(self) -> list[Listed]:
        """Every guest with its state: two commands, however many guests there are.

        Raises:
            Undetermined: VirtualBox does not tell.
        """
        short, long = self.lines("list", "vms"), self.lines("list", "--long", "vms")
        found = parse.surveyed(short, long)
        if not found and not self.told("list", "hostinfo").strip():
            # Nothing is what it prints where there are no guests, and would print if it were broken.
            raise Undetermined("VBoxManage prints nothing at all: whether there are guests cannot be told")
        return found

    def find(self, name: str) -> Listed | None:
        """A guest; ``None`` where there is none of exactly that name, and none runs as another user's.

        Args:
            name: Its name.

        Raises:
            Undetermined: VirtualBox does not tell, or there are two.
        """
        guests = self.survey()
        found = the_one(guests, name)
        if found is None:
            nobody_runs(name, self.strangers(guests))
        return found

    def strangers(self, guests: list[Listed]) -> list[Machine]:
        """The processes that run guests which VirtualBox does not list: it lists those of one user alone.

        Args:
            guests: Those that it lists.

        Raises:
            Undetermined: The processes cannot be listed.
        """
        known = {guest.uuid for guest in guests}
        running = parse.machines(whole_lines(super().run("ps", "-eo", "user=,args=")))
        return [each for each in running if each.guest not in known]

    def info(self, name: str) -> dict[str, str]:
        """What VirtualBox tells of a guest.

        Args:
            name: Its name, or its UUID.

        Raises:
            DriverError: There is none.
            Undetermined: VirtualBox does not tell.
        """
        done = self.run("showvminfo", name, "--machinereadable")
        if done.code and _NOT_FOUND in done.err:
            raise DriverError(f"VirtualBox knows no guest named {name!r}", hint="`VBoxManage list vms` tells the names")
        values = parse.info(whole_lines(done))
        if name not in (values["name"], values["UUID"]):  # it takes names of files for guests, too
            raise DriverError(f"VirtualBox knows no guest named {name!r}, but {values['name']!r}")
        return values

    @cached_property
    def media(self) -> dict[str, Medium]:
        """Every hard disk, by its UUID.

        Raises:
            Undetermined: VirtualBox does not tell.
        """
        return parse.media(self.lines("list", "hdds"))

    @cached_property
    def removable(self) -> set[str]:
        """The UUIDs of all media and drives of the node that are for optical or floppy drives.

        Raises:
            Undetermined: VirtualBox does not tell.
        """
        return {uuid for kind in _REMOVABLE for uuid in parse.uuids(self.lines("list", kind))}

    def raw_device(self, path: str) -> str:
        """The device that a disk's file stands for; empty where its data are in files.

        Args:
            path: A file in VMDK format.

        Raises:
            Undetermined: It cannot be read, or does not tell.
        """
        done = super().run("head", "-c", str(_DESCRIPTOR), "--", path)
        device = None if done.code or done.truncated else parse.raw_device(done.stdout.decode(errors="replace"))
        if device is None:
            raise Undetermined(f"{path} does not tell whether it stands for a device{said_last(done.stderr, b'')}")
        return device


def the_one(guests: list[Listed], name: str) -> Listed | None:
    """The guest of a name; ``None`` where there is positively none.

    Args:
        guests: All guests, or all that the name may mean: those of unknown names among them.
        name: The name.

    Raises:
        Undetermined: There are two, or one whose name VirtualBox does not know.
    """
    found = [guest for guest in guests if guest.name == name]
    if len(found) > 1:
        uuids = ", ".join(guest.uuid for guest in found)
        raise Undetermined(f"{len(found)} guests of VirtualBox are named {name!r}: {uuids}")
    lost = [guest.uuid for guest in guests if guest.name == parse.INACCESSIBLE]
    if not found and lost:
        raise Undetermined(
            f"no guest of VirtualBox is named {name!r}, but it cannot read the settings of {', '.join(lost)}",
            hint="`VBoxManage list --long vms` tells which file it cannot read, and why",
        )
    return found[0] if found else None


def nobody_runs(name: str, strangers: list[Machine]) -> None:
    """Make sure that a guest which VirtualBox does not list does not run as that of another user.

    Args:
        name: Its name.
        strangers: The processes of guests that are not listed.

    Raises:
        Undetermined: It may.
    """
    users = ", ".join(sorted({each.user for each in strangers if each.may_run(name)}))
    if users:
        raise Undetermined(
            f"VirtualBox lists no guest {name!r} here, but a guest that may be it runs as {users}",
            hint="each user has guests of his own: let vmsvc run as the one whose guest it is",
        )


def no_state(guest: Listed) -> Undetermined:
    """Why it is not known where a guest stands, of which the list tells no word that is known.

    Args:
        guest: The guest.
    """
    if guest.contradiction:
        return Undetermined(
            f"VirtualBox tells two states of {guest.name}: {guest.contradiction}",
            hint="one of them may be text in the description of some guest: `VBoxManage list --long vms` shows which",
        )
    return Undetermined(
        f"{guest.name} is in a state that is not known: {guest.state}"
        if guest.state
        else f"the list does not tell the state of {guest.name}"
    )
