"""Commands inside of containers, on a stand-in for the engine; the lab runs them on real ones."""

import contextlib
import gc
import socket
import struct
import threading
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_docker.attached import Attached
from vmsvc_docker.frames import Demultiplexer

from vmsvc.driver import OUTPUT_LIMIT, ActionFailed, NoWayIn, Undetermined

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(scope="module", autouse=True)
def _garbage_collected():
    yield
    gc.collect()


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=20)), max_size=8),
    st.lists(st.integers(1, 30), max_size=20),
)
def test_the_streams_are_taken_apart_however_the_pieces_arrive(frames, cuts):
    whole = b"".join(struct.pack(">BxxxL", stream, len(data)) + data for stream, data in frames)
    both = Demultiplexer()
    for cut in [*cuts, len(whole)]:
        piece, whole = whole[:cut], whole[cut:]
        both.feed(piece)
    both.feed(whole)
    assert bytes(both.out) == b"".join(data for stream, data in frames if stream == 1)
    assert bytes(both.err) == b"".join(data for stream, data in frames if stream == 2)


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 500", b"\x03\x00\x00\x00\x00\x00\x00\x01a", b"plain text, and some more"]
)
def test_what_is_no_output_of_a_command_is_not_taken_for_one(garbage):
    with pytest.raises(Undetermined, match="cannot be read"):
        Demultiplexer().feed(garbage)


def test_a_command_its_arguments_environment_output_and_code(driver, engine, guest):
    engine.add("web")

    def program(command, say):
        say(1, b"out\xff\n", split=True)
        say(2, b"err")
        return 7

    engine.program = program
    argv = ["printf", "%s", "a b", "it's", 'say "x"', "two\nlines", "ü", "", "$HOME", "-x"]
    outcome = driver.enter(guest, argv, budget_s=5, environment={"A": "b c=d"})
    assert (outcome.argv, outcome.code, outcome.truncated) == (tuple(argv), 7, False)
    assert (outcome.stdout, outcome.stderr) == (b"out\xff\n", b"err")
    (command,) = engine.commands.values()
    assert command["Cmd"] == argv
    assert command["Env"][0] == "A=b c=d"
    assert command["User"] == "0", "as its administrator, whoever its own processes run as"
    assert not command["Tty"]


def test_output_beyond_the_limit_is_dropped_and_said_to_be(driver, engine, guest):
    engine.add("web")

    def program(command, say):
        for _ in range(3 * OUTPUT_LIMIT // 65536):
            say(1, b"x" * 65536)
        say(2, b"short")
        return 0

    engine.program = program
    outcome = driver.enter(guest, ["yes"], budget_s=20)
    assert (len(outcome.stdout), outcome.stderr, outcome.truncated) == (OUTPUT_LIMIT, b"short", True)


@pytest.mark.parametrize("state", ["absent", "exited", "paused", "created", "restarting"])
def test_where_nothing_runs_there_is_no_way_in(driver, engine, guest, state):
    if state != "absent":
        engine.add("web", state)
    with pytest.raises(NoWayIn):
        driver.enter(guest, ["true"], budget_s=5)
    assert engine.commands == {}


def test_where_the_engine_is_silent_there_is_no_way_in(driver, engine, guest):
    engine.silent.set()
    began = time.monotonic()
    with pytest.raises(Undetermined):
        driver.enter(guest, ["true"], budget_s=0.5)
    assert time.monotonic() - began < 4


def test_a_container_that_stops_meanwhile_is_no_way_in(driver, engine, guest):
    engine.add("web")

    def stop(method, path):
        if path.endswith("/exec"):
            engine.containers["web"]["state"] = "exited"

    engine.before = stop
    with pytest.raises(NoWayIn, match="is not running"):
        driver.enter(guest, ["true"], budget_s=5)


@pytest.mark.parametrize(
    ("server", "pid", "said", "code", "fails"),
    [
        ("Docker/20.10", 0, b'OCI runtime exec failed: exec: "nosuch": executable file not found in $PATH', 126, True),
        ("Docker/20.10", 4711, b"sh: nosuch: not found", 127, False),
        ("Libpod/4.3.1", 0, b"Error: crun: OCI runtime attempted to invoke a command that was not found", 127, True),
        ("Libpod/4.3.1", 0, b"Error: crun: open executable: Operation not permitted: OCI permission denied", 126, True),
        ("Libpod/4.3.1", 0, b"sh: nosuch: not found", 127, False),
    ],
)  # fmt: skip
def test_a_program_that_is_not_there_is_told_from_a_code_that_looks_like_it(
    driver, engine, guest, server, pid, said, code, fails
):
    engine.server = server
    engine.add("web")

    def program(command, say):
        command["Pid"] = pid
        say(2, said)
        return code

    engine.program = program
    if fails:
        with pytest.raises(ActionFailed, match="no such command in web"):
            driver.enter(guest, ["nosuch"], budget_s=5)
    else:
        assert driver.enter(guest, ["sh", "-c", "nosuch"], budget_s=5).code == code


def test_a_command_that_does_not_end_is_killed_by_what_marks_its_processes(driver, engine, guest):
    engine.add("web")
    ended = threading.Event()

    def program(command, say):
        if command["Cmd"][:2] == ["sh", "-c"]:
            ended.set()
            return 0
        say(1, b"begun")
        ended.wait(10)
        return 137

    engine.program = program
    began = time.monotonic()
    with pytest.raises(
        Undetermined, match=r"sleep 1000 in web did not end within 0.5 s and was killed; it said last: begun"
    ):
        driver.enter(guest, ["sleep", "1000"], budget_s=0.5)
    assert time.monotonic() - began < 3
    first, killer = engine.commands.values()
    assert killer["Cmd"][3] == first["Env"][-1], "the mark"
    assert killer["Env"] == []


def test_an_engine_that_breaks_off_during_a_command_is_undetermined_and_the_command_is_not_repeated(
    driver, engine, guest
):
    engine.add("web")

    def program(command, say):
        say(1, b"begun")
        engine.breaks = 100
        return 0

    engine.program = program
    with pytest.raises(Undetermined) as lost:
        driver.enter(guest, ["true"], budget_s=5)
    assert not isinstance(lost.value, NoWayIn)
    assert len(engine.commands) == 1


def test_several_commands_at_a_time(driver, engine, guest):
    engine.add("web")
    together = threading.Barrier(4, timeout=10)
    engine.program = lambda command, say: together.wait() * 0
    codes = []
    threads = [
        threading.Thread(target=lambda: codes.append(driver.enter(guest, ["true"], budget_s=10).code)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0, 0, 0]


@pytest.fixture
def gushing():
    """Output without an end, as it is received; and a function that tells how much of it has left the engine."""
    ours, theirs = socket.socketpair()
    sent = [0]

    def gush():
        with contextlib.suppress(OSError):
            while True:
                sent[0] += theirs.send(b"x" * 65536)

    threading.Thread(target=gush, daemon=True).start()
    file = ours.makefile("rb")
    body = SimpleNamespace(raw=SimpleNamespace(_fp=SimpleNamespace(fp=file)), close=lambda: None)
    yield Attached(body), lambda: sent[0]
    for each in (file, ours, theirs):
        each.close()


def settled(number):
    """A number, once it does not grow any more."""
    deadline = time.monotonic() + 10
    while True:
        before = number()
        time.sleep(0.3)
        if number() == before:
            return before
        assert time.monotonic() < deadline


def test_output_that_nobody_reads_now_is_not_piled_up(gushing):
    attached, sent = gushing
    piled = settled(sent)
    assert piled < 8 << 20
    read = sum(len(attached.read(1.0)) for _ in range(64))
    assert read > 0
    assert settled(sent) >= piled + read // 2
    attached.close()


def test_a_receiver_that_waits_for_its_reader_ends_with_it(gushing):
    attached, sent = gushing
    settled(sent)
    attached.close()
    deadline = time.monotonic() + 5
    while any(each.name == "vmsvc docker output" for each in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
