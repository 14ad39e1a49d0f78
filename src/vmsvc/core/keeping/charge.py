"""What this node has brought up and has not stopped since: what ``vmsvc monitor`` keeps up.

One file for each service, among what a reboot may forget; and since a reboot must be forgotten, the file names the boot
it belongs to. A guest that was up before the node went down may run elsewhere by now. What cannot be read was brought
up by nobody.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path

from vmsvc.core.booted import boot_id
from vmsvc.core.config.atomic import write_atomically
from vmsvc.core.errors import VmsvcError
from vmsvc.core.node import Node

#: When each resource was started again since it was brought up, by rid; in seconds since the epoch.
Charge = Mapping[str, tuple[float, ...]]


def charge_of(node: Node, service: str) -> Charge:
    """What the node has brought up of a service, in this boot.

    Args:
        node: The node.
        service: The service's name.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        found = json.loads(_path(node, service).read_text(encoding="utf-8"))
        if found["boot"] == boot_id():
            return {str(rid): tuple(map(float, times)) for rid, times in found["up"].items()}
    return {}


def take_charge(node: Node, service: str, rids: Collection[str]) -> None:
    """Record that resources were brought up, with no attempts yet to start them again.

    Args:
        node: The node.
        service: The service's name.
        rids: The resources.

    Raises:
        VmsvcError: It cannot be recorded; nothing will be started again.
    """
    if rids:
        _write(node, service, {**charge_of(node, service), **dict.fromkeys(rids, ())})


def note_attempt(node: Node, service: str, rid: str, at: float) -> None:
    """Record that a resource is about to be started again.

    Args:
        node: The node.
        service: The service's name.
        rid: The resource.
        at: When, in seconds since the epoch.

    Raises:
        VmsvcError: It cannot be recorded; without a count, there must be no attempt.
    """
    charge = charge_of(node, service)
    _write(node, service, {**charge, rid: (*charge.get(rid, ()), at)})


def give_up_charge(node: Node, service: str, rids: Collection[str]) -> None:
    """Record that resources are no longer to be up.

    Args:
        node: The node.
        service: The service's name.
        rids: The resources; none for all.

    Raises:
        VmsvcError: It cannot be recorded: they may be started again.
    """
    charge = charge_of(node, service)
    left = {rid: times for rid, times in charge.items() if rids and rid not in rids}
    if left == charge:
        return
    if left:
        with contextlib.suppress(VmsvcError):
            _write(node, service, left)
            return
    try:  # on a full disk, too; then all is given up, which is the safe side
        _path(node, service).unlink(missing_ok=True)
    except OSError as error:
        raise VmsvcError(
            f"`vmsvc monitor` may start {service} again: {error.strerror}: {error.filename}",
            code="charge.unwritable",
            hint=f"`vmsvc freeze {service}` keeps it down",
        ) from error


def _write(node: Node, service: str, charge: Charge) -> None:
    text = json.dumps({"boot": boot_id(), "up": charge})
    write_atomically(_path(node, service), text + "\n", mode=0o644)


def _path(node: Node, service: str) -> Path:
    return node.run_dir / "up" / f"{service}.json"
