"""Telling others what `push` and `diskupdate` collected: the publishers of plugins, each held to its deadline.

A publisher that fails, hangs, or is none is told of and costs nothing else: neither another publisher, nor the store.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Protocol, runtime_checkable

from attrs import frozen

from vmsvc.core.errors import Problem, Severity, VmsvcError, told
from vmsvc.core.lane import call_within
from vmsvc.core.node import Node

#: How long a plugin may take to name its publishers, and a publisher to publish, in seconds.
_ASK_S, _PUBLISH_S = 3.0, 5.0


@frozen(kw_only=True)
class Publication:
    """What a publisher is given: a service's facts, or its disks, as `push` or `diskupdate` has just collected them.

    Attributes:
        service: The service's name.
        topic: ``push`` or ``disks``.
        node: The node that collected it.
        document: The JSON document ``vmsvc.snapshot/1``, as plain data and without secrets.
    """

    service: str
    topic: str
    node: str
    document: Mapping[str, Any]


@runtime_checkable
class Publisher(Protocol):
    """Takes what `push` and `diskupdate` collect to another place; plugins offer them by ``vmsvc_publishers``."""

    @property
    def name(self) -> str:
        """What and where it is, for messages that begin with "the publisher"; an attribute will do."""

    def publish(self, publication: Publication, *, budget_s: float) -> None:
        """Publish; called from several threads at once, for services of their own each.

        Args:
            publication: What to publish.
            budget_s: How long it may take, in seconds; nobody waits longer.

        Raises:
            Exception: It did not work. The operator is told, and that is all.
        """


class Publishers:
    """All publishers of a node, asked for when there is first something to publish.

    Args:
        hook: The hook ``vmsvc_publishers``, of the plugins in use.
        node: The node that publishes.
    """

    def __init__(self, hook: Any, node: Node) -> None:
        self._hook = hook
        self._node = node
        self._finding = threading.Lock()
        self._found: list[Publisher] | None = None
        self._faults: list[Problem] = []

    def publish(self, publication: Publication) -> tuple[Problem, ...]:
        """Hand a publication to every publisher.

        Args:
            publication: What to publish.

        Returns:
            A warning for each plugin or publisher that did not do its part.
        """
        with self._finding:
            if self._found is None:
                self._found = list(self._publishers())
        return (*self._faults, *(fault for each in self._found if (fault := self._publish(each, publication))))

    def _publishers(self) -> Iterator[Publisher]:
        """The publishers of each plugin; asked one by one, so that one of them hides no other."""
        for implementation in reversed(self._hook.get_hookimpls()):
            plugin = f"the plugin {implementation.plugin_name.partition(':')[0]}"
            try:
                offered = call_within(plugin, partial(self._ask, implementation), budget_s=_ASK_S)
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises, the others are asked
                self._faults.append(_fault(f"{plugin} could not name its publishers", error))
            else:
                yield from offered

    def _ask(self, implementation: Any) -> list[Publisher]:
        known = {"node": self._node}
        offered = list(implementation.function(*(known[name] for name in implementation.argnames)))
        for publisher in offered:
            if not (isinstance(publisher, Publisher) and isinstance(publisher.name, str)):
                raise TypeError(f"{publisher!r} is no publisher")
        return offered

    @staticmethod
    def _publish(publisher: Publisher, publication: Publication) -> Problem | None:
        name = f"the publisher {publisher.name}"
        try:
            call_within(
                name, lambda: publisher.publish(publication, budget_s=_PUBLISH_S), budget_s=_PUBLISH_S, max_abandoned=2
            )
        except Exception as error:  # noqa: BLE001 - whatever a publisher raises, what was collected is stored
            return _fault(f"{publication.service} was not published by {name}", error)
        return None


def _fault(what: str, error: Exception) -> Problem:
    why, hint = (error.message, error.hint) if isinstance(error, VmsvcError) else (told(error), "")
    return Problem(message=f"{what}: {why}", code="publisher.failed", hint=hint, severity=Severity.WARNING)
