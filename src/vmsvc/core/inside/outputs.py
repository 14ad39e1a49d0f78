"""What launchers printed when they were last to start or stop something: kept on the node, one file for each.

A file has what was printed and, in lines of vmsvc's own, what is missing: where more was printed than is kept, and
where a launcher did not come to its end. So it is never that of an earlier run.
"""

from __future__ import annotations

import hashlib
import logging

from vmsvc.core.errors import TimedOut
from vmsvc.core.inside.launching import Ran
from vmsvc.core.kinds import App
from vmsvc.core.node import Node
from vmsvc.core.transport import OUTPUT_LIMIT
from vmsvc.core.transport.asking import encoded

_log = logging.getLogger(__name__)

#: File names have an end, and launchers' names may be long and odd.
_NAME_CHARACTERS = 180
_KEPT = ("start", "stop")


def keep_output(node: Node, app: App, name: str, action: str, ran: Ran) -> str:
    """Keep what a launcher printed, in place of what it printed before.

    Args:
        node: The node.
        app: The application that it belongs to.
        name: The launcher's name.
        action: What it was called with; only starts and stops are kept.
        ran: What became of it.

    Returns:
        The file; empty where nothing was kept. A full disk keeps no application from being started or stopped.
    """
    if action not in _KEPT:
        return ""
    directory = node.state_dir / "launchers" / app.service / app.rid
    path = directory / f"{_shortened(encoded(name))}.{action}.log"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(_content(ran))
    except OSError as error:
        _log.warning("what %s printed is not kept: %s: %s", name, error.strerror, path)
        return ""
    return str(path)


def _shortened(name: str) -> str:
    if len(name) <= _NAME_CHARACTERS:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]  # names that begin alike are not the same
    return f"{name[: _NAME_CHARACTERS - len(digest) - 1]}-{digest}"


def _content(ran: Ran) -> bytes:
    told = ran.failure if isinstance(ran.failure, TimedOut) else ran.outcome
    content = b""
    if told is not None:
        for stream in (told.stdout, told.stderr):
            content = _on_a_new_line(content, stream)
            if told.truncated and len(stream) >= OUTPUT_LIMIT:
                content = _marked(content, f"it printed more: only the first {OUTPUT_LIMIT >> 20} MiB is kept")
    if ran.failure is not None:
        content = _marked(content, f"it did not come to its end: {ran.failure.message}")
    return content


def _marked(content: bytes, words: str) -> bytes:
    return _on_a_new_line(content, f"[vmsvc: {words}]\n".encode(errors="backslashreplace"))


def _on_a_new_line(content: bytes, more: bytes) -> bytes:
    is_within = content and more and not content.endswith(b"\n")
    return content + (b"\n" if is_within else b"") + more
