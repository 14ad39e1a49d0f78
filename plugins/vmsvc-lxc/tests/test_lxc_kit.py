"""The driver keeps the contract, clause by clause, on stand-ins for LXC's commands."""

from __future__ import annotations

from vmsvc_lxc.kit import LxcKit


class TestLxc(LxcKit):
    """pytest makes a test of each clause."""
