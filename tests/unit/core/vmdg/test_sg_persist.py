"""What sg_persist is told, and what is made of its answers. Outputs are recorded."""

import threading
import time

import pytest
from attrs import evolve

from tests.unit.core.vmdg.recordings import FakeHost, outcome, recorded, replaying
from vmsvc.core.errors import ActionFailed, Undetermined
from vmsvc.core.vmdg.quirks import Quirks
from vmsvc.core.vmdg.seen import Act, Answer, Operation, Reservation, ReservationType, ScsiDisk
from vmsvc.core.vmdg.tools.sg_persist import SgPersist

A, B = 0xA1A1_0000_0000_0001, 0xB2B2_0000_0000_0002
DISK = ScsiDisk(name="/dev/sda", wwid="naa.1", paths=("/dev/sda", "/dev/sdb"))
IN = ["sg_persist", "--no-inquiry", "--in", "--readonly"]
OUT = ["sg_persist", "--no-inquiry", "--out"]


def operation(act, key=A, **more):
    return Operation(act=act, path="/dev/sda", key=key, **more)


def keys(generation, *found):
    count = f"{len(found)} registered reservation keys follow:"
    return outcome(out=f"  PR generation=0x{generation:x}, {count}\n" + "".join(f"    0x{key:x}\n" for key in found))


def held(generation, key):
    scope = "    scope: LU_SCOPE,  type: Write Exclusive, registrants only"
    return outcome(out=f"  PR generation=0x{generation:x}, Reservation follows:\n    Key=0x{key:x}\n{scope}\n")


class TestReading:
    def test_takes_one_call_and_opens_the_device_read_only(self):
        host = replaying("1.46/vmsvc-full-status-held")

        reading = SgPersist(host).read(DISK, "/dev/sdb")

        assert host.ran == [[*IN, "--read-full-status", "/dev/sdb"]]
        assert host.environments == [{"LC_ALL": "C"}]
        assert (reading.path, reading.answer, reading.calls) == ("/dev/sdb", Answer.DONE, 1)
        assert reading.keys == (A, B)
        assert reading.reservation == Reservation(key=A, type=5)
        assert reading.generation == 2

    @pytest.mark.parametrize("refusal", [5, 9])
    def test_a_target_without_full_status_is_read_in_two_calls_and_remembered(self, refusal):
        host = replaying(outcome(code=refusal), keys(7, A, B), held(7, A), keys(7, A), held(7, A))
        tool = SgPersist(host)

        first, second = tool.read(DISK, "/dev/sda"), tool.read(DISK, "/dev/sdb")

        assert (first.answer, first.calls, first.keys) == (Answer.DONE, 3, (A, B))
        assert first.reservation == Reservation(key=A, type=5)
        assert (second.calls, second.keys) == (2, (A,))

    def test_a_target_that_is_known_not_to_have_full_status_is_not_asked_for_it(self):
        host = replaying(keys(7, A), held(7, A))
        disk = evolve(DISK, quirks=Quirks(full_status=False))

        assert SgPersist(host).read(disk, "/dev/sda").calls == 2

    def test_keys_and_reservation_of_different_moments_are_never_combined(self):
        host = replaying(outcome(code=5), keys(7, A), held(8, B), keys(8, B))

        reading = SgPersist(host).read(DISK, "/dev/sda")

        assert (reading.keys, reading.reservation) == ((B,), Reservation(key=B, type=5))
        assert (reading.generation, reading.calls) == (8, 4)

    def test_a_disk_that_changes_all_the_time_is_not_read_for_ever(self):
        generations = iter(range(100))
        host = FakeHost(
            lambda argv: keys(next(generations), A) if "--read-keys" in argv else held(next(generations), A)
        )

        reading = SgPersist(host).read(evolve(DISK, quirks=Quirks(full_status=False)), "/dev/sda")

        assert reading.answer is Answer.BUSY
        assert reading.calls == len(host.ran) == 6

    def test_so_many_registrants_that_a_full_status_may_be_cut_off_are_read_as_keys(self):
        names = (
            "1.46/full-status-110",
            "1.46/keys-110",
            outcome(out="  PR generation=0x6e, there is NO reservation held"),
        )
        host = replaying(*names, *names)
        tool = SgPersist(host)

        reading = tool.read(DISK, "/dev/sda")

        assert (reading.answer, len(reading.keys), reading.calls) == (Answer.DONE, 110, 3)
        assert tool.read(DISK, "/dev/sda").calls == 3  # they may be fewer next time

    def test_a_full_status_that_crashes_the_tool_is_read_as_keys(self):
        reading = SgPersist(replaying(outcome(code=-11), keys(1, A), held(1, A))).read(DISK, "/dev/sda")

        assert (reading.answer, reading.keys) == (Answer.DONE, (A,))

    @pytest.mark.parametrize("version", ["1.46", "1.48"])
    def test_a_dead_transport_never_shows_a_disk_without_keys(self, version):
        reading = SgPersist(replaying(f"{version}-dead/in-read-status")).read(DISK, "/dev/sda")

        assert (reading.answer, reading.is_live, reading.calls) == (Answer.GONE, False, 1)
        assert "DID_NO_CONNECT" in reading.detail

    @pytest.mark.parametrize("version", ["1.46", "1.48"])
    @pytest.mark.parametrize("dead", [0, 1])
    def test_a_transport_that_dies_between_two_calls_never_shows_a_disk_without_keys(self, version, dead):
        live = [keys(0, A), held(0, A)]
        live[dead] = recorded(f"{version}-dead/in-read-{['keys', 'reservation'][dead]}")

        reading = SgPersist(replaying(*live)).read(evolve(DISK, quirks=Quirks(full_status=False)), "/dev/sda")

        assert (reading.answer, reading.keys) == (Answer.GONE, ())

    @pytest.mark.parametrize("version", ["1.46", "1.48"])
    def test_a_unit_attention_is_handed_on_with_its_reason(self, version):
        reading = SgPersist(replaying(f"{version}/vmsvc-in-attention")).read(DISK, "/dev/sda")

        assert (reading.answer, reading.calls) == (Answer.ATTENTION, 1)
        assert "Registrations preempted" in reading.detail

    def test_a_unit_attention_in_the_middle_of_two_calls_is_handed_on(self):
        host = replaying(keys(7, A), "1.46/52-a-first-command-after-preempt")

        reading = SgPersist(host).read(evolve(DISK, quirks=Quirks(full_status=False)), "/dev/sda")

        assert (reading.answer, reading.keys, reading.calls) == (Answer.ATTENTION, (), 2)

    @pytest.mark.parametrize("version", ["1.46", "1.48"])
    def test_a_disk_without_reservations_says_so_once_it_is_known_in_one_call(self, version):
        nopr = f"{version}/vmsvc-nopr"
        tool = SgPersist(replaying(nopr, nopr, nopr))

        assert [tool.read(DISK, "/dev/sda").answer for _ in range(2)] == [Answer.UNSUPPORTED] * 2

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("vmsvc-missing", Answer.GONE),
            ("96-device-offline-in", Answer.GONE),
            ("78-not-root", Answer.DENIED),
            ("virtio-blk-in-noinq", Answer.FOREIGN),
            ("74-loop-device", Answer.FOREIGN),
        ],
    )
    def test_what_cannot_be_read_is_told_in_one_call(self, name, expected):
        reading = SgPersist(replaying(f"1.46/{name}")).read(DISK, "/dev/sda")

        assert (reading.answer, reading.calls) == (expected, 1)
        assert reading.detail

    def test_output_in_another_form_is_no_reading(self):
        text = recorded("mpathpersist-0.9.4/22-in-full-status")

        assert SgPersist(replaying(*[text] * 3)).read(DISK, "/dev/sda").answer is Answer.GARBLED

    def test_output_that_the_host_cut_off_is_no_reading(self):
        whole = recorded("1.46/15-full-status-two")
        reading = SgPersist(replaying(*[evolve(whole, truncated=True)] * 2)).read(DISK, "/dev/sda")

        assert reading.answer is Answer.GARBLED

    def test_a_tool_that_is_not_installed_is_named_with_its_package(self):
        missing = ActionFailed(
            "n1: sg_persist: cannot be started: there is no such command", code="action.no-such-command"
        )

        reading = SgPersist(replaying(missing)).read(DISK, "/dev/sda")

        assert reading.answer is Answer.DENIED
        assert "sg3-utils" in reading.detail

    def test_a_call_that_hangs_in_the_kernel_is_silence(self):
        hangs = Undetermined("n1: sg_persist: did not end within 15.0 s, and cannot be killed")

        assert SgPersist(replaying(hangs)).read(DISK, "/dev/sda").answer is Answer.SILENT


class TestCapabilities:
    @pytest.mark.parametrize(
        ("name", "is_persistent"), [("1.46/29-capabilities-aptpl", True), ("1.46/12-capabilities", False)]
    )
    def test_what_a_disk_can_do_and_whether_its_registrations_last(self, name, is_persistent):
        host = replaying(name)

        told = SgPersist(host).capabilities(DISK, "/dev/sda")

        assert host.ran == [[*IN, "--report-capabilities", "/dev/sda"]]
        assert (told.answer, told.can_persist, told.is_persistent) == (Answer.DONE, True, is_persistent)
        assert told.types == {1, 3, 5, 6, 7, 8}

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (recorded("1.46/70-in-capabilities-nopr"), Answer.UNSUPPORTED),
            (recorded("1.48-dead/in-capabilities"), Answer.GONE),
            (outcome(out="Report capabilities response:\n"), Answer.GARBLED),
            (Undetermined("did not end within 15.0 s"), Answer.SILENT),
        ],
    )
    def test_what_cannot_be_read_can_do_nothing_that_is_known(self, answer, expected):
        told = SgPersist(replaying(answer)).capabilities(DISK, "/dev/sda")
        assert (told.answer, told.types) == (expected, None)


class TestPerforming:
    @pytest.mark.parametrize(
        ("asked", "arguments"),
        [
            (operation(Act.REGISTER), ["--register-ignore", "--param-sark=0xa1a1000000000001", "--param-aptpl"]),
            (
                operation(Act.CONFIRM),
                ["--register", "--param-rk=0xa1a1000000000001", "--param-sark=0xa1a1000000000001", "--param-aptpl"],
            ),
            (
                operation(Act.UNREGISTER),
                ["--register", "--param-rk=0xa1a1000000000001", "--param-sark=0x0", "--param-aptpl"],
            ),
            (operation(Act.RESERVE), ["--reserve", "--param-rk=0xa1a1000000000001", "--prout-type=5"]),
            (
                operation(Act.PREEMPT, victim=B),
                [
                    "--preempt-abort",
                    "--param-rk=0xa1a1000000000001",
                    "--param-sark=0xb2b2000000000002",
                    "--prout-type=5",
                ],
            ),
            (
                operation(Act.RELEASE, type=ReservationType.EXCLUSIVE_ACCESS_ALL_REGISTRANTS),
                ["--release", "--param-rk=0xa1a1000000000001", "--prout-type=8"],
            ),
        ],
    )
    def test_takes_one_call(self, asked, arguments):
        host = replaying(outcome())

        performed = SgPersist(host).perform(DISK, asked)

        assert host.ran == [[*OUT, *arguments, "/dev/sda"]]
        assert (performed.operation, performed.answer, performed.calls) == (asked, Answer.DONE, 1)

    def test_a_small_key_is_written_with_its_zeros_and_the_largest_in_full(self):
        host = replaying(outcome(), outcome())
        tool = SgPersist(host)
        for key in (0xABC, 0xFFFF_FFFF_FFFF_FFFF):
            tool.perform(DISK, operation(Act.REGISTER, key))

        assert [argv[4] for argv in host.ran] == ["--param-sark=0x0000000000000abc", "--param-sark=0xffffffffffffffff"]

    @pytest.mark.parametrize("name", ["register-ignore", "preempt", "release", "reserve"])
    @pytest.mark.parametrize("version", ["1.46", "1.48"])
    def test_what_was_never_sent_is_never_done(self, version, name):
        act = {"register-ignore": Act.REGISTER}.get(name) or Act(name)

        performed = SgPersist(replaying(f"{version}-dead/out-{name}")).perform(DISK, operation(act, victim=B))

        assert (performed.answer, performed.calls) == (Answer.GONE, 1)

    def test_an_unknown_option_is_never_done(self):
        performed = SgPersist(replaying("1.46/00-bad-option")).perform(DISK, operation(Act.RESERVE))

        assert performed.answer is Answer.GARBLED

    @pytest.mark.parametrize("act", [*Act])
    def test_a_unit_attention_is_handed_on_and_not_tried_again(self, act):
        performed = SgPersist(replaying("1.46/54-b-out-ua")).perform(DISK, operation(act, victim=B))

        assert (performed.answer, performed.calls) == (Answer.ATTENTION, 1)
        assert "Registrations preempted" in performed.detail

    @pytest.mark.parametrize("refusal", ["1.46/50-preempt-sark0", "1.48/50-preempt-sark0"])
    def test_a_target_that_rejects_aptpl_is_registered_without_and_remembered(self, refusal):
        host = replaying(refusal, outcome(), outcome())
        tool = SgPersist(host)

        first = tool.perform(DISK, operation(Act.REGISTER))
        second = tool.perform(DISK, operation(Act.UNREGISTER))

        assert (first.answer, first.calls) == (Answer.DONE, 2)
        assert (second.answer, second.calls) == (Answer.DONE, 1)
        assert ["--param-aptpl" in argv for argv in host.ran] == [True, False, False]

    def test_a_request_that_is_invalid_either_way_does_not_cost_the_disk_its_aptpl(self):
        refusal = "1.46/50-preempt-sark0"
        host = replaying(refusal, refusal, outcome())
        tool = SgPersist(host)

        assert tool.perform(DISK, operation(Act.REGISTER)).answer is Answer.INVALID
        assert tool.keeps_registrations(DISK)
        assert tool.perform(DISK, operation(Act.REGISTER)).calls == 1

    def test_a_target_known_to_lack_aptpl_or_abort_is_asked_without(self):
        host = replaying(outcome(), outcome())
        disk = evolve(DISK, quirks=Quirks(aptpl=False, abort=False))
        tool = SgPersist(host)
        tool.perform(disk, operation(Act.REGISTER))
        tool.perform(disk, operation(Act.PREEMPT, victim=B))

        assert "--param-aptpl" not in host.ran[0]
        assert host.ran[1][3] == "--preempt"

    def test_a_preemption_without_abort_is_never_made_on_a_guess(self):
        host = replaying("1.46/50-preempt-sark0")

        performed = SgPersist(host).perform(DISK, operation(Act.PREEMPT, victim=B))

        assert (performed.answer, performed.calls) == (Answer.INVALID, 1)

    def test_a_call_that_hangs_may_have_been_carried_out(self):
        hangs = Undetermined("n1: sg_persist: did not end within 15.0 s, and was killed")

        assert SgPersist(replaying(hangs)).perform(DISK, operation(Act.RESERVE)).answer is Answer.SILENT

    def test_a_disk_that_stumbles_over_two_changes_gets_one_at_a_time(self):
        asked: list[str] = []
        crowds = []

        def answer(argv):
            asked.append(argv[-1])
            time.sleep(0.01)
            crowds.append(len(asked))
            asked.remove(argv[-1])
            return outcome()

        disk = evolve(DISK, quirks=Quirks(one_at_a_time=True))
        perform_in_parallel(SgPersist(FakeHost(answer)), disk)

        assert crowds == [1, 1]

    def test_other_disks_get_changes_in_parallel(self):
        both = threading.Barrier(2, timeout=10)
        host = FakeHost(lambda _argv: [both.wait(), outcome()][1])

        perform_in_parallel(SgPersist(host), DISK)

        assert not both.broken


def perform_in_parallel(tool, disk):
    def register(path):
        tool.perform(disk, Operation(act=Act.REGISTER, path=path, key=A))

    threads = [threading.Thread(target=register, args=(path,)) for path in disk.paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
