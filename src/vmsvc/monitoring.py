"""Keeping services up: what was brought up here and is down is started again, a limited number of times."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from vmsvc.acting import Acting
from vmsvc.core.errors import ActionFailed, ConfigError, Refused, VmsvcError
from vmsvc.core.execution.lock import holder_of
from vmsvc.core.service import Service

# Every session can, and few do: what it takes is imported when it begins.
if TYPE_CHECKING:
    from vmsvc.core.keeping.upkeep import Deed, Finding, Upkeep
    from vmsvc.core.planning.plan import Plan


class Monitoring(Acting):
    """How a session keeps services up."""

    def upkeep(self, services: Iterable[Service]) -> list[Upkeep]:
        """Look at what this node has brought up, and decide what is to be done about what is down. Changes nothing.

        Args:
            services: The services.

        Returns:
            For each of them how it stands; without findings where all is well, or where it was not brought up here.
        """
        from vmsvc.core.keeping.charge import charge_of  # noqa: PLC0415
        from vmsvc.core.keeping.upkeep import Upkeep, findings  # noqa: PLC0415

        asked = list(services)
        charges = {service.name: charge_of(self.node, service.name) for service in asked}
        held = [service for service in asked if charges[service.name]]
        now = time.time()
        found = {
            status.name: findings(status.service, status.instances[0], self.node, charges[status.name], now)
            for status in self.statuses(held)
        }
        return [
            Upkeep(
                service=service,
                held=tuple(charges[service.name]),
                findings=found.get(service.name, ()),
                pause=self._pause(service),
            )
            for service in asked
        ]

    def keep_up(self, upkeep: Upkeep, *, cancelled: threading.Event | None = None) -> list[Deed]:
        """Do what :meth:`upkeep` has decided: start again what is down, or take the service's ``monitor_action``.

        Each start looks again, under the service's lock, and obeys every rule of a start. It is recorded before it is
        tried, so that no crash makes the count begin anew.

        Args:
            upkeep: What was decided.
            cancelled: Set it from elsewhere to break off; what was started is then stopped again.

        Returns:
            What was done, with the errors of what failed.
        """
        from vmsvc.core.keeping.upkeep import Care  # noqa: PLC0415

        if upkeep.pause:
            return []
        service = upkeep.service
        deeds = [
            self._start_again(service, finding, cancelled)
            for finding in upkeep.findings
            if finding.care is Care.START and not (cancelled and cancelled.is_set())
        ]
        stays_down = [finding for finding in upkeep.findings if finding.care is Care.GIVE_UP]
        if stays_down and service.monitor_action != "none":
            deeds += self._give_up(service, stays_down[0], cancelled)
        return deeds

    def _pause(self, service: Service) -> str:
        frozen = self.frozen(service)
        if frozen is not None:
            return f"it is {frozen}"
        holder = holder_of(self.node, service.name)
        return f"another action is going on: {holder}" if holder else ""

    def _start_again(self, service: Service, finding: Finding, cancelled: threading.Event | None) -> Deed:
        from vmsvc.core.keeping.charge import note_attempt  # noqa: PLC0415

        def check(plan: Plan) -> None:
            self._check_wanted(service, finding)
            if plan.steps:  # it may have come up by itself
                note_attempt(self.node, service.name, finding.rid, time.time())

        def start() -> None:
            self._act(
                "start",
                service,
                None,
                {finding.rid},
                check=check,
                progress=lambda _: None,
                cancelled=cancelled,
                is_upkeep=True,
            )

        return _deed(f"{finding.rid}: {finding.why}: start it again", start, rid=finding.rid)

    def _give_up(self, service: Service, finding: Finding, cancelled: threading.Event | None) -> list[Deed]:
        reason = f"{finding.rid}: {finding.why}"
        if service.monitor_action in self.node.commands:
            return [_deed(f"{reason}: {service.monitor_action} the node", lambda: self._end_node(service, finding))]

        def freeze() -> None:
            self._check_wanted(service, finding)
            self.freeze(service, reason)

        def stop() -> None:
            self.act("stop", service, planned=lambda _plan: self._check_wanted(service, finding), cancelled=cancelled)

        deeds = [_deed(f"{reason}: freeze the service", freeze)] if service.monitor_action == "freezestop" else []
        return [*deeds, _deed(f"{reason}: stop the service", stop)]

    def _check_wanted(self, service: Service, finding: Finding) -> None:
        """Refuse what a look calls for that is over: it may have been stopped on purpose since then, or moved."""
        from vmsvc.core.keeping.charge import charge_of  # noqa: PLC0415

        if finding.rid not in charge_of(self.node, service.name):
            raise Refused(f"{finding.rid} is no longer to be up", code="refused.no-longer-wanted")

    def _end_node(self, service: Service, finding: Finding) -> None:
        """Reboot or crash the node. The service's journal tells why, to who finds the node up again."""
        from vmsvc.core.execution.lock import service_lock  # noqa: PLC0415
        from vmsvc.core.keeping.charge import give_up_charge  # noqa: PLC0415

        node, action = self.node, service.monitor_action
        command = node.commands[action]
        if not command:
            raise ConfigError(
                f"monitor_action is {action}, and this node's own file has no {action}_command",
                code="config.node",
                hint=f"give the [node] table of {node.config_dir / 'node.toml'} one, such as {_EXAMPLES[action]}",
            )
        step, journal = f"{action} {node.name}", self._journal(service)
        with service_lock(node, service.name, action, timeout_s=service.lock_timeout):
            self._check_wanted(service, finding)
            journal.begin(action, (step,))
            journal.intend(step)
            error = self._failure_of(command)
            if error:
                journal.done(step, error)
                journal.end(error)
                raise ActionFailed(error, code="action.node", hint=f"run it by hand: {shlex.join(command)}")
            give_up_charge(node, service.name, ())  # until the node is down, nothing asks for it again

    def _failure_of(self, command: Sequence[str]) -> str:
        """Run a command on the node; why it failed, empty where it did not."""
        try:
            ended = self._host.run(command, budget_s=_END_NODE_S)
        except VmsvcError as error:
            return error.message
        return f"{shlex.join(command)} ended with {ended.code}: {ended.err.strip()}" if ended.code else ""


#: How long a command may take that reboots the node, until it returns or the node is gone, in seconds.
_END_NODE_S = 60.0
_EXAMPLES = {
    "reboot": 'reboot_command = "systemctl reboot"',
    "crash": 'crash_command = ["sh", "-c", "echo b > /proc/sysrq-trigger"]',
}


def _deed(words: str, do: Callable[[], object], *, rid: str = "") -> Deed:
    from vmsvc.core.keeping.upkeep import Deed  # noqa: PLC0415

    try:
        do()
    except VmsvcError as error:
        return Deed(words=words, rid=rid, error=error)
    return Deed(words=words, rid=rid)
