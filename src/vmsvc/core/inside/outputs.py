"""What launchers printed when they last started or stopped something: kept on the node, one file for each."""

from __future__ import annotations

import logging

from vmsvc.core.node import Node
from vmsvc.core.resource import App
from vmsvc.core.transport import Outcome
from vmsvc.core.transport.asking import encoded

_log = logging.getLogger(__name__)

#: File names have an end, and launchers' names may be long and odd.
_NAME_CHARACTERS = 180
_KEPT = ("start", "stop")


def keep_output(node: Node, app: App, name: str, action: str, outcome: Outcome) -> str:
    """Keep what a launcher printed, in place of what it printed before.

    Args:
        node: The node.
        app: The application that it belongs to.
        name: The launcher's name.
        action: What it was called with; only starts and stops are kept.
        outcome: What it left behind.

    Returns:
        The file; empty where nothing was kept. A full disk keeps no application from being started or stopped.
    """
    if action not in _KEPT:
        return ""
    directory = node.state_dir / "launchers" / app.service / app.rid
    path = directory / f"{encoded(name)[:_NAME_CHARACTERS]}.{action}.log"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(outcome.stdout + outcome.stderr)
    except OSError as error:
        _log.warning("what %s printed is not kept: %s: %s", name, error.strerror, path)
        return ""
    return str(path)
