"""Visit every state that can be reached, breadth first, so that the way to a violation is the shortest one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable

from attrs import Factory, define, frozen


@frozen
class Step:
    """One transition.

    Attributes:
        label: What happened, to be described by the world.
        state: The state afterwards.
        violated: The laws that it violates.
    """

    label: tuple[object, ...]
    state: Hashable
    violated: tuple[str, ...] = ()


@define
class Explored:
    """What an exploration has found.

    Attributes:
        states: How many states were visited.
        transitions: How many transitions were taken.
        final: Every state from which nothing goes on.
        violations: Of each law that is violated, the shortest way to it.
        is_complete: Whether every state was visited that can be reached.
        seconds: How long it took.
    """

    states: int = 0
    transitions: int = 0
    final: list[Hashable] = Factory(list)
    violations: dict[str, list[tuple[object, ...]]] = Factory(dict)
    is_complete: bool = False
    seconds: float = 0.0


def explore(
    start: Hashable,
    steps: Callable[[Hashable], Iterable[Step]],
    *,
    at_end: Callable[[Hashable], tuple[str, ...]] = lambda _: (),
    limit: int = 10_000_000,
    until: Callable[[Explored], bool] = lambda _: False,
) -> Explored:
    """Visit every state.

    Args:
        start: Where to begin.
        steps: The transitions of a state. Nothing beyond a violation is visited.
        at_end: The laws that a state violates from which nothing goes on.
        limit: How many states to visit at most.
        until: When to end early; asked while there are violations.

    Returns:
        What was found.
    """
    found, began = Explored(), time.monotonic()
    came_from: dict[Hashable, tuple[Hashable, tuple[object, ...]] | None] = {start: None}
    queue = deque([start])
    while queue and len(came_from) <= limit:
        state = queue.popleft()
        is_final = True
        for step in steps(state):
            is_final = False
            found.transitions += 1
            _note(found, step.violated, lambda state=state, step=step: [*_way(came_from, state), step.label])
            if not step.violated and step.state not in came_from:
                came_from[step.state] = (state, step.label)
                queue.append(step.state)
        if is_final:
            found.final.append(state)
            _note(found, at_end(state), lambda state=state: _way(came_from, state))
        if found.violations and until(found):
            break
    found.is_complete = not queue
    found.states, found.seconds = len(came_from), time.monotonic() - began
    return found


def _note(found: Explored, violated: Iterable[str], way: Callable[[], list[tuple[object, ...]]]) -> None:
    for law in violated:
        if law not in found.violations:
            found.violations[law] = way()


def _way(
    came_from: dict[Hashable, tuple[Hashable, tuple[object, ...]] | None], state: Hashable
) -> list[tuple[object, ...]]:
    way = []
    while (before := came_from[state]) is not None:
        state, label = before
        way.append(label)
    return way[::-1]
