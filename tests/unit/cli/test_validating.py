"""What a validation of disks exits with: a check that has failed counts more than one that could not be made."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.support import guest, resource, service
from vmsvc.cli import validating
from vmsvc.core.disks.validating import Validation
from vmsvc.core.vmdg.validation import Check, Verdict

DISKS = resource("vmdg", container_id="container#1", scsireserv=True)
WEB = service(guest(1), DISKS)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ((Verdict.PASSED, Verdict.SKIPPED), 0),
        ((Verdict.PASSED, Verdict.FAILED), 1),
        ((Verdict.UNKNOWN, Verdict.PASSED), 4),
        ((Verdict.UNKNOWN, Verdict.FAILED), 1),
    ],
)
def test_what_has_failed_counts_most(verdicts, code):
    checks = tuple(Check(name="kind", disk="/dev/x", verdict=each, text="as told") for each in verdicts)
    session = SimpleNamespace(
        load=lambda _: WEB, validate_disks=lambda *_, scratch: [Validation(resource=DISKS, checks=checks)]
    )
    call = SimpleNamespace(
        session=session,
        arguments=SimpleNamespace(name="web", scratch=[]),
        screen=SimpleNamespace(answer=lambda document, lines: list(lines)),
    )
    assert validating.validate(call) == code
