"""The commands of HP Integrity VM on a node: run, and answered in records."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from attrs import evolve

from vmsvc.driver import Commands, DriverError, Undetermined, VmsvcError, whole_lines
from vmsvc_hpvm import parse
from vmsvc_hpvm.parse import Listed

#: What is asked for where guests stand.
PROBE = "hpvmstatus"
# What is left of the time of a look by what only adds to it, in seconds.
_SPARED_S = 1.0
# The directory of a guest is a link to one that is named by its UUID. HP-UX's find knows no depth. No file is named as
# the mark at the end is.
_END = "/"
_FILES = f"""
if [ -e "$1" ]; then
    cd "$1" && pwd -P || exit
    for file in .* *; do [ ! -f "$file" ] || printf '%s\\n' "$file"; done
fi
echo {_END}
"""


class Tools(Commands):
    """The commands of HP Integrity VM, for the length of one verb."""

    def table(self) -> list[Listed]:
        """The table of all guests, in which long names may be cut."""
        return parse.table(self.lines(PROBE))

    def find(self, name: str, table: Sequence[Listed]) -> Listed | None:
        """A guest; ``None`` where there is positively none of that name.

        Args:
            name: Its name.
            table: The table of all guests.

        Raises:
            Undetermined: It is in the table under a name that may be cut, and nothing tells whether it is this one.
        """
        whole = next((row for row in table if row.name == name), None)
        if len(name) < parse.NAME_WIDTH or (whole and len(name) > parse.NAME_WIDTH):
            return whole
        cut = [row for row in table if row.name == name[: parse.NAME_WIDTH]]
        if not cut:
            return None
        number, state = parse.details(self.lines(PROBE, "-P", name), name)
        for row in cut:
            if row.number == number:
                return evolve(row, name=name, state=state)
        raise Undetermined(f"hpvmstatus tells of a guest {name!r} with the number {number}, which its table has not")

    def get(self, name: str) -> Listed:
        """A guest.

        Args:
            name: Its name.

        Raises:
            DriverError: There is positively none of that name.
        """
        guest = self.find(name, self.table())
        if guest is None:
            raise DriverError(
                f"HP Integrity VM knows no guest {name!r}",
                hint="`hpvmstatus` tells the names",
            )
        return guest

    def is_started_with_the_node(self, name: str) -> bool:
        """Whether the node starts a guest when it boots, as far as that can be read: it only adds to what is known.

        Args:
            name: Its name.
        """
        with contextlib.suppress(VmsvcError):
            return name in parse.started_with_the_node(
                whole_lines(self.run_sparing(_SPARED_S, PROBE, "-M", "-P", name))
            )
        return False

    def files(self, directory: str) -> tuple[str, list[str]]:
        """Where a directory really is, and the names of the files in it; none where there is no such directory.

        Args:
            directory: The directory, or a link to it.

        Raises:
            Undetermined: It cannot be told.
        """
        told = self.lines("sh", "-c", _FILES, "sh", directory)
        if told == [_END]:
            return "", []
        if len(told) < 2 or told[-1] != _END or not told[0].startswith("/"):  # noqa: PLR2004 - the place, and the mark
            raise Undetermined(f"the files in {directory} are not told: {' '.join(told)[:80]!r}")
        place, *names, _ = told
        return place, sorted(names)
