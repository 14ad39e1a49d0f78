"""What peers answer, and what follows for a start: nothing is started on what is not known."""

from __future__ import annotations

import json

import pytest
from attrs import evolve

from tests.support import guest, resource, seen, service
from vmsvc.core.documents import statuses
from vmsvc.core.errors import Severity
from vmsvc.core.instance import ServiceStatus, instance_of
from vmsvc.core.peers.answers import PeerAnswer, objections, read_answers
from vmsvc.core.status import Phase
from vmsvc.core.transport import Outcome

WEB = service(guest(), nodes=("n1", "n2", "n3"))
RID = "container#1"
GUEST = WEB.resource(RID)
DOWN = {Phase.STOPPED, Phase.ABSENT, Phase.MOVED}
SILENT = {Phase.UNKNOWN, Phase.INAPPLICABLE}


def codes(*answers, **options):
    return [problem.code for problem in objections(WEB, [RID], answers, **options)]


def says(phase, node="n2", **more):
    return PeerAnswer(node=node, seen={RID: seen(phase)}, guests={RID: (GUEST.type, GUEST.name)}, **more)


@pytest.mark.parametrize("phase", Phase)
def test_nothing_is_started_that_is_not_positively_down_on_each_peer(phase):
    wanted = [] if phase in DOWN else ["refused.peer-silent"] if phase in SILENT else ["refused.runs-on-peer"]
    assert codes(says(phase)) == wanted
    assert codes(says(Phase.STOPPED), says(phase, node="n3")) == wanted


@pytest.mark.parametrize("phase", set(Phase) - DOWN - SILENT)
def test_no_word_of_an_operator_and_no_reservation_speaks_against_what_a_peer_says(phase):
    assert codes(says(phase), despite=["n2"], exclusive=True) == ["refused.runs-on-peer"]


def test_a_start_on_a_peer_that_does_not_end_has_a_way_out():
    (problem,) = objections(WEB, [RID], [says(Phase.STOPPED, going_on="start by pid 1 since 21:03:12")])
    assert "end that process on n2" in problem.hint


@pytest.mark.parametrize(
    "silent",
    [PeerAnswer(node="n2", error="it is off"), PeerAnswer(node="n2"), says(Phase.UNKNOWN), says(Phase.INAPPLICABLE)],
)
def test_silence_keeps_a_start_unless_the_operator_names_the_peer_or_disks_are_reserved(silent):
    (problem,) = objections(WEB, [RID], [silent])
    assert (problem.code, "--despite-peer n2" in problem.hint) == ("refused.peer-silent", True)
    assert codes(silent, despite=["n3"]) == ["refused.peer-silent"]
    for options in ({"despite": ["N2"]}, {"exclusive": True}):
        (note,) = objections(WEB, [RID], [silent], **options)
        assert (note.code, note.severity) == ("note.peer-silent", Severity.NOTE)


@pytest.mark.parametrize(("action", "is_refused"), [("start", True), ("restart", True), ("migrate", True),
                                                    ("stop", False), ("boot", False)])  # fmt: skip
def test_what_may_be_starting_it_on_a_peer_refuses(action, is_refused):
    answer = says(Phase.STOPPED, going_on=f"{action} by pid 1 since 21:03:12")
    assert codes(answer, despite=["n2"], exclusive=True) == (["refused.peer-acts"] if is_refused else [])


def named(rid, type, name, phase):
    return PeerAnswer(node="n2", seen={rid: seen(phase)}, guests={rid: (type, name)})


@pytest.mark.parametrize("wrong", ["type", "name"])
def test_another_guest_that_a_peer_calls_by_the_same_rid_says_nothing_of_this_one(wrong):
    names = {"type": GUEST.type, "name": GUEST.name, wrong: "other"}
    answer = named(RID, phase=Phase.STOPPED, **names)
    (problem,) = objections(WEB, [RID], [answer])
    assert problem.code == "refused.peer-silent"
    assert f"its {RID} is another guest: {names['type']} {names['name']}" in problem.message
    assert codes(answer, despite=["n2"]) == ["note.peer-silent"]


def test_a_guest_is_found_in_whichever_section_the_peer_has_it():
    assert codes(named("container#7", GUEST.type, GUEST.name, Phase.RUNNING)) == ["refused.runs-on-peer"]
    assert codes(named("container#7", GUEST.type, GUEST.name, Phase.STOPPED)) == []


def test_what_a_peer_notes_is_told_with_the_plan():
    (note,) = objections(WEB, [RID], [says(Phase.STOPPED, notes=("its start was cut short",))])
    assert (note.severity, note.message) == (Severity.NOTE, "n2: its start was cut short")


# --- reading ----------------------------------------------------------------------------------------------------------


def printed(document, code=0):
    text = document if isinstance(document, bytes) else json.dumps(document, default=str).encode()
    return Outcome(argv=("x",), code=code, stdout=text, stderr=b"", duration_s=0.0)


def document(node="n2", phase=Phase.PAUSED, **more):
    instance = instance_of(WEB, node, {RID: seen(phase)}, **more)
    return {**statuses.status([ServiceStatus(service=WEB, instances=(instance,))]), "errors": []}


def test_an_answer_is_what_the_peer_has_seen():
    answer = read_answers("N2", ["web"], printed(document(going_on="start by pid 1 since 1", notes=("a note",))))["web"]
    assert answer.guests == {RID: (GUEST.type, GUEST.name)}
    assert (answer.error, answer.seen) == ("", {RID: seen(Phase.PAUSED)})
    assert (answer.going_on, answer.notes) == ("start by pid 1 since 1", ("a note",))


def test_a_document_of_another_version_is_no_answer():
    told = {**document(phase=Phase.STOPPED), "schema": "vmsvc.status/2"}
    assert "vmsvc.status/2" in read_answers("n2", ["web"], printed(told))["web"].error


def test_an_answer_of_another_node_does_not_count():
    assert "calls itself n3" in read_answers("n2", ["web"], printed(document(node="n3")))["web"].error


@pytest.mark.parametrize("text", [b"", b"no json", b"[]", b"7", b"null", b'{"services": 1}', b'{"services": [{}]}'])
def test_garbage_is_no_answer(text):
    assert "no status" in read_answers("n2", ["web"], printed(text, 1))["web"].error


@pytest.mark.parametrize("key", ["phase", "state", "evidence", "warnings"])
def test_a_document_that_lacks_something_is_no_answer(key):
    told = document()
    del told["services"][0]["instances"][0]["resources"][0][key]
    assert "makes no sense" in read_answers("n2", ["web"], printed(told))["web"].error
    told = document()
    told["services"][0]["instances"][0]["resources"][0][key] = 7
    assert read_answers("n2", ["web"], printed(told))["web"].error


@pytest.mark.parametrize("key", ["type", "label"])
def test_a_document_that_does_not_tell_which_guest_it_is_of_is_no_answer(key):
    told = document()
    del told["services"][0]["instances"][0]["resources"][0][key]
    assert "makes no sense" in read_answers("n2", ["web"], printed(told))["web"].error


def test_a_service_that_the_peer_does_not_have_is_told_in_its_words():
    told = {"schema": "vmsvc.status/1", "services": [], "errors": [{"message": "there is no service web"}]}
    answers = read_answers("n2", ["web", "db"], printed(told, 2))
    assert answers["web"].error == "there is no service web"
    assert "the file of web is to be the same" in answers["web"].hint
    assert answers["db"].error


def test_an_answer_that_was_cut_off_says_so():
    cut = evolve(printed(b'{"schema": "vmsvc.sta'), truncated=True)
    assert "longer than the 1 MiB" in read_answers("n2", ["web"], cut)["web"].error


def test_which_nodes_the_peers_file_names_is_in_its_answer_unless_it_is_too_old_to_tell():
    told = document()
    assert read_answers("n2", ["web"], printed(told))["web"].lists == ("n1", "n2", "n3")
    del told["services"][0]["nodes"]
    assert read_answers("n2", ["web"], printed(told))["web"].lists is None


def test_the_hint_of_silence_is_that_of_what_is_wrong():
    (problem,) = objections(WEB, [RID], [PeerAnswer(node="n2", error="its host key has changed", hint="look at it")])
    assert problem.hint.startswith("look at it; ")
    assert "--despite-peer n2" in problem.hint
    told = read_answers("n2", ["web"], printed(document(node="host7")))["web"]
    assert "SetEnv VMSVC_NODENAME=n2" in told.hint


def test_a_status_pairs_guests_by_type_and_name_and_all_else_by_rid():
    assert named("container#7", GUEST.type, GUEST.name, Phase.RUNNING).told_of(GUEST).phase is Phase.RUNNING
    other = named(RID, GUEST.type, "other", Phase.RUNNING).told_of(GUEST)
    assert (other.phase, "is another guest" in other.evidence.detail) == (Phase.UNKNOWN, True)
    address = resource("ip#1")
    assert named("ip#1", "", "elsewhere", Phase.RUNNING).told_of(address).phase is Phase.RUNNING
    silent = PeerAnswer(node="n2", error="it is off", hint="switch it on").told_of(GUEST)
    assert (silent.phase, silent.evidence.detail) == (Phase.UNKNOWN, "it is off (switch it on)")
