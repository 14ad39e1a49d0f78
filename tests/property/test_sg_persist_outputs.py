"""Whatever a tool prints is read as what it says, or not at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.vmdg.recordings import DIRECTORY, recorded
from vmsvc.core.vmdg.seen import HELD_BY_ALL, Answer, ReservationType
from vmsvc.core.vmdg.tools import parse
from vmsvc.core.vmdg.tools.mpathpersist import keeps_keys

READS = (parse.full_status, parse.keys, parse.reservation)
NAMES = sorted(str(file.relative_to(DIRECTORY))[:-4] for file in DIRECTORY.glob("*/*.txt") if "110" not in file.name)
WORDS = {
    1: "Write Exclusive",
    3: "Exclusive Access",
    5: "Write Exclusive, registrants only",
    6: "Exclusive Access, registrants only",
    7: "Write Exclusive, all registrants",
    8: "Exclusive Access, all registrants",
}
keys = st.integers(1, 2**64 - 1)
generations = st.integers(0, 2**32 - 1)
types = st.sampled_from(ReservationType)


@given(generations, st.lists(keys, max_size=1022))
def test_every_list_of_keys_is_read(generation, listed):
    counted = {0: "there are NO registered reservation keys", 1: "1 registered reservation key follows:"}
    head = counted.get(len(listed), f"{len(listed)} registered reservation keys follow:")
    text = f"  PR generation=0x{generation:x}, {head}\n" + "".join(f"    0x{key:x}\n" for key in listed)

    listing = parse.keys(text)

    assert listing.generation == generation
    assert [registration.key for registration in listing.registrations] == listed


@given(generations, keys, types)
def test_every_reservation_is_read(generation, key, type_):
    shown = 0 if type_ in HELD_BY_ALL else key
    text = f"  PR generation=0x{generation:x}, Reservation follows:\n    Key=0x{shown:x}\n"
    listing = parse.reservation(f"{text}    scope: LU_SCOPE,  type: {WORDS[type_]}\n")

    assert listing.reservation is not None
    assert (listing.generation, listing.reservation.key, listing.reservation.type) == (generation, shown, type_)


@given(generations, st.lists(keys, min_size=1, max_size=parse.FULL_STATUS_FITS), types, st.data())
def test_every_full_status_is_read(generation, listed, type_, data):
    holder = data.draw(st.none() | st.integers(0, len(listed) - 1))
    text = f"  PR generation=0x{generation:x}\n"
    for number, key in enumerate(listed):
        holds = holder is not None and (type_ in HELD_BY_ALL or number == holder)
        text += f"    Key=0x{key:x}\n      All target ports bit clear\n      Relative port address: 0x{number:x}\n"
        text += "      << Reservation holder >>\n" if holds else "      not reservation holder\n"
        text += f"      scope: LU_SCOPE,  type: {WORDS[type_]}\n" if holds else ""
        text += "      Transport Id of initiator:\n        SAS address: 0x6001405000010001\n"

    listing = parse.full_status(text)

    assert listing.generation == generation
    assert [registration.key for registration in listing.registrations] == listed
    assert (listing.reservation is None) == (holder is None)
    if holder is not None:
        assert listing.reservation is not None
        assert listing.reservation.key == (0 if type_ in HELD_BY_ALL else listed[holder])
        assert sum(registration.holds for registration in listing.registrations) == (
            len(listed) if type_ in HELD_BY_ALL else 1
        )


@given(st.sampled_from(NAMES), st.data())
def test_damaged_output_is_refused_or_read_and_nothing_else_happens(name, data):
    lines = recorded(name).out.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines)))
        lines[place : place + data.draw(st.integers(0, 2))] = data.draw(
            st.lists(st.text(max_size=30).map(lambda text: text + "\n") | st.sampled_from(lines or [""]), max_size=2)
        )
    for read in READS:
        try:
            listing = read("".join(lines))
        except ValueError:
            continue
        assert 0 not in [registration.key for registration in listing.registrations]


@given(st.integers(-64, 255), st.text(max_size=200))
def test_only_a_clean_exit_code_of_0_is_done(code, err):
    answer = parse.answer_of(code, err)

    assert isinstance(answer, Answer)
    assert (answer is Answer.DONE) <= (code == 0)
    assert "\n" not in parse.said(code, err).strip()


@given(st.text(alphabet='{}"# \nabc_file', max_size=60))
def test_no_configuration_breaks_the_reader(text):
    assert keeps_keys(text)("mpatha", "36") in {True, False}
