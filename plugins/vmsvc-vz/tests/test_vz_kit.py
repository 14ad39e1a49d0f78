"""The driver keeps the contract, clause by clause, on stand-ins for both sets of tools."""

from __future__ import annotations

from vmsvc_vz.kit import PrlctlKit, VzKit


class TestVzctl(VzKit):
    """pytest makes a test of each clause."""


class TestPrlctl(PrlctlKit):
    """The same for Virtuozzo's own tool."""
