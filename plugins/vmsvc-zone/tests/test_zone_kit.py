"""The driver keeps the contract, clause by clause, on a stand-in for the tools of zones."""

from __future__ import annotations

from vmsvc_zone.kit import ZoneKit


class TestZone(ZoneKit):
    """pytest makes a test of each clause."""
