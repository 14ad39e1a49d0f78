"""The driver keeps the contract, clause by clause, on a stand-in."""

from __future__ import annotations

from vmsvc_hpvm.kit import HpvmKit


class TestHpvm(HpvmKit):
    """pytest makes a test of each clause."""
