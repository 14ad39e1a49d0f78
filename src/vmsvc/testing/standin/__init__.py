"""Stand-ins for tools that a test has no machine for: executables that know guests, and answer as a table says.

A technology's tools are a table in TOML: which command, in which state of the guest, prints what, ends how, and leads
to which state; and for each row, where that is known from. Nothing of a driver is used, so that a driver's mistake is
not made twice.

.. code-block:: python

    standin = StandIn(read_table(Path("acme.toml")), tmp_path / "acme")
    standin.add("web")
    driver = AcmeDriver(Context(node=node, host=standin.on(LocalHost()), state_dir=tmp_path))
    with standin.having("hang"):
        ...
    standin.check()

What no row answers fails with exit code 97, and :meth:`StandIn.check` tells of it.
"""

from __future__ import annotations

from vmsvc.testing.standin.backend import StandInBackend
from vmsvc.testing.standin.engine import ABSENT, UNANSWERED
from vmsvc.testing.standin.sessions import Exchange, exchanges
from vmsvc.testing.standin.table import Table, TableError, read_table
from vmsvc.testing.standin.world import KNOBS, Call, StandIn

__all__ = [
    "ABSENT",
    "KNOBS",
    "UNANSWERED",
    "Call",
    "Exchange",
    "StandIn",
    "StandInBackend",
    "Table",
    "TableError",
    "exchanges",
    "read_table",
]
