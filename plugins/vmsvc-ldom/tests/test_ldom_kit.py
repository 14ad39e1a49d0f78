"""The driver keeps the contract, clause by clause, on a stand-in for ldm."""

from __future__ import annotations

from vmsvc_ldom.kit import LdomKit


class TestLdom(LdomKit):
    """pytest makes a test of each clause."""
