"""What this node has added for a service's addresses: written down before it is added.

Tomorrow a name may mean another address, and a service's file another adapter: without a record, a stop would leave
what the start has added. There is one file for each resource, among what a reboot may forget, as a reboot takes
addresses away, too; and since it must not be believed then, it names the boot it belongs to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from vmsvc.core.answers import GuestAddress
from vmsvc.core.booted import boot_id
from vmsvc.core.config.atomic import write_atomically
from vmsvc.core.errors import Undetermined, VmsvcError, told
from vmsvc.core.kinds import Ip
from vmsvc.core.node import Node


@frozen
class Ledger:
    """The records of a node.

    Attributes:
        node: The node.
    """

    node: Node

    def read(self, resource: Ip) -> tuple[GuestAddress, ...]:
        """What was added for a resource in this boot, and not taken away since.

        Args:
            resource: The address.

        Raises:
            Undetermined: The record cannot be read.
        """
        file = self._file(resource)
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            if found["boot"] != boot_id():
                return ()
            return tuple(GuestAddress(**each) for each in found["added"])
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Undetermined(
                f"what this node has added for it cannot be read: {told(error)}",
                code="undetermined.record",
                hint=f"take away what is left of it on the adapters, and then remove {file}",
            ) from None

    def write(self, resource: Ip, added: Sequence[GuestAddress]) -> None:
        """Write down what is about to be added for a resource, with what was added before.

        Args:
            resource: The address.
            added: All of it; nothing removes the record, on a full disk, too.

        Raises:
            VmsvcError: It cannot be written down: nothing may be added then.
        """
        file = self._file(resource)
        if added:
            kept = [
                {"device": each.device, "address": each.address, "prefix": each.prefix} for each in dict.fromkeys(added)
            ]
            write_atomically(file, json.dumps({"boot": boot_id(), "added": kept}) + "\n", mode=0o644)
            return
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise VmsvcError(
                f"what was added for [{resource.rid}] is gone, and cannot be struck out: {told(error)}",
                code="addresses.unwritable",
                hint=f"remove {file}",
            ) from None

    def _file(self, resource: Ip) -> Path:
        return self.node.run_dir / "addresses" / resource.service / f"{resource.rid}.json"
