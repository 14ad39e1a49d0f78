"""The conformance kit: a driver is held to the contract, clause by clause, on a backend that its author provides.

A test of a driver is a class with two attributes:

.. code-block:: python

    class TestAcme(DriverKit):
        driver = AcmeDriver
        backend = AcmeBackend

pytest finds and runs it as any test class, and vmsvc's plugin of pytest's reports what came of it; :func:`results` does
the same without pytest. Clauses cannot be overridden or deleted; one that a driver does not keep is waived in the
class, with the reason, and every report shows it.
"""

from __future__ import annotations

from vmsvc.testing.kit.backend import TROUBLES, Backend, identity
from vmsvc.testing.kit.clause import CLAUSES, Clause, clauses_named
from vmsvc.testing.kit.commands import CommandBackend, TroubledHost
from vmsvc.testing.kit.judging import DriverKit, Result, State, results
from vmsvc.testing.kit.written import service_file

__all__ = [
    "CLAUSES",
    "TROUBLES",
    "Backend",
    "Clause",
    "CommandBackend",
    "DriverKit",
    "Result",
    "State",
    "TroubledHost",
    "clauses_named",
    "identity",
    "results",
    "service_file",
]
