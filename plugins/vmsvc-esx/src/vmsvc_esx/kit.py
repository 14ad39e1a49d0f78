"""What this driver's conformance kit waives; its backend is the standard simulator, in the tests of its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from vmsvc.testing import DriverKit
from vmsvc_esx.driver import EsxDriver


class EsxKit(DriverKit):
    """The clauses that the standard simulator of vSphere (govmomi's) can be tried on."""

    driver = EsxDriver
    waivers: ClassVar[Mapping[str, str]] = {
        "missing-tool": "the driver speaks to the server's API and needs no tool; a server that is gone is `dead`",
        "cut": "an answer of HTTP says how long it is: one that is cut short is `truncated`",
        "locale": "faults are told apart by their classes, which nobody translates",
        "noise": "answers are XML, which has no place for warnings",
        "extra-column": "answers are XML, which has no columns",
        "paused": "vSphere has no paused guests: one that is suspended lies in a file, and is down",
        "migrate-broken": "a move is a task of the server's: what an answer that is lost leaves is tried by the lab",
        "starting": "a guest is powered on or off: the time between is its task's, which start waits for",
    }
