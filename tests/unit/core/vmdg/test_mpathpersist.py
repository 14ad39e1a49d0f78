"""Maps whose registrations multipathd keeps. Outputs are recorded from 0.9.4."""

import pytest
from attrs import evolve

from tests.unit.core.vmdg.recordings import FakeHost, outcome, recorded, replaying
from vmsvc.core.errors import ActionFailed, Undetermined
from vmsvc.core.vmdg.quirks import Quirks
from vmsvc.core.vmdg.seen import Act, Answer, Operation, ScsiDisk
from vmsvc.core.vmdg.tools import new_tool
from vmsvc.core.vmdg.tools.mpathpersist import keeps_keys

A, B = 0xA1A1_0000_0000_0001, 0xB2B2_0000_0000_0002
DISK = ScsiDisk(
    name="/dev/mapper/mpatha",
    wwid="naa.1",
    paths=("/dev/sda", "/dev/sdb"),
    hosts=("0", "1"),
    map="/dev/mapper/mpatha",
    is_managed=True,
)
TELL = ["mpathpersist", "--out", "--register-ignore", "--param-sark=0xa1a1000000000001", "--param-aptpl", DISK.map]
FORGET = ["multipathd", "unsetprkey", "map", "mpatha"]

DONE, CONFLICT, DEAD = outcome(), recorded("1.46/27-unregister-wrong-rk"), recorded("1.46/96-device-offline-out")
ATTENTION = recorded("1.46/54-b-out-ua")


def host_of(sda=DONE, sdb=DONE, told=DONE):
    """A host on which each path answers as given; a list, one answer after another."""
    answers = {
        "/dev/sda": iter([sda] if not isinstance(sda, list) else sda),
        "/dev/sdb": iter([sdb] if not isinstance(sdb, list) else sdb),
    }
    return FakeHost(lambda argv: next(answers[argv[-1]]) if argv[0] == "sg_persist" else told)


def perform(host, act, **more):
    return new_tool(host).perform(DISK, Operation(act=act, path=DISK.map, key=A, **more))


def asked_paths(host):
    return sorted(argv[-1] for argv in host.ran if argv[0] == "sg_persist")


class TestRegistering:
    def test_registers_each_path_and_tells_multipathd_the_key(self):
        host = host_of()

        performed = perform(host, Act.REGISTER)

        assert host.ran[-1] == TELL
        assert sorted(argv[3:] for argv in host.ran[:-1]) == [
            ["--register-ignore", "--param-sark=0xa1a1000000000001", "--param-aptpl", path] for path in DISK.paths
        ]
        assert (performed.answer, performed.calls, performed.detail) == (Answer.DONE, 3, "")
        assert performed.operation.path == DISK.map

    def test_paths_that_mpathpersist_leaves_out_without_a_word_are_registered_all_the_same(self):
        host = host_of(told=recorded("mpathpersist-0.9.4/21-out-register-ignore"))

        assert perform(host, Act.REGISTER).answer is Answer.DONE
        assert asked_paths(host) == ["/dev/sda", "/dev/sdb"]

    @pytest.mark.parametrize(
        ("trouble", "words"),
        [
            (recorded("mpathpersist-0.9.4/20-out-register"), "Reservation Conflict"),
            (recorded("mpathpersist-0.9.4/40-missing"), "error opening file"),
            (ActionFailed("n1: mpathpersist: cannot be started: there is no such command"), "no such command"),
            (Undetermined("n1: mpathpersist: did not end within 15.0 s, and was killed"), "did not end"),
        ],
    )
    def test_trouble_with_multipathd_keeps_no_path_from_being_registered_and_is_told(self, trouble, words):
        host = host_of(told=trouble)

        performed = perform(host, Act.REGISTER)

        assert performed.answer is Answer.DONE
        assert words in performed.detail
        assert asked_paths(host) == ["/dev/sda", "/dev/sdb"]

    def test_a_dead_path_does_not_keep_the_map_from_being_used_and_is_told(self):
        performed = perform(host_of(sda=DEAD), Act.REGISTER)

        assert performed.answer is Answer.DONE
        assert performed.detail.startswith("/dev/sda: ")

    def test_without_any_path_it_is_not_done(self):
        host = host_of(sda=DEAD, sdb=DEAD)

        assert perform(host, Act.REGISTER).answer is Answer.GONE
        assert TELL not in host.ran

    def test_an_eviction_is_not_undone_by_mpathpersist_which_would_register_over_the_attention(self):
        host = host_of(sda=ATTENTION, sdb=DONE)
        perform(host, Act.REGISTER)

        assert TELL not in host.ran

    def test_aptpl_that_a_path_turns_out_not_to_know_is_not_asked_for_again(self):
        refusal = recorded("1.46/50-preempt-sark0")
        host = host_of(sda=[refusal, DONE], sdb=[refusal, DONE])

        assert perform(host, Act.REGISTER).answer is Answer.DONE
        assert host.ran[-1] == [argument for argument in TELL if argument != "--param-aptpl"]

    @pytest.mark.parametrize("act", [Act.REGISTER, Act.UNREGISTER, Act.RELEASE])
    def test_a_unit_attention_of_one_path_is_handed_on_since_it_may_tell_that_we_were_evicted(self, act):
        host = host_of(sda=DONE, sdb=ATTENTION)

        performed = perform(host, act)

        assert performed.answer is Answer.ATTENTION
        assert asked_paths(host) == ["/dev/sda", "/dev/sdb"]
        assert "/dev/sdb: " in performed.detail
        assert "/dev/sda: " not in performed.detail

    def test_a_target_without_aptpl_is_not_asked_for_it_by_mpathpersist_either(self):
        host = host_of()
        disk = evolve(DISK, quirks=Quirks(aptpl=False))
        new_tool(host).perform(disk, Operation(act=Act.REGISTER, path=DISK.map, key=A))

        assert not any("--param-aptpl" in argv for argv in host.ran)


class TestUnregistering:
    def test_lets_multipathd_forget_the_key_before_paths_are_asked(self):
        host = host_of()

        performed = perform(host, Act.UNREGISTER)

        assert host.ran[0] == FORGET
        assert sorted(argv[3:5] for argv in host.ran[1:]) == [["--register", "--param-rk=0xa1a1000000000001"]] * 2
        assert (performed.answer, performed.calls) == (Answer.DONE, 3)

    def test_a_path_that_was_not_registered_does_not_bring_the_others_back(self):
        host = host_of(sda=CONFLICT)

        assert perform(host, Act.UNREGISTER).answer is Answer.DONE
        assert not any(argv[0] == "mpathpersist" for argv in host.ran)

    @pytest.mark.parametrize(("sda", "sdb"), [(DEAD, DONE), (DONE, DEAD), (CONFLICT, DEAD)])
    def test_a_dead_path_may_still_be_registered(self, sda, sdb):
        assert perform(host_of(sda=sda, sdb=sdb), Act.UNREGISTER).answer is Answer.GONE

    @pytest.mark.parametrize("words", ["fail", "ok"])
    def test_what_multipathd_answers_in_words_is_understood(self, words):
        performed = perform(host_of(told=outcome(out=f"{words}\n")), Act.UNREGISTER)

        assert performed.detail == {"fail": "multipathd: fail (exit code 0)", "ok": ""}[words]


class TestReserving:
    @pytest.mark.parametrize("act", [Act.RESERVE, Act.PREEMPT])
    def test_takes_one_path_and_never_mpathpersist_which_may_refuse_or_conflict_with_itself(self, act):
        host = host_of()

        performed = perform(host, act, victim=B)

        assert asked_paths(host) == ["/dev/sda"]
        assert len(host.ran) == 1
        assert (performed.answer, performed.calls) == (Answer.DONE, 1)

    @pytest.mark.parametrize("first", [DEAD, CONFLICT, Undetermined("did not end within 15.0 s")])
    def test_takes_another_path_where_the_first_is_dead_or_not_registered(self, first):
        host = host_of(sda=first)

        assert perform(host, Act.PREEMPT, victim=B).answer is Answer.DONE
        assert asked_paths(host) == ["/dev/sda", "/dev/sdb"]

    def test_that_another_node_is_faster_is_a_conflict_on_every_path(self):
        assert perform(host_of(sda=CONFLICT, sdb=CONFLICT), Act.RESERVE).answer is Answer.CONFLICT

    def test_a_unit_attention_is_handed_on(self):
        host = host_of(sda=ATTENTION)

        assert perform(host, Act.RESERVE).answer is Answer.ATTENTION
        assert len(host.ran) == 1

    def test_releasing_asks_every_path_since_one_that_does_not_hold_says_done_too(self):
        host = host_of()

        assert perform(host, Act.RELEASE).answer is Answer.DONE
        assert asked_paths(host) == ["/dev/sda", "/dev/sdb"]
        assert {argv[3] for argv in host.ran} == {"--release"}


def test_single_paths_and_whatever_is_read_go_to_the_path_alone():
    host = replaying("1.46/vmsvc-full-status-held", DONE)
    tool = new_tool(host)

    assert tool.read(DISK, "/dev/sdb").keys == (A, B)
    tool.perform(DISK, Operation(act=Act.REGISTER, path="/dev/sdb", key=A))

    assert [(argv[0], argv[-1]) for argv in host.ran] == [("sg_persist", "/dev/sdb")] * 2


class TestConfiguration:
    def test_as_multipathd_shows_it(self):
        keeps = keeps_keys(recorded("mpathpersist-0.9.4/show-config-local").out)

        assert keeps("mpatha", "360014055ca1ab0000004000800000000")

    @pytest.mark.parametrize("other", ["", "reservation_key 0x123abc", 'reservation_key "0x1:aptpl"', "prio file"])
    def test_another_key_or_none_is_no_key_in_a_file(self, other):
        assert not keeps_keys(f"defaults {{\n {other}\n}}\n")("mpatha", "36")

    def test_a_map_may_differ_from_the_default_by_its_id_or_alias(self):
        keeps = keeps_keys("""
            # reservation_key file
            defaults { reservation_key file }
            devices { device { vendor "X" reservation_key 0x1 } }
            multipaths {
                multipath { wwid "3600" alias "one" reservation_key 0x1 }
                multipath { wwid "3601" alias "two" }
                multipath { alias three reservation_key 0x2 }
            }
        """)

        assert [keeps("one", "3600"), keeps("two", "3601"), keeps("three", "3602"), keeps("four", "3603")] == [
            *(False, True, False, True)
        ]

    def test_text_that_is_none_says_no(self):
        for text in ("", "{", "}", "defaults {", "}} reservation_key file", "fail"):
            assert not keeps_keys(text)("mpatha", "36")
