"""Applications, on the node and inside guests: commands of their own, or the launchers of a guest. Kind ``app``."""

from __future__ import annotations

import builtins
import contextlib
import shlex
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from vmsvc.core.contract import API, Capability
from vmsvc.core.deadline import left_until
from vmsvc.core.errors import INTERRUPTED, ActionFailed, DriverError, NoWayIn, Undetermined
from vmsvc.core.inside.launchers import Action, Launchers, environment_of
from vmsvc.core.inside.launching import Launching, Ran, Told, last_lines, raise_of
from vmsvc.core.inside.marked import Marked
from vmsvc.core.inside.place import Places
from vmsvc.core.inside.ways import Way, why_none
from vmsvc.core.kinds import App, Ip, Located
from vmsvc.core.planning.rules import CANNOT_HEAR
from vmsvc.core.resource import Guest, Resource
from vmsvc.core.roles import SelfStarting
from vmsvc.core.service import Service
from vmsvc.core.status import AT_REST, Evidence, Observation, Phase, inapplicable, unknown
from vmsvc.core.transport import Host
from vmsvc.core.transport.asking import is_restricted
from vmsvc.core.transport.command import NOT_RUN, killed_by, printable, shortened
from vmsvc.core.transport.names import resolved
from vmsvc.core.verb import Verb

#: 3 is what init scripts and `systemctl is-active` say of what does not run: LSB 5.0 Core, 22.2; systemctl(1).
_PHASE_OF_CODE = {0: Phase.RUNNING, 1: Phase.STOPPED, 3: Phase.STOPPED}
_ACTIONS = {Verb.START: Action.START, Verb.STOP: Action.STOP}
#: How long all names of addresses may take to be resolved, which launchers are only told, in seconds.
_RESOLVE_S = 2.0


class AppDriver:
    """Runs an application's own commands, or the launchers that lie in its guest, and believes their checks.

    Exit code 0 of a check is up, 1 and 3 are down; any other is degraded. A check that cannot be run, is killed or does
    not end in time leaves the status unknown: it has not said anything of the application.

    Args:
        places: Where applications are.
        tell: Told why nothing was done, where there is nothing to do.
        keep: Keeps what a launcher printed: called with its application, its name, its argument and what became of it,
            it tells where that can be read.
        cancelled: Set where the operator interrupts: what starts is ended, what stops comes to its end, and no other
            is begun. What stops something after that takes back what was started, and is not broken off.
    """

    type: ClassVar[str] = ""
    kind: ClassVar[str] = "app"
    api: ClassVar[frozenset[int]] = frozenset({API})
    options: ClassVar[builtins.type[Resource]] = App
    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    def __init__(
        self,
        places: Places,
        tell: Callable[[str], None] = lambda _: None,
        keep: Callable[[App, str, str, Ran], str] = lambda *_: "",
        cancelled: threading.Event | None = None,
    ) -> None:
        self._places = places
        self._tell = tell
        self._keep = keep
        self._cancelled = cancelled or threading.Event()

    # --- looking ------------------------------------------------------------------------------------------------------

    def guest_of(self, resource: Located) -> Guest:
        """The guest inside which an application is.

        Args:
            resource: An application inside a guest.
        """
        return self._places.guest_of(resource)

    def observe_inside(self, resource: App, guest: Observation, *, budget_s: float) -> Observation:
        """Say where an application stands, once its guest has been looked at.

        Args:
            resource: The application.
            guest: What was seen of its guest.
            budget_s: How long the look may take, in seconds.
        """
        if useless := self.why_useless(resource):
            return inapplicable("configuration", useless, bears_no_verbs=True)
        if guest.phase is Phase.UNKNOWN:
            return unknown("guest", f"its guest could not be seen: {guest.evidence.detail}")
        if guest.phase in AT_REST:
            evidence = Evidence(probe=guest.evidence.probe, detail=f"its guest is down: {guest.state}")
            return Observation(phase=Phase.STOPPED, state="guest is down", evidence=evidence)
        if guest.phase is Phase.PREPARED:
            evidence = Evidence(probe=guest.evidence.probe, detail=f"nothing runs in its guest yet: {guest.state}")
            return Observation(phase=Phase.STOPPED, state=f"guest is {guest.state}", evidence=evidence)
        if guest.phase in CANNOT_HEAR:
            return unknown("guest", f"nobody inside its guest answers: that is {guest.state}")
        return self.observe(resource, budget_s=budget_s)

    def observe(self, resource: App, *, budget_s: float) -> Observation:
        """Run the check command, or the launchers that check.

        Args:
            resource: The application.
            budget_s: How long all checks may take, in seconds.

        Returns:
            What the exit codes mean.

        Raises:
            Undetermined: A check could not be run, was killed, or did not end in time.
        """
        deadline = time.monotonic() + budget_s
        if resource.has_launchers:
            return self._observe_launchers(resource, deadline)
        if not resource.check:
            return inapplicable("configuration", "it has no check command")
        outcome = self._host(resource, budget_s).run(resource.check, budget_s=left_until(deadline))
        if signal := killed_by(outcome.code):
            raise Undetermined(f"the check was killed by signal {signal}: {last_lines(outcome)}")
        if outcome.code in NOT_RUN:
            raise Undetermined(f"the check exited with {outcome.code}, {NOT_RUN[outcome.code]}: {last_lines(outcome)}")
        return Observation(
            phase=_PHASE_OF_CODE.get(outcome.code, Phase.DEGRADED),
            state=f"check exited with {outcome.code}",
            evidence=Evidence(
                probe=shlex.join(resource.check), detail=last_lines(outcome), duration_s=outcome.duration_s
            ),
        )

    def _observe_launchers(self, app: App, deadline: float) -> Observation:
        began = time.monotonic()
        launching = self._launching(app)
        found = self._found(launching, app, budget_s=left_until(deadline))
        checks = found.of_action(Action.STATUS)
        if not found:
            why = f"there are no launchers in {app.launchers}"
            return inapplicable(app.launchers, why, bears_no_verbs=True)
        if not checks:
            others = [name for action in (Action.START, Action.STOP) for name in found.of_action(action)]
            names = shortened(", ".join(map(printable, others)))
            return inapplicable(app.launchers, f"none of its launchers checks (C…): {names}")
        ran = list(launching.run(Action.STATUS, checks, deadline=deadline))
        for each in ran:
            if not each.was_run:
                raise Undetermined(f"a check has told nothing: {each}", code="undetermined.check")
        phases = {_PHASE_OF_CODE.get(each.outcome.code, Phase.DEGRADED) for each in ran if each.outcome is not None}
        bad = [str(each) for each in ran if each.has_failed]
        return Observation(
            phase=phases.pop() if len(phases) == 1 else Phase.DEGRADED,
            state=f"{len(ran) - len(bad)} of {len(ran)} checks are well",
            evidence=Evidence(
                probe=f"C* in {app.launchers}",
                detail="; ".join(bad) or ", ".join(each.name for each in ran),
                duration_s=time.monotonic() - began,
            ),
            warnings=found.odd,
        )

    # --- acting -------------------------------------------------------------------------------------------------------

    def start(self, resource: App, *, budget_s: float) -> None:
        """Run the start command, or the launchers that start. Whether that has set it going, they do not tell.

        Args:
            resource: The application.
            budget_s: How long all of it may take, in seconds.

        Raises:
            DriverError: It failed; of launchers, one of them did.
            Undetermined: What became of it is not known.
        """
        self._do(Verb.START, resource, budget_s)

    def stop(self, resource: App, *, budget_s: float) -> None:
        """Run the stop command, or the launchers that stop.

        Args:
            resource: The application.
            budget_s: How long all of it may take, in seconds.

        Raises:
            DriverError: It failed; of launchers, one of them did.
            Undetermined: What became of it is not known.
        """
        self._do(Verb.STOP, resource, budget_s)

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
        """Do nothing: hosts and ways are the session's."""

    def info(self, resource: App, *, budget_s: float) -> Told:
        """Have the launchers that start tell about themselves.

        Args:
            resource: The application.
            budget_s: How long all of them may take, in seconds.

        Raises:
            NoWayIn: The guest could not be asked.
            Undetermined: It cannot tell its launchers.
        """
        whose = partial(Told, service=resource.service, rid=resource.rid)
        useless = self.why_useless(resource) or ("" if resource.has_launchers else "it has commands, and no launchers")
        if useless:
            return whose(useless=useless)
        deadline = time.monotonic() + budget_s
        launching = self._launching(resource)
        found = self._found(launching, resource, budget_s=left_until(deadline))
        if not found:
            return whose(useless=f"there are no launchers in {resource.launchers}")
        ran = launching.run(Action.START, found.of_action(Action.START), deadline=deadline, word="info")
        return whose(ran=tuple(ran))

    def why_useless(self, resource: App) -> str:
        """Why nothing can be done about an application, as its service is configured; empty where something can.

        Args:
            resource: The application.

        Raises:
            Undetermined: The driver of its guest cannot be made.
        """
        if not resource.is_inside_guest:
            return ""
        guest = self._places.guest_of(resource)
        driver: Any = self._places.driver_of(guest)
        if resource.has_launchers and Capability.SELF_STARTING in driver.capabilities:
            self_starting: SelfStarting[Any] = driver
            return self_starting.why_no_launchers(guest)
        if self._places.ways.way_into(guest) is Way.NONE:
            return f"there is no way into {guest.name}: {why_none(guest)}"
        if resource.has_launchers and not guest.has_shell:
            return (
                f"launchers are run by a shell, which {guest.name} has not (its operating system is {guest.guestos}): "
                "an [app#N] can have commands of its own there"
            )
        return ""

    def _do(self, verb: Verb, app: App, budget_s: float) -> None:
        if useless := self.why_useless(app):
            self._tell(f"{app.rid}: {useless}")
        elif app.has_launchers:
            self._launch(verb, app, time.monotonic() + budget_s)
        else:
            self._run(verb, app.start if verb is Verb.START else app.stop, app, budget_s)

    def _run(self, verb: Verb, command: tuple[str, ...], app: App, budget_s: float) -> None:
        deadline = time.monotonic() + budget_s
        cancelled = self._interrupt(verb)
        host = self._host(app, budget_s)
        if cancelled.is_set():
            raise ActionFailed("interrupted before it was begun", code=INTERRUPTED)
        run = Marked(host=host, has_shell=not app.is_inside_guest or self.guest_of(app).has_shell)
        outcome = run.run(
            lambda: host.run(command, budget_s=left_until(deadline), environment=dict(run.environment)),
            cancelled=threading.Event() if verb is Verb.STOP else cancelled,
        )
        if outcome.code != 0:
            raise DriverError(
                f"the {verb} command exited with {outcome.code}: {last_lines(outcome)}",
                code="driver.command-failed",
                hint=f"run it by hand: {shlex.join(command)}",
            )

    def _launch(self, verb: Verb, app: App, deadline: float) -> None:
        action = _ACTIONS[verb]
        launching = self._launching(app, verb)
        found = self._found(launching, app, budget_s=min(app.launcher_timeout, deadline - time.monotonic()))
        names = found.of_action(action)
        for odd in found.odd:
            self._tell(f"{app.rid}: not a launcher: {odd}")
        if not names:
            what = f"launcher that has to {action.word} (`{action.value}…`)" if found else "launcher"
            self._tell(f"{app.rid}: there is no {what} in {app.launchers}")
        ran: list[Ran] = []
        for each in launching.run(action, names, deadline=deadline):
            ran.append(each)
            # Of those that stop, all are run: one may fail because what it is to stop was never started.
            if each.has_failed and app.on_launcher_failure == "fail" and verb is Verb.START:
                break
        raise_of(ran, names)

    @staticmethod
    def _found(launching: Launching, app: App, *, budget_s: float) -> Launchers:
        """What launchers there are. A section asks for some, so that it does not run without is nobody's wish."""
        found = launching.found(budget_s=budget_s)
        if not (found.has_directory or app.is_implied):
            raise Undetermined(
                f"there is no directory {app.launchers} in {launching.host.name}: nobody knows what is to run there",
                code="undetermined.no-launchers",
                hint=f"mount it, or make it; where there are to be no launchers, remove [{app.rid}]",
            )
        return found

    def _launching(self, app: App, verb: Verb | None = None) -> Launching:
        cancelled = self._interrupt(verb)
        service = self._places.services[app.service]

        def environment(deadline: float) -> dict[str, str]:
            return environment_of(app, service, self._places.node().name, _addresses(app, service, deadline))

        return Launching(
            host=self._places.host_of(app),
            directory=app.launchers,
            budget_s=app.launcher_timeout,
            environment=environment,
            keep=partial(self._keep, app),
            cancelled=cancelled,
        )

    def _interrupt(self, verb: Verb | None) -> threading.Event:
        """What breaks off what begins now: nothing does that to looks, and to what takes back what was started."""
        is_deaf = verb is not Verb.START and self._cancelled.is_set()
        return threading.Event() if is_deaf else self._cancelled

    def _host(self, app: App, budget_s: float) -> Host:
        """Where an application's own commands run."""
        host = self._places.host_of(app)
        if app.is_inside_guest and is_restricted(host, budget_s=budget_s):
            raise NoWayIn(
                f"{host.name} lets in vmsvc's verbs alone, and no commands of a service",
                hint="use launchers, or a key of the administrator's",
            )
        return host


def _addresses(app: App, service: Service, deadline: float) -> dict[str, str]:
    """The first address of each name that an application's guest has, as this node resolves them in a part of the time.

    Args:
        app: The application.
        service: Its service.
        deadline: When the application must be done, on the monotonic clock.
    """
    resolved_by = time.monotonic() + min(_RESOLVE_S, left_until(deadline) / 2)
    found = dict[str, str]()
    for each in service.resources:
        if isinstance(each, Ip) and each.container_id == app.container_id:
            with contextlib.suppress(Undetermined):
                found[each.ipname] = resolved(each.ipname, budget_s=left_until(resolved_by))[0]
    return found
