"""What has become of a guest that was to be moved: both ends are looked at, whatever the request says of itself."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from vmsvc.core.errors import ActionFailed, Undetermined, VmsvcError
from vmsvc.core.resource import Guest
from vmsvc.core.roles import Destination
from vmsvc.core.status import AT_REST, Observation, Phase


@frozen(kw_only=True)
class Journey:
    """The way of a service's guests to another node.

    Attributes:
        destination_of: Where a guest goes.
        look: What the destination sees of a guest, now; unknown where it cannot be asked.
        leave: Called when a guest is about to go: nothing is to start it here again, whatever becomes of the move.
        stay: Called when a guest that was about to go has certainly stayed.
    """

    destination_of: Callable[[Guest], Destination[Guest]]
    look: Callable[[Guest], Observation]
    leave: Callable[[Guest], None] = lambda _guest: None
    stay: Callable[[Guest], None] = lambda _guest: None


@frozen(kw_only=True)
class Ends:
    """Both ends of a move, after it.

    Attributes:
        here: What is seen of the guest at the source.
        there: What the destination sees of it.
        failure: What the request to move it has ended with; ``None`` where it says that it is done.
    """

    here: Observation
    there: Observation
    failure: VmsvcError | None = None

    @property
    def has_moved(self) -> bool:
        """Whether the guest is positively up there and down here; it may be, although the request has failed."""
        return self.here.phase in AT_REST and self.there.phase is Phase.RUNNING

    @property
    def has_stayed(self) -> bool:
        """Whether it runs here and not there, and the technology does not go on moving it."""
        is_over = self.failure is not None and not isinstance(self.failure, Undetermined)
        return is_over and self.here.phase is Phase.RUNNING and self.there.phase in (*AT_REST, Phase.UNKNOWN)

    @property
    def has_left(self) -> bool:
        """Whether the hypervisor says that it has moved the guest, by its state or by its answer, wherever to."""
        return self.here.phase is Phase.MOVED or (self.failure is None and self.here.phase in AT_REST)

    @property
    def run_twice(self) -> bool:
        """Whether it runs at both ends; by looks one after the other, between which it may have gone."""
        return self.here.phase is Phase.RUNNING and self.there.phase is Phase.RUNNING

    def error(self, to: str) -> VmsvcError:
        """Say of a move that was not seen to succeed what is known, and what is not.

        Args:
            to: The destination's name.
        """
        known = f"here it is {_told(self.here)}, and on {to} {_told(self.there)}"
        told = f": {self.failure.message}" if self.failure is not None else ""
        if self.has_stayed:
            return ActionFailed(f"it has not moved{told}; {known}", code="action.not-moved", hint=self._hint())
        if self.run_twice:
            return ActionFailed(
                f"it runs twice{told}; {known}", code="action.runs-twice", hint="stop it on one of the two, at once"
            )
        if self.has_left and self.there.phase in AT_REST:
            return Undetermined(
                f"it has left, and {to} does not have it{told}; {known}",
                code="undetermined.migration",
                hint=self._hint(
                    f"the hypervisor here has moved it: does its way lead to {to}? Find it before anything starts it"
                ),
            )
        if self.here.phase in AT_REST and self.there.phase in AT_REST:
            return ActionFailed(
                f"it went down on the way{told}; {known}",
                code="action.went-down",
                hint=self._hint("look at the hypervisors' logs on both nodes, then start it where it is to run"),
            )
        return Undetermined(
            f"whether it has moved is not known{told}; {known}",
            code="undetermined.migration",
            hint=self._hint(
                "`vmsvc status --peers` shows both ends; nothing starts it twice meanwhile. When they are clear, the "
                "same command finishes what is left"
            ),
        )

    def _hint(self, *ours: str) -> str:
        """What the driver says is to be done, and what is to be done besides."""
        theirs = self.failure.hint if self.failure is not None else ""
        return "; ".join(filter(None, (theirs, *ours)))


def _told(seen: Observation) -> str:
    return f"unknown ({seen.evidence.detail})" if seen.phase is Phase.UNKNOWN else seen.state
