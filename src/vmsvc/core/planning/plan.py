"""What an action would do, as data: ordered steps, what is left as it is, and why it may not run. Pure."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import instance_of

from vmsvc.core.errors import ConfigError, ExitCode, Problem, Refused, Undetermined
from vmsvc.core.planning.rules import Consent, Need
from vmsvc.core.service import Service
from vmsvc.core.triggers import Trigger
from vmsvc.core.verb import Verb

#: What can be done to a service; the plans of a boot and of a migration are made elsewhere: they have other rules.
ACTIONS = ("start", "stop", "restart")


@frozen(kw_only=True)
class Step:
    """One thing to do to one resource.

    Attributes:
        rid: The resource's id; empty where a trigger of the service itself runs.
        verb: What is done to it.
        budget_s: How long it may take until the resource is where it should be, in seconds.
        why: What was seen that makes it necessary.
        trigger: What a step runs whose verb is ``RUN``.
        within: The resource whose start's budget it shares: what the steps before it have left; empty where it has its
            own.
        needs: Where other resources have to be when its turn comes.
        only_if_needed: Whether the step is there for the case that the one before does not do the job.
        takes_back: Whether it takes back what an action that failed had started.
        to: The node to which a migration goes; empty for every other verb.
    """

    rid: str
    verb: Verb = field(validator=instance_of(Verb))
    budget_s: float
    why: str = ""
    within: str = ""
    trigger: Trigger | None = None
    needs: tuple[Need, ...] = ()
    only_if_needed: bool = False
    takes_back: bool = False
    to: str = ""

    def __str__(self) -> str:
        """Read as ``stop container#1``, ``run pre_stop of container#1``, or ``migrate container#1 to n2``."""
        return f"{self.verb} {self.trigger or self.rid}" + (f" to {self.to}" if self.to else "")


@frozen(kw_only=True)
class Kept:
    """A resource that an action leaves as it is.

    Attributes:
        rid: The resource's id.
        why: The reason.
        in_place: Whether it is where the action wants it; else nothing could be done, or was to be.
    """

    rid: str
    why: str
    in_place: bool = False


@frozen(kw_only=True)
class Plan:
    """What an action would do. Data: it can be printed, compared and stored.

    Attributes:
        action: ``start``, ``stop`` or ``restart``.
        service: The service.
        node: The node's name.
        steps: What would be done, in order.
        kept: What would be left as it is.
        refusals: Why the plan may not run; empty when it may.
        notes: What the operator should know before it runs.
        consent: What the operator has agreed to.
        only: The rids of the resources that the action is limited to; empty for all.
        to: The node to which a migration goes; empty for every other action.
    """

    action: str
    service: Service
    node: str
    steps: tuple[Step, ...] = ()
    kept: tuple[Kept, ...] = ()
    refusals: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    consent: Consent = field(factory=Consent)
    only: frozenset[str] = frozenset()
    to: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """What the action would exit with if it were refused: a rule counts more than a fact that is missing."""
        reasons = {problem.code.partition(".")[0] for problem in self.refusals}
        if not reasons:
            return ExitCode.DONE
        if reasons == {"undetermined"}:
            return ExitCode.UNDETERMINED
        return ExitCode.USAGE if reasons <= {"undetermined", "config"} else ExitCode.REFUSED

    def raise_if_refused(self) -> None:
        """Stop here if the plan may not run.

        Raises:
            Undetermined: Nothing forbids it, but the status of a resource is unknown.
            ConfigError: Nothing forbids it, but the node's own file is wrong.
            Refused: A safety rule forbids it.
        """
        errors = {
            ExitCode.UNDETERMINED: Undetermined,
            ExitCode.USAGE: ConfigError,
            ExitCode.REFUSED: Refused,
        }
        if self.refusals:
            raise errors[self.exit_code](problems=self.refusals)
