"""For authors of tests: what stands in for hardware, and what it is held to.

A SCSI target in memory, with persistent reservations exactly as the Linux target has them (``vmsvc.testing.target``); a
network of nodes and paths that leads to it, with faults (``vmsvc.testing.san``); and the table of cases by which both
are compared with a real target (``vmsvc.testing.cases``).
"""

from __future__ import annotations

from vmsvc.testing.san import Fault, San
from vmsvc.testing.target import Action, Request, Unit, answer, may_read, may_write

__all__ = ["Action", "Fault", "Request", "San", "Unit", "answer", "may_read", "may_write"]
