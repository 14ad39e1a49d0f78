"""Commands by ssh, on real servers of OpenSSH, in all the trouble that servers, shells and networks can be in."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab.ways import BUDGET_S, RELAY, no_way_in
from vmsvc.core.errors import NoWayIn, Undetermined, UsageError
from vmsvc.core.inside.remembering import Memory, RememberingHost
from vmsvc.core.transport import Host
from vmsvc.core.transport.asking import Restricted
from vmsvc.core.transport.ssh import SshHost
from vmsvc.testing.commands import CASES, hold, odd_cases

SOURCES = str(Path(__file__).parents[2] / "src")

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def host(sshd, tmp_path_factory):
    with contextlib.closing(
        SshHost("guest", known_hosts=tmp_path_factory.mktemp("pins") / "known_hosts", config=sshd.config)
    ) as shared:
        yield shared


def eventually(condition, within_s=10.0):
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# What every way keeps


def test_it_is_a_host_with_a_way_that_may_be_restricted(host):
    as_protocol: Host = host
    assert as_protocol.name == "guest"
    assert isinstance(host, Restricted)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_commands_by_ssh_keep_the_clauses(host, case):
    hold(host.run, case)


def hold_many(host, count, seed):
    print(f"seed {seed}")  # noqa: T201 - a failed test shows it
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(hold, host.run, case) for case in odd_cases(seed, count)]:
            done.result()


def test_odd_commands_come_back_exactly(host):
    hold_many(host, 1000, random.randrange(1 << 32))


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_many_odd_commands_come_back_exactly(host):
    hold_many(host, 10_000, random.randrange(1 << 32))


@pytest.mark.parametrize("size", [100_000, 130_000])
def test_an_argument_may_be_as_long_as_the_kernel_allows(host, size):
    assert host.run(
        ["sh", "-c", 'printf %s "$1" | wc -c', "sh", "ä'" * (size // 3)], budget_s=BUDGET_S
    ).out.split() == [str(size // 3 * 3)]


def test_more_output_than_a_stream_keeps_is_dropped_from_either(host):
    outcome = host.run(["sh", "-c", "head -c 30000000 /dev/zero >&2; echo end"], budget_s=BUDGET_S)
    assert (outcome.code, outcome.out, len(outcome.stderr), outcome.truncated) == (0, "end\n", 1 << 20, True)


def test_memory_is_bounded_while_much_is_printed(sshd, tmp_path):
    script = f"""
import resource, sys
from pathlib import Path
from vmsvc.core.transport.ssh import SshHost
host = SshHost("guest", known_hosts=Path({str(tmp_path / "pins")!r}), config=Path({str(sshd.config)!r}))
host.run(["true"], budget_s=20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert host.run(["head", "-c", "100000000", "/dev/zero"], budget_s=60).truncated
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert int(done.stdout) < 20 << 10  # KiB


# One connection, shared


def logins(server):
    return server.log().count("Accepted publickey")


def test_one_connection_serves_all_commands_and_threads(make_sshd, connect):
    server = make_sshd()
    host = connect(server)
    with ThreadPoolExecutor(20) as pool:
        codes = [
            done.result().code
            for done in [
                pool.submit(host.run, ["sh", "-c", f"sleep 0.2; exit {number}"], budget_s=BUDGET_S)
                for number in range(60)
            ]
        ]
    assert codes == list(range(60))
    assert logins(server) == 1


def test_a_server_with_fewer_sessions_than_commands_serves_them_in_turn(make_sshd, connect):
    host = connect(make_sshd(more="MaxSessions 2"))
    with ThreadPoolExecutor(8) as pool:
        assert [o.code for o in pool.map(lambda n: host.run(["sh", "-c", f"exit {n}"], budget_s=60), range(16))] == [
            *range(16)
        ]


def test_a_busy_server_is_not_taken_for_a_dead_one(make_sshd, connect):
    host = RememberingHost(connect(make_sshd(more="MaxSessions 1")), Memory())
    host.open(budget_s=BUDGET_S)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(host.run, ["sleep", "3"], budget_s=BUDGET_S)
        time.sleep(0.5)
        error, took_s = no_way_in(host, budget_s=1.5)
        assert error.code == "undetermined.ssh-channel"
        assert took_s > 1.0
        assert slow.result().code == 0
    assert host.run(["echo", "idle"], budget_s=1.5).out == "idle\n"


def test_who_waits_longer_for_a_slow_server_is_not_kept_out_by_who_gave_up(make_sshd, connect, tmp_path):
    server = make_sshd()
    relay = tmp_path / "relay.py"
    relay.write_text(f"import time\ntime.sleep(2)\n{RELAY}")
    (tmp_path / "config").write_text(server.config.read_text() + f"    ProxyCommand {sys.executable} {relay} %h %p\n")
    host = RememberingHost(connect(server, config=tmp_path / "config"), Memory())
    assert no_way_in(host, budget_s=1.2)[0].code == "undetermined.ssh-timeout"
    assert "found out" in str(no_way_in(host, budget_s=1.2)[0])
    assert host.run(["echo", "in"], budget_s=BUDGET_S).out == "in\n"
    assert logins(server) == 1


def test_first_users_share_one_attempt_and_its_failure(connect, sshd):
    with socket.socket() as silent:  # it takes connections, and never speaks
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        host = connect(sshd, f"127.0.0.1:{silent.getsockname()[1]}")
        with ThreadPoolExecutor(8) as pool:
            errors = list(pool.map(lambda _: no_way_in(host, budget_s=1.0), range(8)))
        assert all(took_s < 2.0 for _, took_s in errors)
        silent.settimeout(0.2)
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):
            silent.accept()


def test_a_connection_that_broke_is_opened_anew_for_the_next_command(make_sshd, connect):
    server = make_sshd()
    host = connect(server)
    host.run(["true"], budget_s=BUDGET_S)
    server.cut()
    eventually(lambda: not host._attempt or host._attempt.is_over)
    assert host.run(["echo", "again"], budget_s=BUDGET_S).out == "again\n"
    assert logins(server) == 2


def test_a_connection_that_fell_silent_is_given_up_for_the_next_command(make_sshd, connect):
    server = make_sshd()
    host = connect(server)
    host.run(["true"], budget_s=BUDGET_S)
    server.silence()
    error, took_s = no_way_in(host, budget_s=1.0)
    assert "the host does not answer" in str(error)
    assert took_s < 2.5
    assert host.run(["echo", "again"], budget_s=BUDGET_S).out == "again\n"
    assert host.run(["echo", "and again"], budget_s=BUDGET_S).out == "and again\n"
    assert logins(server) == 2


def test_a_connection_that_fell_silent_while_nobody_used_it_costs_no_command(make_sshd, connect):
    server = make_sshd()
    host = connect(server)
    host.run(["true"], budget_s=BUDGET_S)
    time.sleep(2.5)
    assert host.run(["echo", "still here"], budget_s=BUDGET_S).out == "still here\n"
    assert logins(server) == 1
    server.silence()
    time.sleep(2.5)
    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        outcomes = [pool.submit(host.run, ["echo", "well"], budget_s=BUDGET_S) for _ in range(4)]
        assert [each.result().out for each in outcomes] == ["well\n"] * 4
    assert time.monotonic() - began < 5.5  # the sign is waited for once, by all of them together
    assert logins(server) == 2


def test_a_host_whose_server_is_slow_keeps_its_connection_where_its_system_has_taken_the_question(make_sshd, connect):
    server = make_sshd()
    host = connect(server)
    host.run(["true"], budget_s=BUDGET_S)
    time.sleep(2.5)
    server.silence()
    threading.Timer(2.0, server.thaw).start()
    assert host.run(["echo", "at last"], budget_s=BUDGET_S).out == "at last\n"
    assert logins(server) == 1


def test_a_host_that_prints_is_heard_and_keeps_its_connection_though_it_does_not_answer(make_sshd, connect):
    server = make_sshd()
    host = connect(server)
    host.run(["true"], budget_s=BUDGET_S)
    transport = host._attempt._opened._transport
    answers = {81, 82}  # SSH_MSG_REQUEST_SUCCESS and SSH_MSG_REQUEST_FAILURE: RFC 4250, 4.1.2
    transport._handler_table = {**transport._handler_table, **dict.fromkeys(answers, lambda _message: None)}
    with ThreadPoolExecutor(1) as pool:
        talks = pool.submit(host.run, ["sh", "-c", "for n in 1 2 3 4 5 6 7 8; do echo; sleep 0.5; done"], budget_s=9.0)
        time.sleep(2.5)
        assert time.monotonic() - transport.heard_at < 1.0
        for _ in range(2):  # the second question waits for the answer to the first
            with pytest.raises(TimeoutError):
                transport.ask_host("keepalive@openssh.com", budget_s=0.6)
        assert host.run(["echo", "beside it"], budget_s=BUDGET_S).out == "beside it\n"
        assert talks.result().code == 0
    assert logins(server) == 1
    with pytest.raises(TimeoutError):
        transport.ask_host("keepalive@openssh.com", budget_s=0.6)
    assert host.run(["echo", "by another"], budget_s=BUDGET_S).out == "by another\n"
    assert logins(server) == 2


def test_a_host_that_vanished_while_nobody_used_it_is_told_in_time(make_sshd, connect):
    server = make_sshd()
    host = connect(server)
    host.run(["true"], budget_s=BUDGET_S)
    server.freeze()
    time.sleep(2.5)
    error, took_s = no_way_in(host, budget_s=2.0)
    assert "waiting for the ssh server" in str(error)
    assert took_s < 3
    server.thaw()


def test_a_connection_that_fell_silent_under_a_command_is_given_up_for_the_next(make_sshd, connect):
    server = make_sshd()
    host = connect(server)
    threading.Timer(0.5, server.silence).start()
    with pytest.raises(Undetermined, match=r"did not end within 1\.5 s, and could not be killed"):
        host.run(["sleep", "1000"], budget_s=1.5)
    assert host.run(["echo", "again"], budget_s=BUDGET_S).out == "again\n"


def test_commands_on_a_connection_that_was_given_up_run_to_their_ends(make_sshd, connect, tmp_path):
    server = make_sshd(shell="/bin/bash")
    server.write_home(".bashrc", f"while [ -e {tmp_path}/busy ]; do sleep 0.1; done\n")
    host = connect(server)
    host.open(budget_s=BUDGET_S)
    first = host._attempt
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            host.run, ["sh", "-c", "touch $0/begun; sleep 3; echo done", str(tmp_path)], budget_s=BUDGET_S
        )
        eventually((tmp_path / "begun").exists)
        (tmp_path / "busy").touch()
        no_way_in(host, budget_s=0.5)
        (tmp_path / "busy").unlink()
        assert host.run(["echo", "beside it"], budget_s=BUDGET_S).out == "beside it\n"
        assert not running.done()
        assert running.result().out == "done\n"
    assert logins(server) == 2
    eventually(lambda: not first._opened._transport.is_active())  # nobody is left to close it


def test_a_failure_is_not_kept_for_the_next_command(make_sshd, connect):
    server = make_sshd()
    server.stop()
    host = connect(server)
    no_way_in(host)
    server.start()
    assert host.run(["echo", "well"], budget_s=BUDGET_S).out == "well\n"


def test_a_closed_host_opens_another_connection(make_sshd, connect):
    server = make_sshd()
    host = connect(server)
    host.run(["true"], budget_s=BUDGET_S)
    host.close()
    host.close()
    assert host.run(["true"], budget_s=BUDGET_S).code == 0
    assert logins(server) == 2


# Ends of all kinds


def test_a_deadline_ends_all_processes_of_the_command(host, tmp_path):
    host.open(budget_s=BUDGET_S)
    script = (
        "set -m; sleep 1000 & echo $! >$0; sh -c 'sleep 1000 & echo $!; wait' >>$0 & echo $! $$ >>$0; echo said; wait"
    )
    with pytest.raises(Undetermined, match=r"did not end within 1\.0 s, and was killed; it said last: said") as caught:
        host.run(["bash", "-c", script, str(tmp_path / "pids")], budget_s=1.0)
    assert caught.value.code == "undetermined.timeout"
    assert not isinstance(caught.value, NoWayIn)
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 4
    eventually(lambda: not any(is_alive(int(pid)) for pid in pids), 2.0)


def is_alive(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    return False


def test_a_command_that_is_hard_to_end_costs_no_other_its_connection(make_sshd, connect, tmp_path):
    server = make_sshd(shell="/bin/bash")
    server.write_home(".bashrc", f"while [ -e {tmp_path}/busy ]; do sleep 0.1; done\n")  # nobody else gets in
    host = connect(server)
    chatty = "setsid sh -c 'while sleep 0.1; do echo; done' & touch $0; wait"
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(host.run, ["sh", "-c", "sleep 8; echo well"], budget_s=BUDGET_S)
        hard = pool.submit(host.run, ["sh", "-c", chatty, str(tmp_path / "busy")], budget_s=2.0)
        with pytest.raises(Undetermined, match=r"did not end within 2\.0 s, and could not be killed"):
            hard.result()
        (tmp_path / "busy").unlink()
        assert other.result().out == "well\n"


def test_a_command_may_end_in_order_at_its_deadline(host, tmp_path):
    script = "trap 'echo clean >$0; exit' TERM; while :; do sleep 0.05; done"
    host.open(budget_s=BUDGET_S)
    with pytest.raises(Undetermined, match="was killed"):
        host.run(["sh", "-c", script, str(tmp_path / "mark")], budget_s=1.0)
    assert (tmp_path / "mark").read_text() == "clean\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGUSR1])
def test_a_signal_is_a_negative_code(host, number):
    code = host.run(["sh", "-c", f"kill -{int(number)} $$"], budget_s=BUDGET_S).code
    assert code == -number or (number == signal.SIGUSR1 and code == -number)


def test_a_connection_that_is_cut_leaves_the_command_undetermined(make_sshd, connect, tmp_path):
    server = make_sshd()
    host = connect(server)
    threading.Timer(1.0, server.cut).start()
    with pytest.raises(Undetermined, match="the connection ended before the command did") as caught:
        host.run(["sleep", "1000"], budget_s=BUDGET_S)
    assert not isinstance(caught.value, NoWayIn)
    assert "look, before trying again" in caught.value.hint


def test_a_command_that_takes_its_server_down_is_undetermined(make_sshd, connect):
    server = make_sshd()
    host = connect(server)
    with pytest.raises(Undetermined, match="the connection ended before the command did"):
        host.run(
            ["sh", "-c", f"kill -9 {server.pid} $PPID; kill -9 $(ps -o ppid= -p $PPID); sleep 5"], budget_s=BUDGET_S
        )


def test_a_server_that_stops_while_a_command_runs_costs_its_budget(make_sshd, connect):
    server = make_sshd()
    host = connect(server)
    host.run(["true"], budget_s=BUDGET_S)
    server.freeze()
    began = time.monotonic()
    with pytest.raises(NoWayIn):
        host.run(["true"], budget_s=1.0)
    assert time.monotonic() - began < 2.5
    server.thaw()


# Shells of all kinds


def test_what_the_login_shell_prints_is_no_output(make_sshd, connect):
    server = make_sshd(shell="/bin/bash")
    server.write_home(".bashrc", "echo welcome; echo beware >&2; printf 'no end of line'\n")
    outcome = connect(server).run(["sh", "-c", "printf out; printf err >&2"], budget_s=BUDGET_S)
    assert (outcome.stdout, outcome.stderr) == (b"out", b"err")
    assert server.ssh("true").stdout.startswith(b"welcome")


@pytest.mark.parametrize("shell", ["/bin/dash", "/bin/bash", "/usr/bin/fish", "/usr/bin/zsh"])
def test_every_login_shell_will_do(make_sshd, connect, shell):
    if not Path(shell).exists():
        pytest.skip(f"there is no {shell} here")
    host = connect(make_sshd(shell=shell))
    arguments = ["a b", "'\"`$x`", "two\nlines", "!", "é"]
    assert host.run(["printf", r"%s\0", *arguments], budget_s=BUDGET_S).out.split("\0")[:-1] == arguments


def test_a_shell_that_lets_nobody_run_commands_is_no_way_in(make_sshd, connect):
    error, _ = no_way_in(connect(make_sshd(shell="/usr/sbin/nologin")))
    assert error.code == "undetermined.ssh-no-shell"
    assert "This account is currently not available" in str(error)


def test_a_shell_that_hangs_before_it_begins_has_run_nothing(make_sshd, connect, tmp_path):
    server = make_sshd(shell="/bin/bash")
    server.write_home(".bashrc", "echo hanging; sleep 3\n")
    host = connect(server)
    with pytest.raises(NoWayIn, match=r"its shell did not answer within 1\.0 s; it said last: hanging"):
        host.run(["touch", str(tmp_path / "mark")], budget_s=1.0)
    time.sleep(3)
    assert not (tmp_path / "mark").exists()


def test_a_full_disk_there_hinders_no_command(make_sshd, connect):
    server = make_sshd()
    host = connect(server)
    filled = host.run(["sh", "-c", "cat /dev/zero >~/full"], budget_s=BUDGET_S)
    assert "No space left" in filled.err
    outcome = host.run(["sh", "-c", "echo more >~/more || echo full"], budget_s=BUDGET_S)
    assert outcome.out == "full\n"


def test_a_variable_whose_name_no_shell_takes_is_refused(host):
    with pytest.raises(UsageError, match="a-b"):
        host.run(["true"], budget_s=BUDGET_S, environment={"a-b": "1"})
