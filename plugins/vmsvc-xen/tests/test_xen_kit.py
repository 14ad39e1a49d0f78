"""The driver keeps the contract, clause by clause, on a stand-in for xl."""

from __future__ import annotations

from vmsvc_xen.kit import XenKit


class TestXen(XenKit):
    """pytest makes a test of each clause."""
