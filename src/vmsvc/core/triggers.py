"""Triggers: the operator's own commands, which run around the starts and stops of a service or a resource. Pure."""

from __future__ import annotations

from attrs import frozen

from vmsvc.core.options import Declared, argv, option, some_seconds
from vmsvc.core.verb import Verb

#: The beginning of the keys whose commands may fail the action.
_BLOCKING = "blocking_"


@frozen(kw_only=True)
class Trigger:
    """One command, and when it runs.

    Attributes:
        key: The key that gives it, such as ``blocking_pre_start``.
        command: The command.
        rid: The resource around whose steps it runs; empty for the service's own.
        budget_s: How long it may take, in seconds.
    """

    key: str
    command: tuple[str, ...]
    rid: str
    budget_s: float

    @property
    def verb(self) -> Verb:
        """Around what it runs: ``START``, or ``STOP``, by request or by force."""
        return Verb(self.key.rpartition("_")[2])

    @property
    def is_blocking(self) -> bool:
        """Whether its failure fails the action; else the failure is told, and the action goes on."""
        return self.key.startswith(_BLOCKING)

    @property
    def is_before(self) -> bool:
        """Whether it runs before."""
        return self.key.removeprefix(_BLOCKING).startswith("pre_")

    def __str__(self) -> str:
        """Read as ``pre_start of container#1``."""
        return f"{self.key} of {self.rid}" if self.rid else self.key


_GOES_ON = "Its failure is told, and the action goes on."
_FAILS = "Its failure fails the action."


@frozen(kw_only=True, eq=False, repr=False)
class Triggered(Declared):
    """What has triggers: a service, and each of its resources."""

    pre_start: tuple[str, ...] = option(argv, default=(), help=f"A command to run before the start. {_GOES_ON}")
    blocking_pre_start: tuple[str, ...] = option(
        argv, default=(), help=f"A command to run before the start, after `pre_start`. {_FAILS}"
    )
    post_start: tuple[str, ...] = option(argv, default=(), help=f"A command to run once it is up. {_GOES_ON}")
    blocking_post_start: tuple[str, ...] = option(
        argv, default=(), help=f"A command to run once it is up, after `post_start`. {_FAILS}"
    )
    pre_stop: tuple[str, ...] = option(argv, default=(), help=f"A command to run before the stop. {_GOES_ON}")
    blocking_pre_stop: tuple[str, ...] = option(
        argv, default=(), help=f"A command to run before the stop, after `pre_stop`. {_FAILS}"
    )
    post_stop: tuple[str, ...] = option(argv, default=(), help=f"A command to run once it is down. {_GOES_ON}")
    blocking_post_stop: tuple[str, ...] = option(
        argv, default=(), help=f"A command to run once it is down, after `post_stop`. {_FAILS}"
    )
    trigger_timeout: float = option(
        some_seconds, default=60.0, inherited=True, help="How long each of these commands may take."
    )

    def triggers(self, verb: Verb, *, before: bool, rid: str) -> tuple[Trigger, ...]:
        """The commands to run around a start or a stop.

        Args:
            verb: ``START``, or ``STOP``.
            before: Whether those that run before it are meant; else those after it.
            rid: The rid of the resource; empty for a service.

        Returns:
            Those that are given, in their order.
        """
        key = f"{'pre' if before else 'post'}_{verb}"
        return tuple(
            Trigger(key=each, command=command, rid=rid, budget_s=self.trigger_timeout)
            for each in (key, _BLOCKING + key)
            if (command := getattr(self, each))
        )
