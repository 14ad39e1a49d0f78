"""What sg_persist prints, as records: every recorded output of 1.46 and 1.48."""

import pytest

from tests.unit.core.vmdg.recordings import DIRECTORY, recorded
from vmsvc.core.vmdg.seen import Answer, Registration, Reservation
from vmsvc.core.vmdg.tools import parse

A, B, C = 0xA1A1_0000_0000_0001, 0xB2B2_0000_0000_0002, 0x0300_0000_0000_0003
VERSIONS = ("1.46", "1.48")
DEAD = sorted(
    f"{version}-dead/{file.stem}" for version in VERSIONS for file in (DIRECTORY / f"{version}-dead").iterdir()
)


def answer(name: str) -> Answer:
    outcome = recorded(name)
    return parse.answer_of(outcome.code, outcome.err)


@pytest.mark.parametrize("version", VERSIONS)
def test_both_versions_tell_the_full_status_alike(version):
    listing = parse.full_status(recorded(f"{version}/vmsvc-full-status-held").out)

    assert [(registration.key, registration.holds) for registration in listing.registrations] == [(A, True), (B, False)]
    assert listing.registrations[0].nexus.startswith("iqn.2024-01.lab:host1,i,0x")
    assert listing.registrations[0].nexus.endswith(" through port 1")
    assert listing.reservation == Reservation(key=A, type=5)
    assert parse.full_status(recorded(f"{version}/vmsvc-full-status-none").out).registrations == ()


@pytest.mark.parametrize("version", VERSIONS)
def test_both_versions_tell_keys_and_reservation_alike(version):
    listing = parse.keys(recorded(f"{version}/vmsvc-keys-two").out)
    held = parse.reservation(recorded(f"{version}/vmsvc-reservation-held").out)

    assert listing.registrations == (Registration(key=A), Registration(key=B))
    assert held.reservation == Reservation(key=A, type=5)
    assert held.generation == listing.generation
    assert parse.keys(recorded(f"{version}/vmsvc-keys-none").out).registrations == ()
    assert parse.reservation(recorded(f"{version}/vmsvc-reservation-none").out).reservation is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((f"{version}/vmsvc-{name}", answer) for version in VERSIONS for name, answer in [
            ("register", Answer.DONE),
            ("reserve-conflict", Answer.CONFLICT),
            ("in-attention", Answer.ATTENTION),
            ("unregister-conflict", Answer.CONFLICT),
            ("nopr", Answer.UNSUPPORTED),
            ("nopr-register", Answer.UNSUPPORTED),
            ("missing", Answer.GONE),
            ("file", Answer.FOREIGN),
        ]),
        ("1.46/27-unregister-wrong-rk", Answer.CONFLICT),
        ("1.46/50-preempt-sark0", Answer.INVALID),
        ("1.48/50-preempt-sark0", Answer.INVALID),  # exit code 19, where 1.46 exits with 5
        ("1.46/52-a-first-command-after-preempt", Answer.ATTENTION),
        ("1.46/54-b-out-ua", Answer.ATTENTION),
        ("1.46/63-clear-unregistered", Answer.NOT_READY),
        ("1.46/81-reserve-rk-missing", Answer.NOT_READY),
        ("1.46/71-in-keys-scsi-debug", Answer.UNSUPPORTED),
        ("1.46/73-dev-null", Answer.FOREIGN),
        ("1.46/74-loop-device", Answer.FOREIGN),
        ("1.46/virtio-blk-in-noinq", Answer.FOREIGN),
        ("1.46/virtio-blk-register", Answer.FOREIGN),
        ("1.46/78-not-root", Answer.DENIED),
        ("1.46/96-device-offline-in", Answer.GONE),
        ("1.46/96-device-offline-out", Answer.GONE),
        ("1.46/80-key-empty", Answer.GARBLED),
        ("1.46/82-in-register", Answer.GARBLED),
        ("1.46/87-no-device", Answer.GARBLED),
    ],
)  # fmt: skip
def test_exit_codes_are_answers(name, expected):
    assert answer(name) is expected


@pytest.mark.parametrize("name", DEAD)
def test_a_dead_transport_is_never_taken_for_success_though_1_46_exits_with_0(name):
    assert answer(name) is Answer.GONE


def test_an_unknown_option_is_never_taken_for_success_though_it_exits_with_0():
    assert recorded("1.46/00-bad-option").code == 0
    assert answer("1.46/00-bad-option") is Answer.GARBLED
    assert answer("1.46/vmsvc-unknown-option") is Answer.GARBLED


def test_a_tool_that_was_killed_has_not_answered():
    assert parse.answer_of(-9, "") is Answer.GARBLED
    assert "signal 9" in parse.said(-9, "")


@pytest.mark.parametrize("code", [1, 7, 11, 31, 50, 55, 97, 98, 99, 127, 255])
def test_an_exit_code_that_nobody_explained_decides_nothing(code):
    assert parse.answer_of(code, "") is Answer.GARBLED
    assert parse.said(code, "") == f"exit code {code}, without a word"


def test_a_single_key_is_read_though_its_grammar_differs():
    listing = parse.keys(recorded("1.46/80-keys-all-f").out)

    assert listing == parse.Listing(generation=0x48, registrations=(Registration(key=0xFFFF_FFFF_FFFF_FFFF),))


def test_one_key_on_several_nexuses_is_listed_as_often():
    listing = parse.full_status(recorded("1.46/multi-full-status").out)

    assert [key.key >> 56 for key in listing.registrations] == [1, 1, 2, 2, 3, 3]
    assert [key.holds for key in listing.registrations] == [False, False, False, True, False, False]
    assert len({key.nexus for key in listing.registrations}) == 6
    assert parse.keys(recorded("1.46/26-keys-duplicate").out).registrations == (Registration(key=A),) * 2


@pytest.mark.parametrize("type_", [1, 3, 5])
def test_the_holder_and_its_type_are_read(type_):
    listing = parse.full_status(recorded(f"1.46/35-full-status-type{type_}").out)

    assert listing.reservation == Reservation(key=A, type=type_)
    assert [registration.holds for registration in listing.registrations] == [True, False]


@pytest.mark.parametrize("type_", [7, 8])
def test_where_all_registrants_hold_it_nobody_is_the_holder_and_both_requests_say_so(type_):
    listing = parse.full_status(recorded(f"1.46/35-full-status-type{type_}").out)

    assert listing.reservation == Reservation(key=0, type=type_)
    assert all(registration.holds for registration in listing.registrations)
    if type_ == 7:
        assert parse.reservation(recorded("1.46/33-reservation-type7").out).reservation == listing.reservation


def test_lines_of_an_inquiry_are_passed_over():
    assert parse.keys(recorded("1.46/10-keys-none").out) == parse.Listing(generation=2)
    assert parse.full_status(recorded("1.46/13-full-status-none").out) == parse.Listing(generation=2)


def test_a_registration_for_all_target_ports_has_no_port():
    text = recorded("1.46/15-full-status-two").out.replace("bit clear\n      Relative port address: 0x1", "bit set", 1)

    assert [" through " in registration.nexus for registration in parse.full_status(text).registrations] == [
        False,
        True,
    ]


def test_a_list_cut_off_by_its_buffer_is_not_read_as_a_list_with_a_key_0():
    with pytest.raises(ValueError, match="cut off"):
        parse.keys(recorded("1.46/14-keys-two-alloc16").out)


def test_more_registrations_than_surely_fit_are_not_read_from_a_full_status():
    assert len(parse.keys(recorded("1.46/keys-110").out).registrations) == 110
    with pytest.raises(ValueError, match="110 registrations"):
        parse.full_status(recorded("1.46/full-status-110").out)


def test_more_keys_than_the_tool_reads_are_no_list_of_keys():
    text = "  PR generation=0x7d0, 1023 registered reservation keys follow:\n" + "    0x1\n" * 1023

    with pytest.raises(ValueError, match="no more than 1023"):
        parse.keys(text)
    assert len(parse.keys(text.replace("1023", "1022").removesuffix("    0x1\n")).registrations) == 1022


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("35-full-status-type1", parse.full_status),
        ("14-keys-two", parse.keys),
        ("33-reservation-type5", parse.reservation),
    ],
)
def test_output_that_ends_early_is_not_read(name, read):
    lines = recorded(f"1.46/{name}").out.splitlines(keepends=True)
    # A registration of a full status is complete with the line that tells whether it holds; its name comes last.
    end = len(lines) if read is not parse.full_status else lines.index("      not reservation holder\n") + 1

    assert read("".join(lines[:end]))
    ends = range(end) if read is not parse.full_status else [*range(6), end - 1, end - 2, end - 3]
    for early in ends:
        with pytest.raises(ValueError):
            read("".join(lines[:early]))


@pytest.mark.parametrize("read", [parse.full_status, parse.keys, parse.reservation])
@pytest.mark.parametrize(
    "name",
    [
        "1.46/vmsvc-full-status-held",
        "1.46/vmsvc-keys-two",
        "1.46/vmsvc-reservation-held",
        "1.46/12-text-that-is-none",
        "mpathpersist-0.9.4/10-in-keys",
        "mpathpersist-0.9.4/22-in-full-status",
        "mpathpersist-0.9.4/22-in-reservation",
    ],
)
def test_the_output_of_another_request_or_tool_is_not_taken_for_an_answer(name, read):
    right = {parse.full_status: "vmsvc-full-status", parse.keys: "vmsvc-keys", parse.reservation: "vmsvc-reservation"}
    text = "hello\n" if name.endswith("none") else recorded(name).out
    if right[read] in name:
        assert read(text)
    else:
        with pytest.raises(ValueError):
            read(text)


def test_types_that_the_standard_has_dropped_stay_numbers():
    text = recorded("1.46/33-reservation-type5").out

    dropped = parse.reservation(text.replace("Write Exclusive, registrants only", "obsolete [0xa]"))
    assert dropped.reservation == Reservation(key=A, type=10)
    for strange in ("Write Exclusive, sometimes", "obsolete"):
        with pytest.raises(ValueError, match="unknown type"):
            parse.reservation(text.replace("Write Exclusive, registrants only", strange))


def test_a_reservation_of_less_than_the_disk_is_not_taken_for_one():
    text = recorded("1.46/33-reservation-type5").out.replace("LU_SCOPE, ", "1 ")

    with pytest.raises(ValueError, match="scope"):
        parse.reservation(text)


def test_what_the_tool_said_is_kept_in_one_line_with_the_attention_that_it_was():
    outcome = recorded("1.46/52-a-first-command-after-preempt")

    words = parse.said(outcome.code, outcome.err)
    assert "Additional sense: Registrations preempted" in words
    assert words.endswith("(exit code 6)")
    assert "\n" not in words
    assert "Usage" not in parse.said(1, recorded("1.46/87-no-device").err)
    assert not parse.said(0, "")


@pytest.mark.parametrize(
    ("told", "name"),
    [
        # What sg_decode_transportid_str() of libsgutils2 1.46 makes of TransportIDs, below "Transport Id of initiator:".
        ("        FCP-2 World Wide Name:\n      21 00 00 24 ff 31 a2 b3\n", "fc 21000024ff31a2b3"),
        ("        SAS address: 0x500605b00a1b2c3d\n", "sas 500605b00a1b2c3d"),
        ("        iSCSI name: iqn.2024-01.lab:host1\n", "iscsi iqn.2024-01.lab:host1"),
        (
            "        iSCSI world wide unique port id: iqn.2024-01.lab:Host1,i,0x00023d000002\n",
            "iscsi iqn.2024-01.lab:host1",
        ),
        ("        RDMA initiator port identifier:\n      00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f\n", ""),
        ("", ""),
    ],
)
def test_an_initiator_is_named_in_one_way_of_writing(told, name):
    text = recorded("1.46/vmsvc-full-status-held").out
    lines = text.splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if "Transport Id" in line)
    changed = "".join([*lines[: start + 1], told, *lines[start + 2 :]])
    assert parse.full_status(changed).registrations[0].initiator == name
