"""Services that are frozen: nothing starts them on this node until they are thawed, reboots included.

One file for each frozen service; where it is, the service is frozen, whatever the file holds. What cannot be told
counts as frozen: a refusal can be answered with a word, a start cannot be undone.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from attrs import asdict, frozen

from vmsvc.core.errors import ActionFailed
from vmsvc.core.node import Node


@frozen(kw_only=True)
class Freeze:
    """That a service is frozen.

    Attributes:
        at: Since when, in seconds since the epoch; 0 where that is not known.
        reason: Why, in the words of whoever froze it.
    """

    at: float = 0.0
    reason: str = ""

    def __str__(self) -> str:
        """Read as ``frozen since 2026-01-31 21:03:12: storage is moved``."""
        since = time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(self.at)) if self.at else ""
        return f"frozen{since}{': ' if self.reason else ''}{self.reason}"


def freeze_of(node: Node, service: str) -> Freeze | None:
    """Whether a service is frozen on a node.

    Args:
        node: The node.
        service: The service's name.

    Returns:
        Since when and why; ``None`` where it is not frozen.
    """
    try:
        text = _path(node, service).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return Freeze(reason=f"or so it seems, since nobody can tell: {error.strerror}: {error.filename}")
    import json  # noqa: PLC0415 - hardly any service is frozen, and every look asks

    with contextlib.suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
        found = json.loads(text)
        freeze = Freeze(at=float(found["at"]), reason=str(found["reason"]))
        if str(freeze):
            return freeze
    return Freeze()


def freezes(node: Node, services: Iterable[str]) -> dict[str, Freeze]:
    """Which of many services are frozen on a node: one look for all those that are not.

    Args:
        node: The node.
        services: The services' names.

    Returns:
        Since when and why, by the names of those that are.
    """
    try:
        records = set(os.listdir(node.state_dir / "frozen"))  # noqa: PTH208 - names are wanted, not a path for each
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError:
        asked = list(services)  # nobody can tell, which is said of each
    else:
        asked = [service for service in services if f"{service}.json" in records]
    return {service: found for service in asked if (found := freeze_of(node, service)) is not None}


def freeze(node: Node, service: str, reason: str = "") -> Freeze | None:
    """Freeze a service. It stays so across reboots, until it is thawed.

    Args:
        node: The node.
        service: The service's name.
        reason: Why, for those who find it frozen.

    Returns:
        The freeze; ``None`` where it was frozen already, which stays as it was.

    Raises:
        VmsvcError: It cannot be recorded; the service is not frozen.
    """
    import json  # noqa: PLC0415

    from vmsvc.core.config.atomic import write_atomically  # noqa: PLC0415 - who only asks whether it is frozen writes none

    if freeze_of(node, service) is not None:
        return None
    made = Freeze(at=time.time(), reason=reason)
    write_atomically(_path(node, service), json.dumps(asdict(made)) + "\n", mode=0o644)
    return made


def thaw(node: Node, service: str) -> bool:
    """Thaw a service.

    Args:
        node: The node.
        service: The service's name.

    Returns:
        Whether it was frozen.

    Raises:
        ActionFailed: The record of it cannot be removed; the service is still frozen.
    """
    path = _path(node, service)
    try:
        path.unlink()
        _sync(path.parent)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ActionFailed(
            f"{service} is still frozen: {error.strerror}: {path}",
            code="action.not-thawed",
            hint="mend the permissions there, or run as root",
        ) from error
    return True


def _path(node: Node, service: str) -> Path:
    return node.state_dir.joinpath("frozen", f"{service}.json")


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
