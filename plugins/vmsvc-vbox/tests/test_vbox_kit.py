"""The driver keeps the contract, clause by clause, on a stand-in for VBoxManage."""

from __future__ import annotations

from vmsvc_vbox.kit import VboxKit


class TestVbox(VboxKit):
    """pytest makes a test of each clause."""
