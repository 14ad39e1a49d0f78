"""What the destination of a live migration says of guests: before they come, and after."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence

from attrs import evolve

from vmsvc.core.errors import Problem, Refused, Severity, Undetermined
from vmsvc.core.host_mode import why_not_on
from vmsvc.core.node import Node
from vmsvc.core.peers.answers import PeerAnswer
from vmsvc.core.peers.asking import Attention, Peers
from vmsvc.core.resource import Guest
from vmsvc.core.room import why_no_room
from vmsvc.core.service import Service
from vmsvc.core.status import Observation


class Arrivals:
    """Asks one node about the guests that are to be moved there.

    Args:
        service: Their service.
        node: This node.
        to: The node that is asked.
        theirs: The service as that node reads the same file; ``None`` where it is wrong for it.
        peers: Makes what asks it; called when something is to be asked first.
        despite_frozen: Whether it does not matter that the service is frozen there.
        waiting: Told of what is waited for, once it takes longer than one would expect.
        cancelled: Set it from elsewhere to wait no longer.

    Attributes:
        to: The node that is asked.
        theirs: The service as it reads the file; read once, so that a file that is edited meanwhile changes nothing.
    """

    def __init__(
        self,
        service: Service,
        node: Node,
        to: str,
        theirs: Service | None,
        peers: Callable[[], Peers],
        *,
        despite_frozen: bool = False,
        waiting: Callable[[str], None] = lambda _: None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self._service = service
        self._node = node
        self.to = to
        self.theirs = theirs
        self._peers = peers
        self._despite_frozen = despite_frozen
        self._waiting = waiting
        self._cancelled = cancelled or threading.Event()
        self._mode: str | None = None  # asked once: nobody changes it while a service is moved

    def expected(self) -> tuple[dict[str, Observation], Sequence[Problem]]:
        """Ask what the node sees of the service's guests, and what speaks against any of them coming.

        Returns:
            What it sees of each guest, by rid, unknown where it cannot say; errors, and what is to be told besides.

        Raises:
            ActionFailed: The action was interrupted meanwhile.
        """
        attention = Attention(self._waiting, self._cancelled, self.to)
        answer = self._ask(meanwhile=attention)
        problems = self._problems(answer)
        if not answer.error and (problem := self._why_not_there(attention)):
            problems.append(problem)
        return {guest.rid: answer.told_of(guest) for guest in self._service.guests}, problems

    def counterpart(self, guest: Guest) -> Guest | None:
        """A guest as the node reads the file; ``None`` where that means no such guest for it, or another one.

        Args:
            guest: The guest, as this node reads it.
        """
        found = next((each for each in self.theirs.guests if each.rid == guest.rid), None) if self.theirs else None
        return found if found and (found.type, found.name) == (guest.type, guest.name) else None

    def confirm(self, rid: str) -> None:
        """Make sure, just before a guest is moved, that there still is room for it.

        Args:
            rid: The guest.

        Raises:
            Refused: By now, something speaks against it.
            ActionFailed: The action was interrupted meanwhile.
        """
        seen, problems = self.expected()
        errors = [each for each in problems if each.severity is Severity.ERROR]
        [guest] = [each for each in self._service.guests if each.rid == rid]
        if problem := why_no_room(guest, seen[rid], self.to):
            errors.append(evolve(problem, message=f"things have changed: {problem.message}"))
        if errors:
            raise Refused(problems=errors)

    def look(self, guest: Guest) -> Observation:
        """What the node sees of a guest, now; unknown where it cannot be asked.

        Args:
            guest: The guest.
        """
        return self._ask().told_of(guest)

    def _ask(self, *, meanwhile: Callable[[Collection[str]], None] = lambda _: None) -> PeerAnswer:
        [answer] = self._peers().ask("guests", {self.to: [self._service.name]}, meanwhile=meanwhile).values()
        return answer

    def _why_not_there(self, meanwhile: Callable[[Collection[str]], None]) -> Problem | None:
        """What the node's host mode has against the service, as it reads the file: there it would not start, either."""
        if self._mode is None:
            try:
                self._mode = self._peers().host_mode(self.to, meanwhile=meanwhile)
            except Undetermined as error:
                hint = f"`vmsvc node` on {self.to} tells what is wrong; nothing is started there as long as that is so"
                return Problem(message=error.message, code="refused.host-mode", hint=hint, file=str(self._service.file))
        return why_not_on(self.to, self._mode, self.theirs or self._service)

    def _problems(self, answer: PeerAnswer) -> list[Problem]:
        found = []
        if answer.may_be_starting:
            found.append(
                Problem(
                    code="refused.peer-acts",
                    message=f"an action is going on at {self.to}: {answer.going_on}",
                    hint="wait for it to end",
                    file=str(self._service.file),
                )
            )
        if answer.is_frozen and not self._despite_frozen:
            name = self._service.name
            found.append(
                Problem(
                    code="refused.frozen",
                    message=f"{name} is frozen on {self.to}",
                    hint=f"`vmsvc thaw {name}` there; for this once, say so: --despite-frozen",
                    file=str(self._service.file),
                )
            )
        # A start can do no better than to warn of it; a move can wait until starts there ask this node, too.
        if overlooking := answer.overlooking(self._service, self._node):
            found.append(evolve(overlooking, code="refused.not-named", severity=Severity.ERROR))
        return found
