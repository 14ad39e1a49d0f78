"""A kit's backend on a stand-in: what is left to say is which state means which phase, and how a guest is described."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from vmsvc.core.resource import Guest
from vmsvc.core.status import Phase
from vmsvc.core.transport import NodeHost
from vmsvc.testing.kit.backend import Lasting
from vmsvc.testing.kit.commands import CommandBackend
from vmsvc.testing.standin.engine import ABSENT
from vmsvc.testing.standin.table import TableError, read_table
from vmsvc.testing.standin.world import StandIn


class StandInBackend(CommandBackend):
    """A technology whose tools are stood in for.

    Troubles are the stand-in's own: a tool that hangs is a process that hangs.

    Attributes:
        table: The file of the table.
        means: The phase that each state of the table means; ``absent`` need not be among them.
    """

    table: ClassVar[Path]
    means: ClassVar[Mapping[str, Phase]]

    def __init_subclass__(cls) -> None:
        """Tell the kit which phases there are."""
        if "means" in vars(cls):
            cls.phases = frozenset({*cls.means.values(), Phase.ABSENT}) - {Phase.RUNNING, Phase.STOPPED, Phase.UNKNOWN}

    @cached_property
    def standin(self) -> StandIn:
        """The tools, and the guests that they know."""
        kind, file = type(self).__name__, getattr(self, "table", None)
        if not isinstance(file, Path):
            raise TableError(f"{kind}.table is no path: say `table = Path(__file__).with_name('NAME.toml')`")
        return StandIn(read_table(file), self.directory / "standin")

    def real_host(self) -> NodeHost:
        """On this machine, with the tools found first."""
        return self.standin.on(self.host)

    def guest(self, name: str) -> Guest:
        """Make a guest that does not run.

        Args:
            name: Its name.
        """
        self.standin.add(name)
        guest = self.described(name)
        how = f"{type(self).__name__}.described({name!r})"
        assert isinstance(guest, Guest), f"{how} answers with {guest!r}, and with no guest"
        assert self.standin.guest(guest.name) is not None, f"{how} is of the guest {guest.name!r}, which nobody knows"
        return guest

    @abstractmethod
    def described(self, name: str) -> Guest:
        """The driver's options for a guest that the stand-in has been given.

        Args:
            name: Its name.
        """

    def truth(self, guest: Guest) -> Phase:
        """What the stand-in's world has written down."""
        state = self.standin.state(guest.name)
        if state == ABSENT:
            return Phase.ABSENT
        where = f"{self.standin.table.name} has the state {state!r}"
        assert state in self.means, f"{where}, and {type(self).__name__}.means does not say which phase that is"
        return self.means[state]

    def put(self, guest: Guest, phase: Phase) -> None:
        """Write it down."""
        state = next((state for state, means in self.means.items() if means is phase), ABSENT)
        self.standin.change(guest.name, state)

    def generation(self, guest: Guest) -> int:
        """How often it was started."""
        found = self.standin.guest(guest.name)
        return -1 if found is None else int(found["starts"])

    def queries(self) -> int:
        """How many commands were run."""
        return len(self.standin.calls())

    def close(self) -> None:
        """End what runs commands, and see to it that none was one that the table does not know."""
        super().close()
        self.standin.check()

    # --- troubles -----------------------------------------------------------------------------------------------------

    def when_hung(self) -> Lasting:
        """No tool ends."""
        return self.standin.having("hang")

    def when_slow(self, delay_s: float) -> Lasting:
        """Each call takes its time.

        Args:
            delay_s: How long, in seconds.
        """
        return self.standin.having("slow", delay_s)

    def when_dead(self) -> Lasting:
        """Each call fails as where the daemon is not there."""
        return self.standin.having("dead")

    def when_restarted(self) -> Lasting:
        """The next call fails as where the daemon is not there; those after it succeed."""
        return self.standin.having("dead", times=1)

    def when_refused(self) -> Lasting:
        """Each call fails as where permission is missing."""
        return self.standin.having("refused")

    @contextlib.contextmanager
    def when_missing(self) -> Iterator[None]:
        """No tool is installed."""
        for command in self.standin.table.commands:
            self.standin.hide(command)
        try:
            yield
        finally:
            for command in self.standin.table.commands:
                self.standin.show(command)

    def when_foreign(self) -> Lasting:
        """Messages come in another language, except where the driver asks for ``LC_ALL=C``."""
        return self.standin.having("locale")

    def when_empty(self) -> Lasting:
        """Calls succeed, and print nothing."""
        return self.standin.having("empty")

    def when_garbage(self) -> Lasting:
        """Calls succeed, and print what nobody can read."""
        return self.standin.having("garbage")

    def when_noisy(self) -> Lasting:
        """Calls print warnings beside what they have to say."""
        return self.standin.having("noise")

    def when_unheard(self) -> Lasting:
        """The tool has a new word for the state of each guest that it has a word for."""
        return self.standin.having("new-word")

    def when_wider(self) -> Lasting:
        """Each line has one more column."""
        return self.standin.having("column")

    @contextlib.contextmanager
    def when_deaf(self, guest: Guest) -> Iterator[None]:
        """The guest ignores requests to shut down."""
        self.standin.change(guest.name, deaf=True)
        yield

    @contextlib.contextmanager
    def when_dying(self, guest: Guest) -> Iterator[None]:
        """The guest dies as it starts."""
        self.standin.change(guest.name, dying=True)
        yield
