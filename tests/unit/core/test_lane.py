from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from vmsvc.core.errors import Undetermined
from vmsvc.core.lane import Lane, call_within


class Daemon:
    """The other end of connections: it can hang, refuse, and be repaired."""

    def __init__(self):
        self.opened = 0
        self.closed = []
        self.answers = threading.Event()
        self.answers.set()
        self.owners = {}

    def connect(self):
        self.opened += 1
        self.owners[self.opened] = threading.get_ident()
        return self.opened

    def disconnect(self, connection):
        assert threading.get_ident() == self.owners[connection]
        self.closed.append(connection)

    def ask(self, connection):
        assert threading.get_ident() == self.owners[connection]
        self.answers.wait(30)
        return f"connection {connection}"


@pytest.fixture
def daemon():
    made = Daemon()
    yield made
    made.answers.set()


def lane_to(daemon, name, **more):
    return Lane(name, connect=daemon.connect, disconnect=daemon.disconnect, **more)


def threads_of(name):
    return sum(thread.name == f"vmsvc lane {name}" for thread in threading.enumerate())


def fails(call, *arguments, **more):
    with pytest.raises(Undetermined):
        call(*arguments, **more)


def until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_connection_serves_many_calls_and_is_closed_by_its_thread(daemon):
    lane = lane_to(daemon, "one")
    assert daemon.opened == 0
    assert [lane.call(daemon.ask, budget_s=1) for _ in range(3)] == ["connection 1"] * 3
    lane.close()
    until(lambda: daemon.closed == [1])
    until(lambda: threads_of("one") == 0)
    lane.close()
    assert lane.call(lambda connection: connection, budget_s=1) == 2
    lane.close()


def test_fifty_calls_against_a_hang(daemon):
    lane = lane_to(daemon, "fifty")
    daemon.answers.clear()
    began = time.monotonic()
    codes = []
    for _ in range(50):
        with pytest.raises(Undetermined) as error:
            lane.call(daemon.ask, budget_s=0.1)
        codes.append(error.value.code)
    assert codes == ["undetermined.timeout"] * 3 + ["undetermined.not-answering"] * 47
    assert time.monotonic() - began < 1
    assert threads_of("fifty") == 3
    # A lane of the same name shares the count, another name does not.
    with pytest.raises(Undetermined, match="3 earlier calls have not returned"):
        lane_to(daemon, "fifty").call(daemon.ask, budget_s=5)
    assert call_within("another", lambda: 7, budget_s=1) == 7

    daemon.answers.set()
    until(lambda: threads_of("fifty") == 0)
    assert sorted(daemon.closed) == [1, 2, 3]
    assert lane.call(daemon.ask, budget_s=1) == "connection 4"
    lane.close()


def test_errors_are_the_callers_and_the_connection_stays(daemon):
    lane = lane_to(daemon, "errors")
    for _ in range(2):
        with pytest.raises(KeyError, match="x"):
            lane.call(lambda _: {}["x"], budget_s=1)
    assert lane.call(lambda connection: connection, budget_s=1) == 1
    lane.close()


def test_a_broken_connection_is_replaced(daemon):
    lane = lane_to(daemon, "broken", is_broken=lambda error: isinstance(error, ConnectionError))
    with pytest.raises(ConnectionResetError):
        lane.call(lambda _: (_ for _ in ()).throw(ConnectionResetError()), budget_s=1)
    assert lane.call(lambda connection: connection, budget_s=1) == 2
    with pytest.raises(KeyError):
        lane.call(lambda _: {}["x"], budget_s=1)
    assert lane.call(lambda connection: connection, budget_s=1) == 2
    lane.close()


def test_a_connection_that_is_refused_is_tried_again():
    attempts = []

    def connect():
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionRefusedError
        return "open"

    lane = Lane("refused", connect=connect, disconnect=lambda _: None)
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            lane.call(lambda connection: connection, budget_s=1)
    assert lane.call(lambda connection: connection, budget_s=1) == "open"
    lane.close()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_client_that_wants_to_end_the_program_does_not(error):
    def work():
        raise error

    for _ in range(20):  # none of them counts as abandoned
        with pytest.raises(Undetermined, match=f"exiting broke off with {type(error).__name__}"):
            call_within("exiting", work, budget_s=5)


def test_calls_of_many_threads_take_turns(daemon):
    lane = lane_to(daemon, "turns")
    running = []

    def work(connection):
        running.append(1)
        assert len(running) == 1
        time.sleep(0.005)
        running.pop()
        return connection

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: lane.call(work, budget_s=10), range(60)))
    assert found == [1] * 60
    lane.close()


def test_a_call_whose_turn_does_not_come_is_undetermined(daemon):
    lane = lane_to(daemon, "queue")
    daemon.answers.clear()
    first = threading.Thread(target=lambda: fails(lane.call, daemon.ask, budget_s=1.0))
    first.start()
    until(lambda: daemon.opened == 1)
    with pytest.raises(Undetermined, match="an earlier call was still going on"):
        lane.call(daemon.ask, budget_s=0.1)
    first.join()


def test_a_budget_that_is_spent_already(daemon):
    lane = lane_to(daemon, "spent")
    with pytest.raises(Undetermined):
        lane.call(lambda _: time.sleep(0.2), budget_s=-1.0)
    until(lambda: threads_of("spent") == 0)
    assert lane.call(lambda connection: connection, budget_s=1) == 2
    lane.close()


def test_a_disconnect_that_fails_harms_nobody():
    def disconnect(_):
        raise OSError("gone")

    lane = Lane("gone", connect=lambda: 1, disconnect=disconnect)
    assert lane.call(lambda connection: connection, budget_s=1) == 1
    lane.close()
    until(lambda: threads_of("gone") == 0)


def test_closing_while_a_call_hangs_leaves_the_count_right(daemon):
    lane = lane_to(daemon, "closing")
    for _ in range(5):
        daemon.answers.clear()
        caller = threading.Thread(target=lambda: fails(lane.call, daemon.ask, budget_s=0.1))
        caller.start()
        until(lambda: threads_of("closing") == 1)
        lane.close()
        caller.join()
        daemon.answers.set()
        until(lambda: threads_of("closing") == 0)
    assert lane.call(lambda connection: connection, budget_s=1)
    lane.close()


EXITS = {
    "hung calls": """
        lane = Lane("x", connect=lambda: None, disconnect=lambda _: None)
        for _ in range(10):
            try:
                lane.call(lambda _: time.sleep(600), budget_s=0.05)
            except Undetermined:
                pass
    """,
    "a hung connect": """
        try:
            Lane("x", connect=lambda: time.sleep(600), disconnect=lambda _: None).call(print, budget_s=0.05)
        except Undetermined:
            pass
    """,
    "an open connection whose disconnect hangs": """
        lane = Lane("x", connect=lambda: None, disconnect=lambda _: time.sleep(600))
        lane.call(lambda _: None, budget_s=5)
    """,
    "a closed one whose disconnect hangs": """
        lane = Lane("x", connect=lambda: None, disconnect=lambda _: time.sleep(600))
        lane.call(lambda _: None, budget_s=5)
        lane.close()
    """,
}


@pytest.mark.parametrize("code", list(EXITS.values()), ids=list(EXITS))
def test_the_program_exits_promptly_with(code):
    head = "import time\nfrom vmsvc.core.errors import Undetermined\nfrom vmsvc.core.lane import Lane\n"
    tail = "print('end', time.monotonic())\n"
    done = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code) + tail],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    word, at = done.stdout.split()
    assert word == "end"
    assert time.monotonic() - float(at) < 2
    assert done.stderr == ""
