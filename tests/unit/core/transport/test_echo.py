"""Echo requests to many addresses at once: real ones, on the loopback."""

from __future__ import annotations

import errno
import socket
import threading
import time

import pytest

from vmsvc.core.transport import echo
from vmsvc.core.transport.echo import answering

LOOPBACK = [f"127.0.{number // 200}.{number % 200 + 1}" for number in range(1000)]


@pytest.fixture(autouse=True)
def permitted():
    """Root may send them, and others where `ping_group_range` lets them."""
    try:
        answering(["127.0.0.1"], wait_s=0.5)
    except PermissionError:
        pytest.skip("this user may not send echo requests")


def test_a_thousand_addresses_take_seconds_and_are_paced():
    began = time.monotonic()
    heard = answering(LOOPBACK, wait_s=0.5)
    took_s = time.monotonic() - began
    assert set(heard.answers) == set(LOOPBACK)
    assert heard.unasked == {}
    assert all(0 < each < 0.5 for each in heard.answers.values())
    assert 0.7 < took_s < 3.0


def test_an_answer_is_that_of_the_one_who_was_asked(monkeypatch):
    sent = []

    class Silent(socket.socket):
        def sendto(self, packet, target):
            sent.append(target[0])
            return len(packet) if target[0].startswith("127.9.") else super().sendto(packet, target)

    monkeypatch.setattr(echo.socket, "socket", Silent)
    began = time.monotonic()
    heard = answering(["127.9.0.1", "127.0.0.1", "127.9.0.2"], wait_s=0.3)
    assert (list(heard.answers), heard.unasked) == (["127.0.0.1"], {})
    assert sent == ["127.9.0.1", "127.0.0.1", "127.9.0.2", "127.9.0.1", "127.9.0.2"]  # who is silent is asked again
    assert 0.3 <= time.monotonic() - began < 1.0


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_both_families_are_asked_and_zones_are_no_matter():
    heard = answering(["::1", "127.0.0.1", "::1%lo"], wait_s=0.5)
    assert {"::1", "127.0.0.1"} <= set(heard.answers)


def test_whom_the_kernel_lets_nobody_ask_is_told_with_its_reason(monkeypatch):
    class Walled(socket.socket):
        def sendto(self, packet, target):
            if target[0] == "127.0.0.2":
                raise OSError(errno.ENETUNREACH, "Network is unreachable")
            return super().sendto(packet, target)

    monkeypatch.setattr(echo.socket, "socket", Walled)
    heard = answering(["127.0.0.1", "127.0.0.2", "nobody"], wait_s=0.2)
    assert list(heard.answers) == ["127.0.0.1"]
    assert heard.unasked["127.0.0.2"] == "Network is unreachable"
    assert set(heard.unasked) == {"127.0.0.2", "nobody"}


def test_who_asks_at_the_same_time_hears_the_answers_to_his_own_requests():
    heard = []
    asking = [
        threading.Thread(target=lambda part=part: heard.append((part, answering(part, wait_s=0.3))))
        for part in (LOOPBACK[:50], LOOPBACK[25:75], LOOPBACK[50:100])
    ]
    for each in asking:
        each.start()
    for each in asking:
        each.join(10)
    assert len(heard) == 3
    assert all(set(answers.answers) == set(part) for part, answers in heard)


def test_who_is_permitted_nothing_is_told_so(monkeypatch):
    def refused(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(echo.socket, "socket", refused)
    with pytest.raises(PermissionError):
        answering(["127.0.0.1"], wait_s=0.1)


def test_nobody_is_asked_where_there_is_nobody():
    assert answering([], wait_s=0.0).answers == {}
