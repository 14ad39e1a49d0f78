"""Two nodes with one key: whose registrations are positively not ours is not evicted as a ghost of ours."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.unit.core.vmdg.drive import A, B, asked, holder, keys, register, reserve, run
from vmsvc.core.status import Phase
from vmsvc.core.vmdg.attempt import Outcome, acquire, release
from vmsvc.core.vmdg.judge import judge, objection_to
from vmsvc.core.vmdg.migration import join
from vmsvc.core.vmdg.seen import Answer, Reading, Registration, initiator
from vmsvc.core.vmdg.survey import survey
from vmsvc.testing import Fault, San


def disks(san, node="a"):
    """The disks, where the node knows by which initiator the target knows it."""
    return [evolve(disk, initiators=frozenset({f"san {node}"})) for disk in san.disks(node)]


def take(san, *authority, **more):
    return run(san, "a", acquire(disks(san), A, authority=frozenset(authority), **more))


def status(san):
    (disk,) = disks(san)
    return judge(disk, run(san, "a", survey([disk]))[0], A, {})


@pytest.fixture(params=["holds", "is registered"])
def san(request):
    """Node b has the key of node a."""
    san = San("ab")
    if request.param == "holds":
        reserve(san, "/dev/b1d0", A)
    else:
        register(san, "/dev/b1d0", A)
    return san


class TestTaking:
    def test_is_refused_before_anything_is_registered(self, san):
        result = take(san)
        assert result.outcome is Outcome.REFUSED
        assert "registered with this node's own key 0x000000000000000a, and is none of its initiators" in str(
            result.reasons[0]
        )
        assert asked(san) == ["read a1d0"]

    def test_evicts_it_where_the_key_was_named(self, san):
        assert take(san, A).outcome is Outcome.HELD
        assert keys(san) == {"a1": A, "a2": A}
        assert holder(san) == ("a1", 5)

    def test_is_lost_where_it_appears_meanwhile(self):
        san = San("ab")
        san.before = lambda asked: register(san, "/dev/b1d0", A) if asked.operation is not None else None
        assert take(san).outcome is Outcome.LOST
        assert keys(san) == {"b1": A}

    def test_says_no_more_than_before_where_initiators_are_not_known(self, san):
        assert run(san, "a", acquire(san.disks("a"), A)).outcome is Outcome.HELD
        assert keys(san) == {"a1": A, "a2": A}

    def test_says_no_more_than_before_where_the_target_does_not_tell(self):
        san = San("ab", tells_full_status=False)
        register(san, "/dev/b1d0", A)
        assert take(san).outcome is Outcome.HELD

    def test_takes_our_own_dead_connections_for_ours(self):
        san = San("a", paths=3)
        register(san, "/dev/a3d0", A)
        (disk,) = disks(san)
        fewer = evolve(disk, paths=disk.paths[:2])
        assert run(san, "a", acquire([fewer], A)).outcome is Outcome.HELD
        assert keys(san) == {"a1": A, "a2": A}


class TestGivingBack:
    def test_leaves_it_and_says_so(self):
        san = San("ab")
        take(san)
        register(san, "/dev/b1d0", A)
        result = run(san, "a", release(disks(san), A))
        assert result.outcome is Outcome.RELEASED
        assert keys(san) == {"b1": A}
        assert "none of its initiators" in str(result.notes[-1])

    def test_does_not_evict_it_to_be_rid_of_a_path_that_died(self):
        san = San("ab")
        take(san)
        register(san, "/dev/b1d0", A)
        san.give("/dev/a2d0", Fault.DEAD)
        result = run(san, "a", release(disks(san), A))
        assert result.outcome is Outcome.FAILED
        assert keys(san) == {"a2": A, "b1": A}

    def test_leaves_what_none_of_its_paths_has_where_it_may_be_another_nodes(self, san):
        # Initiators are not known: the two nodes look like one with more paths.
        (disk,) = san.disks("a")
        register(san, "/dev/a1d0", A)
        asked(san)
        result = run(san, "a", release([disk], A, doubts={disk.wwid: "it may be that of b"}))
        assert result.outcome is Outcome.FAILED
        assert "it may be that of b" in str(result.reasons[0])
        assert keys(san) == {"b1": A}
        assert not [request for request in asked(san) if request.startswith(("register", "preempt"))]

    def test_is_done_where_our_paths_have_all_that_is_there_whatever_the_doubt(self):
        san = San("a")
        take(san)
        (disk,) = disks(san)
        assert run(san, "a", release([disk], A, doubts={disk.wwid: "who knows"})).outcome is Outcome.RELEASED
        assert keys(san) == {}


class TestStatus:
    def test_is_contested_where_it_can_write_beside_us(self):
        san = San("ab")
        take(san)
        assert status(san).phase is Phase.RUNNING
        register(san, "/dev/b1d0", A)
        seen = status(san)
        assert (seen.phase, seen.foreign) == (Phase.CONTESTED, (A,))
        assert "b is registered with this node's own key" in seen.detail

    def test_is_down_and_lost_where_only_the_other_is_left(self, san):
        seen = status(san)
        assert (seen.phase, seen.is_lost, seen.foreign) == (Phase.STOPPED, True, (A,))
        assert "held by this node" not in seen.detail

    def test_tells_it_where_nothing_is_reserved(self):
        san = San("ab")
        for path in ("/dev/a1d0", "/dev/b1d0"):
            register(san, path, A)
        assert "none of its initiators" in status(san).detail

    def test_raises_an_objection_to_a_start(self, san):
        (disk,) = disks(san)
        (readings,) = run(san, "a", survey([disk]))
        assert "none of its initiators" in objection_to(disk, readings, A, frozenset(), {})
        assert objection_to(disk, readings, A, frozenset({A}), {}) == ""


def test_nobody_joins_a_migration_beside_a_node_with_its_key():
    san = San("abc")
    assert run(san, "c", acquire(san.disks("c"), B)).outcome is Outcome.HELD
    register(san, "/dev/b1d0", A)
    assert run(san, "a", join(disks(san), A, source=B)).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("known", "told", "is_alien"),
    [
        ({initiator("iscsi", "iqn.x:A")}, initiator("iscsi", "iqn.x:a"), False),
        ({initiator("iscsi", "iqn.x:a")}, initiator("iscsi", "iqn.x:b"), True),
        ({initiator("fc", "0x21000024ff31a2b3")}, initiator("fc", "21 00 00 24 ff 31 a2 b3"), False),
        ({initiator("fc", "0x21000024ff31a2b3")}, initiator("sas", "0x21000024ff31a2b3"), False),
        ({initiator("fc", "0x21000024ff31a2b3")}, "", False),
        (set(), initiator("iscsi", "iqn.x:a"), False),
    ],
)
def test_only_another_name_of_a_transport_that_is_known_is_positively_not_ours(known, told, is_alien):
    reading = Reading(path="/p", answer=Answer.DONE, registrations=(Registration(key=A, initiator=told),))
    assert [each.is_alien for each in reading.known_to(frozenset(known)).registrations] == [is_alien]
