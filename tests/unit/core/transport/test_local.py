"""Real commands, run through the real helper process."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmsvc.core.errors import ActionFailed, Undetermined, UsageError
from vmsvc.core.transport import Host, local, runner
from vmsvc.core.transport.command import shown
from vmsvc.core.transport.local import LocalHost

BUDGET_S = 20.0
SOURCES = str(Path(local.__file__).parents[3])


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalHost]:
    with contextlib.closing(LocalHost("here")) as host:
        yield host


@pytest.fixture
def host() -> Iterator[LocalHost]:
    with contextlib.closing(LocalHost("here")) as host:
        yield host


def stat_of(pid: int) -> tuple[str, int] | None:
    """State and parent of a process; ``None`` where there is no such process."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:2]
    except OSError:
        return None
    return state.decode(), int(parent)


def is_alive(pid: int) -> bool:
    stat = stat_of(pid)
    return stat is not None and stat[0] != "Z"


def children_of(pid: int) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [child for child in pids if (stat := stat_of(child)) is not None and stat[1] == pid]


def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> bool:
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def pids_in(path: Path, count: int) -> list[int]:
    assert eventually(lambda: path.exists() and len(path.read_text().split()) >= count)
    return [int(word) for word in path.read_text().split()]


def runner_of(host: LocalHost) -> int:
    assert host._runner is not None
    return host._runner._process.pid


def start(host: LocalHost, argv: list[str], *, budget_s: float = BUDGET_S) -> tuple[threading.Thread, list[object]]:
    """Run a command in a thread; its outcome or error is put into the list."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(host.run(argv, budget_s=budget_s))
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


# What a command is given, and what it leaves behind


def test_it_is_a_host(shared: LocalHost) -> None:
    as_protocol: Host = shared
    assert as_protocol.name == "here"
    assert LocalHost().name


def test_outcome(shared: LocalHost) -> None:
    outcome = shared.run(["sh", "-c", "echo out; echo err >&2; sleep 0.2; exit 3"], budget_s=BUDGET_S)
    assert (outcome.code, outcome.out, outcome.err) == (3, "out\n", "err\n")
    assert outcome.argv == ("sh", "-c", "echo out; echo err >&2; sleep 0.2; exit 3")
    assert 0.2 <= outcome.duration_s < BUDGET_S
    assert not outcome.truncated


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGPIPE, signal.SIGHUP])
def test_a_signal_is_a_negative_code(shared: LocalHost, number: int) -> None:
    assert shared.run(["sh", "-c", f"kill -{int(number)} $$"], budget_s=BUDGET_S).code == -number


@pytest.mark.parametrize("code", [0, 1, 127, 255])
def test_exit_codes(shared: LocalHost, code: int) -> None:
    assert shared.run(["sh", "-c", f"exit {code}"], budget_s=BUDGET_S).code == code


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_arguments_arrive_exactly(shared: LocalHost, arguments: list[str]) -> None:
    outcome = shared.run(["printf", r"%s\0", *arguments], budget_s=BUDGET_S)
    assert outcome.out.split("\0")[:-1] == arguments


@pytest.mark.parametrize("argument", ["", " ", "a b", "'\"`$(x)", "two\nlines", "é ☃ 𝄞", "--", "~", "*", "x" * 100_000])
def test_odd_arguments_arrive_exactly(shared: LocalHost, argument: str) -> None:
    assert shared.run(["printf", r"%s\0%s", argument, "end"], budget_s=BUDGET_S).out == f"{argument}\0end"


def test_passwords_that_are_vmsvc_s_own_are_inherited_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMSVC_ESX_PASSWORD", "hunter2")
    monkeypatch.setenv("VMSVC_ESX_USER", "root")
    with contextlib.closing(LocalHost()) as host:
        outcome = host.run(["sh", "-c", "env -0; cat /proc/$PPID/environ"], budget_s=BUDGET_S)
    assert "VMSVC_ESX_USER=root" in outcome.out
    assert "hunter2" not in outcome.out


def test_the_environment_is_the_callers_with_additions(shared: LocalHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VMSVC_TEST_ODD", "é\n= \udcff")
    additions = {"ADDED": "a\nb=c ☃", "HOME": "/nowhere", "EMPTY": ""}
    outcome = shared.run(["env", "-0"], budget_s=BUDGET_S, environment=additions)
    seen = dict(line.split("=", 1) for line in outcome.out.split("\0")[:-1])
    expected = {**os.environ, **additions, "VMSVC_TEST_ODD": "é\n= \\xff"}
    assert seen == expected


def test_path_additions_are_where_programs_are_looked_for(shared: LocalHost, tmp_path: Path) -> None:
    (tmp_path / "vmsvc-test-tool").write_text("#!/bin/sh\necho found\n")
    (tmp_path / "vmsvc-test-tool").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    assert shared.run(["vmsvc-test-tool"], budget_s=BUDGET_S, environment={"PATH": path}).out == "found\n"


def test_there_is_no_input(shared: LocalHost) -> None:
    assert shared.run(["cat"], budget_s=BUDGET_S).out == ""


def test_commands_get_a_clean_process(shared: LocalHost) -> None:
    script = "grep -E '^Sig(Ign|Blk)' /proc/self/status; ls /proc/$$/fd | tr '\\n' ' '; tty"
    lines = shared.run(["sh", "-c", script], budget_s=BUDGET_S).out.splitlines()
    assert [line.split()[1].strip("0") for line in lines[:2]] == ["", ""]
    assert lines[2] == "0 1 2 not a tty"


def test_a_session_of_its_own_and_the_callers_directory(shared: LocalHost) -> None:
    outcome = shared.run(["sh", "-c", "cut -d' ' -f6 /proc/$$/stat; echo $$; pwd -P"], budget_s=BUDGET_S)
    session, pid, directory = outcome.out.split()
    assert session == pid
    assert os.getsid(runner_of(shared)) not in (os.getsid(0), int(session))
    assert directory == str(Path.cwd())


def test_binary_output_is_escaped_where_text_is_asked_for(shared: LocalHost) -> None:
    outcome = shared.run(["printf", r"\377\000\303\251\303"], budget_s=BUDGET_S)
    assert outcome.out == "\\xff\0é\\xc3"
    assert outcome.stdout == b"\xff\0\xc3\xa9\xc3"


def test_every_byte_is_kept(shared: LocalHost, tmp_path: Path) -> None:
    everything = bytes(range(256)) * 4
    (tmp_path / "all").write_bytes(everything)
    outcome = shared.run(["sh", "-c", "cat $0; cat $0 >&2", str(tmp_path / "all")], budget_s=BUDGET_S)
    assert (outcome.stdout, outcome.stderr) == (everything, everything)


def test_too_much_output_is_dropped_in_bounded_memory(host: LocalHost) -> None:
    host.run(["true"], budget_s=BUDGET_S)
    runner = runner_of(host)
    used = next(line for line in Path(f"/proc/{runner}/status").read_text().splitlines() if line.startswith("VmData"))
    limit = (int(used.split()[1]) << 10) + (80 << 20)  # workers inherit it: they cannot keep 100 MB
    resource.prlimit(runner, resource.RLIMIT_DATA, (limit, limit))
    outcome = host.run(["sh", "-c", "head -c 100000000 /dev/zero; echo end >&2"], budget_s=BUDGET_S)
    assert (outcome.code, outcome.truncated, outcome.err) == (0, True, "end\n")
    assert outcome.out == "\0" * (1 << 20)


@pytest.mark.parametrize(("size", "truncated"), [((1 << 20) - 1, False), (1 << 20, False), ((1 << 20) + 1, True)])
def test_the_limit_is_exact(shared: LocalHost, size: int, truncated: bool) -> None:
    outcome = shared.run(["head", "-c", str(size), "/dev/zero"], budget_s=BUDGET_S)
    assert (len(outcome.out), outcome.truncated) == (min(size, 1 << 20), truncated)


@pytest.mark.parametrize("keep", [10, 4 << 20])
def test_a_driver_says_how_much_of_an_answer_is_kept(shared: LocalHost, keep: int) -> None:
    whole = shared.run(["head", "-c", str(keep), "/dev/zero"], budget_s=10.0, keep=keep)
    assert (len(whole.stdout), whole.truncated) == (keep, False)
    cut = shared.run(["head", "-c", str(keep + 1), "/dev/zero"], budget_s=10.0, keep=keep)
    assert (len(cut.stdout), cut.truncated) == (keep, True)


# Commands that cannot be started


def make_script(path: Path, text: str, mode: int) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_cannot_start(shared: LocalHost, tmp_path: Path) -> None:
    cases = [
        (["vmsvc-no-such-tool", "x"], "action.no-such-command", "no such command in PATH="),
        (["/nonexistent/tool"], "action.no-such-command", "no such file"),
        ([str(tmp_path)], "action.not-executable", "not an executable file"),
        ([make_script(tmp_path / "plain", "x", 0o644)], "action.not-executable", "not an executable file"),
        ([make_script(tmp_path / "garbage", "\x01\x02", 0o755)], "action.cannot-start", "Exec format error"),
        ([make_script(tmp_path / "orphan", "#!/nonexistent\n", 0o755)], "action.cannot-start", "interpreter"),
        (["true", "x" * 200_000], "action.cannot-start", "Argument list too long"),
    ]
    for argv, code, words in cases:
        with pytest.raises(ActionFailed, match=words) as caught:
            shared.run(argv, budget_s=BUDGET_S)
        assert caught.value.code == code
        assert str(caught.value).startswith(f"here: {argv[0]}")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    ("argv", "environment"),
    [
        ([], {}),
        ([""], {}),
        ("ls -l", {}),
        (["echo", "a\0b"], {}),
        (["echo", "\udcff"], {}),
        (["echo"], {"A": "\0"}),
        (["echo"], {"A=B": ""}),
        (["echo"], {"": "x"}),
    ],
)
def test_impossible_requests(shared: LocalHost, argv: list[str], environment: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        shared.run(argv, budget_s=BUDGET_S, environment=environment)


def test_nothing_is_started_without_time(shared: LocalHost, tmp_path: Path) -> None:
    with pytest.raises(Undetermined, match="not started"):
        shared.run(["touch", str(tmp_path / "mark")], budget_s=0.0)
    assert not (tmp_path / "mark").exists()


# Deadlines, daemons, and ends of all kinds


def test_what_was_never_started_is_not_taken_for_what_did_not_end(shared: LocalHost) -> None:
    with pytest.raises(Undetermined, match="not started, since no time was left for it") as caught:
        shared.run(["true"], budget_s=0.0)
    assert caught.value.code == "undetermined.no-time"


def test_a_deadline_ends_the_whole_session(shared: LocalHost, tmp_path: Path) -> None:
    # set -m gives background jobs process groups of their own
    script = "set -m; sleep 1000 & echo $! >$0; sh -c 'sleep 1000 & echo $!; wait' >>$0 & echo $! $$ >>$0; printf 'h\\033m'; wait"
    begun = time.monotonic()
    with pytest.raises(
        Undetermined, match=r"did not end within 0\.5 s, and was killed; it said last: h\\x1bm"
    ) as caught:
        shared.run(["bash", "-c", script, str(tmp_path / "pids")], budget_s=0.5)
    assert time.monotonic() - begun < 5
    assert caught.value.code == "undetermined.timeout"
    pids = pids_in(tmp_path / "pids", 4)
    assert eventually(lambda: not any(map(is_alive, pids)), 2.0)


def test_a_command_that_ignores_sigterm_is_killed(shared: LocalHost, tmp_path: Path) -> None:
    script = "trap 'echo no >$0.no' TERM; echo $$ >$0; while :; do sleep 0.05; done"
    with pytest.raises(Undetermined):
        shared.run(["sh", "-c", script, str(tmp_path / "pid")], budget_s=0.3)
    assert (tmp_path / "pid.no").read_text() == "no\n"
    assert not any(map(is_alive, pids_in(tmp_path / "pid", 1)))


def test_a_command_may_end_in_order_at_sigterm(shared: LocalHost, tmp_path: Path) -> None:
    script = "trap 'echo clean >$0; exit' TERM; while :; do sleep 0.05; done"
    with pytest.raises(Undetermined):
        shared.run(["sh", "-c", script, str(tmp_path / "mark")], budget_s=0.3)
    assert (tmp_path / "mark").read_text() == "clean\n"


def test_a_daemon_with_open_pipes_holds_nobody_up_and_lives_on(host: LocalHost) -> None:
    script = "(while sleep 0.05; do echo tick || exit; done) & echo $!"
    begun = time.monotonic()
    outcome = host.run(["sh", "-c", script], budget_s=BUDGET_S)
    assert time.monotonic() - begun < 3
    daemon = int(outcome.out.split()[0])
    runner = runner_of(host)
    try:
        host.close()
        time.sleep(0.4)  # it has written several times by now, and nobody but the worker can read it
        assert is_alive(daemon)
        assert not is_alive(runner)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_the_worker_that_reads_for_a_daemon_ends_with_it(host: LocalHost) -> None:
    outcome = host.run(["sh", "-c", "sleep 1000 & echo $!"], budget_s=BUDGET_S)
    daemon = int(outcome.out)
    assert len(children_of(runner_of(host))) == 1
    os.kill(daemon, signal.SIGKILL)
    assert eventually(lambda: not children_of(runner_of(host)))


def test_a_daemon_that_left_the_session_survives_a_deadline(shared: LocalHost, tmp_path: Path) -> None:
    script = "setsid sh -c 'echo $$ >$0; exec sleep 1000' $0 & sleep 1000"
    with pytest.raises(Undetermined):
        shared.run(["sh", "-c", script, str(tmp_path / "pid")], budget_s=0.5)
    (daemon,) = pids_in(tmp_path / "pid", 1)
    assert is_alive(daemon)
    os.kill(daemon, signal.SIGKILL)


def test_a_worker_that_does_not_answer_is_abandoned(
    host: LocalHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_ANSWER_GRACE_S", 0.2)
    thread, results = start(host, ["sh", "-c", "echo $$ >$0; sleep 1000", str(tmp_path / "pid")], budget_s=1.0)
    (command,) = pids_in(tmp_path / "pid", 1)
    (worker,) = children_of(runner_of(host))
    os.kill(worker, signal.SIGSTOP)
    thread.join(5)
    assert isinstance(results[0], Undetermined)
    assert "cannot be killed" in str(results[0])
    assert host.run(["true"], budget_s=BUDGET_S).code == 0
    os.kill(worker, signal.SIGCONT)
    assert eventually(lambda: not is_alive(command) and not is_alive(worker))


CALLER = """
import sys
from vmsvc.core.transport.local import LocalHost
host = LocalHost()
host.run(["true"], budget_s=20)
print(host._runner._process.pid, flush=True)
host.run(["sh", "-c", "sleep 1000 & echo $! $$ >$0; sleep 1000", sys.argv[1]], budget_s=1000)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_a_caller_that_ends(tmp_path: Path, number: int) -> None:
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(tmp_path / "pids")],
        env={**os.environ, "PYTHONPATH": SOURCES},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with caller:
        assert caller.stdout is not None
        runner = int(caller.stdout.readline())
        pids = [runner, *children_of(runner), *pids_in(tmp_path / "pids", 2)]
        caller.send_signal(number)
        caller.wait(10)
    assert eventually(lambda: not any(map(is_alive, pids)), 5.0)


FORKER = """
import os
from vmsvc.core.transport.local import LocalHost
host = LocalHost()
assert host.run(["echo", "parent"], budget_s=20).out == "parent\\n"
child = os.fork()
if child == 0:
    assert host.run(["echo", "child"], budget_s=20).out == "child\\n"
    host.close()
    raise SystemExit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert host.run(["echo", "again"], budget_s=20).out == "again\\n"
"""


def test_a_forked_caller(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORKER], env=environment, capture_output=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


LOST = """
import os, sys
from vmsvc.core.transport.local import LocalHost
os.chdir(sys.argv[1])
os.rmdir(sys.argv[1])
assert LocalHost().run(["echo", "here"], budget_s=20).out == "here\\n"
"""


def test_a_caller_whose_directory_is_gone(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    argv = [sys.executable, "-c", LOST, str(tmp_path / "gone")]
    subprocess.run(argv, env={**os.environ, "PYTHONPATH": SOURCES}, timeout=30, check=True)


# The helper process


def test_a_killed_runner_is_replaced(host: LocalHost) -> None:
    host.run(["true"], budget_s=BUDGET_S)
    first = runner_of(host)
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: not is_alive(first))
    assert host.run(["echo", "again"], budget_s=BUDGET_S).out == "again\n"
    assert runner_of(host) != first
    assert stat_of(first) is None


def test_a_running_command_survives_its_runner_but_not_its_worker(host: LocalHost, tmp_path: Path) -> None:
    one, outcome = start(host, ["sh", "-c", "echo $$ >$0; sleep 1; echo done", str(tmp_path / "one")])
    pids_in(tmp_path / "one", 1)
    two, error = start(host, ["sh", "-c", "echo $$ >$0; exec sleep 1000", str(tmp_path / "two")])
    (command,) = pids_in(tmp_path / "two", 1)
    stat = stat_of(command)
    assert stat is not None
    os.kill(runner_of(host), signal.SIGKILL)
    os.kill(stat[1], signal.SIGKILL)
    one.join(10)
    two.join(10)
    os.kill(command, signal.SIGKILL)
    assert getattr(outcome[0], "out", None) == "done\n"
    assert isinstance(error[0], Undetermined)
    assert error[0].code == "undetermined.runner"


def test_close_ends_the_runner_and_a_later_command_starts_another(host: LocalHost) -> None:
    host.close()
    host.run(["true"], budget_s=BUDGET_S)
    first = runner_of(host)
    host.close()
    host.close()
    assert stat_of(first) is None
    assert host.run(["true"], budget_s=BUDGET_S).code == 0


def test_close_lets_running_commands_end(host: LocalHost, tmp_path: Path) -> None:
    thread, results = start(host, ["sh", "-c", "echo $$ >$0; sleep 0.5; echo done", str(tmp_path / "pid")])
    pids_in(tmp_path / "pid", 1)
    host.close()
    thread.join(10)
    assert getattr(results[0], "out", None) == "done\n"


def test_a_forgotten_host_ends_its_runner() -> None:
    host = LocalHost()
    host.run(["true"], budget_s=BUDGET_S)
    runner = runner_of(host)
    del host
    gc.collect()
    assert stat_of(runner) is None


def test_a_stopped_runner_is_ended_by_close(host: LocalHost) -> None:
    host.run(["true"], budget_s=BUDGET_S)
    runner = runner_of(host)
    os.kill(runner, signal.SIGSTOP)
    host.close()
    assert stat_of(runner) is None


def test_a_runner_that_cannot_start(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_RUNNER", ("/nonexistent/python",))
    with pytest.raises(Undetermined, match="/nonexistent/python"):
        host.run(["true"], budget_s=BUDGET_S)
    monkeypatch.setattr(local, "_RUNNER", (sys.executable, "-c", "raise SystemExit(1)"))
    with pytest.raises(Undetermined, match="helper process"):
        host.run(["true"], budget_s=BUDGET_S)


def test_a_process_limit_is_told(host: LocalHost, tmp_path: Path) -> None:
    with pytest.raises(ActionFailed):  # a worker that is not kept
        host.run(["vmsvc-no-such-tool"], budget_s=BUDGET_S)
    resource.prlimit(runner_of(host), resource.RLIMIT_NOFILE, (9, 9))  # enough to fork a worker, not for its pipes
    with pytest.raises(Undetermined, match="Too many open files"):
        host.run(["touch", str(tmp_path / "mark")], budget_s=BUDGET_S)
    assert not (tmp_path / "mark").exists()


def test_many_threads_at_once_without_a_fork_beside_threads(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> None:
    # Since Python 3.12, a fork beside threads warns; here the warning ends the worker, and so fails its command.
    monkeypatch.setattr(local, "_RUNNER", (local._RUNNER[0], "-W", "error::DeprecationWarning", *local._RUNNER[1:]))
    begun = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        outcomes = [
            pool.submit(host.run, ["sh", "-c", f"sleep 0.5; echo {number}; exit {number}"], budget_s=BUDGET_S)
            for number in range(60)
        ]
        assert [(o.result().code, o.result().out) for o in outcomes] == [(n, f"{n}\n") for n in range(60)]
    assert time.monotonic() - begun < 15  # one after the other, it would be 30 s


def test_no_descriptor_and_no_zombie_is_left(host: LocalHost) -> None:
    def descriptors(pid: int) -> int:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))

    host.run(["true"], budget_s=BUDGET_S)
    runner = runner_of(host)
    gc.collect()
    (worker,) = children_of(runner)
    assert eventually(lambda: len([*Path(f"/proc/{worker}/task").iterdir()]) == 1)
    before = [descriptors(pid) for pid in (os.getpid(), runner, worker)]
    for _ in range(200):
        host.run(["true"], budget_s=BUDGET_S)
    assert eventually(lambda: [descriptors(pid) for pid in (os.getpid(), runner, worker)] == before)
    assert children_of(runner) == [worker]
    for _ in range(20):
        with contextlib.suppress(ActionFailed):
            host.run(["vmsvc-no-such-tool"], budget_s=BUDGET_S)
    assert eventually(lambda: not children_of(runner))
    assert eventually(lambda: descriptors(runner) == before[1] - 1)
    assert runner_of(host) == runner


def test_a_worker_that_waits_and_dies_is_replaced(host: LocalHost) -> None:
    host.run(["true"], budget_s=BUDGET_S)
    (worker,) = children_of(runner_of(host))
    os.kill(worker, signal.SIGKILL)
    assert eventually(lambda: not is_alive(worker))
    assert host.run(["echo", "again"], budget_s=BUDGET_S).out == "again\n"


def test_workers_that_wait_end_with_their_runner(host: LocalHost) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: host.run(["sleep", "0.2"], budget_s=BUDGET_S), range(8)))
    workers = children_of(runner_of(host))
    assert 1 <= len(workers) <= 4
    host.close()
    assert eventually(lambda: not any(map(is_alive, workers)))


def test_no_more_workers_wait_than_are_of_use(host: LocalHost) -> None:
    with ThreadPoolExecutor(40) as pool:
        list(pool.map(lambda _: host.run(["sleep", "2"], budget_s=BUDGET_S), range(40)))
    assert eventually(lambda: len(children_of(runner_of(host))) <= runner.SPARE)


def test_what_one_command_was_given_is_not_there_for_the_next(host: LocalHost) -> None:
    host.run(["true"], budget_s=BUDGET_S, environment={"VMSVC_ONCE": "1"})
    assert host.run(["sh", "-c", "echo $VMSVC_ONCE"], budget_s=BUDGET_S).out == "\n"
    assert len(children_of(runner_of(host))) == 1


# Logs


def test_every_command_is_logged_with_secrets_masked(shared: LocalHost, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vmsvc.host")
    shared.run(["sh", "-c", "exit 3", "--password=hunter2"], budget_s=BUDGET_S)
    with pytest.raises(ActionFailed) as failed:
        shared.run(["vmsvc-no-such-tool", "--token", "hunter2"], budget_s=BUDGET_S)
    with pytest.raises(Undetermined) as late:
        shared.run(["sh", "-c", "sleep 1000", "--secret=hunter2"], budget_s=0.2)
    assert "hunter2" not in caplog.text + str(failed.value) + str(late.value)
    assert "here: sh -c 'exit 3' '--password=***': exit code 3 after 0." in caplog.text
    assert "vmsvc-no-such-tool --token '***': not started" in caplog.text
    assert "'--secret=***': ended by us after" in caplog.text


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["a", "b c", ""], "a 'b c' ''"),
        (["a", "x\ny\x1b"], r"a 'x\ny\x1b'"),
        (["a", "é☃"], "a 'é☃'"),
        (["a", "--db-Password=x=y\nz"], "a '--db-Password=***'"),
        (["a", "--passphrase", "x", "y"], "a --passphrase '***' y"),
        (["a", "--token", "--secret=x"], "a --token '--secret=***'"),
        (["a", "x" * 1000], "a " + "x" * 498 + "…"),
    ],
)
def test_shown(argv: list[str], line: str) -> None:
    assert shown(argv) == line
