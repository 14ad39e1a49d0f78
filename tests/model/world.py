"""Nodes that run vmsvc's own attempts against the target in memory: every transition of a state, and what it violates.

Nothing of the protocol is modelled: a node *is* an `Attempt` of `vmsvc.core.vmdg`, and a disk *is* a `Unit` of
`vmsvc.testing`, whose answers are those of a real target. A transition carries out one request, in any order among the
requests that are under way, of any node; so a pause of any length, between any two requests, is among them.

States are made small without losing any:

* Attempts, units and readings are kept once, and a state holds their numbers; what follows from what is computed once.
* Generations count up to 1: attempts only ask whether one is 0. The order of registrations is forgotten: attempts see a
  set. Only a target whose reservation all registrants hold goes by it, when one of them leaves; one order is explored.
* What an attempt decides after the last answer of a batch is no transition of its own: nobody else sees it, and a crash
  just before it is a crash just before its next request.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from tests.model import laws
from tests.model.computed import Computed, with_
from tests.model.explore import Explored, Step, explore
from tests.model.records import FAULTS, NONE, Node, Sight, State
from tests.model.scenarios import KEYS, Acquire, Action, Arrive, Join, Release, Scenario, dead_nexus
from vmsvc.core.vmdg import attempt as attempts
from vmsvc.core.vmdg.attempt import Attempt, Outcome
from vmsvc.core.vmdg.seen import Act, Answer
from vmsvc.testing.target import Action as Asked
from vmsvc.testing.target import Request as Command
from vmsvc.testing.target import Unit, answer, may_write


class World(Computed):
    """The transitions of a scenario.

    Attributes:
        checked: The laws that are checked, by name.
    """

    def __init__(self, scenario: Scenario, checked: frozenset[str] = laws.NAMES) -> None:
        super().__init__(scenario)
        self.checked = checked

    # --- states ---------------------------------------------------------------------------------------------------

    def start(self) -> State:
        """The first state: who holds the disks does, who is stale is registered."""
        units = tuple(self._begun_unit(wwid) for wwid in self._wwids)
        nodes = tuple(Node(guest=name == self.scenario.holding) for name in self.names)
        scenario = self.scenario
        state = State(units, nodes, scenario.faults, scenario.crashes, scenario.deaths)
        for index, node in enumerate(nodes):
            state = self._writing(state, index) if node.guest else state
        return state

    def _begun_unit(self, wwid: str) -> int:
        unit = Unit()
        for name in (*self.scenario.holding, *self.scenario.stale):
            paths = self._nexuses(name, wwid)
            for nexus in paths[:1] if self.scenario.is_partial and name == self.scenario.holding else paths:
                unit, _ = answer(unit, nexus, Command(Asked.REGISTER_AND_IGNORE, action_key=KEYS[name]))
        if self.scenario.holding:
            key, type = KEYS[self.scenario.holding], self.scenario.reserved_as
            holder = self._nexuses(self.scenario.holding, wwid)[0]
            unit, _ = answer(unit, holder, Command(Asked.RESERVE, key=key, type=type))
        for name in self.scenario.booted:
            dead = dead_nexus(name)
            unit, _ = answer(unit, dead, Command(Asked.REGISTER_AND_IGNORE, action_key=KEYS[name]))
            unit, _ = answer(unit, dead, Command(Asked.RESERVE, key=KEYS[name], type=self.scenario.reserved_as))
        return self.pool.number(self._small(unit))

    def unit(self, state: State, disk: int) -> Unit:
        """A disk's unit."""
        return self.pool[state.units[disk]]

    def action(self, index: int, node: Node) -> Action | None:
        """What a node does now, or next."""
        script = self.scenario.scripts[self.names[index]]
        return script[node.step] if node.step < len(script) else None

    def is_rivalled(self, index: int) -> bool:
        """Whether a node's disks may be taken from it: another one names it as a holder to evict."""
        name = self.names[index]
        return any(
            isinstance(action, Acquire) and name in action.over
            for script in self.scenario.scripts.values()
            for action in script
        )

    def has_gone_wrong(self, state: State) -> bool:
        """Whether a fault, a crash or the death of a path has happened on the way."""
        scenario = self.scenario
        left = state.faults, state.crashes, state.deaths
        return left != (scenario.faults, scenario.crashes, scenario.deaths)

    def explored(self, **limits: object) -> Explored:
        """Visit every state of the scenario."""
        return explore(self.start(), self.steps, at_end=self._final_laws, **limits)

    def migrating(self, state: State) -> frozenset[str]:
        """The two nodes of a migration, while its window is open."""
        joins = [(name, action) for name, script in self.scenario.scripts.items() for action in script]
        pairs = (frozenset({name, action.source}) for name, action in joins if isinstance(action, Join))
        return next(pairs) if state.is_migrating else frozenset()

    # --- transitions ----------------------------------------------------------------------------------------------

    def steps(self, state: State) -> Iterator[Step]:
        """Everything that may happen next."""
        for index, node in enumerate(state.nodes):
            if node.attempt == NONE:
                yield from self._beginnings(state, index)
            else:
                for place, number in enumerate(node.answers):
                    if number == NONE:
                        yield from self._deliveries(state, index, place)
            if state.crashes:
                yield from self._crashes(state, index)
        for late in sorted(state.late):
            yield self._landed(state, late)
        yield from self._deaths(state)

    def _beginnings(self, state: State, index: int) -> Iterator[Step]:
        node, name = state.nodes[index], self.names[index]
        match self.action(index, node):
            case Acquire(over=over, in_use=in_use, spares_holder=spares_holder) if not in_use or node.guest:
                authority = frozenset(KEYS[other] for other in over)
                made = attempts.acquire(
                    self.disks[name], KEYS[name], authority=authority, in_use=in_use, spares_holder=spares_holder
                )
            case Release() if not state.is_migrating or not node.guest:
                made = attempts.release(self.disks[name], KEYS[name])
                state = self._with_node(state, index, node._replace(guest=False))
            case Join(source=source) if state.nodes[self.names.index(source)].guest:
                made = attempts.join(self.disks[name], KEYS[name], source=KEYS[source])
                state = state._replace(is_migrating=True)
            case Arrive(source=source) if state.nodes[self.names.index(source)].guest:
                there = self.names.index(source)
                state = self._with_node(state, there, state.nodes[there]._replace(guest=False))
                state = self._with_node(state, index, node._replace(guest=True, step=node.step + 1))
                state = self._writing(self._silent(state, there), index)
                yield self._step((index, "the guest arrives"), state)
                return
            case _:
                return
        if not state.nodes[index].guest:
            state = self._silent(state, index)
        begun = self._sent(state, index, self.pool.number(made))
        yield self._step((index, "begins"), begun)

    def _sent(self, state: State, index: int, number: int) -> State:
        """A node has begun an attempt."""
        had = tuple(
            any(nexus.startswith(self.names[index]) for nexus, _ in self.unit(state, disk).registrations)
            for disk in range(self.scenario.disks)
        )
        sights = (self.pool.number(Sight()),) * self.scenario.disks
        answers = (NONE,) * len(self.pool[number].wants)
        node = state.nodes[index]._replace(attempt=number, answers=answers, sights=sights, had=had)
        return self._with_node(state, index, node)

    def _deliveries(self, state: State, index: int, place: int) -> Iterator[Step]:
        """A request arrives, and its answer does, or something goes wrong."""
        wanted = self.pool[state.nodes[index].attempt].wants[place]
        if wanted.path in state.dead:
            yield self._delivered(state, index, place, "dead path", is_carried_out=False, told=Answer.GONE)
            return
        yield self._delivered(state, index, place, "", is_carried_out=True, told=None)
        if state.faults:
            spent = state._replace(faults=state.faults - 1)
            for name, (is_carried_out, told) in FAULTS.items():
                if wanted.operation is None and (is_carried_out or told is Answer.DONE):
                    continue  # a reading changes nothing, and one that is not live is never told as one that is
                if name == "late":
                    if not self.scenario.is_late or wanted.operation is None:
                        continue
                    spent = spent._replace(late=spent.late | {(index, state.nodes[index].attempt, place)})
                yield self._delivered(spent, index, place, name, is_carried_out=is_carried_out, told=told)

    def _delivered(
        self, state: State, index: int, place: int, fault: str, *, is_carried_out: bool, told: Answer | None
    ) -> Step:
        before, node = state, state.nodes[index]
        disk = self._disk_of(node.attempt, place)
        unit, given = self._arrived(state.units[disk], node.attempt, place, is_carried_out, told)
        state = state._replace(units=with_(state.units, disk, unit))
        node = node._replace(
            answers=with_(node.answers, place, given),
            sights=with_(node.sights, disk, self._seen(node.sights[disk], given)),
        )
        violated = self._operation_laws(before, state, index, place, disk)
        operation = self.pool[node.attempt].wants[place].operation
        if state.late and operation is not None and operation.act is Act.PREEMPT:
            state = self._aborted(state, self.unit(before, disk), disk)
        state = self._with_node(state, index, node)
        label = (index, place, fault, before.nodes[index].attempt, given)
        if NONE in node.answers:
            return self._step(label, state, violated)
        return self._answered(label, state, index, violated)

    def _landed(self, state: State, late: tuple[int, int, int]) -> Step:
        """A request that its node has long given up is carried out."""
        index, attempt, place = late
        disk = self._disk_of(attempt, place)
        unit, given = self._arrived(state.units[disk], attempt, place, is_carried_out=True, told=None)
        landed = state._replace(units=with_(state.units, disk, unit), late=state.late - {late})
        return self._step((index, place, "lands", attempt, given), landed)

    def _aborted(self, state: State, before: Unit, disk: int) -> State:
        """A preemption with abort: of nexuses that lost their registration, no request arrives any more."""
        lost = {nexus for nexus, _ in before.registrations} - {
            nexus for nexus, _ in self.unit(state, disk).registrations
        }
        return state._replace(
            late=frozenset(
                (index, attempt, place)
                for index, attempt, place in state.late
                if self._disk_of(attempt, place) != disk
                or self.san.nexus_of(self.pool[attempt].wants[place].path)[0] not in lost
            )
        )

    def _answered(self, label: tuple[object, ...], state: State, index: int, violated: tuple[str, ...]) -> Step:
        """The last answer of a batch has come: the attempt goes on, or ends."""
        node = state.nodes[index]
        return self._moved_on(label, state, index, self._advanced(node.attempt, node.answers), violated)

    def _moved_on(
        self, label: tuple[object, ...], state: State, index: int, number: int, violated: tuple[str, ...]
    ) -> Step:
        node = state.nodes[index]
        attempt: Attempt = self.pool[number]
        if attempt.result is None:
            node = node._replace(attempt=number, answers=(NONE,) * len(attempt.wants))
            return self._step(label, self._with_node(state, index, node), violated)
        outcome = attempt.result.outcome
        violated += self._end_laws(state, index, outcome)
        state = self._ended(state, index, outcome)
        return self._step((*label, outcome), state, violated)

    def _ended(self, state: State, index: int, outcome: Outcome) -> State:
        node = state.nodes[index]
        action = self.action(index, node)
        is_well = outcome in (Outcome.HELD, Outcome.JOINED, Outcome.RELEASED)
        step = node.step + 1 if is_well else len(self.scenario.scripts[self.names[index]])
        node = Node(step=step, guest=node.guest)
        if isinstance(action, Acquire):
            if action.in_use and state.is_migrating:
                # The window ends. If the disks are not ours now, the policy for lost keys kills the guest.
                node = node._replace(guest=node.guest and is_well)
                state = state._replace(is_migrating=False)
            elif is_well:
                node = node._replace(guest=True)
        elif isinstance(action, Join) and not is_well:
            state = state._replace(is_migrating=False)
        state = self._with_node(state, index, node)
        return self._writing(state, index) if node.guest else self._silent(state, index)

    def _crashes(self, state: State, index: int) -> Iterator[Step]:
        """An action is interrupted; its process is killed, and the node runs on; the node dies with its guest, and boots."""
        node = state.nodes[index]
        spent = state._replace(crashes=state.crashes - 1)
        if node.attempt != NONE:
            killed = self._with_node(spent, index, Node(step=node.step, guest=node.guest))
            if self.scenario.is_late:  # the tools that it has started may outlive it
                killed = killed._replace(late=killed.late | self._unanswered(index, node))
            yield self._step((index, "is killed"), killed, self._crash_laws(killed, index))
            if set(node.answers) == {NONE}:
                yield self._interrupted(spent, index)
        if node.attempt != NONE or node.guest:
            died = self._with_node(spent, index, Node())
            died = died._replace(late=frozenset(late for late in died.late if late[0] != index))
            yield self._step((index, "dies"), died, self._crash_laws(died, index))

    def _unanswered(self, index: int, node: Node) -> frozenset[tuple[int, int, int]]:
        wants = self.pool[node.attempt].wants
        return frozenset(
            (index, node.attempt, place)
            for place, given in enumerate(node.answers)
            if given == NONE and wants[place].operation is not None
        )

    def _interrupted(self, state: State, index: int) -> Step:
        """Out of time, or told to stop: before the next batch, the attempt is given up."""
        node = state.nodes[index]
        number = self._remembered(
            ("given up", node.attempt), lambda: self.pool.number(self.pool[node.attempt].given_up("out of time"))
        )
        return self._moved_on((index, "is interrupted"), state, index, number, ())

    def _deaths(self, state: State) -> Iterator[Step]:
        for path in sorted(state.dead):
            yield self._step((NONE, "path comes back", path), state._replace(dead=state.dead - {path}))
        if state.deaths:
            for index, node in enumerate(state.nodes):
                if node.attempt == NONE:
                    continue  # who asks nothing does not notice
                for path in sorted(
                    {path for disk in self.disks[self.names[index]] for path in disk.paths} - state.dead
                ):
                    died = state._replace(deaths=state.deaths - 1, dead=state.dead | {path})
                    yield self._step((NONE, "path dies", path), died)

    # --- parts of transitions -------------------------------------------------------------------------------------

    @staticmethod
    def _with_node(state: State, index: int, node: Node) -> State:
        return state._replace(nodes=with_(state.nodes, index, node))

    def _writing(self, state: State, index: int) -> State:
        """A guest writes without end: on each path that lets it, a write is under way."""
        return self._with_tasks(state, index, is_writing=True)

    def _silent(self, state: State, index: int) -> State:
        return self._with_tasks(state, index, is_writing=False)

    def _with_tasks(self, state: State, index: int, *, is_writing: bool) -> State:
        units = []
        for disk, wwid in enumerate(self._wwids):
            unit, ours = self.unit(state, disk), frozenset(self._nexuses(self.names[index], wwid))
            able = frozenset(nexus for nexus in ours if is_writing and may_write(unit, nexus))
            units.append(self.pool.number(evolve(unit, tasks=(unit.tasks - ours) | able)))
        return state._replace(units=tuple(units))

    # --- laws -----------------------------------------------------------------------------------------------------

    def _step(self, label: tuple[object, ...], state: State, violated: tuple[str, ...] = ()) -> Step:
        guests = tuple(node.guest for node in state.nodes)
        violated += self._remembered(
            ("state", state.units, guests, state.is_migrating), lambda: laws.of_state(self, state)
        )
        return Step(label, state, tuple(law for law in violated if law in self.checked))

    def _operation_laws(self, before: State, after: State, index: int, place: int, disk: int) -> tuple[str, ...]:
        node = before.nodes[index]
        operation = self.pool[node.attempt].wants[place].operation
        if operation is None:
            return ()
        about = "operation", node.attempt, place, node.step, node.sights, before.units[disk], after.units[disk]
        return self._remembered(
            about,
            lambda: laws.of_operation(
                laws.Done(
                    name=self.names[index],
                    action=self.action(index, node),
                    operation=operation,
                    disk=disk,
                    sights=tuple(self.pool[number] for number in node.sights),
                    before=self.unit(before, disk),
                    after=self.unit(after, disk),
                )
            ),
        )

    def _end_laws(self, state: State, index: int, outcome: Outcome) -> tuple[str, ...]:
        node = state.nodes[index]
        return self._remembered(
            ("end", index, node.sights, node.had, state.units, outcome),
            lambda: laws.of_end(
                laws.Ended(
                    name=self.names[index],
                    outcome=outcome,
                    sights=tuple(self.pool[number] for number in node.sights),
                    had=node.had,
                    units=tuple(self.unit(state, disk) for disk in range(self.scenario.disks)),
                )
            ),
        )

    def _final_laws(self, state: State) -> tuple[str, ...]:
        return tuple(law for law in laws.of_final(self, state) if law in self.checked)

    def _crash_laws(self, state: State, index: int) -> tuple[str, ...]:
        return self._remembered(
            ("crash", index, state.nodes[index], state.units), lambda: laws.of_crash(self, state, index)
        )
