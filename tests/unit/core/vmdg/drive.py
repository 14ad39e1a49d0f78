"""Drives attempts over the SAN in memory, one request after the other, and tells what was asked."""

from __future__ import annotations

from vmsvc.core.vmdg.attempt import Result, acquire
from vmsvc.core.vmdg.seen import Answer
from vmsvc.testing import Action, Request, San

A, B, C, D = 0xA, 0xB, 0xC, 0xD


def answers(san: San, node: str, machine):
    """The SAN's answers to what a machine wants."""
    tool = san.tool(node)
    return tuple(
        tool.read(request.disk, request.path)
        if request.operation is None
        else tool.perform(request.disk, request.operation)
        for request in machine.wants
    )


def step(san: San, node: str, machine):
    """One batch further."""
    return machine.advanced(answers(san, node, machine))


def run(san: San, node: str, machine):
    """To the end, which must come."""
    for _ in range(200):
        if machine.result is not None:
            return machine.result
        assert machine.wants
        machine = step(san, node, machine)
    raise AssertionError(f"no end: {machine}")


def take(san: San, node: str, key: int, *authority: int, **kwargs) -> Result:
    """Acquire all disks of the SAN."""
    return run(san, node, acquire(san.disks(node), key, authority=frozenset(authority), **kwargs))


def ask(san: San, path: str, request: Request) -> Answer:
    """What somebody else's software does, past an attention."""
    answer = san.ask(path, request)
    return san.ask(path, request) if answer is Answer.ATTENTION else answer


def register(san: San, path: str, key: int) -> None:
    """Somebody registers a path."""
    assert ask(san, path, Request(Action.REGISTER_AND_IGNORE, action_key=key)) is Answer.DONE


def reserve(san: San, path: str, key: int, type: int = 5) -> None:
    """Somebody registers a path, and reserves through it."""
    register(san, path, key)
    assert ask(san, path, Request(Action.RESERVE, key=key, type=type)) is Answer.DONE


def asked(san: San) -> list[str]:
    """What was asked since the last time, in words: ``read a1d0``, ``preempt a1d0 0xb``; then it is forgotten."""
    words = [
        f"{request.operation.act if request.operation else 'read'} {request.path.removeprefix('/dev/')}"
        + (f" {request.operation.victim:#x}" if request.operation and request.operation.victim else "")
        for request in san.asked
    ]
    san.asked.clear()
    return words


def keys(san: San, disk: int = 0) -> dict[str, int]:
    """Who is registered with what."""
    return dict(list(san.units.values())[disk].registrations)


def holder(san: San, disk: int = 0) -> tuple[str, int]:
    """The holding nexus, and the type."""
    unit = list(san.units.values())[disk]
    return unit.holder, unit.type
