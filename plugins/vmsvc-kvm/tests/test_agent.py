"""Commands by a guest's agent: the script in real shells, and what is said when an agent, or a guest, goes wrong."""

import json
import os
import random
import shutil
import threading
import time
from pathlib import Path

import pytest
from attrs import evolve
from vmsvc_kvm import KvmGuest
from vmsvc_kvm.agent import Agent

from vmsvc.driver import ActionFailed, DriverError, Lane, NoWayIn, Undetermined, UsageError
from vmsvc.testing.commands import CASES, hold, odd_cases

RUNNING, PAUSED, SHUTOFF = (1, 1), (3, 1), (5, 1)  # virDomainState and its reason
GUEST = KvmGuest(service="web", rid="container#1", kind="container", type="kvm", name="web1")
DISABLED = {"version": "7.2.22", "supported_commands": [{"name": "guest-exec", "enabled": False}]}


class Way:
    """An agent on a lane, to be called as drivers are."""

    def __init__(self, connection, guest=GUEST):
        self._lane = Lane("a stand-in", connect=lambda: connection, disconnect=lambda _: None)
        self.agent = Agent(guest, self._lane)

    def __call__(self, argv, *, budget_s=10.0, environment=None):
        return self.agent.run(argv, budget_s=budget_s, environment=environment or {})

    def close(self):
        self._lane.close()


@pytest.fixture
def way(connection):
    made = Way(connection)
    yield made
    made.close()


@pytest.fixture(scope="module", params=["dash", "bash", "busybox"])
def shell(request, tmp_path_factory):
    """One of the shells that guests have as /bin/sh."""
    program = shutil.which(request.param)
    if program is None:
        pytest.skip(f"{request.param} is not installed")
    link = tmp_path_factory.mktemp("bin") / "sh"
    link.symlink_to(program)
    return str(link)


# --- the script -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_command_by_the_agent_keeps_the_clauses(way, case):
    hold(way, case)


def test_every_shell_runs_the_script(shell, connection_with):
    inside = Way(connection_with(shell))
    for case in CASES:
        hold(inside, case)
    for case in odd_cases(random.randrange(1 << 32), 20):
        hold(inside, case)
    inside.close()


def test_a_program_is_looked_for_where_the_command_is_to_look(way, tmp_path):
    program = tmp_path / "hello-there"
    program.write_text("#!/bin/sh\necho hello\n")
    with pytest.raises(ActionFailed, match="no such command"):
        way(["hello-there"])
    with pytest.raises(ActionFailed, match="not an executable file") as refused:
        way([str(program)])
    assert (refused.value.code, "ls -l" in refused.value.hint) == ("action.not-executable", True)
    program.chmod(0o755)
    assert way(["hello-there"], environment={"PATH": f"/usr/bin:{tmp_path}:/bin"}).out == "hello\n"


def test_a_program_with_an_equals_sign_is_no_variable(way, tmp_path):
    program = tmp_path / "a=b"
    program.write_text('#!/bin/sh\necho "$A"\n')
    program.chmod(0o755)
    assert way([str(program)], environment={"A": "1"}).out == "1\n"


def test_a_command_sees_nothing_of_what_serves_it(way):
    """No signals that it ignores, no descriptors, no variables, and a session of its own."""
    done = way(["sh", "-c", "grep SigIgn /proc/self/status; ls /proc/self/fd; ps -o sid= -p $$; echo $$"])
    ignored, *descriptors, session, pid = done.out.split()[1:]
    assert int(ignored, 16) == 0
    assert set(descriptors) <= {"0", "1", "2", "3"} | _inherited()  # 3 is the directory that ls reads
    assert session == pid
    assert "own" not in {line.partition("=")[0] for line in way(["env"]).out.splitlines()}


def _inherited():
    """What whoever runs the tests has left open to all children."""
    return {
        path.name for path in Path("/proc/self/fd").iterdir() if path.exists() and os.get_inheritable(int(path.name))
    }


def test_the_mark_of_the_end_is_on_no_list_of_processes(way):
    """Or else a list of processes would end the output in its midst."""
    done = way(["sh", "-c", "cat /proc/[0-9]*/cmdline; echo; echo end"])
    assert done.out.endswith("\nend\n")


def test_nothing_that_serves_a_command_outlives_it(way):
    way(["true"])
    deadline = time.monotonic() + 5
    while (left := _serving()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def _serving():
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"\0serve\0" in _read(path)]


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_who_kills_what_waits_for_it_loses_its_exit_code(way):
    with pytest.raises(Undetermined, match="exit code is lost; it said last: words") as lost:
        way(["sh", "-c", "echo words; kill -9 $PPID"])
    assert lost.value.code == "undetermined.exit-code"


def test_an_argument_list_that_is_too_long_fails(way):
    with pytest.raises(ActionFailed, match="Argument list too long"):
        way(["echo", "x" * 200_000])


# --- no way in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "channel", "words", "hint"),
    [
        (SHUTOFF, "closed", r"does not run, it is shut off \(shutdown\)", ""),
        (None, "", "does not run, it is absent", ""),
        (PAUSED, "connected", r"the guest is paused \(user\)", ""),
        (RUNNING, "", "has no channel", "virt-xml"),
        (RUNNING, "disconnected", "none has connected", "install qemu-guest-agent"),
    ],
)
def test_where_there_is_no_way_in_it_is_said_why(connection, way, state, channel, words, hint):
    connection.state, connection.channel = state, channel
    connection.say = {"guest-ping": DriverError("libvirt error 0: not now")}
    with pytest.raises(NoWayIn, match=words) as closed:
        way(["true"])
    assert hint in closed.value.hint
    with pytest.raises(NoWayIn, match=words):
        way.agent.addresses(5)
    assert set(connection.asked) == {"guest-ping"}


def test_an_agent_that_is_silent_runs_nothing(connection, way):
    connection.be_silent("guest-ping", 0.2)
    with pytest.raises(NoWayIn, match="does not answer"):
        way(["true"])
    assert connection.asked == ["guest-ping"]


def test_an_agent_that_hangs_costs_the_budget_and_no_more(connection, way):
    connection.be_silent("guest-ping", 3)
    began = time.monotonic()
    with pytest.raises(NoWayIn, match="cannot be entered"):
        way(["true"], budget_s=0.5)
    assert time.monotonic() - began < 2


def test_an_agent_that_runs_no_commands(connection, way):
    disabled = DriverError("libvirt error 1: … Command guest-exec has been disabled")
    connection.say = {"guest-exec": disabled, "guest-info": json.dumps({"return": DISABLED})}
    with pytest.raises(NoWayIn, match="guest-exec is disabled") as closed:
        way(["true"])
    assert (closed.value.code, "qemu-ga" in closed.value.hint) == ("undetermined.no-commands", True)


def test_other_hypervisors_have_no_agent(connection):
    with pytest.raises(NoWayIn, match="only QEMU"):
        Way(connection, evolve(GUEST, uri="lxc:///"))(["true"])
    assert connection.asked == []


def test_without_time_nothing_is_run(connection, way):
    with pytest.raises(NoWayIn, match="no time"):
        way(["true"], budget_s=0)
    assert connection.asked == []


# --- half-way -------------------------------------------------------------------------------------------------------


def test_a_start_that_nobody_confirms_is_not_tried_again(connection, way):
    connection.be_silent("guest-exec", 0.1)
    with pytest.raises(Undetermined, match="whether it was started is not known") as unknown:
        way(["true"])
    assert not isinstance(unknown.value, NoWayIn)
    assert connection.asked.count("guest-exec") == 1


@pytest.mark.parametrize(
    ("happen", "words"),
    [
        (lambda connection: setattr(connection, "state", SHUTOFF), r"the guest is shut off \(shutdown\)"),
        (lambda connection: setattr(connection, "channel", "disconnected"), "has ended or is restarted"),
        (lambda connection: connection.forget(), "was restarted .*Invalid parameter 'pid'"),
    ],
)
def test_what_nobody_answers_for_any_more_is_told_at_once(connection, way, happen, words):
    threading.Timer(0.5, happen, [connection]).start()
    began = time.monotonic()
    with pytest.raises(Undetermined, match=words) as gone:
        way(["sleep", "5"], budget_s=20)
    assert time.monotonic() - began < 3
    assert gone.value.code == "undetermined.gone"


def test_a_guest_that_is_paused_meanwhile_is_waited_for(connection, way):
    threading.Timer(0.3, setattr, [connection, "state", PAUSED]).start()
    threading.Timer(1.5, setattr, [connection, "state", RUNNING]).start()
    assert way(["sh", "-c", "sleep 1; echo done"]).out == "done\n"


def test_answers_that_nobody_can_read_are_no_end(connection, way):
    real = connection.guest_exec_status
    odd = iter(['{"return": 5}', "not JSON", '{"return": {"exited": "yes"}}', '{"error": {}}', "[" * 5000])

    def answer(arguments):
        return next(odd, None) or json.dumps({"return": real(**arguments)})

    connection.say = {"guest-exec-status": answer}
    assert way(["echo", "x"]).out == "x\n"


def test_a_pid_that_is_none(connection, way):
    connection.say = {"guest-exec": '{"return": {"pid": "1; rm"}}'}
    with pytest.raises(Undetermined, match="whether it was started is not known: the agent's answer cannot be read"):
        way(["true"])


def test_a_command_that_cannot_be_killed_is_said_to_go_on(connection, way):
    real = connection.guest_exec

    def only_the_first(arguments):
        connection.say["guest-exec"] = DriverError("no more")
        return json.dumps({"return": real(arguments["path"], arguments["arg"], arguments["capture-output"])})

    connection.say = {"guest-exec": only_the_first}
    with pytest.raises(Undetermined, match="could not be killed: it may go on"):
        way(["sleep", "3"], budget_s=1)


# --- Windows --------------------------------------------------------------------------------------------------------


@pytest.fixture
def windows(connection):
    made = Way(connection, evolve(GUEST, guestos="windows"))
    yield made
    made.close()


def test_windows_guests_are_given_the_command_itself(connection, windows):
    """No shell: so it runs here as well, where programs of another kind are."""
    assert windows(["printf", "%s|", "a b", '"c"']).out == 'a b|"c"|'
    assert windows(["sh", "-c", "exit 3"]).code == 3
    assert windows(["sh", "-c", "kill -9 $$"]).code == -9
    assert windows(["dd", "if=/dev/zero", "bs=1048577", "count=1"]).truncated is True
    with pytest.raises(ActionFailed, match="No such file"):
        windows(["no-such.exe"])
    with pytest.raises(UsageError, match="no variables"):
        windows(["true"], environment={"A": "1"})


def test_a_command_in_a_windows_guest_cannot_be_killed(windows):
    with pytest.raises(Undetermined, match="could not be killed: it may go on"):
        windows(["sleep", "3"], budget_s=1)
