"""ClientLanes to several servers: each call in a lane of its own, asked again only where a connection was left over."""

from __future__ import annotations

import threading
import time

import pytest

from vmsvc.driver import ClientLanes, ConnectionLost, DriverError, Undetermined, ask, ask_once, survey_each


class Server:
    """Clients of a server; the first of them lose their connections at their first call."""

    def __init__(self, lost=0):
        self.lost = lost
        self.opened = self.closed = 0

    def client(self):
        self.opened += 1
        return Client(self)


class Client:
    def __init__(self, server):
        self.server = server
        self.number = server.opened

    def guarded(self, work, deadline):
        if time.monotonic() > deadline:
            raise Undetermined("too late")
        if self.number <= self.server.lost:
            raise ConnectionLost("it broke")
        return work(self)

    def close(self):
        self.server.closed += 1


@pytest.fixture
def lanes():
    made = ClientLanes(Client.close)
    yield made
    made.close()


def test_a_name_has_one_lane_and_one_connection(lanes):
    server = Server()
    ways = [lanes.lane("a, status", server.client) for _ in range(2)]
    assert [ask(way, lambda client: client.number, budget_s=1.0) for way in ways] == [1, 1]
    assert ways[0] is ways[1]
    assert lanes.lane("a, status", server.client, key="another") is not ways[0]


def test_a_connection_that_was_left_over_is_opened_again_once(lanes):
    server = Server(lost=1)
    assert ask(lanes.lane("a", server.client), lambda client: client.number, budget_s=1.0) == 2
    gone = Server(lost=9)
    with pytest.raises(ConnectionLost):
        ask(lanes.lane("b", gone.client), lambda client: client.number, budget_s=1.0)
    assert gone.opened == 2


def test_what_must_not_be_done_twice_is_asked_once(lanes):
    server = Server(lost=1)
    with pytest.raises(ConnectionLost):
        ask_once(lanes.lane("a", server.client), lambda client: client.number, budget_s=1.0)
    assert server.opened == 1


def test_an_answer_that_is_no_leaves_the_connection_open(lanes):
    server = Server()
    way = lanes.lane("a", server.client)

    def refuse(client):
        raise DriverError("no")

    with pytest.raises(DriverError):
        ask(way, refuse, budget_s=1.0)
    assert (ask(way, lambda client: client.number, budget_s=1.0), server.opened, server.closed) == (1, 1, 0)


def test_work_side_by_side_has_lanes_of_its_own_which_are_used_again(lanes):
    server = Server()
    with lanes.idle("a", server.client) as one, lanes.idle("a", server.client) as other:
        assert one is not other
        numbers = {ask(way, lambda client: client.number, budget_s=1.0) for way in (one, other)}
    with lanes.idle("a", server.client) as again:
        assert ask(again, lambda client: client.number, budget_s=1.0) in numbers
    assert server.opened == 2


def test_closing_lets_every_connection_go(lanes):
    server = Server()
    ask(lanes.lane("a", server.client), lambda client: None, budget_s=1.0)
    with lanes.idle("a", server.client) as way:
        ask(way, lambda client: None, budget_s=1.0)
    lanes.close()
    deadline = time.monotonic() + 5.0
    while server.closed < server.opened and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.closed == server.opened == 2


def test_servers_are_asked_once_each_and_all_at_once():
    meeting = threading.Barrier(3, timeout=5.0)

    def survey(server, guests):
        meeting.wait()  # none returns before all were asked
        return dict.fromkeys(guests, server)

    guests = ["a1", "b1", "a2", "c1"]
    assert survey_each(guests, lambda guest: guest[0], survey) == {"a1": "a", "a2": "a", "b1": "b", "c1": "c"}


def test_no_guests_ask_no_server():
    assert survey_each([], str, lambda server, guests: pytest.fail("asked")) == {}
