"""The null driver keeps the contract, clause by clause."""

from __future__ import annotations

from vmsvc_null.kit import NullKit


class TestNull(NullKit):
    pass
