"""Two nodes that start, restart and move one guest: each takes its lock, leaves a note, asks the other, judges, and acts.

What an answer means is decided by vmsvc's own code (`core/peers/answers.py`, `core/room.py`); the order of what is done
around it is modelled here. Everything may come between two steps: steps of the other node, a kill, a power cut, a node
that hangs, a network that is cut, and time, after which answers are old; and a move that nobody holds a lock for, by the
hypervisor's own tool, or by a command that was killed.

What is taken for granted of hypervisors: there is at most one guest of a name on each of them, one that is coming among
them; and a guest that is moved runs here until, in one moment, it runs there.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from attrs import evolve, field, frozen

from tests.model.explore import Explored, Step, explore
from tests.support import guest, seen, service
from vmsvc.core.errors import Severity
from vmsvc.core.peers import answers
from vmsvc.core.room import why_no_room
from vmsvc.core.status import Phase

ONE, RACE = "at most one node runs it", "of two nodes that start it at once, one does"
_NAMES = ("a", "b")
_SERVICE = service(guest(), nodes=_NAMES)
(_GUEST,) = _SERVICE.guests


@frozen(kw_only=True)
class Protocol:
    """What is done around an answer, and in which order; a mutant does it otherwise.

    Attributes:
        notes_before_it_asks: Whether the note is there before the other node is asked.
        needs_its_note: Whether a start ends whose note cannot be written.
        hears_before_it_looks: Whether a node that is asked reads who acts there first, and looks at its guest then.
        asks_again: Whether answers that are old are asked for again at the last moment.
        waits_as_first: Whether the node that the service lists first asks again while the other one acts.
        asks_after_its_stop: Whether a restart asks when it has stopped the guest, however short ago it has asked before.
    """

    notes_before_it_asks: bool = True
    needs_its_note: bool = True
    hears_before_it_looks: bool = True
    asks_again: bool = True
    waits_as_first: bool = True
    asks_after_its_stop: bool = True


@frozen(kw_only=True)
class Scenario:
    """How much may happen.

    Attributes:
        name: What it is about.
        todo: What each node is to do, one after the other: `start`, `restart`, `move`; each is begun where it makes
            sense by what the node sees of the guest then.
        up: The node on which the guest runs at first.
        tells_moved: Whether a hypervisor tells a guest that was moved away from one that was stopped.
        outside: How many moves the hypervisor may be asked for by its own tool.
        kills: How many processes may be killed.
        power_cuts: How many nodes may lose their power, and get it again.
        hangs: How many times a node may hang, and go on.
        cuts: How many times the network may be cut, and mended.
        full: The nodes that cannot write a note.
        words: The node whose operator may say that nothing runs on the other one; he does where that is so.
        is_careful: Whether that node is off by then, or has hung for as long as answers are believed and not at the last
            moment of a start; and stays so until the start that names it has ended.
    """

    name: str
    todo: tuple[tuple[str, ...], tuple[str, ...]] = (("start",), ("start",))
    up: str = ""
    tells_moved: bool = True
    outside: int = 0
    kills: int = 0
    power_cuts: int = 0
    hangs: int = 0
    cuts: int = 0
    full: str = ""
    words: str = ""
    is_careful: bool = True

    def __str__(self) -> str:
        """Its name."""
        return self.name


@frozen(kw_only=True)
class Node:
    """A node.

    Attributes:
        at: Where its action is: `idle`, `locked`, `noted`, `asking`, `half`, `judging`, `stopping`, `cleared`, `booting`,
            `sending`, `waiting`, `leaving`.
        todo: What is to come, the action that goes on first.
        has_note: Whether others can hear of its action.
        is_up: Whether it runs the guest.
        is_coming: Whether the guest is on its way here.
        has_left: Whether the guest ran here, and was moved away.
        has_stopped: Whether a restart has its stop behind it.
        is_hung: Whether nothing goes on there, and nobody is answered: it hangs, or is off.
        said: Whether its operator has said that nothing runs on the other one.
        acts: Of the other node, as it has answered: whether an action is going on there.
        told: Alike, how the guest is there; `None` where nobody has answered.
        is_old: Whether that was asked for long ago.
    """

    at: str = "idle"
    todo: tuple[str, ...] = ()
    has_note: bool = False
    is_up: bool = False
    is_coming: bool = False
    has_left: bool = False
    has_stopped: bool = False
    is_hung: bool = False
    said: bool = False
    acts: bool = False
    told: Phase | None = None
    is_old: bool = False

    @property
    def verb(self) -> str:
        """What goes on, or is to come next."""
        return self.todo[0] if self.todo else ""

    @property
    def has_it(self) -> bool:
        """Whether its hypervisor knows the guest as one that is there."""
        return self.is_up or self.is_coming

    def ended(self, **change: object) -> Node:
        """The action is over: its lock, its note and its memory are gone."""
        kept = ("is_up", "is_coming", "has_left", "is_hung")
        todo = self.todo if self.at == "idle" else self.todo[1:]
        return Node(**{"todo": todo, **{each: getattr(self, each) for each in kept}, **change})


@frozen
class State:
    """Both nodes, the network, and how much may still happen."""

    nodes: tuple[Node, Node] = (Node(), Node())
    is_cut: bool = False
    left: tuple[tuple[str, int], ...] = field(default=())


class Starts:
    """The transitions of a scenario."""

    def __init__(self, scenario: Scenario, protocol: Protocol | None = None) -> None:
        self.scenario, self.protocol = scenario, protocol or Protocol()

    def explored(self, **limits: object) -> Explored:
        """Visit every state."""
        scenario = self.scenario
        limit = tuple((each, getattr(scenario, each)) for each in ("outside", "kills", "power_cuts", "hangs", "cuts"))
        nodes = [Node(todo=todo, is_up=name == scenario.up) for name, todo in zip(_NAMES, scenario.todo, strict=True)]
        return explore(State(tuple(nodes), left=limit), self.steps, at_end=self._at_end, **limits)

    def steps(self, state: State) -> Iterator[Step]:
        """Everything that may happen next."""
        for index, node in enumerate(state.nodes):
            become = partial(self._become, state, index)
            if node.is_hung:
                if not (self.scenario.is_careful and state.nodes[1 - index].said):
                    yield become("goes on", evolve(node, is_hung=False))
            else:
                for what, after in self._own(state, index):
                    yield become(what, after)
                yield from self._moves(state, index)
            if node.at in ("asking", "half", "judging", "cleared") and not node.is_old:
                yield become("lets time pass", evolve(node, is_old=True))
            yield from self._troubles(state, index)
        if state.is_cut:
            yield self._step(("the network is mended",), evolve(state, is_cut=False))
        elif cut := _spent(state, "cuts"):
            yield self._step(("the network is cut",), evolve(cut, is_cut=True))

    def _own(self, state: State, index: int) -> Iterator[tuple[str, Node]]:
        """What a node does next."""
        node, other, protocol = state.nodes[index], state.nodes[1 - index], self.protocol
        match node.at:
            case "idle" if node.verb and (not node.has_it if node.verb == "start" else node.is_up):
                yield f"takes its lock to {node.verb} it", evolve(node, at="locked")
                is_start = node.verb == "start"
                if is_start and _NAMES[index] in self.scenario.words and self._may_be_said_of(other):
                    yield (
                        "takes its lock; nothing runs on the other one, its operator says",
                        evolve(node, at="locked", said=True),
                    )
            case "locked" if protocol.notes_before_it_asks:
                yield self._noting(index, node, "noted")
            case "locked" | "noted":
                yield "asks", _asking(node)
            case "asking" | "half":
                yield self._told(state, node, other)
            case "judging":
                yield from self._judged(index, node)
            case "cleared":
                must_ask = node.is_old and protocol.asks_again
                after = "sending" if node.verb == "move" else "booting"
                yield ("asks again", _asking(node)) if must_ask else ("is about to act", evolve(node, at=after))
            case _:
                yield from self._acts(node, other)

    def _acts(self, node: Node, other: Node) -> Iterator[tuple[str, Node]]:
        """What a node does with the guest, as far as it shows on this node alone."""
        match node.at:
            case "stopping" if not node.is_up:  # it was moved away, which looks like a stop that was heard
                yield "finds it down", self._after_its_stop(node)
            case "booting" if node.has_it:
                yield "is told by its hypervisor that there is such a guest", evolve(node, at="leaving")
            case "booting":
                yield "boots it", evolve(node, at="leaving", is_up=True, has_left=False)
            case "waiting" if not (node.is_up and other.is_coming):
                yield "sees that the move is over", evolve(node, at="leaving")
            case "waiting":
                yield "waits no longer for the move", evolve(node, at="leaving")
            case "leaving":
                yield f"ends its {node.verb}", node.ended()

    def _after_its_stop(self, node: Node) -> Node:
        down = evolve(node, is_up=False, has_stopped=True)
        return _asking(down) if self.protocol.asks_after_its_stop else evolve(down, at="cleared")

    def _moves(self, state: State, index: int) -> Iterator[Step]:
        """What the hypervisors do, and what is done to them, that shows at both ends at once."""
        node, other = state.nodes[index], state.nodes[1 - index]
        both = partial(self._both, state, index)
        is_moving, is_reached = node.is_up and other.is_coming, not (other.is_hung or state.is_cut)
        if node.at == "stopping" and node.is_up:
            yield both("stops it", self._after_its_stop(node), evolve(other, is_coming=False))
        if node.at == "sending":
            can = node.is_up and is_reached and not other.has_it
            yield both(
                "has its hypervisor move it",
                evolve(node, at="waiting"),
                evolve(other, is_coming=can or other.is_coming),
            )
        if node.is_up and not other.has_it and is_reached and (asked := _spent(state, "outside")):
            yield self._both(asked, index, "is moved by its own tool", node, evolve(other, is_coming=True))
        if is_moving:
            yield both("fails to move it", node, evolve(other, is_coming=False))
        if is_moving and is_reached:
            left = evolve(node, is_up=False, has_left=True)
            yield both("has moved it", left, evolve(other, is_up=True, is_coming=False, has_left=False))

    def _seen(self, node: Node) -> Phase:
        """How the guest is on a node. At the source of a move it may look like any guest that runs."""
        if node.is_up:
            return Phase.RUNNING
        if node.is_coming:
            return Phase.MIGRATING
        return Phase.MOVED if node.has_left and self.scenario.tells_moved else Phase.STOPPED

    def _told(self, state: State, node: Node, other: Node) -> tuple[str, Node]:
        """The first or the second half of an answer."""
        if other.is_hung or state.is_cut:
            return "has no answer", evolve(node, at="judging", told=None)
        is_hearing = (node.at == "asking") == self.protocol.hears_before_it_looks
        told = {"acts": other.has_note} if is_hearing else {"told": self._seen(other)}
        return f"is told {next(iter(told.values()))}", evolve(
            node, at="half" if node.at == "asking" else "judging", **told
        )

    def _noting(self, index: int, node: Node, after: str) -> tuple[str, Node]:
        if _NAMES[index] not in self.scenario.full:
            return "writes its note", evolve(node, at=after, has_note=True)
        return "cannot write its note", node.ended() if self.protocol.needs_its_note else evolve(node, at=after)

    def _judged(self, index: int, node: Node) -> Iterator[tuple[str, Node]]:
        """What follows from an answer, by vmsvc's own decision."""
        other = _NAMES[1 - index]
        told = answers.PeerAnswer(node=other, error="it is silent")
        if node.told is not None:
            told = answers.PeerAnswer(
                node=other,
                seen={_GUEST.rid: seen(node.told)},
                guests={_GUEST.rid: (_GUEST.type, _GUEST.label)},
                going_on="start by pid 1 since 21:03:12" if node.acts else "",
            )
        against = self._against(node, told)
        is_move, is_before_its_stop = node.verb == "move", node.verb == "restart" and not node.has_stopped
        if "refused.peer-acts" in against and not is_move and index == 0 and self.protocol.waits_as_first:
            yield "waits for the other one", _asking(node)
        elif against:
            yield f"is refused: {', '.join(sorted(against))}", evolve(node, at="leaving")
        elif node.has_it and not is_move and not is_before_its_stop:
            yield "finds that it is there by now", evolve(node, at="leaving")
        elif is_before_its_stop:
            yield "is cleared to stop it", evolve(node, at="stopping")
        elif self.protocol.notes_before_it_asks or node.has_note:
            yield "is cleared", evolve(node, at="cleared")
        else:
            yield self._noting(index, node, "cleared")

    def _against(self, node: Node, told: answers.PeerAnswer) -> set[str]:
        """What speaks against an action, by codes: as `Arrivals` has it of a move, and `Interlock` of all others."""
        if node.verb == "move":
            acts = {"refused.peer-acts"} if told.may_be_starting else set()
            problem = why_no_room(_GUEST, told.told_of(_GUEST), told.node)
            return acts | {problem.code} if problem else acts
        ran_here = node.verb == "restart" and not (node.has_stopped and self._seen(node) is Phase.MOVED)
        despite = [told.node] if node.said or ran_here else ()
        found = answers.objections(_SERVICE, [_GUEST.rid], [told], despite=despite)
        return {problem.code for problem in found if problem.severity is Severity.ERROR}

    def _may_be_said_of(self, other: Node) -> bool:
        """Whether an operator may say of a node that nothing runs there."""
        has_to_ask = other.is_old or other.at in ("idle", "locked", "noted", "leaving")
        return other.is_hung and not other.is_up and (has_to_ask or not self.scenario.is_careful)

    def _troubles(self, state: State, index: int) -> Iterator[Step]:
        node, other = state.nodes[index], state.nodes[1 - index]
        if node.at != "idle" and (killed := _spent(state, "kills")):
            yield self._become(killed, index, "is killed", node.ended())
            # A hypervisor that has been asked boots it, or not: either shows at once.
            if node.at == "booting" and not node.has_it:
                yield self._become(killed, index, "is killed", node.ended(is_up=True, has_left=False))
            if node.at == "sending" and node.is_up and not (other.has_it or other.is_hung or state.is_cut):
                yield self._both(killed, index, "is killed", node.ended(), evolve(other, is_coming=True))
        if off := _spent(state, "power_cuts"):
            # A move from here, or to here, ends with it.
            after = node.ended(is_up=False, is_coming=False, is_hung=True)
            yield self._both(off, index, "loses its power", after, evolve(other, is_coming=False))
        if not node.is_hung and (hung := _spent(state, "hangs")):
            yield self._become(hung, index, "hangs", evolve(node, is_hung=True))

    def _become(self, state: State, index: int, what: str, node: Node) -> Step:
        return self._both(state, index, what, node, state.nodes[1 - index])

    def _both(self, state: State, index: int, what: str, node: Node, other: Node) -> Step:
        nodes = (node, other) if index == 0 else (other, node)
        return self._step((_NAMES[index], what), evolve(state, nodes=nodes))

    @staticmethod
    def _step(label: tuple[object, ...], state: State) -> Step:
        return Step(label, state, (ONE,) if all(node.is_up for node in state.nodes) else ())

    def _at_end(self, state: State) -> tuple[str, ...]:
        """Where nothing has gone wrong, somebody has started it."""
        quiet = evolve(self.scenario, kills=0, power_cuts=0, hangs=0, cuts=0, full="", words="")
        has_trouble = self.scenario != quiet
        return (RACE,) if not has_trouble and not any(node.is_up for node in state.nodes) else ()


def _asking(node: Node) -> Node:
    """A node that asks, and has no answer yet."""
    return evolve(node, at="asking", acts=False, told=None, is_old=False)


def _spent(state: State, what: str) -> State | None:
    """A state in which one of the things that may happen has; `None` where none of them is left."""
    left = dict(state.left)
    if not left[what]:
        return None
    return evolve(state, left=tuple({**left, what: left[what] - 1}.items()))
