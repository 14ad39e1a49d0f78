"""The verbs of a logical domain, by ldm."""

from __future__ import annotations

import builtins
import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import frozen

from vmsvc.driver import (
    AWAKE,
    Capability,
    Commands,
    Context,
    Destination,
    DriverError,
    Evidence,
    FoundGuest,
    Guest,
    GuestDisk,
    Objection,
    Observation,
    Outcome,
    Phase,
    Resource,
    Sizes,
    Undetermined,
    line,
    not_moved,
    option,
    refusal,
    settled,
)
from vmsvc_ldom import parse
from vmsvc_ldom.parse import Domain

# What is left of the time of a move to look where that has left the domain, in seconds.
_LOOK_S = 5.0
_CANCEL = "`ldm cancel-operation migration {0}` takes back what a migration that has failed has left"
_LACKING = "it is degraded: the machine lacks resources that it needs, and it cannot be started"
_LACKING_HINT = (
    "`ldm list-domain -l {0}` beside `ldm list-devices`: give back what is missing, or change what {0} needs"
)


@frozen(kw_only=True, eq=False, repr=False)  # the base compares and shows all fields
class LdomGuest(Guest):
    """A guest domain of Oracle VM Server for SPARC."""

    migrate_host: str = option(
        line,
        default="",
        inherited=True,
        help="What other nodes call this one's control domain, so that `ldm migrate-domain` moves domains here; with "
        "the node's own scope: `migrate_host@n2`. The node's name when not given.",
    )


class LdomDriver:
    """A guest domain, by ldm in the control domain."""

    type: ClassVar[str] = "ldom"
    kind: ClassVar[str] = "container"
    api: ClassVar[frozenset[int]] = frozenset({1})
    options: ClassVar[builtins.type[Resource]] = LdomGuest
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.BULK,
            Capability.DISKS,
            Capability.DEFINITION,
            Capability.SIZES,
            Capability.DISCOVER,
            Capability.MIGRATE,
        }
    )

    def __init__(self, context: Context) -> None:
        """Keep the context."""
        self._context = context

    def close(self) -> None:
        """There is no connection to give up."""

    # --- looking ------------------------------------------------------------------------------------------------------

    def observe(self, resource: LdomGuest, *, budget_s: float) -> Observation:
        """Say where the domain stands."""
        return self.observe_all([resource], budget_s=budget_s)[resource.service, resource.rid]

    def observe_all(self, resources: Sequence[LdomGuest], *, budget_s: float) -> Mapping[tuple[str, str], Observation]:
        """Say where the domains stand, by one list of all."""
        if not resources:
            return {}
        began = time.monotonic()
        known = self._ldm(budget_s).domains()
        evidence = Evidence(probe="ldm list-domain -p", duration_s=time.monotonic() - began)
        return {(each.service, each.rid): _observed(known.get(each.name), evidence) for each in resources}

    def discover(self, where: LdomGuest, *, budget_s: float) -> Sequence[FoundGuest]:
        """Name every domain but the control domain, in which this runs."""
        del where
        return [
            FoundGuest(
                name=domain.name,
                phase=domain.phase,
                state=domain.word,
                warnings=("it serves disks or networks to other domains",) if domain.is_service else (),
            )
            for domain in self._ldm(budget_s).domains().values()
            if not domain.is_control
        ]

    # --- changing -----------------------------------------------------------------------------------------------------

    def start(self, resource: LdomGuest, *, budget_s: float) -> bool:
        """Bind the domain to what it needs, and start it; one that is not there is made of what `push` has kept."""
        ldm = self._ldm(budget_s)
        domain = ldm.find(resource.name) or self._made(ldm, resource)
        if _settled(domain) in AWAKE:
            return False
        if domain.phase is not Phase.STOPPED:
            hint = _CANCEL.format(domain.name) if domain.phase is Phase.STUCK else ""
            raise DriverError(f"domain {domain.name} cannot be started: it is {domain.word}", hint=hint)
        if domain.is_degraded:
            raise DriverError(_LACKING, hint=_LACKING_HINT.format(domain.name))
        if domain.state == "inactive":
            bound = ldm.run("bind-domain", domain.name)
            if bound.code and ldm.get(domain.name).state == "inactive":
                raise refusal(f"domain {domain.name} cannot be bound to its resources", bound)
        started = ldm.run("start-domain", domain.name)
        if not started.code:
            return True
        if ldm.get(domain.name).phase in AWAKE:
            return False  # somebody else was faster
        if domain.state == "inactive":
            ldm.run("unbind-domain", domain.name)
        raise refusal(f"domain {domain.name} cannot be started", started)

    def _made(self, ldm: Ldm, resource: LdomGuest) -> Domain:
        file = self._context.definition_file(resource)
        if not file.exists():
            raise DriverError(
                f"ldm knows no domain {resource.name!r}",
                hint="`ldm list` tells the names; where `push` has kept a definition, a start makes the domain of it",
            )
        done = ldm.run("add-domain", "-i", str(file))
        domain = ldm.find(resource.name)
        if domain is None:
            raise refusal(f"{file} does not make a domain {resource.name!r}", done)
        return domain

    def stop(self, resource: LdomGuest, *, budget_s: float) -> None:
        """Ask the domain's system to shut down; once it has, give up what the domain was bound to."""
        self._stopped(resource, budget_s=budget_s)

    def kill(self, resource: LdomGuest, *, budget_s: float) -> None:
        """Stop the domain whatever it does, and give up what it was bound to."""
        self._stopped(resource, "-f", budget_s=budget_s)

    def _stopped(self, resource: LdomGuest, *how: str, budget_s: float) -> None:
        ldm = self._ldm(budget_s)
        domain = ldm.find(resource.name)
        if domain is None or (domain.phase is Phase.STOPPED and domain.state == "inactive"):
            return
        _settled(domain)
        if domain.has_begun:
            done = ldm.run("stop-domain", *how, domain.name)
            domain = ldm.get(domain.name)
            if domain.has_begun:
                if done.code:
                    raise refusal(f"domain {domain.name} does not stop", done)
                return  # it was asked; the core waits, and asks again
        # A domain that cannot be unbound is down all the same, and keeps nothing but processors and memory.
        ldm.run("unbind-domain", domain.name)
        if domain.phase is Phase.STUCK and (now := ldm.get(domain.name)).phase is Phase.STUCK:
            raise DriverError(f"domain {now.name} does not run, and is {now.word}", hint=_CANCEL.format(now.name))

    def migrate(self, guest: LdomGuest, destination: Destination[LdomGuest], *, budget_s: float) -> None:
        """Move the domain to another machine, whose certificate this control domain trusts (``-c``).

        An ldm that is killed when its time is over has its move called off (Administration Guide, "Canceling a
        Migration in Progress").
        """
        ldm = self._ldm(budget_s)
        domain = ldm.get(guest.name)
        if _settled(domain) is not Phase.RUNNING:
            raise DriverError(f"domain {domain.name} cannot be moved: it is {domain.word}")
        host = destination.guest.migrate_host or destination.node
        done = ldm.run_sparing(_LOOK_S, "ldm", "migrate-domain", "-c", domain.name, host)
        if not done.code:
            return
        now = ldm.find(domain.name)
        raise not_moved(
            f"domain {domain.name} has not come to {host}",
            done,
            "gone" if now is None else now.word,
            is_up=now is not None and now.phase is Phase.RUNNING,
            hint=_CANCEL.format(domain.name) if now is not None and now.phase is Phase.STUCK else "",
        )

    # --- what it is made of -------------------------------------------------------------------------------------------

    def disks(self, guest: LdomGuest, *, budget_s: float) -> Sequence[GuestDisk]:
        """The domain's virtual disks, each with what its disk service has behind it."""
        ldm = self._ldm(budget_s)
        ldm.get(guest.name)
        backing = parse.volumes(ldm.lines("list-services", "-p"))
        return parse.disks(ldm.lines("list-domain", "-o", "disk", "-p", guest.name), guest.name, backing)

    def definition(self, guest: LdomGuest, *, budget_s: float) -> str:
        """The domain's constraints, of which ``ldm add-domain -i`` makes it again."""
        ldm = self._ldm(budget_s)
        ldm.get(guest.name)
        return parse.constraints(ldm.lines("list-constraints", "-x", guest.name))

    def sizes(self, guest: LdomGuest, *, budget_s: float) -> Sizes:
        """What the domain is given."""
        domain = self._ldm(budget_s).get(guest.name)
        try:
            return Sizes(vcpus=int(domain.values["ncpu"]), memory_mib=int(domain.values["mem"]) >> 20)
        except (KeyError, ValueError) as error:
            raise Undetermined(f"ldm does not tell the sizes of domain {guest.name}: {error!r}") from None

    def _ldm(self, budget_s: float) -> Ldm:
        return Ldm(self._context.host, budget_s)


class Ldm(Commands):
    """The command ldm in the control domain, for the length of one verb."""

    def run(self, *argv: str) -> Outcome:
        """Run it, and leave it to the caller what its exit code means.

        Args:
            argv: Its subcommand and arguments.
        """
        return super().run("ldm", *argv)

    def domains(self) -> dict[str, Domain]:
        """Every domain by its name."""
        return parse.domains(self.lines("list-domain", "-p"))

    def find(self, name: str) -> Domain | None:
        """A domain; ``None`` where there is positively none of that name.

        Args:
            name: Its name.
        """
        return self.domains().get(name)

    def get(self, name: str) -> Domain:
        """A domain.

        Args:
            name: Its name.

        Raises:
            DriverError: There is positively none of that name.
        """
        if (domain := self.find(name)) is None:
            raise DriverError(f"ldm knows no domain {name!r}", hint="`ldm list` tells the names")
        return domain


def _observed(domain: Domain | None, evidence: Evidence) -> Observation:
    if domain is None:
        return Observation(phase=Phase.ABSENT, state="absent", evidence=evidence)
    return Observation(
        phase=domain.phase,
        state=domain.word,
        evidence=evidence,
        objection=Objection(why=_LACKING, hint=_LACKING_HINT.format(domain.name)) if domain.is_degraded else None,
    )


def _settled(domain: Domain) -> Phase:
    return settled(domain.phase, f"domain {domain.name}", f"{domain.word}, with the flags {domain.flags}")
