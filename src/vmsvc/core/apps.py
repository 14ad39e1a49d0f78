"""Applications that commands on the node start, stop and check: the core's own driver, for kind ``app``."""

from __future__ import annotations

import builtins
import shlex
from typing import ClassVar

from vmsvc.core.contract import API, Capability, Context
from vmsvc.core.errors import DriverError, Undetermined
from vmsvc.core.resource import App, Resource
from vmsvc.core.status import Evidence, Observation, Phase, inapplicable
from vmsvc.core.transport import Outcome

_TAIL_LINES = 3
_PHASE_OF_CODE = {0: Phase.RUNNING, 1: Phase.STOPPED}
#: Exit codes by which a shell, or what a check is wrapped in, says that it ran nothing: POSIX.1, Shell, 2.8.2.
_NOT_RUN = {126: "it cannot be executed", 127: "it was not found"}


class AppDriver:
    """Runs an application's own commands on the node, and believes its check.

    Exit code 0 of the check is up and 1 is down; any other is degraded. A check that cannot be run, is killed or does
    not end in time leaves the status unknown: it has not said anything of the application.
    """

    type: ClassVar[str] = ""
    kind: ClassVar[str] = "app"
    api: ClassVar[frozenset[int]] = frozenset({API})
    options: ClassVar[builtins.type[Resource]] = App
    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    def __init__(self, context: Context) -> None:
        self._host = context.host

    def observe(self, resource: App, *, budget_s: float) -> Observation:
        """Run the check command.

        Args:
            resource: The application.
            budget_s: How long the check may take, in seconds.

        Returns:
            What its exit code means.

        Raises:
            Undetermined: The check could not be run, was killed, or did not end in time.
        """
        if not resource.check:
            return inapplicable("configuration", "it has no check command")
        outcome = self._host.run(resource.check, budget_s=budget_s)
        if outcome.code < 0:
            raise Undetermined(f"the check was killed by signal {-outcome.code}: {_told(outcome)}")
        if outcome.code in _NOT_RUN:
            raise Undetermined(f"the check exited with {outcome.code}, {_NOT_RUN[outcome.code]}: {_told(outcome)}")
        return Observation(
            phase=_PHASE_OF_CODE.get(outcome.code, Phase.DEGRADED),
            state=f"check exited with {outcome.code}",
            evidence=Evidence(probe=shlex.join(resource.check), detail=_told(outcome), duration_s=outcome.duration_s),
        )

    def start(self, resource: App, *, budget_s: float) -> bool:
        """Run the start command.

        Args:
            resource: The application.
            budget_s: How long the command may take, in seconds.

        Returns:
            Always ``True``: the command was run, and succeeded.

        Raises:
            DriverError: The command failed.
        """
        self._run("start", resource.start, budget_s)
        return True

    def stop(self, resource: App, *, budget_s: float) -> None:
        """Run the stop command.

        Args:
            resource: The application.
            budget_s: How long the command may take, in seconds.

        Raises:
            DriverError: The command failed.
        """
        self._run("stop", resource.stop, budget_s)

    def kill(self, resource: App, *, budget_s: float) -> None:  # noqa: ARG002 - there is no force to use
        """Refuse: nobody knows what belongs to an application whose stop command does not help.

        Args:
            resource: The application.
            budget_s: Not used.

        Raises:
            DriverError: Always.
        """
        raise DriverError(f"{resource.rid} has no way to be stopped by force", code="driver.no-force")

    def close(self) -> None:
        """Do nothing: the host is the session's."""

    def _run(self, verb: str, command: tuple[str, ...], budget_s: float) -> None:
        outcome = self._host.run(command, budget_s=budget_s)
        if outcome.code != 0:
            raise DriverError(
                f"the {verb} command exited with {outcome.code}: {_told(outcome)}",
                code="driver.command-failed",
                hint=f"run it by hand: {shlex.join(command)}",
            )


def _told(outcome: Outcome) -> str:
    """The last lines that a command printed, where reasons usually are."""
    lines = (outcome.err.strip() or outcome.out.strip()).splitlines()
    return " / ".join(lines[-_TAIL_LINES:]) or f"exit code {outcome.code}, no output"
