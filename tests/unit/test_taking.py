"""A start on disks that another node has, on the simulated hypervisor: refused before anything is done."""

from __future__ import annotations

import pytest

import vmsvc
from tests.unit.test_booting import DB, OURS, THEIRS, keys, san, take_over
from vmsvc.core.planning.rules import Consent

__all__ = ["san"]  # a fixture
HELD = rf"held by n2 \(0x{THEIRS:016x}\)"


@pytest.fixture
def db(session, make_service, root):
    trigger = f"[DEFAULT]\n    pre_start = touch {root}/ran"
    return session.load(make_service(DB.replace("[DEFAULT]", trigger), "db"))


@pytest.mark.parametrize("action", ["start", "restart"])
def test_nothing_is_run_or_stopped_before_it_is_refused(san, session, db, root, hypervisor, action):
    take_over(san)
    plan = session.plan(action, db)
    assert plan.exit_code == 3
    assert "--force" in plan.refusals[0].hint
    hypervisor.set("db", phase="running" if action == "restart" else "stopped")
    asked = len([each for each in san.asked if each.operation])
    with pytest.raises(vmsvc.Refused, match=HELD):
        session.act(action, db)
    assert not (root / "ran").exists()
    assert len([each for each in san.asked if each.operation]) == asked
    assert hypervisor.machine("db").phase == ("running" if action == "restart" else "stopped")


def test_whoever_names_the_holder_takes_them(san, session, db, root):
    take_over(san)
    assert session.plan("start", db, consent=Consent(force={"n2"})).exit_code == 0
    session.act("start", db, consent=Consent(force={"n2"}))
    assert keys(san) == [{OURS}, {OURS}]
    assert (root / "ran").exists()


def test_naming_somebody_else_is_no_authority(san, session, db):
    take_over(san)
    assert session.plan("start", db, consent=Consent(force={"0x1"})).exit_code == 3


def test_a_start_of_the_guest_alone_is_refused_too(san, session, db):
    take_over(san)
    assert session.plan("start", db, only={"container#1"}).exit_code == 3


def test_nothing_speaks_against_a_stop(san, session, db):
    take_over(san)
    assert session.plan("stop", db).exit_code == 0
