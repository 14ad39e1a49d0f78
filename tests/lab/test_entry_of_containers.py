"""Commands inside of real containers, of docker and of podman."""

import gc
import hashlib
import random
import time

import pytest
from vmsvc_docker import DockerDriver, DockerGuest

from tests.lab.shell import NODE, Shell
from vmsvc.driver import OUTPUT_LIMIT, ActionFailed, Context, Node, NoWayIn, Undetermined
from vmsvc.testing.commands import CASES, hold, odd_cases

# The SDK leaves the socket of a connection that was refused to the garbage collector.
pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]


@pytest.fixture(scope="module", autouse=True)
def _garbage_collected():
    yield
    gc.collect()


@pytest.fixture
def driver(tmp_path):
    made = DockerDriver(Context(node=Node(name="n1", root=tmp_path), host=None, state_dir=tmp_path))
    yield made
    made.close()


def inside(driver, engine, name="web"):
    guest = DockerGuest(
        service=name, rid="container#1", kind="container", type="docker", name=name, docker_host=engine.endpoint
    )

    def enter(*argv, budget_s=20.0, **options):
        return driver.enter(guest, argv, budget_s=budget_s, **options)

    return enter


@pytest.fixture
def enter(engine, driver):
    engine.run("web", "-e", "OWN=kept", "-u", "1234")
    return inside(driver, engine)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_command_in_a_container_keeps_the_clauses(engine, driver, case):
    engine.run("web")
    hold(lambda argv, **options: inside(driver, engine)(*argv, **options), case)


@pytest.mark.parametrize("case", [case for case in CASES if case.leaves is False], ids=str)
def test_nothing_of_it_is_left_in_a_container_whose_own_user_is_another(enter, case):
    hold(lambda argv, **options: enter(*argv, **options), case)


def odd_commands(enter, count):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - a failed test shows it
    for case in odd_cases(seed, count):
        hold(lambda argv, **options: enter(*argv, **options), case)


def test_odd_commands_come_back_exactly(enter):
    odd_commands(enter, 50)  # by each of two engines


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_many_odd_commands_come_back_exactly(enter):
    odd_commands(enter, 1000)


def test_arguments_environment_output_and_code_arrive_exactly(enter):
    words = ["a b", "it's", 'say "x"', "two\nlines", "\ttab", "ü€", "", "$HOME", "`id`", "*", "-x", "back\\slash"]
    outcome = enter("printf", "%s\\0", *words)
    assert outcome.stdout == b"".join(word.encode() + b"\0" for word in words)
    told = enter(
        "sh", "-c", 'printf "%s|%s|%s" "$OWN" "$ADDED" "$(id -u)"; echo e >&2; exit 7', environment={"ADDED": "x y=z"}
    )
    assert (told.code, told.stdout, told.stderr) == (7, b"kept|x y=z|0", b"e\n")
    assert (told.truncated, told.argv[0]) == (False, "sh")
    assert enter("sh", "-c", "kill -9 $$").code == 137


def test_bytes_arrive_as_they_are_printed_again_and_again(enter):
    for _ in range(20):
        outcome = enter("sh", "-c", "head -c 200000 /dev/urandom >/tmp/x; cat /tmp/x; sha256sum </tmp/x >&2")
        assert hashlib.sha256(outcome.stdout).hexdigest() == outcome.err.split()[0]


def test_much_output_is_kept_to_the_limit(enter):
    outcome = enter("sh", "-c", "yes | head -c 3000000; yes | head -c 3000000 >&2")
    assert (outcome.code, len(outcome.stdout), len(outcome.stderr)) == (0, OUTPUT_LIMIT, OUTPUT_LIMIT)
    assert outcome.truncated


def test_a_program_that_is_not_there_or_may_not_be_run(enter):
    for program in ("nosuch", "/nosuch", "/tmp"):
        with pytest.raises(ActionFailed, match="no such command in web"):
            enter(program)
    assert enter("sh", "-c", "nosuch").code == 127
    assert enter("sh", "-c", "exit 126").code == 126


def test_what_does_not_end_is_killed_with_all_that_it_has_started(enter, engine):
    began = time.monotonic()
    with pytest.raises(Undetermined, match="was killed"):
        enter("sh", "-c", "setsid tail -f /dev/null & (tail -f /dev/null &); tail -f /dev/null", budget_s=3)
    assert time.monotonic() - began < 7
    deadline = time.monotonic() + 5
    while "tail" in engine.processes():
        assert time.monotonic() < deadline, "its processes live"
        time.sleep(0.1)
    assert "svc" in engine.processes()
    assert enter("true").code == 0


def test_what_cannot_be_killed_is_not_called_killed(enter, engine):
    assert enter("rm", "/bin/sh").code == 0
    with pytest.raises(Undetermined, match="could not be killed: that takes sh, grep and tr in it"):
        enter("tail", "-f", "/dev/null", budget_s=1)
    assert "tail" in engine.processes()


def test_a_daemon_that_holds_the_output_open_is_not_waited_for(enter, engine):
    began = time.monotonic()
    outcome = enter("sh", "-c", "setsid tail -f /dev/null & echo begun")
    assert (outcome.code, outcome.stdout) == (0, b"begun\n")
    assert time.monotonic() - began < 5
    assert "tail" in engine.processes()


def test_a_command_that_closes_its_output_is_waited_for(enter):
    began = time.monotonic()
    assert enter("sh", "-c", "exec >&- 2>&-; sleep 1; exit 3").code == 3
    assert time.monotonic() - began > 1


def test_where_nothing_runs_there_is_no_way_in(enter, engine, driver):
    engine.cli("pause", "web")
    with pytest.raises(NoWayIn, match="paused"):
        enter("true")
    engine.cli("unpause", "web")
    engine.cli("kill", "web")
    with pytest.raises(NoWayIn):
        enter("true")
    with pytest.raises(NoWayIn, match="no container named"):
        inside(driver, engine, "we")("true")


@pytest.mark.parametrize("trouble", ["kill", "pause"])
def test_an_engine_in_trouble(private_engine, driver, trouble):
    private_engine.run("web")
    enter = inside(driver, private_engine)
    assert enter("true").code == 0
    getattr(private_engine, trouble)()
    began = time.monotonic()
    with pytest.raises(Undetermined):
        enter("true", budget_s=2)
    assert time.monotonic() - began < 5.5
    if trouble == "pause":
        private_engine.resume()
    else:
        private_engine.start()
        private_engine.cli("start", "web")
    deadline = time.monotonic() + 10
    while True:
        try:
            assert enter("true").code == 0
            break
        except NoWayIn:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.mark.parametrize(
    ("adapter", "told"),
    [("lo", ("up", "127.0.0.1/8 is on lo")), ("eth7", ("down", "127.0.0.1/8 is on lo and not on eth7"))],
)
def test_the_addresses_of_a_container_are_told_through_its_own_entry(engine, tmp_path, adapter, told):
    shell = Shell(tmp_path / "root")
    text = f"[DEFAULT]\nnodes = {NODE}\n[container#1]\ntype = docker\nname = web\ndocker_host = {engine.endpoint}\n"
    shell.file("web", f"{text}[ip#1]\nipname = 127.0.0.1\nipdev = {adapter}\ncheck_ping = no\n")
    engine.run("web")
    (service,) = shell.json("status", "web")["services"]
    ip = service["instances"][0]["resources"][1]
    assert (ip["status"], ip["state"].partition("; ")[2]) == told
