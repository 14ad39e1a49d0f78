"""Two nodes that start one guest: each takes its lock, leaves a note of that, asks the other, judges, and boots it.

What an answer means is decided by vmsvc's own code (`core/peers/answers.py`); the order of what is done around it is
modelled here. Everything may come between two steps: steps of the other node, a kill, a power cut, a node that hangs, a
network that is cut, and time, after which answers are old.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from attrs import evolve, field, frozen

from tests.model.explore import Explored, Step, explore
from tests.support import guest, seen, service
from vmsvc.core.errors import Severity
from vmsvc.core.peers import answers
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
    """

    notes_before_it_asks: bool = True
    needs_its_note: bool = True
    hears_before_it_looks: bool = True
    asks_again: bool = True
    waits_as_first: bool = True


@frozen(kw_only=True)
class Scenario:
    """How much may happen.

    Attributes:
        name: What it is about.
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
        at: Where its start is: `idle`, `locked`, `noted`, `asking`, `half`, `judging`, `cleared`, `booting`, `leaving`.
        starts: How many starts are to come.
        has_note: Whether others can hear of its start.
        is_up: Whether it runs the guest.
        is_hung: Whether nothing goes on there, and nobody is answered: it hangs, or is off.
        said: Whether its operator has said that nothing runs on the other one.
        acts: Of the other node, as it has answered: whether a start is going on there.
        runs: Alike, whether the guest is up there; `None` where nobody has answered.
        is_old: Whether that was asked for long ago.
    """

    at: str = "idle"
    starts: int = 1
    has_note: bool = False
    is_up: bool = False
    is_hung: bool = False
    said: bool = False
    acts: bool = False
    runs: bool | None = None
    is_old: bool = False

    def ended(self, **change: object) -> Node:
        """The start is over: its lock, its note and its memory are gone."""
        return Node(**{"starts": self.starts, "is_up": self.is_up, "is_hung": self.is_hung, **change})


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
        limit = tuple((each, getattr(self.scenario, each)) for each in ("kills", "power_cuts", "hangs", "cuts"))
        return explore(State(left=limit), self.steps, at_end=self._at_end, **limits)

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
        asking = evolve(node, at="asking", acts=False, runs=None, is_old=False)
        match node.at:
            case "idle" if node.starts and not node.is_up:
                yield "takes its lock", evolve(node, at="locked", starts=node.starts - 1)
                if _NAMES[index] in self.scenario.words and self._may_be_said_of(other):
                    yield (
                        "takes its lock; nothing runs on the other one, its operator says",
                        evolve(node, at="locked", starts=node.starts - 1, said=True),
                    )
            case "locked" if protocol.notes_before_it_asks:
                yield self._noting(index, node, "noted")
            case "locked" | "noted":
                yield "asks", asking
            case "asking" | "half":
                yield self._told(state, node, other)
            case "judging":
                yield from self._judged(index, node)
            case "cleared":
                must_ask = node.is_old and protocol.asks_again
                yield ("asks again", asking) if must_ask else ("is about to boot it", evolve(node, at="booting"))
            case "booting":
                yield "boots it", evolve(node, at="leaving", is_up=True)
            case "leaving":
                yield "ends its start", node.ended()

    def _told(self, state: State, node: Node, other: Node) -> tuple[str, Node]:
        """The first or the second half of an answer."""
        if other.is_hung or state.is_cut:
            return "has no answer", evolve(node, at="judging", runs=None)
        is_hearing = (node.at == "asking") == self.protocol.hears_before_it_looks
        told = {"acts": other.has_note} if is_hearing else {"runs": other.is_up}
        return f"is told {told}", evolve(node, at="half" if node.at == "asking" else "judging", **told)

    def _noting(self, index: int, node: Node, after: str) -> tuple[str, Node]:
        if _NAMES[index] not in self.scenario.full:
            return "writes its note", evolve(node, at=after, has_note=True)
        return "cannot write its note", node.ended() if self.protocol.needs_its_note else evolve(node, at=after)

    def _judged(self, index: int, node: Node) -> Iterator[tuple[str, Node]]:
        """What follows from an answer, by vmsvc's own decision."""
        other = _NAMES[1 - index]
        told = answers.PeerAnswer(node=other, error="it is silent")
        if node.runs is not None:
            told = answers.PeerAnswer(
                node=other,
                seen={_GUEST.rid: seen(Phase.RUNNING if node.runs else Phase.STOPPED)},
                guests={_GUEST.rid: (_GUEST.type, _GUEST.label)},
                going_on="start by pid 1 since 21:03:12" if node.acts else "",
            )
        found = answers.objections(_SERVICE, [_GUEST.rid], [told], despite=[other] if node.said else ())
        against = {problem.code for problem in found if problem.severity is Severity.ERROR}
        if "refused.peer-acts" in against and index == 0 and self.protocol.waits_as_first:
            yield "waits for the other one", evolve(node, at="asking", acts=False, runs=None, is_old=False)
        elif against:
            yield f"is refused: {', '.join(sorted(against))}", evolve(node, at="leaving")
        elif self.protocol.notes_before_it_asks or node.has_note:
            yield "is cleared", evolve(node, at="cleared")
        else:
            yield self._noting(index, node, "cleared")

    def _may_be_said_of(self, other: Node) -> bool:
        """Whether an operator may say of a node that nothing runs there."""
        has_to_ask = other.is_old or other.at in ("idle", "locked", "noted", "leaving")
        return other.is_hung and not other.is_up and (has_to_ask or not self.scenario.is_careful)

    def _troubles(self, state: State, index: int) -> Iterator[Step]:
        node = state.nodes[index]
        if node.at != "idle" and (killed := _spent(state, "kills")):
            # A hypervisor that has been asked boots it, or not: either shows at once.
            for is_up in {node.is_up, node.at == "booting" or node.is_up}:
                yield self._become(killed, index, "is killed", node.ended(is_up=is_up))
        if off := _spent(state, "power_cuts"):
            yield self._become(off, index, "loses its power", node.ended(is_up=False, is_hung=True))
        if not node.is_hung and (hung := _spent(state, "hangs")):
            yield self._become(hung, index, "hangs", evolve(node, is_hung=True))

    def _become(self, state: State, index: int, what: str, node: Node) -> Step:
        nodes = (node, state.nodes[1]) if index == 0 else (state.nodes[0], node)
        return self._step((_NAMES[index], what), evolve(state, nodes=nodes))

    @staticmethod
    def _step(label: tuple[object, ...], state: State) -> Step:
        return Step(label, state, (ONE,) if all(node.is_up for node in state.nodes) else ())

    def _at_end(self, state: State) -> tuple[str, ...]:
        """Where nothing has gone wrong, somebody has started it."""
        has_trouble = any(count for _, count in state.left) or self.scenario != Scenario(name=self.scenario.name)
        return (RACE,) if not has_trouble and not any(node.is_up for node in state.nodes) else ()


def _spent(state: State, what: str) -> State | None:
    """A state in which one of the things that may happen has; `None` where none of them is left."""
    left = dict(state.left)
    if not left[what]:
        return None
    return evolve(state, left=tuple({**left, what: left[what] - 1}.items()))
