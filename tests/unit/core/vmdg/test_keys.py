"""Keys are numbers: however they are written, two of them are equal or they are not."""

from __future__ import annotations

import pytest

from vmsvc.core.vmdg.keys import LARGEST, key_text, new_key, parse_key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("0x00000000000000a1", 0xA1),
        ("0xa1", 0xA1),
        ("0xA1", 0xA1),
        ("0XA1", 0xA1),
        (" 0xa1\n", 0xA1),
        ("0x1234", 0x1234),
        ("0xffffffffffffffff", LARGEST),
    ],
)
def test_leading_zeros_and_case_make_no_difference(text, key):
    assert parse_key(text) == key
    assert parse_key(key_text(key)) == key


@pytest.mark.parametrize(
    "text",
    [
        "1234",  # decimal or not? sg_persist takes it for 0x1234
        "a1b2",
        "0x12zz",  # sg_persist: 0x12, and exit code 0
        "0x1234567890abcdef1",  # sg_persist: 0xffffffffffffffff, and exit code 0
        "0x",
        "",
        "-0x1",
        "0x0",  # unregisters
        "0x0000000000000000",
        "0x١",  # a digit, but not of ours  # noqa: RUF001
    ],
)
def test_what_tools_would_take_for_another_key_is_none(text):
    with pytest.raises(ValueError, match="hexadecimal"):
        parse_key(text)


def test_a_key_is_written_in_full_so_that_texts_of_equal_keys_are_equal():
    assert key_text(0xA1) == "0x00000000000000a1"


def test_new_keys_differ_and_survive_tools_that_drop_zeros():
    keys = {new_key() for _ in range(1000)}
    assert len(keys) == 1000
    assert all(len(f"{key:x}") == 16 for key in keys)
