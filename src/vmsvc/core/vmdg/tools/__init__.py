"""What finds disks and asks them for reservations: the only room that knows the arguments and outputs of the tools.

``sg_persist`` is in the package sg3-utils, ``mpathpersist`` and ``multipathd`` in multipath-tools.
"""

from __future__ import annotations

from vmsvc.core.transport import Host
from vmsvc.core.vmdg.tool import Tool
from vmsvc.core.vmdg.tools.devices import DiskFinder
from vmsvc.core.vmdg.tools.mpathpersist import MpathPersist
from vmsvc.core.vmdg.tools.sg_persist import SgPersist

__all__ = ["DiskFinder", "new_tool"]


def new_tool(host: Host, *, budget_s: float = 15.0) -> Tool:
    """What asks the disks of a host.

    Args:
        host: Where the commands run.
        budget_s: How long one call of a tool may take, in seconds.
    """
    return MpathPersist(host, SgPersist(host, budget_s=budget_s), budget_s=budget_s)
