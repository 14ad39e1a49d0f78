"""Ways by ssh that lead nowhere, or elsewhere than before: what is said, by which code, and how long it takes."""

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.sshd import free_port, make_key
from tests.lab.ways import BUDGET_S, RELAY, no_way_in
from vmsvc.core.errors import ActionFailed, TimedOut, Undetermined, UsageError
from vmsvc.core.inside.launchers import Action
from vmsvc.core.inside.launching import Launching
from vmsvc.core.inside.verbs import ask, script
from vmsvc.core.transport.asking import is_restricted

SOURCES = str(Path(__file__).parents[2] / "src")

pytestmark = pytest.mark.timeout(180)


@contextmanager
def server_that(answers):
    """A server of our own on the loopback, which does with each connection what it is told."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                answers(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


# Networks


def test_a_port_where_nobody_listens(sshd, connect):
    error, took_s = no_way_in(connect(sshd, f"127.0.0.1:{free_port('127.0.0.1')}"))
    assert error.code == "undetermined.ssh-refused"
    assert "nothing listens on port" in str(error)
    assert took_s < 3


def test_a_name_that_nobody_knows(sshd, connect):
    error, _ = no_way_in(connect(sshd, "no-such-host.invalid"))
    assert error.code == "undetermined.ssh-no-name"
    assert "no-such-host.invalid" in str(error)


def test_a_black_hole_costs_its_deadline(sshd, connect):
    with black_hole() as port:
        host = connect(sshd, f"127.0.0.1:{port}")
        error, took_s = no_way_in(host)
        assert error.code == "undetermined.ssh-timeout"
        assert "does not answer" in str(error)
        assert 4.5 < took_s < 6.5
        error, took_s = no_way_in(host, budget_s=1.0)
        assert "not open within 1.0 s: connecting to port" in str(error)
        assert took_s < 1.5


@contextmanager
def black_hole():
    """A port whose packets are dropped: the kernel answers nothing while the queue of a listener is full."""
    with socket.socket() as listener, socket.socket() as one, socket.socket() as two:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (one, two):
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        time.sleep(0.1)
        yield listener.getsockname()[1]


CUT = """
import os, socket, subprocess, time
from vmsvc.core.transport.ssh import wire
wire._UNACKNOWLEDGED_MS = 1000
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
with socket.create_server(("127.0.0.1", 0)) as server:
    link = wire.connected("127.0.0.1", server.getsockname()[1], 5.0)
    other, _ = server.accept()
    subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
    link.sendall(b"is anybody there?")
    link.settimeout(20)
    try:
        link.recv(1)
    except OSError as error:
        print(os.strerror(error.errno or 0))
"""


@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is missing")
def test_a_peer_that_vanished_under_what_it_was_sent_is_noticed():
    began = time.monotonic()
    done = run_python(CUT, before=["unshare", "--net"])
    assert done.stdout == "Connection timed out\n"
    assert time.monotonic() - began < 15


ARRIVED = """
import socket, subprocess, time
from vmsvc.core.transport.ssh.wire import has_arrived
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
listener = socket.create_server(("127.0.0.1", 0))
link = socket.create_connection(listener.getsockname())  # which nobody accepts, and nobody reads from
link.sendall(b"is anybody there?")
time.sleep(0.2)
print(has_arrived(link))
subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
link.sendall(b"and now?")
time.sleep(0.2)
print(has_arrived(link), has_arrived(socket.socketpair()[0]))
"""


@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is missing")
def test_a_server_that_is_slow_is_told_from_a_system_that_has_vanished():
    assert run_python(ARRIVED, before=["unshare", "--net"]).stdout == "True\nFalse False\n"


@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is missing")
def test_an_address_without_a_route(sshd, connect):
    # An address for documentation (RFC 5737), which this node is told to refuse.
    subprocess.run(["ip", "route", "add", "unreachable", "192.0.2.77/32"], check=True)
    try:
        error, took_s = no_way_in(connect(sshd, "192.0.2.77"))
    finally:
        subprocess.run(["ip", "route", "del", "unreachable", "192.0.2.77/32"], check=True)
    assert error.code == "undetermined.ssh-no-route"
    assert took_s < 3


# Servers


def test_a_frozen_server_costs_the_budget_alone(make_sshd, connect):
    server = make_sshd()
    host = connect(server)
    server.freeze()
    error, took_s = no_way_in(host, budget_s=1.5)
    server.thaw()
    assert error.code == "undetermined.ssh-timeout"
    assert "waiting for the ssh server" in str(error)
    assert took_s < 2.0
    host.close()
    assert host.run(["echo", "thawed"], budget_s=BUDGET_S).out == "thawed\n"


def test_a_server_that_speaks_something_else(sshd, connect):
    def http(connection):
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with server_that(http) as target:
        error, took_s = no_way_in(connect(sshd, target))
    assert error.code == "undetermined.ssh-no-server"
    assert took_s < 5


def test_a_server_that_hangs_up(sshd, connect):
    with server_that(socket.socket.close) as target:
        error, took_s = no_way_in(connect(sshd, target))
    assert error.code in ("undetermined.ssh-no-server", "undetermined.ssh-closed")
    assert took_s < 5


def test_a_server_that_lets_nobody_in(make_sshd, connect, tmp_path):
    server = make_sshd()
    (server.directory / "authorized_keys").write_text("")
    error, _ = no_way_in(connect(server))
    assert error.code == "undetermined.ssh-denied"
    assert f"it took none of these keys: {server.key}" in str(error)
    assert "ssh -o BatchMode=yes -p" in error.hint


def test_a_key_with_a_passphrase_is_named_and_nobody_is_asked(make_sshd, connect):
    server = make_sshd()
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(server.key)], check=True)
    error, _ = no_way_in(connect(server))
    assert error.code == "undetermined.ssh-denied"
    assert f"{server.key}: it has a passphrase" in str(error)


# Host keys


def test_a_host_key_is_pinned_at_first_sight_for_the_owner_alone(sshd, connect, known_hosts):
    assert connect(sshd).run(["true"], budget_s=BUDGET_S).code == 0
    host_key = (sshd.directory / "host_key.pub").read_text().split()
    assert known_hosts.read_text() == f"[127.0.0.1]:{sshd.port} {host_key[0]} {host_key[1]}\n"
    assert stat.S_IMODE(known_hosts.stat().st_mode) == 0o600
    assert connect(sshd).run(["true"], budget_s=BUDGET_S).code == 0
    assert len(known_hosts.read_text().splitlines()) == 1


def test_a_host_key_that_changed_is_an_error_that_says_what_to_do(make_sshd, connect, known_hosts):
    server = make_sshd()
    connect(server).run(["true"], budget_s=BUDGET_S)
    old = fingerprint(server)
    server.stop()
    server.new_host_key()
    server.start()
    error, took_s = no_way_in(connect(server))
    assert error.code == "undetermined.ssh-host-key"
    assert f"it is {fingerprint(server)} (ssh-ed25519) now, and was {old} (ssh-ed25519)" in str(error)
    assert f"pinned in {known_hosts}, line 1" in str(error)
    assert took_s < 5
    assert old != fingerprint(server)
    forget = error.hint.rpartition("is right: ")[2]
    assert "ssh-keygen -f" in forget
    subprocess.run(forget, shell=True, check=True, capture_output=True)
    assert connect(server).run(["true"], budget_s=BUDGET_S).code == 0


def fingerprint(server):
    listed = subprocess.run(
        ["ssh-keygen", "-lf", str(server.directory / "host_key.pub")], capture_output=True, text=True, check=True
    )
    return listed.stdout.split()[1]


def test_a_key_of_another_type_is_a_change_too(make_sshd, connect):
    server = make_sshd()
    connect(server).run(["true"], budget_s=BUDGET_S)
    server.stop()
    (server.directory / "host_key").unlink()
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(server.directory / "host_key")],
        check=True,
        input=b"y\n",
    )
    server.start()
    error, _ = no_way_in(connect(server))
    assert error.code == "undetermined.ssh-host-key"
    assert "(ecdsa-sha2-nistp256) now" in str(error)


def test_names_that_are_hashed_are_still_pinned(make_sshd, connect, known_hosts):
    server = make_sshd()
    connect(server).run(["true"], budget_s=BUDGET_S)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known_hosts)], check=True, capture_output=True)
    assert known_hosts.read_text().startswith("|1|")
    assert connect(server).run(["true"], budget_s=BUDGET_S).code == 0
    server.stop()
    server.new_host_key()
    server.start()
    assert no_way_in(connect(server))[0].code == "undetermined.ssh-host-key"


def test_a_damaged_file_of_pins_trusts_nobody_anew(sshd, connect, known_hosts):
    known_hosts.parent.mkdir()
    known_hosts.write_text("\x00\x00\n")
    error, _ = no_way_in(connect(sshd))
    assert error.code == "undetermined.ssh-known-hosts"
    assert f"{known_hosts}, line 1" in str(error)


# Ways round


def test_jumps_are_made_in_the_order_of_the_configuration_with_all_keys_pinned(
    make_sshd, connect, known_hosts, tmp_path
):
    first, second, last = (make_sshd() for _ in range(3))
    config = tmp_path / "config"
    config.write_text(
        "".join(
            server.config.read_text().replace("Host guest", f"Host {name}")
            for name, server in (("first", first), ("second", second), ("guest", last))
        ).replace("Host guest\n", "Host guest\n    ProxyJump first,second\n")
    )
    host = connect(last, config=config)
    assert host.run(["echo", "there"], budget_s=BUDGET_S).out == "there\n"
    assert len(known_hosts.read_text().splitlines()) == 3
    for server in (first, second, last):
        assert server.log().count("Accepted publickey") == 1
    second.stop()
    error, _ = no_way_in(connect(last, config=config))
    assert error.code == "undetermined.ssh-jump"


def test_a_jump_host_for_everybody_is_not_reached_through_itself(make_sshd, connect, tmp_path):
    jump, last = make_sshd(), make_sshd()
    config = tmp_path / "config"
    config.write_text(
        jump.config.read_text().replace("Host guest", "Host jump")
        + last.config.read_text()
        + "Host *\n    ProxyJump jump\n"
    )
    assert connect(last, config=config).run(["true"], budget_s=BUDGET_S).code == 0
    assert jump.log().count("Accepted publickey") == 1


def test_a_proxy_command(make_sshd, connect, tmp_path):
    server = make_sshd()
    config = tmp_path / "config"
    relay = tmp_path / "relay.py"
    relay.write_text(RELAY)
    config.write_text(server.config.read_text() + f"    ProxyCommand {sys.executable} {relay} %h %p\n")
    host = connect(server, config=config)
    assert host.run(["echo", "through"], budget_s=BUDGET_S).out == "through\n"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("exit 1", "it has ended with exit code 1"),
        (
            "vmsvc-no-such-program %h",
            "it has ended with exit code 127; it said last: .*vmsvc-no-such-program: not found",
        ),
        ("echo no ssh here; exit 4", "it has ended with exit code"),
    ],
)
def test_a_proxy_command_that_fails_says_why(sshd, connect, tmp_path, command, words):
    config = tmp_path / "config"
    config.write_text(sshd.config.read_text() + f"    ProxyCommand {command}\n")
    error, took_s = no_way_in(connect(sshd, config=config))
    assert took_s < 5
    assert error.code == "undetermined.ssh-proxy"
    assert re.search(rf"the ProxyCommand to port {sshd.port} of 127.0.0.1 has closed .*: {words}", str(error))


def test_a_login_that_is_denied_is_not_blamed_on_the_proxy_command(make_sshd, connect, tmp_path):
    server = make_sshd()
    (server.directory / "authorized_keys").write_text("")
    (tmp_path / "relay.py").write_text(RELAY)
    (tmp_path / "config").write_text(
        server.config.read_text() + f"    ProxyCommand {sys.executable} {tmp_path}/relay.py %h %p\n"
    )
    assert no_way_in(connect(server, config=tmp_path / "config"))[0].code == "undetermined.ssh-denied"


def test_a_connect_timeout_counts_behind_a_jump_host_too(sshd, connect, tmp_path):
    with black_hole() as port:
        config = tmp_path / "config"
        last = f"Host last\n    HostName 127.0.0.1\n    Port {port}\n    ProxyJump guest\n    ConnectTimeout 1\n"
        config.write_text(sshd.config.read_text() + last)
        error, took_s = no_way_in(connect(sshd, "last", config=config))
    assert error.code == "undetermined.ssh-timeout"
    assert took_s < 4


def test_files_that_a_configuration_includes_are_read(sshd, connect, tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/10").write_text(sshd.config.read_text().replace("Host guest", "Host inside"))
    config = tmp_path / "config"
    config.write_text(f"Include {tmp_path}/conf.d/*\nHost nowhere\n    Port 1\n")
    assert connect(sshd, "inside", config=config).run(["true"], budget_s=BUDGET_S).code == 0


def test_a_configuration_that_makes_no_sense_is_told(sshd, connect, tmp_path):
    config = tmp_path / "config"
    config.write_text("Host guest\n    Port many\n")
    error, _ = no_way_in(connect(sshd, config=config))
    assert error.code == "undetermined.ssh-configuration"
    error, _ = no_way_in(connect(sshd, config=tmp_path / "none"))
    assert "there is no such file" in str(error)


# Keys


def test_keys_of_an_agent_are_used(make_sshd, connect, monkeypatch, tmp_path):
    server = make_sshd()
    kept = make_key(tmp_path / "kept")
    server.authorize(kept.with_suffix(".pub"))
    socket_path = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket_path)], stdout=subprocess.DEVNULL)
    try:
        host = connect(server)  # takes the agent of the surroundings away
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket_path))
        while not socket_path.exists():
            time.sleep(0.01)
        subprocess.run(["ssh-add", "-q", str(kept)], check=True)
        kept.unlink()
        config = tmp_path / "config"
        config.write_text(server.config.read_text().replace(f"IdentityFile {server.key}", f"IdentityFile {kept}"))
        host = connect(server, config=config)
        assert host.run(["true"], budget_s=BUDGET_S).code == 0
    finally:
        agent.kill()
        agent.wait()


@pytest.fixture
def own_key(tmp_path):
    return make_key(tmp_path / "own")


def test_our_own_key_comes_first_and_is_known_to_be_restricted(make_sshd, connect, own_key, tmp_path):
    server = make_sshd()
    verbs = tmp_path / "verbs.sh"
    verbs.write_text(script().text)
    server.authorize(own_key.with_suffix(".pub"), f'restrict,command="sh {verbs} permit {tmp_path}/init.d"')
    launchers = tmp_path / "init.d"
    launchers.mkdir()
    (launchers / "S10 web").write_text('#!/bin/sh\necho "$1 $VMSVC_SERVICE"\n')
    (launchers / "S10 web").chmod(0o755)
    host = connect(server, own_key=own_key)
    assert is_restricted(host, budget_s=BUDGET_S)
    assert ask(host, "hello", budget_s=BUDGET_S).out == "vmsvc-guest 1\n"
    launched = ask(
        host, "launch", str(launchers), "S10 web", "start", budget_s=BUDGET_S, environment={"VMSVC_SERVICE": "a b"}
    )
    assert (launched.code, launched.out) == (0, "start a b\n")
    with pytest.raises(ActionFailed, match="refused: a variable of another name"):
        ask(host, "launch", str(launchers), "S10 web", "start", budget_s=BUDGET_S, environment={"VMSVC_ROOT": "/"})
    assert host.run(["touch", str(tmp_path / "mark")], budget_s=BUDGET_S).code == 126
    assert not (tmp_path / "mark").exists()
    with pytest.raises(ActionFailed, match="refused"):
        ask(host, "launch", "/etc", "passwd", "start", budget_s=BUDGET_S)
    with pytest.raises(UsageError):
        host.run(["vmsvc-guest", "hello"], budget_s=BUDGET_S, environment={"A": "1"})


def test_a_restricted_command_that_hangs_is_told(make_sshd, connect, own_key):
    server = make_sshd()
    server.authorize(own_key.with_suffix(".pub"), 'restrict,command="sleep 1000"')
    host = connect(server, own_key=own_key)
    with pytest.raises(Undetermined, match=r"did not end within \d\.\d s"):
        ask(host, "hello", budget_s=1.0)


def test_a_restricted_command_under_which_the_connection_fell_silent_is_ended_by_another(make_sshd, connect, own_key):
    server = make_sshd()
    server.authorize(own_key.with_suffix(".pub"), 'command="$SSH_ORIGINAL_COMMAND"')
    host = connect(server, own_key=own_key)
    threading.Timer(0.5, server.silence).start()
    with pytest.raises(Undetermined, match="did not end within 1"):
        host.run(["sleep", "1000"], budget_s=1.5)
    began = time.monotonic()
    assert host.run(["echo", "again"], budget_s=BUDGET_S).out == "again\n"
    assert host.is_restricted
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("by_own_key", [False, True])
def test_a_launcher_that_hangs_is_ended_with_all_that_it_has_started_by_every_key(
    make_sshd, connect, own_key, tmp_path, by_own_key
):
    launcher = tmp_path / "S1"
    later = tmp_path / "later"
    later.write_text("sleep 1007; exit\n")
    launcher.write_text(f"trap '' TERM; echo begun; (setsid sh {later} &) ; sleep 1000\n")
    installed = tmp_path / "vmsvc-guest.sh"
    installed.write_text(script().text)
    server = make_sshd()
    server.authorize(own_key.with_suffix(".pub"), f'restrict,command="sh {installed} permit {tmp_path}"')
    host = connect(server, own_key=own_key if by_own_key else None)
    launching = Launching(host=host, directory=str(tmp_path), budget_s=1.5, environment=lambda _: {})
    (ran,) = launching.run(Action.START, ("S1",), deadline=time.monotonic() + BUDGET_S)
    assert isinstance(ran.failure, TimedOut)
    assert re.search(r"^did not end within \d\.\d s.*; nothing of it is left$", ran.failure.message)
    assert ran.failure.stdout == b"begun\n"
    for pattern in (f"^sh {launcher}", f"^sh {later}"):
        assert subprocess.run(["pgrep", "-f", pattern], check=False, capture_output=True).stdout == b""
    assert ask(host, "hello", budget_s=BUDGET_S).code == 0


def test_a_server_that_does_not_know_our_own_key_takes_the_admins(sshd, connect, own_key):
    host = connect(sshd, own_key=own_key)
    assert not is_restricted(host, budget_s=BUDGET_S)
    assert host.run(["echo", "free"], budget_s=BUDGET_S).out == "free\n"


# The program around it


def run_python(script_text, *, before=()):
    return subprocess.run(
        [*before, sys.executable, "-W", "error", "-c", script_text],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_nothing_of_ssh_is_loaded_before_a_connection_is_opened(sshd, tmp_path):
    text = f"""
import sys
from pathlib import Path
from vmsvc.core.transport.ssh import SshHost
host = SshHost("guest", known_hosts=Path({str(tmp_path / "pins")!r}), config=Path({str(sshd.config)!r}))
assert not {{"fabric", "paramiko", "invoke", "cryptography"}} & set(sys.modules)
host.run(["true"], budget_s=20)
assert "fabric" in sys.modules
"""
    done = run_python(text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("close", [True, False])
def test_the_programs_end_waits_for_no_connection(make_sshd, tmp_path, close):
    server = make_sshd()
    text = f"""
import time
from pathlib import Path
from vmsvc.core.errors import NoWayIn
from vmsvc.core.transport.ssh import SshHost
def host():
    return SshHost("guest", known_hosts=Path({str(tmp_path / "pins")!r}), config=Path({str(server.config)!r}))
kept = host()
kept.run(["true"], budget_s=20)
import os, signal
for pid in {{pids}}:
    os.kill(pid, signal.SIGSTOP)
frozen = host()
try:
    frozen.run(["true"], budget_s=0.5)
except NoWayIn:
    pass
if {close}:
    kept.close(), frozen.close()
print(time.time())
"""
    done = run_python(text.replace("{pids}", str([server.pid])))
    ended = time.time()
    server.thaw()
    assert (done.returncode, done.stderr) == (0, "")
    assert ended - float(done.stdout) < 1.5


def test_each_key_is_pinned_once_whoever_comes_first(make_sshd, connect, known_hosts):
    servers = [make_sshd() for _ in range(8)]
    hosts = [connect(server) for server in servers for _ in range(3)]
    with ThreadPoolExecutor(24) as pool:
        assert [o.code for o in pool.map(lambda host: host.run(["true"], budget_s=BUDGET_S), hosts)] == [0] * 24
    assert len(known_hosts.read_text().splitlines()) == 8
