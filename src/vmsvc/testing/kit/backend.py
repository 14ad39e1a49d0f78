"""What the author of a driver gives the kit: guests, the truth about them, and troubles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from vmsvc.core.contract import Context
from vmsvc.core.node import Node
from vmsvc.core.resource import Guest
from vmsvc.core.roles import Destination
from vmsvc.core.status import Phase
from vmsvc.core.transport import NodeHost
from vmsvc.core.transport.local import LocalHost

#: How a clause makes a trouble last: from the beginning of a ``with`` block to its end.
Lasting = AbstractContextManager[object]

#: Every trouble that a clause may ask for, and what a backend's method ``when_NAME()`` does to the technology.
TROUBLES = {
    "hung": "Nothing answers any more, and nothing fails: the daemon is stopped, or the tool waits for ever.",
    "slow": "Each answer takes longer than half of the budget: `when_slow(delay_s)`.",
    "dead": "The daemon is not there; its tool says so, and the guests live on.",
    "restarted": "The daemon was ended and started again just now, while the guests lived on.",
    "missing": "The tool, or the client's library, is not installed.",
    "refused": "The technology refuses to answer whom the driver runs as.",
    "foreign": "Messages come in another language.",
    "truncated": "Answers are cut off.",
    "cut": "Answers end in the middle of a line, and nothing else tells of a failure: `when_cut(share)`.",
    "empty": "Answers are empty, and nothing else tells of a failure.",
    "garbage": "Answers are bytes without a meaning.",
    "alone": "One answer alone is spoilt, by the trouble of this name: `when_alone(trouble, number)`.",
    "noisy": "Answers are right, and come with warnings.",
    "unheard": "Guests are in a state that no version of the technology has a word for that is known today.",
    "wider": "Each line of an answer has one more column at its end than is known today.",
    "deaf": "This guest ignores requests to shut down: `when_deaf(guest)`.",
    "dying": "This guest begins to start, and dies at once: `when_dying(guest)`.",
    "broken": "This guest leaves when it is moved, and the request to move it fails: `when_broken(guest)`.",
}


class Backend(ABC):
    """The technology as the kit meets it; made anew for each clause, and closed after it.

    A subclass gives it :meth:`guest` and :meth:`truth`, the :attr:`phases` that it can :meth:`put` guests into, and a
    method ``when_NAME`` for each of :data:`TROUBLES` that it can make: it returns a context manager, within which the
    trouble lasts. What it cannot make, the kit's class waives, with the reason.

    Args:
        directory: An empty directory for whatever it needs.

    Attributes:
        phases: Where it can put a guest, beside ``RUNNING`` and ``STOPPED``.
        budget_s: How long a verb may take while all is well, in seconds.
        short_s: The budget of verbs when it is known that nothing answers, in seconds.
        patience_s: How long the technology may take to do what it was asked, in seconds.
        runs_commands: Whether a command that the driver runs inside a guest truly runs, as in a Linux with a shell.
        adapter: An adapter of the node, where guests are given addresses.
        host: Where the driver's commands run.
    """

    phases: ClassVar[frozenset[Phase]] = frozenset()
    budget_s: ClassVar[float] = 10.0
    short_s: ClassVar[float] = 1.0
    patience_s: ClassVar[float] = 20.0
    runs_commands: ClassVar[bool] = False
    adapter: ClassVar[str] = "net0"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.host: NodeHost = LocalHost("kit")

    @property
    def context(self) -> Context:
        """What the driver is made with."""
        node = Node(name="kit", root=self.directory / "node")
        return Context(node=node, host=self.host, state_dir=node.state_dir / "drivers/kit")

    @abstractmethod
    def guest(self, name: str) -> Guest:
        """Make a guest that does not run, with a disk where the technology has disks.

        Args:
            name: What it is called.

        Returns:
            The driver's options for it, as a service file would give them; :func:`identity` has what is not the
            driver's own.
        """

    @abstractmethod
    def truth(self, guest: Guest) -> Phase:
        """Where a guest stands by the technology's own account, asked without the driver and without any trouble.

        Args:
            guest: The guest.
        """

    def put(self, guest: Guest, phase: Phase) -> None:
        """Bring a guest that does not run into a phase and keep it there, without the driver.

        Args:
            guest: The guest.
            phase: One of :attr:`phases`.
        """
        del guest, phase

    def ready(self, guest: Guest) -> None:
        """Wait until a guest that was started can hear a request to stop.

        Args:
            guest: The guest.
        """
        del guest

    def generation(self, guest: Guest) -> object:
        """What is another after each start of a guest, such as its process or a count; ``None`` if it cannot be told.

        Args:
            guest: The guest.
        """
        del guest
        return None

    def elsewhere(self, guest: Guest) -> Guest | None:
        """The same guest as one would describe it whose service looks for it in another place, where there is none.

        Another daemon, another directory: whatever of the driver's options tells where guests are. A query for many
        that asks where the first one's options say, and answers for all by that, is noticed by it.

        Args:
            guest: The guest.

        Returns:
            Its description with another place; ``None`` where the technology has one place only.
        """
        del guest
        return None

    def destination(self, guest: Guest, *, is_open: bool) -> Destination[Any]:
        """Where a guest is to be moved: the node ``elsewhere``, or ``nowhere``, unless a subclass says otherwise.

        Args:
            guest: A guest that may run.
            is_open: Whether the destination takes it in; else it turns it away, or cannot be reached.
        """
        return Destination(node="elsewhere" if is_open else "nowhere", guest=guest)

    def has_arrived(self, guest: Guest) -> bool | None:
        """Whether a guest that was moved runs at the open destination; ``None`` if it cannot be told.

        Args:
            guest: The guest.
        """
        del guest
        return None

    def can_be_named(self, name: str) -> bool:
        """Whether the technology lets a guest have a name.

        Args:
            name: The name; vmsvc itself has let it pass.
        """
        del name
        return True

    def queries(self) -> int | None:
        """How many questions the driver has asked the technology; ``None`` if nobody counts them."""
        return None

    def close(self) -> None:
        """End whatever it has started."""
        if isinstance(self.host, LocalHost):
            self.host.close()


def trouble(backend: Backend, name: str) -> Callable[..., Lasting] | None:
    """A backend's method that makes a trouble; ``None`` where it has none.

    Args:
        backend: The backend.
        name: One of :data:`TROUBLES`.
    """
    found: Callable[..., Lasting] | None = getattr(backend, f"when_{name}", None)
    return found


def identity(kind_type: str, name: str) -> dict[str, Any]:
    """What a record of a guest has beside the driver's own keys.

    Args:
        kind_type: The driver's type.
        name: The guest's name.

    >>> identity("toy", "web")["rid"]
    'container#1'
    """
    return {"service": f"kit-{name}", "rid": "container#1", "kind": "container", "type": kind_type, "name": name}
