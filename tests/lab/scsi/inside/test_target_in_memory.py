"""The target in memory, which most tests use, answers as Linux' target does: by the same table, and by chance."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.scsi import passthrough as raw
from lab.scsi.witness import can_read, can_write
from vmsvc.core.vmdg.seen import Answer
from vmsvc.testing.cases import CASES, KEYS, NEXUSES, Shown, run
from vmsvc.testing.target import Action, Request, Unit, answer, may_read, may_write

SERVICE_ACTIONS = {
    Action.REGISTER: raw.REGISTER,
    Action.REGISTER_AND_IGNORE: raw.REGISTER_AND_IGNORE_EXISTING_KEY,
    Action.RESERVE: raw.RESERVE,
    Action.RELEASE: raw.RELEASE,
    Action.CLEAR: raw.CLEAR,
    Action.PREEMPT: raw.PREEMPT,
    Action.PREEMPT_AND_ABORT: raw.PREEMPT_AND_ABORT,
}
SENSE = {raw.NOT_READY: Answer.NOT_READY, raw.ILLEGAL_REQUEST: Answer.INVALID, raw.UNIT_ATTENTION: Answer.ATTENTION}


class Linux:
    """A backend of the table: disk 0 of the lab, asked without any tool."""

    def __init__(self, scsi):
        self._scsi = scsi
        self._paths = {nexus: scsi.path(nexus[0], int(nexus[1])) for nexus in NEXUSES}

    def begin(self):
        self._scsi.wipe()
        self._before = self._scsi.look().generation

    def ask(self, nexus, request):
        device = self._paths[nexus].generic
        if request.action is Action.READ:
            reply = raw.reserve_in(device, raw.READ_KEYS)
        else:
            action = SERVICE_ACTIONS[request.action]
            reply = raw.reserve_out(device, action, key=request.key, new_key=request.action_key, kind=request.type)
        if reply.status == raw.RESERVATION_CONFLICT:
            return Answer.CONFLICT
        return Answer.DONE if reply.is_good else SENSE[reply.sense]

    def show(self):
        seen = self._scsi.look()
        nexus_of = {path.group: nexus for nexus, path in self._paths.items()}
        return Shown(
            registered={nexus_of[each.port]: each.key for each in seen.registrants},
            reserved=None if seen.holder is None else (seen.holder, seen.kind),
            holders=frozenset(nexus_of[each.port] for each in seen.registrants if each.holds),
            writers=frozenset(nexus for nexus, path in self._paths.items() if can_write(path.device)),
            readers=frozenset(nexus for nexus, path in self._paths.items() if can_read(path.device)),
            counted=seen.generation - self._before,
        )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_linux_answers_as_the_table_says(scsi, case):
    assert run(case, Linux(scsi)) == []


REQUESTS = st.builds(
    Request,
    action=st.sampled_from([action for action in Action if action is not Action.READ]),
    key=st.sampled_from(sorted(KEYS.values())),
    action_key=st.sampled_from(sorted(KEYS.values())),
    type=st.sampled_from([1, 3, 5, 5, 5, 6, 7, 8]),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(NEXUSES), REQUESTS), max_size=12))
def test_whatever_is_asked_both_answer_the_same(scsi, steps):
    linux, unit = Linux(scsi), Unit()
    linux.begin()
    for nexus, request in steps:
        unit, told = answer(unit, nexus, request)
        assert linux.ask(nexus, request) is told, (nexus, request)
    shown = linux.show()
    assert shown.registered == dict(unit.registrations)
    assert shown.counted == unit.generation
    assert shown.writers == {nexus for nexus in NEXUSES if may_write(unit, nexus)}
    assert shown.readers == {nexus for nexus in NEXUSES if may_read(unit, nexus)}
