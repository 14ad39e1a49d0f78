"""Mutants of the reference driver: each has one defect, and is named after the clauses that are to catch it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from attrs import evolve, frozen

from tests.unit.testing.reference import PHASES, ToyDriver, ToyGuest
from vmsvc.driver import (
    ActionFailed,
    Capability,
    Definitions,
    DriverError,
    Evidence,
    GuestDisk,
    NoWayIn,
    Observation,
    Phase,
    Sizes,
    Undetermined,
    Value,
    option,
)

#: Mutants by the clause that is to catch them: what is wrong with each, and its class.
MUTANTS: list[tuple[str, str, type[ToyDriver]]] = []


def mutant(*clauses):
    """Register a mutant for the clauses that are to catch it."""

    def register(driver):
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", driver.__name__).lower()
        MUTANTS.extend((clause, name, driver) for clause in clauses)
        return driver

    return register


def observation(phase):
    return Observation(phase=phase, state="word", evidence=Evidence(probe="toy"))


def as_down(*kinds):
    """A driver that says down where a look ends with one of some errors."""

    class SaysDown(ToyDriver):
        def _states(self, budget_s):
            try:
                return super()._states(budget_s)
            except kinds:
                return {}

    return SaysDown


# --- what is declared -------------------------------------------------------------------------------------------------


@mutant("contract")
class SpeaksAnotherApi(ToyDriver):
    api = frozenset({99})


@mutant("contract")
class LooksWhenMade(ToyDriver):
    def __init__(self, context):
        super().__init__(context)
        context.host.run(["toy", "list"], budget_s=1)


@mutant("contract")
class WritesWhenMade(ToyDriver):
    def __init__(self, context):
        super().__init__(context)
        context.state_dir.mkdir(parents=True)


@mutant("capabilities")
class HasARoleThatNobodyCalls(ToyDriver):
    capabilities = ToyDriver.capabilities - {Capability.DISKS}


@mutant("capabilities")
class LacksARole(ToyDriver):
    disks = None
    capabilities = ToyDriver.capabilities


@mutant("capabilities")
class TakesSomethingElse(ToyDriver):
    def sizes(self, guest, seconds):
        return Sizes(vcpus=1, memory_mib=1)


@frozen(kw_only=True)
class ShadedGuest(ToyGuest):
    shade: str = option(Value("a shade", lambda raw: f"dark {raw}"), default="dark grey", help="A shade.")


@mutant("options")
class OptionsChangeWhenWritten(ToyDriver):
    options = ShadedGuest


# --- verbs ------------------------------------------------------------------------------------------------------------


@mutant("life")
class StopReturnsAtOnce(ToyDriver):
    def stop(self, resource, *, budget_s):
        pass


@mutant("life")
class KillReturnsAtOnce(ToyDriver):
    def kill(self, resource, *, budget_s):
        pass


@mutant("life")
class StartReturnsBeforeItShows(ToyDriver):
    late: float = 0.0

    def start(self, resource, *, budget_s):
        self.late = time.monotonic() + 0.05
        return super().start(resource, budget_s=budget_s)

    def _seen(self, states, resource):
        return super()._seen({resource.name: "off"} if time.monotonic() < self.late else states, resource)


@mutant("life")
class StartNeverSaysThatItHasStarted(ToyDriver):
    def start(self, resource, *, budget_s):
        super().start(resource, budget_s=budget_s)
        return False


@mutant("idempotence")
class SaysThatItHasStartedWhatRuns(ToyDriver):
    def start(self, resource, *, budget_s):
        super().start(resource, budget_s=budget_s)
        return True


@mutant("idempotence")
class StartsAgainWhatRuns(ToyDriver):
    def start(self, resource, *, budget_s):
        ran = self.observe(resource, budget_s=budget_s).phase is Phase.RUNNING
        self.kill(resource, budget_s=budget_s)
        return super().start(resource, budget_s=budget_s) and not ran


@mutant("idempotence")
class StopOfWhatIsStoppedFails(ToyDriver):
    def stop(self, resource, *, budget_s):
        if self.observe(resource, budget_s=budget_s).phase is Phase.STOPPED:
            raise DriverError("it is stopped already")
        super().stop(resource, budget_s=budget_s)


@mutant("deaf")
class TakesARequestForADeed(ToyDriver):
    asked = ""

    def stop(self, resource, *, budget_s):
        super().stop(resource, budget_s=budget_s)
        self.asked = resource.name

    def _seen(self, states, resource):
        return super()._seen({resource.name: "off"} if resource.name == self.asked else states, resource)


@mutant("dying")
class TakesAStartForLife(ToyDriver):
    started = ""

    def start(self, resource, *, budget_s):
        self.started = resource.name
        return super().start(resource, budget_s=budget_s)

    def _seen(self, states, resource):
        return super()._seen({resource.name: "on"} if resource.name == self.started else states, resource)


@mutant("absent")
class AbsentIsStopped(ToyDriver):
    def _seen(self, states, resource):
        return super()._seen({"absent": "off", **states, resource.name: states.get(resource.name, "off")}, resource)


@mutant("absent")
class StartOfNothingIsUndetermined(ToyDriver):
    def _run(self, *words, budget_s):
        try:
            return super()._run(*words, budget_s=budget_s)
        except DriverError as error:
            raise Undetermined(str(error)) from None


def reads_as(word, phase):
    class ReadsItAsAnother(ToyDriver):
        def _seen(self, states, resource):
            seen = super()._seen(states, resource)
            return evolve(seen, phase=phase) if seen.state == word else seen

    return ReadsItAsAnother


mutant("paused")(type("PausedIsUp", (reads_as("paused", Phase.RUNNING),), {}))
mutant("paused")(type("PausedIsDown", (reads_as("paused", Phase.STOPPED),), {}))
mutant("starting")(type("StartingIsUp", (reads_as("booting", Phase.RUNNING),), {}))
mutant("stopping")(type("StoppingIsDown", (reads_as("ending", Phase.STOPPED),), {}))
mutant("phases")(type("CrashedIsUp", (reads_as("crashed", Phase.RUNNING),), {}))


@mutant("paused")
class BootsAPausedGuestAnew(ToyDriver):
    def start(self, resource, *, budget_s):
        if self.observe(resource, budget_s=budget_s).phase is Phase.PAUSED:
            self.kill(resource, budget_s=budget_s)
            super().start(resource, budget_s=budget_s)
            return False
        return super().start(resource, budget_s=budget_s)


@mutant("stopping")
class PullsThePlugWhenAskedAgain(ToyDriver):
    def stop(self, resource, *, budget_s):
        if self.observe(resource, budget_s=budget_s).phase is Phase.STOPPING:
            self.kill(resource, budget_s=budget_s)
        super().stop(resource, budget_s=budget_s)


@mutant("phases")
class KillsWhatComesFromAnotherNode(ToyDriver):
    def kill(self, resource, *, budget_s):
        self._run("kill", resource.name, budget_s=budget_s)


@mutant("starting")
class StartsWhatIsStarting(ToyDriver):
    def start(self, resource, *, budget_s):
        starting = self.observe(resource, budget_s=budget_s).phase is Phase.STARTING
        return super().start(resource, budget_s=budget_s) or starting


# --- looks ------------------------------------------------------------------------------------------------------------


@mutant("look-only")
class ALookGoesOnWithWhatIsPaused(ToyDriver):
    def observe(self, resource, *, budget_s):
        seen = super().observe(resource, budget_s=budget_s)
        if seen.state == "paused":
            self.kill(resource, budget_s=budget_s)
        return seen


@mutant("look-only")
class ALookLeavesAFile(ToyDriver):
    def sizes(self, guest, *, budget_s):
        self._context.state_dir.mkdir(parents=True, exist_ok=True)
        (self._context.state_dir / "sizes").write_text("1")
        return super().sizes(guest, budget_s=budget_s)


def finds(matches):
    class FindsByAnotherRule(ToyDriver):
        def _seen(self, states, resource):
            found = next((state for name, state in states.items() if matches(resource.name, name)), "absent")
            return super()._seen({resource.name: found}, resource)

    return FindsByAnotherRule


def finds_nearest(is_near):
    """A driver that finds the very name where there is one, and takes the nearest where there is none."""

    class FindsTheNearest(ToyDriver):
        def _seen(self, states, resource):
            near = next((name for name in states if is_near(name, resource.name)), resource.name)
            return super()._seen(
                states if resource.name in states else {resource.name: states.get(near, "absent")}, resource
            )

    return FindsTheNearest


def as_pattern(wanted, name):
    with contextlib.suppress(re.error):
        return re.fullmatch(wanted, name) is not None
    return wanted == name


mutant("prefixes")(type("MatchesAPrefix", (finds(lambda wanted, name: name.startswith(wanted)),), {}))
mutant("prefixes")(type("MatchesAPart", (finds(lambda wanted, name: wanted in name),), {}))
mutant("near-names")(type("TakesTheFirstThatBeginsAlike", (finds_nearest(str.startswith),), {}))
mutant("near-names")(
    type("KnowsNoCapitals", (finds_nearest(lambda name, wanted: name.casefold() == wanted.casefold()),), {})
)
mutant("names")(type("MatchesAPattern", (finds(as_pattern),), {}))


@mutant("prefixes")
class StopsWhateverBeginsAlike(ToyDriver):
    def stop(self, resource, *, budget_s):
        for name in self._states(budget_s):
            if name.startswith(resource.name):
                self._run("stop", name, budget_s=budget_s)


@mutant("names")
class SplitsALineAtItsBlanks(ToyDriver):
    def _states(self, budget_s):
        return {name.split()[0]: state for name, state in super()._states(budget_s).items() if name.split()}


@mutant("names")
class UsesAShell(ToyDriver):
    def _run(self, *words, budget_s):
        subprocess.run(f"echo {' '.join(words)} >/dev/null", shell=True, check=False, stderr=subprocess.DEVNULL)
        return super()._run(*words, budget_s=budget_s)


@mutant("bulk")
class LooksAtEachInTurn(ToyDriver):
    def observe_all(self, resources, *, budget_s):
        return {(each.service, each.rid): self.observe(each, budget_s=budget_s) for each in resources}


@mutant("bulk")
class LeavesSomeOut(ToyDriver):
    def observe_all(self, resources, *, budget_s):
        seen = super().observe_all(resources, budget_s=budget_s)
        return {key: each for key, each in seen.items() if each.phase is Phase.RUNNING}


@mutant("bulk")
class TellsAnotherStoryOfMany(ToyDriver):
    def observe_all(self, resources, *, budget_s):
        seen = super().observe_all(resources, budget_s=budget_s)
        return {key: observation(Phase.RUNNING) for key in seen}


@mutant("bulk")
class ThinksThatEachServiceHasOneGuest(ToyDriver):
    def observe_all(self, resources, *, budget_s):
        states = self._states(budget_s)
        return {(each.service, "container#1"): self._seen(states, each) for each in resources}


@mutant("bulk")
class ThinksThatEachGuestHasOneService(ToyDriver):
    def observe_all(self, resources, *, budget_s):
        return super().observe_all({each.name: each for each in resources}.values(), budget_s=budget_s)


@mutant("bulk")
class LooksWhereTheFirstIs(ToyDriver):
    def observe_all(self, resources, *, budget_s):
        return super().observe_all([evolve(each, home=resources[0].home) for each in resources], budget_s=budget_s)


@mutant("life")
class RemembersWhatItSawOfMany(ToyDriver):
    seen = None

    def observe_all(self, resources, *, budget_s):
        if self.seen is None:
            self.seen = self._states(budget_s)
        return {(each.service, each.rid): self._seen(self.seen, each) for each in resources}


@mutant("discover")
class FindsOnlyWhatRuns(ToyDriver):
    def discover(self, where, *, budget_s):
        return [each for each in super().discover(where, budget_s=budget_s) if each.phase is Phase.RUNNING]


@mutant("discover")
class FindsWhatRunsOrIsStopped(ToyDriver):
    def discover(self, where, *, budget_s):
        found = super().discover(where, budget_s=budget_s)
        return [each for each in found if each.phase in (Phase.RUNNING, Phase.STOPPED)]


@mutant("discover")
class SeesNoPhase(ToyDriver):
    def discover(self, where, *, budget_s):
        return [evolve(each, phase=Phase.UNKNOWN) for each in super().discover(where, budget_s=budget_s)]


# --- trouble ----------------------------------------------------------------------------------------------------------

mutant("hung", "dead", "refused", "truncated", "empty", "garbage")(type("NoAnswerIsDown", (as_down(Undetermined),), {}))
mutant("missing-tool")(type("NoToolIsDown", (as_down(ActionFailed),), {}))


@mutant("new-word")
class ANewWordIsDown(ToyDriver):
    def _seen(self, states, resource):
        seen = super()._seen(states, resource)
        return evolve(seen, phase=Phase.STOPPED) if seen.phase is Phase.UNKNOWN else seen


@mutant("new-word")
class StartsWhatNobodyKnows(ToyDriver):
    def start(self, resource, *, budget_s):
        if self.observe(resource, budget_s=budget_s).phase is not Phase.RUNNING:
            self._run("kill", resource.name, budget_s=budget_s)
        return self._run("start", resource.name, budget_s=budget_s).out == "started\n"


@mutant("new-word")
class KillsWhatNobodyKnows(ToyDriver):
    def kill(self, resource, *, budget_s):
        self._run("kill", resource.name, budget_s=budget_s)


@mutant("new-word")
class CannotStopWhatNobodyKnows(ToyDriver):
    def stop(self, resource, *, budget_s):
        if self.observe(resource, budget_s=budget_s).phase is Phase.UNKNOWN:
            raise DriverError("it cannot be asked")
        super().stop(resource, budget_s=budget_s)


@mutant("cut")
class TakesAPartForTheWhole(ToyDriver):
    def _states(self, budget_s):
        rows = [row.split("\t") for row in self._run("list", budget_s=budget_s).out.splitlines()[1:]]
        return {json.loads(row[0]): row[1] for row in rows if len(row) > 1}


@mutant("restarted")
class OneFailureIsDown(ToyDriver):
    def _states(self, budget_s):
        try:
            return super()._states(budget_s)
        except Undetermined:
            return {}


@mutant("restarted", "dead")
class NeverTriesAgain(ToyDriver):
    lost = False

    def _run(self, *words, budget_s):
        if self.lost:
            raise Undetermined("the connection is lost")
        self.lost = True
        done = super()._run(*words, budget_s=budget_s)
        self.lost = False
        return done


@mutant("dead", "missing-tool", "refused")
class StartIsDoneWithoutATool(ToyDriver):
    def start(self, resource, *, budget_s):
        with contextlib.suppress(Undetermined, ActionFailed):
            super().start(resource, budget_s=budget_s)
        return True


@mutant("dead")
class DiscoversNothing(ToyDriver):
    def discover(self, where, *, budget_s):
        try:
            return super().discover(where, budget_s=budget_s)
        except Undetermined:
            return []


def given_up_too_late(*verbs):
    """A driver that raises in time, and tries again behind its caller's back."""

    class TriesOn(ToyDriver):
        def _ask(self, verb, resource, budget_s):
            try:
                return super()._ask(verb, resource, budget_s)
            except Undetermined:
                if verb in verbs:
                    threading.Thread(target=self._later, args=(verb, resource), daemon=True).start()
                raise

        def _later(self, verb, resource):
            for _ in range(20):
                time.sleep(0.02)
                with contextlib.suppress(Undetermined):
                    super()._ask(verb, resource, 0.02)
                    break

    return TriesOn


mutant("late")(type("AStartComesToLife", (given_up_too_late("start"),), {}))
mutant("late")(type("AKillComesToLife", (given_up_too_late("stop", "kill"),), {}))


@mutant("deadlines")
class HasAPatienceOfItsOwn(ToyDriver):
    def kill(self, resource, *, budget_s):
        super().kill(resource, budget_s=max(budget_s, 5))


@mutant("deadlines")
class StopOfWhatHangsIsDone(ToyDriver):
    def stop(self, resource, *, budget_s):
        with contextlib.suppress(Undetermined):
            super().stop(resource, budget_s=budget_s)


@mutant("deadlines")
class EntersWhatHangs(ToyDriver):
    def enter(self, guest, argv, *, budget_s, environment=None):
        time.sleep(budget_s + 4)
        return super().enter(guest, argv, budget_s=budget_s)


@mutant("deadlines")
class HasNoAddressesWhereNothingAnswers(ToyDriver):
    def addresses(self, guest, *, budget_s):
        with contextlib.suppress(Undetermined):
            return super().addresses(guest, budget_s=budget_s)
        return []


@mutant("slow")
class GivesEachCommandTheWholeBudget(ToyDriver):
    def observe(self, resource, *, budget_s):
        for _ in range(12):
            super().observe(resource, budget_s=budget_s)
        return super().observe(resource, budget_s=budget_s)


@mutant("truncated", "cut", "empty", "garbage")
class BelievesWhateverItsSecondCommandSays(ToyDriver):
    def disks(self, guest, *, budget_s):
        self._states(budget_s)
        told = self._host.run(["toy", "show", guest.name], budget_s=budget_s).out
        return [GuestDisk(target="a", kind="block", source=f"{told[:2]}{told[-3:]}", persistent=True)]


@mutant("truncated")
class BelievesHalfOfAList(ToyDriver):
    def _states(self, budget_s):
        rows = self._run("list", budget_s=budget_s).out.splitlines()[1:]
        return {row.split("\t")[0].strip('"'): row.split("\t")[1] for row in rows if row.count("\t") == 2}


@mutant("locale")
class AsksInTheOperatorsLanguage(ToyDriver):
    def _run(self, *words, budget_s):
        done = self._host.run(["toy", *words], budget_s=budget_s)
        if done.code:
            raise Undetermined(done.err)
        return done


@mutant("locale")
class ReadsMessages(ToyDriver):
    def start(self, resource, *, budget_s):
        return super().start(resource, budget_s=budget_s)

    def observe(self, resource, *, budget_s):
        done = self._host.run(["toy", "show", resource.name], budget_s=budget_s)
        if "no such machine" in done.err:
            return observation(Phase.ABSENT)
        return super().observe(resource, budget_s=budget_s) if done.code == 0 else observation(Phase.UNKNOWN)


@mutant("noise")
class TakesAWarningForAFailure(ToyDriver):
    def _run(self, *words, budget_s):
        done = super()._run(*words, budget_s=budget_s)
        if done.stderr:
            raise Undetermined(done.err)
        return done


@mutant("extra-column")
class CountsFromTheEnd(ToyDriver):
    def _states(self, budget_s):
        words = [row.split() for row in self._run("list", budget_s=budget_s).out.splitlines()[1:]]
        return {row[0].strip('"'): row[-2] if row[-2] in PHASES else "off" for row in words}


# --- roles ------------------------------------------------------------------------------------------------------------


def with_disks(*sources):
    class HasOtherDisks(ToyDriver):
        looks = 0

        def disks(self, guest, *, budget_s):
            self.looks += 1
            source = sources[self.looks % len(sources)]
            return [GuestDisk(target="a", kind="file", source=source, persistent=True)] if source else []

    return HasOtherDisks


mutant("disks")(type("DisksAreRelative", (with_disks("images/a.img"),), {}))
mutant("disks")(type("DisksComeAndGo", (with_disks("/a", "/b"),), {}))
mutant("disks")(type("HasNoDisks", (with_disks(""),), {}))


@mutant("definition")
class DefinitionHasTheTimeInIt(ToyDriver):
    def definition(self, guest, *, budget_s):
        return f"{super().definition(guest, budget_s=budget_s)} {time.monotonic_ns()}"


@mutant("definition")
class AllGuestsAreDefinedAlike(ToyDriver):
    def definition(self, guest, *, budget_s):
        return "a machine"


@mutant("compare")
class WhatIsStoppedIsLive(ToyDriver):
    def definitions(self, guest, *, budget_s):
        text = self.definition(guest, budget_s=budget_s)
        return Definitions(live=text, persistent=text)


@mutant("compare")
class AnythingIsADefinition(ToyDriver):
    def fields(self, definition):
        with contextlib.suppress(DriverError):
            return super().fields(definition)


@mutant("config-files")
class NamesFilesThatAreNotThere(ToyDriver):
    def config_files(self, guest, *, budget_s):
        return [Path("/no/such/file")]


@mutant("config-files")
class NamesFilesOfTheDirectory(ToyDriver):
    def config_files(self, guest, *, budget_s):
        return [Path()]


@mutant("sizes")
class HasNoMemory(ToyDriver):
    def sizes(self, guest, *, budget_s):
        return evolve(super().sizes(guest, budget_s=budget_s), memory_mib=0)


@mutant("wait")
class WaitsForNothing(ToyDriver):
    def wait(self, resource, until, *, budget_s):
        return self.observe(resource, budget_s=budget_s)


@mutant("wait")
class WaitsForEver(ToyDriver):
    def wait(self, resource, until, *, budget_s):
        time.sleep(4)
        return self.observe(resource, budget_s=budget_s)


@mutant("entry", "addresses")
class GoesIntoWhatDoesNotRun(ToyDriver):
    def _inside(self, guest, budget_s):
        pass


@mutant("inside")
class LetsNobodyIn(ToyDriver):
    def enter(self, guest, argv, *, budget_s, environment=None):
        raise NoWayIn("there is none")


@mutant("inside")
class SplitsCommandsAtBlanks(ToyDriver):
    def enter(self, guest, argv, *, budget_s, environment=None):
        return super().enter(guest, " ".join(argv).split(), budget_s=budget_s, environment=environment)


@mutant("inside")
class LosesVariables(ToyDriver):
    def enter(self, guest, argv, *, budget_s, environment=None):
        return super().enter(guest, argv, budget_s=budget_s)


@mutant("inside")
class AllIsWell(ToyDriver):
    def enter(self, guest, argv, *, budget_s, environment=None):
        return evolve(super().enter(guest, argv, budget_s=budget_s, environment=environment), code=0)


@mutant("self-starting")
class SaysNothing(ToyDriver):
    def why_no_launchers(self, guest):
        return " "


@mutant("split-start")
class StartsWhatItIsToPrepare(ToyDriver):
    def prepare(self, guest, *, budget_s):
        return self.start(guest, budget_s=budget_s)


@mutant("split-start")
class BootsWhatIsNotPrepared(ToyDriver):
    def boot(self, guest, *, budget_s):
        return self.start(guest, budget_s=budget_s)


@mutant("split-start")
class PreparesAgain(ToyDriver):
    def prepare(self, guest, *, budget_s):
        super().prepare(guest, budget_s=budget_s)
        return True


@mutant("plumb")
class GivesAnAddressTwice(ToyDriver):
    def plumb(self, guest, address, *, budget_s):
        super().plumb(guest, address, budget_s=budget_s)
        return True


@mutant("plumb")
class GivesAddressesToWhatIsDown(ToyDriver):
    def plumb(self, guest, address, *, budget_s):
        return not self._run("plumb", guest.name, budget_s=budget_s).code


@mutant("plumb")
class TakesAddressesFromEverybody(ToyDriver):
    def unplumb(self, guest, address, *, budget_s):
        for name in self._states(budget_s):
            self._run("unplumb", name, budget_s=budget_s)


@mutant("migrate")
class MovesNothing(ToyDriver):
    def _send(self, guest, destination, budget_s):
        pass


@mutant("migrate-arrived")
class StopsWhatItIsToMove(ToyDriver):
    def _send(self, guest, destination, budget_s):
        self.kill(guest, budget_s=budget_s)


@mutant("migrate")
class MovesWhatDoesNotRun(ToyDriver):
    def migrate(self, guest, destination, *, budget_s):
        self._send(guest, destination, budget_s)


@mutant("migrate-refused")
class HearsNoRefusal(ToyDriver):
    def _send(self, guest, destination, budget_s):
        self._run("migrate", guest.name, destination.node, budget_s=budget_s)


@mutant("migrate-refused")
class IsNotSureOfARefusal(ToyDriver):
    def _send(self, guest, destination, budget_s):
        try:
            super()._send(guest, destination, budget_s)
        except DriverError as error:
            raise Undetermined(str(error)) from None


@mutant("migrate-refused")
class StopsWhatIsTurnedAway(ToyDriver):
    def _send(self, guest, destination, budget_s):
        try:
            super()._send(guest, destination, budget_s)
        except DriverError:
            self.kill(guest, budget_s=budget_s)
            raise


@mutant("migrate-broken")
class CallsWhatHasLeftARefusal(ToyDriver):
    def _send(self, guest, destination, budget_s):
        try:
            super()._send(guest, destination, budget_s)
        except Undetermined as error:
            raise DriverError(str(error)) from None


@mutant("migrate-hung")
class CallsSilenceARefusal(ToyDriver):
    def migrate(self, guest, destination, *, budget_s):
        try:
            super().migrate(guest, destination, budget_s=budget_s)
        except Undetermined as error:
            raise DriverError(str(error)) from None


@mutant("migrate-hung")
class WaitsForADestinationThatHangs(ToyDriver):
    def migrate(self, guest, destination, *, budget_s):
        try:
            super().migrate(guest, destination, budget_s=budget_s)
        except Undetermined:
            time.sleep(2)
            raise


# --- the end ----------------------------------------------------------------------------------------------------------


@mutant("close")
class ClosesSlowly(ToyDriver):
    def close(self):
        time.sleep(2)


@mutant("processes")
class LeavesAProcess(ToyDriver):
    left = None

    def observe(self, resource, *, budget_s):
        if self.left is None:
            self.left = subprocess.Popen(["sleep", "30"])
        return super().observe(resource, budget_s=budget_s)


@mutant("processes")
class LeavesAProcessThatHasCutItselfLoose(ToyDriver):
    def start(self, resource, *, budget_s):
        subprocess.run(["sh", "-c", "setsid sleep 30 & :"], env={"PATH": os.environ["PATH"]}, check=True)
        return super().start(resource, budget_s=budget_s)


def importing(statement, directory):
    """A driver whose module begins with a statement."""
    file = directory / "toy_that_imports.py"
    file.write_text(f"{statement}\nfrom tests.unit.testing.reference import ToyDriver\n\nclass Toy(ToyDriver): pass\n")
    spec = importlib.util.spec_from_file_location("toy_that_imports", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["toy_that_imports"] = module
    spec.loader.exec_module(module)
    return module.Toy
