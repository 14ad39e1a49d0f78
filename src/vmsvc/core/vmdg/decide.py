"""What is done to one disk: look, make a chain of moves, look again, until it stands. Pure.

No answer is believed but a live path's reading. "Done" may have done nothing, an error may have been carried out, and
silence may be either: after every chain the disk is read, and what it shows decides.

Each function takes a :class:`Turn` and returns the next one; :mod:`vmsvc.core.vmdg.attempt` moves the turns of a set.
"""

from __future__ import annotations

from attrs import evolve

from vmsvc.core.vmdg import laws, moves, words
from vmsvc.core.vmdg.moves import Move
from vmsvc.core.vmdg.seen import Act, Answer, Performed, Reading
from vmsvc.core.vmdg.turn import Goal, Request, Standing, Turn

#: How often a request is made again that was answered with a unit attention or "busy".
REPEATS = 4
#: How many chains of moves one disk gets. A race takes two; the rest is for faults.
ROUNDS = 5


# --- what moves a turn --------------------------------------------------------------------------------------------


def begin(turn: Turn) -> Turn:
    """Begin with a look.

    Args:
        turn: The disk's turn. A disk that this node sees as read-only is not taken: we cannot write to it, and of a
            replica the reservation could not be dropped again. A release reads it all the same: it may have become
            read-only after we had reserved it.
    """
    if turn.disk.readonly and turn.goal is not Goal.LEAVE:
        return turn.noted("is read-only here, and left as it is").ended(Standing.EXEMPT)
    return look(turn)


def look(turn: Turn) -> Turn:
    """Begin a look: through the best path, then through the others, until one is alive.

    Args:
        turn: The disk's turn.
    """
    ordered = sorted(turn.disk.paths, key=lambda path: path != turn.best_path)  # stable: the others keep their order
    return _next_path(evolve(turn, unread=tuple(ordered), answers=frozenset()))


def let_go(turn: Turn) -> Turn:
    """Begin the first chain: all disks of the set have been looked at, and it may be done.

    Args:
        turn: The disk's turn; it has been seen.
    """
    return _decided(evolve(turn, standing=Standing.OPEN))


def give_up(turn: Turn) -> Turn:
    """Turn round, and remove what is registered of ours.

    Args:
        turn: The disk's turn, wherever it is.
    """
    return _planned(
        evolve(turn, goal=Goal.LEAVE, standing=Standing.OPEN, why="", rounds=0), moves.to_leave(turn.key, 0)
    )


def answered(turn: Turn, answers: tuple[Reading | Performed, ...]) -> Turn:
    """Take the answers to what a turn wants.

    Args:
        turn: The disk's turn.
        answers: One for each request of :attr:`Turn.wants`, in their order.
    """
    asked = turn.wants
    turn = evolve(turn, todo=turn.todo[len(asked) :])
    again: tuple[Request, ...] = ()
    for request, answer in zip(asked, answers, strict=True):
        may_repeat = laws.may_repeat(request.operation, answer.answer, in_use=turn.in_use)
        if may_repeat and request.tries < REPEATS:
            again += (evolve(request, tries=request.tries + 1),)
        elif isinstance(answer, Reading):
            turn = _read(turn, answer)
        else:
            turn = _performed(turn, answer)
    turn = evolve(turn, todo=turn.todo + again)
    return turn if turn.todo or turn.standing is not Standing.OPEN else _next_move(turn)


# --- looks --------------------------------------------------------------------------------------------------------


def _next_path(turn: Turn) -> Turn:
    if turn.unread:
        request = Request(disk=turn.disk, path=turn.unread[0])
        return evolve(turn, todo=(request,), unread=turn.unread[1:])
    if turn.first is None and turn.answers and turn.answers <= laws.INCAPABLE:
        return turn.ended(Standing.INCAPABLE, "knows no persistent reservations")
    return turn.ended(Standing.UNREADABLE, "; ".join(("no path answers", *turn.notes)))


def _read(turn: Turn, reading: Reading) -> Turn:
    if not laws.is_credible(reading, has_counted=turn.has_counted):
        turn = turn.noted(_trouble(reading.path, "read", reading.answer, reading.detail))
        return _next_path(evolve(turn, answers=turn.answers | {reading.answer}))
    kept = evolve(reading, generation=0, detail="", calls=0)
    turn = evolve(
        turn,
        acting=reading.path,
        first=turn.first or kept,
        last=kept,
        has_counted=turn.has_counted or reading.generation != 0,
    )
    if turn.has_begun or turn.goal is Goal.LEAVE:
        return _decided(turn)
    if laws.is_nameless(kept):
        return turn.ended(Standing.UNREADABLE, "is reserved with an unknown type, and shows no holder")
    return evolve(turn, standing=Standing.SEEN)


# --- decisions ----------------------------------------------------------------------------------------------------


def _decided(turn: Turn) -> Turn:
    """What the last reading means for the goal: the disk stands, or there is another chain to make."""
    assert turn.last is not None
    return _DECIDED[turn.goal](turn, turn.last)


def _holding(turn: Turn, reading: Reading) -> Turn:
    """The disk is taken, step by step.

    If more nexuses bear our key than can be paths of ours, they are preempted, once: if more are left afterwards, the
    array counts in its own way. If a guest may be writing they stay, since it would be cut off for a moment.
    """
    disk, key = turn.disk, turn.key
    if laws.is_lost(reading, key, turn.holders):
        return turn.ended(Standing.LOST, f"{words.told(reading, key)}; another node was faster")
    if turn.spares_holder and not laws.may_go_on(reading, key):
        why = f"{words.told(reading, key)}; this node's keys were removed meanwhile, and another node may have had it"
        return turn.ended(Standing.LOST, why)
    if turn.in_use and laws.is_kept(reading, key):
        return _keeping(turn, reading)
    may_purge = turn.has_begun and not turn.has_purged and turn.rounds < ROUNDS and laws.is_kept(reading, key)
    if may_purge and laws.is_crowded(reading, key, disk, turn.refused):
        return _planned(evolve(turn, has_purged=True), moves.to_be_rid_of_ghosts(key))
    if turn.is_ours:
        return _held(turn, reading)
    is_registered = turn.is_complete and turn.has_begun and not turn.has_stumbled
    chain = moves.to_take(reading, turn.first or reading, key, turn.authority, is_registered=is_registered)
    return _planned(turn, chain)


def _keeping(turn: Turn, reading: Reading) -> Turn:
    """The disk is ours, and a guest may be writing to it: only what is missing is registered (I1).

    Counting registrations does not tell which path has none, since some may be left of connections that have died. So
    each path is asked, in a way that gives access to nobody; and before one is registered, the disk is read again.
    """
    if turn.missing:
        return _planned(evolve(turn, missing=()), moves.to_complete(turn.missing))
    if turn.is_ours and not turn.has_stumbled:
        return _held(turn, reading)
    return _planned(turn, moves.to_confirm(turn.disk))


def _held(turn: Turn, reading: Reading) -> Turn:
    """The disk is ours. If not through every path, that is told, and status will warn if the count shows it."""
    key, disk = turn.key, turn.disk
    own, expected = laws.own_count(reading, key), laws.registrations_of(disk, disk.paths)
    if laws.is_crowded(reading, key, disk, turn.refused):
        turn = turn.noted(words.crowded(reading, key, disk, turn.refused))
    elif own < expected:
        turn = turn.noted(f"{own} of {expected} paths registered")
    return turn.ended(Standing.HELD)


def _joining(turn: Turn, reading: Reading) -> Turn:
    if not laws.may_join(reading, turn.key, turn.source):
        return turn.ended(Standing.LOST, f"{words.told(reading, turn.key)}; the source does not hold it alone any more")
    if turn.has_begun and turn.is_complete:
        return turn.ended(Standing.JOINED)
    return _planned(turn, moves.to_join())


def _leaving(turn: Turn, reading: Reading) -> Turn:
    if laws.is_gone(reading, turn.key):
        clones = words.cloned(reading, turn.key)
        return (turn.noted(clones) if clones else turn).ended(Standing.LEFT)
    if turn.disk.readonly:
        return turn.ended(Standing.FAILED, words.STUCK)
    if turn.rounds and not laws.may_return(reading, turn.key, is_doubtful=bool(turn.doubt)):
        left = "a registration of ours is left on a path that does not answer; the node that has the disk can remove it"
        if turn.doubt:
            left = (
                "this node's key is still registered there, by none of its paths that answer, and has been left there"
            )
            left = f"{left}: {turn.doubt}"
        return turn.ended(Standing.FAILED, "; ".join((left, *turn.notes)))
    return _planned(turn, moves.to_leave(turn.key, turn.rounds))


_DECIDED = {Goal.HOLD: _holding, Goal.JOIN: _joining, Goal.LEAVE: _leaving}


# --- moves --------------------------------------------------------------------------------------------------------


def _planned(turn: Turn, chain: tuple[Move, ...]) -> Turn:
    if turn.rounds >= ROUNDS:
        return turn.ended(Standing.FAILED, "; ".join(("does not do what it is asked", *turn.notes)))
    return _next_move(evolve(turn, chain=chain, rounds=turn.rounds + 1, has_stumbled=False))


def _next_move(turn: Turn) -> Turn:
    if turn.has_stumbled or not turn.chain:
        return look(evolve(turn, chain=()))
    operations = turn.chain[0].operations(turn.disk, turn.best_path, turn.key)
    turn = evolve(
        turn,
        has_begun=True,
        chain=turn.chain[1:],
        todo=tuple(Request(disk=turn.disk, path=operation.path, operation=operation) for operation in operations),
    )
    return turn if turn.todo else _next_move(turn)


def _performed(turn: Turn, performed: Performed) -> Turn:
    """What an answer to an operation is good for: who may act next, and whether the chain goes on. It proves nothing.

    Registrations of single paths may fail: the disk is taken through those that are left. Unregistrations may, too: a
    path that is not registered conflicts. Anything else that was not done ends the chain.
    """
    operation, is_done = performed.operation, performed.answer is Answer.DONE
    if not is_done and (operation.act, performed.answer) not in _EXPECTED:
        turn = turn.noted(_trouble(operation.path, str(operation.act), performed.answer, performed.detail))
    match operation.act:
        case Act.REGISTER | Act.CONFIRM | Act.UNREGISTER:
            return _with_path(turn, performed)
        case Act.PREEMPT if operation.victim == turn.key:
            # Carried out, it leaves none of our other paths; and only on a path that is registered is it carried out.
            acting = {operation.path}
            registered = acting if is_done else acting & set(turn.registered)
            turn = evolve(turn, registered=tuple(registered), refused=tuple(sorted(set(turn.refused) - registered)))
        case Act.PREEMPT:
            turn = evolve(turn, asked_out=turn.asked_out | {operation.victim})
            if not turn.disk.quirks.abort:
                turn = turn.noted("its make cannot abort: writes of the evicted that are under way may still land")
    return evolve(turn, has_stumbled=turn.has_stumbled or not is_done)


#: Answers that are not "done" and are no trouble: a path is not registered.
_EXPECTED = frozenset({(Act.UNREGISTER, Answer.CONFLICT), (Act.CONFIRM, Answer.CONFLICT)})


def _with_path(turn: Turn, performed: Performed) -> Turn:
    """What is known of a path's registration after a request that was about it."""
    act, path, answer = performed.operation.act, performed.operation.path, performed.answer
    registered, missing = set(turn.registered) - {path}, set(turn.missing) - {path}
    refused = set(turn.refused) - {path}
    if act is not Act.UNREGISTER and answer is Answer.DONE:
        registered.add(path)
    elif act is Act.CONFIRM and answer is Answer.CONFLICT:
        missing.add(path)
    elif act is Act.REGISTER and answer in laws.REFUSALS:
        refused.add(path)
    # An attention that was not simply overridden may have told that we were preempted: look.
    has_stumbled = turn.has_stumbled or (turn.in_use and act is Act.REGISTER and answer is Answer.ATTENTION)
    return evolve(
        turn,
        registered=tuple(sorted(registered)),
        missing=tuple(sorted(missing)),
        refused=tuple(sorted(refused)),
        has_stumbled=has_stumbled,
    )


def _trouble(path: str, what: str, answer: Answer, detail: str) -> str:
    return f"{path}: {what}: {answer.value}" + (f" ({detail})" if detail else "")
