"""Run the operator's own commands around starts and stops: on the node, without a shell, within their deadlines."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from attrs import frozen

from vmsvc.core.errors import ActionFailed, VmsvcError
from vmsvc.core.transport import Host
from vmsvc.core.triggers import Trigger

_TAIL_LINES = 3


@frozen(kw_only=True)
class TriggerCaller:
    """Calls the triggers of one action.

    Attributes:
        host: Makes the host where they run, when the first one does.
        service: The service's name.
        action: The action: ``start``, ``stop`` or ``restart``.
        node: The node's name.
    """

    host: Callable[[], Host]
    service: str
    action: str
    node: str

    def __call__(self, trigger: Trigger) -> None:
        """Run a trigger's command to its end.

        Args:
            trigger: The trigger.

        Raises:
            ActionFailed: It could not be run, failed, or did not end in time and was killed.
        """
        environment = {
            "VMSVC_SERVICE": self.service,
            "VMSVC_RID": trigger.rid,
            "VMSVC_ACTION": self.action,
            "VMSVC_TRIGGER": trigger.key,
            "VMSVC_NODE": self.node,
        }
        hint = f"run it by hand: {shlex.join(trigger.command)}"
        try:
            outcome = self.host().run(trigger.command, budget_s=trigger.budget_s, environment=environment)
        except VmsvcError as error:
            raise ActionFailed(f"{trigger}: {error.message}", code="action.trigger-failed", hint=hint) from error
        if outcome.code != 0:
            ending = f"signal {-outcome.code}" if outcome.code < 0 else f"exit code {outcome.code}"
            lines = (outcome.err.strip() or outcome.out.strip()).splitlines()[-_TAIL_LINES:]
            told = " / ".join(line.strip() for line in lines) or "no output"
            raise ActionFailed(f"{trigger} ended with {ending}: {told}", code="action.trigger-failed", hint=hint)
