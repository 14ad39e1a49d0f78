"""The node: its name, and where its files live. Pure; reading them is elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from vmsvc.core.errors import Problem

#: The host modes that a node may have.
HOST_MODES = ("PRD", "PPRD", "REC", "INT", "DEV", "TST", "TMP", "DRP", "STG", "UAT", "PRA", "PRJ", "FOR")


_PLACES = {
    "config_dir": "etc/vmsvc",
    "services_dir": "etc/vmsvc/services",
    "state_dir": "var/lib/vmsvc",
    "run_dir": "run/vmsvc",
}


@frozen(kw_only=True)
class Node:
    """A hypervisor, by its host name, and the root of its files.

    Attributes:
        name: The node's name.
        root: What stands before ``etc/vmsvc``, ``var/lib/vmsvc`` and ``run/vmsvc``; ``/`` except in tests.
        mode: The one-word environment, such as ``PRD``.
        scsi_hosts: The numbers of the SCSI hosts (``/sys/class/scsi_host/hostN``) whose disks are the node's, where
            several nodes are one machine; empty for all.
        reboot_command: What reboots the node, where a service's ``monitor_action`` wants that; empty where nothing may.
        crash_command: What makes it go down at once, alike.
        problems: What is wrong with the node's own file. Its mode is not known then: nothing is started, and all else
            goes on.
        config_dir: Where the node's own file and the services live.
        services_dir: Where service files live.
        state_dir: What must survive a reboot: journal, store, definitions.
        run_dir: What a reboot may forget: locks.
    """

    name: str
    root: Path = field(default=Path("/"), converter=Path)
    mode: str = "TST"
    scsi_hosts: tuple[int, ...] = ()
    reboot_command: tuple[str, ...] = ()
    crash_command: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    config_dir: Path = field(init=False, eq=False, repr=False)
    services_dir: Path = field(init=False, eq=False, repr=False)
    state_dir: Path = field(init=False, eq=False, repr=False)
    run_dir: Path = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # Made once: a look at many services asks for them with each.
        for name, place in _PLACES.items():
            object.__setattr__(self, name, self.root / place)

    @property
    def commands(self) -> Mapping[str, tuple[str, ...]]:
        """What ends the node, by the ``monitor_action`` that wants it; empty where its own file does not say."""
        return {"reboot": self.reboot_command, "crash": self.crash_command}

    def definition_file(self, service: str, rid: str) -> Path:
        """Where a guest's definition is kept.

        Args:
            service: The service's name.
            rid: The guest's rid.
        """
        return self.state_dir.joinpath("definitions", service, rid)

    def reservations_dir(self, service: str) -> Path:
        """Where it is written down what the node has reserved for a service: a file for each resource.

        Args:
            service: The service's name.
        """
        return self.state_dir.joinpath("reserved", service)

    def is_called(self, name: str) -> bool:
        """Whether a name in a service file means this node; host names have no case (RFC 4343).

        Args:
            name: A node's name, as written in a file.
        """
        return name.casefold() == self.name.casefold()


def node_from(environment: Mapping[str, str]) -> Node:
    """The node that a process runs on, before its own file is read.

    Args:
        environment: The process's environment; ``VMSVC_NODENAME`` and ``VMSVC_ROOT`` override host name and root.

    Returns:
        A node with the default host mode.
    """
    return Node(
        name=environment.get("VMSVC_NODENAME") or os.uname().nodename,
        root=Path(environment.get("VMSVC_ROOT") or "/"),
    )
