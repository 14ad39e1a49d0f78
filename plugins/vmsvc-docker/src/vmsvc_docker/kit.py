"""What this driver's conformance kit waives; its backends are real engines, in the tests of its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from vmsvc.testing import DriverKit
from vmsvc_docker.driver import DockerDriver


class DockerKit(DriverKit):
    """The clauses that a real dockerd, or podman, and real containers can be tried on."""

    driver = DockerDriver
    waivers: ClassVar[Mapping[str, str]] = {
        "missing-tool": "the driver speaks to the engine's socket and needs no tool; a socket that is gone is `dead`",
        "refused": "an engine's socket refuses nothing to root, who runs the lab",
        "cut": "an answer of HTTP says how long it is: one that is cut short is `truncated`",
        "locale": "engines tell by codes what went wrong, and translate nothing",
        "noise": "answers are JSON, and warnings come in fields of their own",
        "extra-column": "answers are JSON, which has no columns",
        "stopping": "an engine's word for it lasts while a container is removed, and nothing holds one there",
    }
