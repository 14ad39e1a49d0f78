"""Commands inside of real containers of LXC, by lxc-attach."""

import contextlib
import os
import random
import signal
import time

import pytest
from vmsvc_lxc import LxcDriver, LxcGuest

from vmsvc.core.transport.local import LocalHost
from vmsvc.driver import ActionFailed, Context, Node, NoWayIn, Undetermined
from vmsvc.testing.commands import CASES, hold, odd_cases
from vmsvc.testing.kit import identity

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def host():
    with contextlib.closing(LocalHost()) as local:
        yield local


@pytest.fixture
def enter(host, lxc, tmp_path):
    driver = LxcDriver(Context(node=Node(name="n1", root=tmp_path), host=host, state_dir=tmp_path))

    def enter(*argv, name="web", budget_s=20.0, **options):
        guest = LxcGuest(**identity("lxc", name), lxcpath=str(lxc.path))
        return driver.enter(guest, argv, budget_s=budget_s, **options)

    return enter


@pytest.fixture
def web(lxc):
    lxc.create("web", "lxc.environment = OWN=kept")
    lxc.tool("lxc-start", "web")
    return lxc


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.usefixtures("web")
def test_a_command_in_a_container_keeps_the_clauses(enter, case):
    hold(lambda argv, **options: enter(*argv, **options), case)


@pytest.mark.usefixtures("web")
def test_odd_commands_come_back_exactly(enter):
    for case in odd_cases(random.randrange(1 << 32), 20):  # a case that fails tells the seed
        hold(lambda argv, **options: enter(*argv, **options), case)


@pytest.mark.usefixtures("web")
def test_it_has_the_container_s_own_environment_and_not_the_node_s(enter, monkeypatch):
    monkeypatch.setenv("ONLY_HERE", "1")
    told = enter("sh", "-c", 'echo "$OWN|$ADDED|$ONLY_HERE|$(id -u)|$(pwd)"', environment={"ADDED": "a b"})
    assert told.out == "kept|a b||0|/\n"


@pytest.mark.usefixtures("web")
def test_a_program_that_is_not_there_is_told_from_one_that_ends_with_its_code(enter):
    for program in ("nosuch", "/nosuch", "/tmp"):
        with pytest.raises(ActionFailed, match="no such command in web"):
            enter(program)
    assert [enter("sh", "-c", f"exit {code}").code for code in (1, 126, 127)] == [1, 126, 127]
    assert enter("sh", "-c", "nosuch").code == 127
    said = 'lxc-attach: web: ../src/lxc/attach.c: lxc_attach_run_command: 1841 Failed to exec "sh"'
    told = enter("sh", "-c", 'echo "$0" >&2; exit 127', said)
    assert (told.code, told.err) == (127, f"{said}\n")


def test_where_nothing_runs_and_where_all_is_frozen_there_is_no_way_in(enter, web):
    web.tool("lxc-freeze", "web")
    began = time.monotonic()
    with pytest.raises(NoWayIn, match="frozen"):
        enter("true")
    assert time.monotonic() - began < 3, "nobody waits for what is frozen"
    web.tool("lxc-unfreeze", "web")
    web.tool("lxc-stop", "web", "-k")
    with pytest.raises(NoWayIn, match="stopped"):
        enter("true")
    with pytest.raises(NoWayIn, match="absent"):
        enter("true", name="we")


def test_a_container_that_is_frozen_during_a_command_costs_its_budget_alone(enter, web):
    began = time.monotonic()
    with pytest.raises(Undetermined):
        enter("sh", "-c", "echo > /frozen; while :; do sleep 0.1; [ -e /thawed ] && exit; done", budget_s=0.01)
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child freezes the container while the command below runs
        time.sleep(0.7)
        os.execvp("lxc-freeze", ["lxc-freeze", "-P", str(web.path), "-n", "web"])
    with pytest.raises(Undetermined, match="did not end within"):
        enter("sleep", "600", budget_s=2)
    os.waitpid(pid, 0)
    assert time.monotonic() - began < 12
    web.tool("lxc-unfreeze", "web")
    assert enter("true").code == 0


def test_a_monitor_that_hangs_costs_the_budget_alone(enter, web):
    monitor = web.monitor("web")
    os.kill(monitor, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises((NoWayIn, Undetermined)):
            enter("true", budget_s=1)
        assert time.monotonic() - began < 5
    finally:
        os.kill(monitor, signal.SIGCONT)
    assert enter("true").code == 0
