"""A random walk through the same transitions, beside a target that is asked the same: it must answer as the model says.

What the checker explores within small bounds, this walks through far beyond them: three nodes, scripts by chance, many
faults. And it takes a backend: the SAN in memory, or a real one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import evolve
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.model.records import State
from tests.model.scenarios import Acquire, Arrive, Join, Release, Scenario
from tests.model.world import World
from vmsvc.core.vmdg.seen import Performed, Reading
from vmsvc.core.vmdg.turn import Request
from vmsvc.testing import San

ACQUIRE = st.builds(Acquire, over=st.sampled_from(["", "", "a", "b", "c", "ab", "ac", "bc"]))
SCRIPTS = st.lists(ACQUIRE, min_size=1, max_size=3).map(
    lambda taken: tuple(x for each in taken for x in (each, Release()))
)
MIGRATION = (Join("a"), Arrive("a"), Acquire(over="a", in_use=True), Release())


def _possible(scenario: Scenario) -> Scenario:
    """Whose guest runs gives it up before anything else; and the source of a migration does nothing else meanwhile.

    What is done to disks that are in use has known limits, which the checker knows by scenario and a walk would not.
    """
    scripts = dict(scenario.scripts)
    if scripts["b"] == MIGRATION:
        scripts["a"] = (Release(),)
    elif scenario.holding and isinstance(scripts[scenario.holding][0], Acquire):
        scripts[scenario.holding] = (Release(), *scripts[scenario.holding])
    return evolve(scenario, scripts=scripts)


SCENARIOS = st.builds(
    Scenario,
    name=st.just("by chance"),
    scripts=st.fixed_dictionaries(
        {"a": SCRIPTS | st.just((Release(),)), "b": SCRIPTS | st.just(MIGRATION), "c": SCRIPTS}
    ),
    holding=st.sampled_from(["", "a"]),
    stale=st.sampled_from(["", "c"]),
    faults=st.integers(0, 4),
    crashes=st.integers(0, 3),
    deaths=st.integers(0, 2),
).map(_possible)


class Backend(Protocol):
    """A target that is asked beside the model."""

    def ask(self, name: str, wanted: Request) -> Reading | Performed:
        """Let a node read or do something, past all faults."""


class InMemory:
    """The SAN of `vmsvc.testing`, by its tools."""

    def __init__(self, world: World, state: State) -> None:
        scenario = world.scenario
        self._san = San("".join(world.names), disks=scenario.disks, paths=scenario.paths)
        for disk, wwid in enumerate(self._san.units):
            self._san.units[wwid] = world.unit(state, disk)

    def ask(self, name: str, wanted: Request) -> Reading | Performed:
        """By the node's tool."""
        tool = self._san.tool(name)
        if wanted.operation is None:
            return tool.read(wanted.disk, wanted.path)
        return tool.perform(wanted.disk, wanted.operation)


class Walk(RuleBasedStateMachine):
    """Nodes that act by chance.

    Attributes:
        new_backend: Makes the target, from the world and its first state.
    """

    new_backend: Callable[[World, State], Backend] = InMemory

    @initialize(scenario=SCENARIOS)
    def begin(self, scenario):
        self.world = World(scenario)
        self.state = self.world.start()
        self.backend = type(self).new_backend(self.world, self.state)
        self.steps = list(self.world.steps(self.state))

    @precondition(lambda self: self.steps)
    @rule(data=st.data())
    def go_on(self, data):
        step = self.steps[data.draw(st.integers(0, len(self.steps) - 1))]
        note(self.world.told([step.label]))
        assert not step.violated, step.violated
        asking = self.world.asked(step.label)
        if asking is not None and asking.is_carried_out:
            shown = self.backend.ask(asking.name, asking.wanted)
            if asking.fault == "":
                assert comparable(shown) == comparable(asking.given)
        self.state = step.state
        self.steps = list(self.world.steps(self.state))

    @precondition(lambda self: not self.steps)
    @rule()
    def rest(self):
        """Everything is over."""


def comparable(given: Reading | Performed) -> object:
    """What the model and a target must agree on: not names of paths and nexuses, order, or where a count began."""
    if isinstance(given, Performed):
        return given.answer
    return given.answer, sorted(given.keys), given.reservation
