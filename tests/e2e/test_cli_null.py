"""The real command, as a process, on the simulated hypervisor: what people and scripts see."""

import contextlib
import importlib.metadata
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

if not any(entry.name == "null" for entry in importlib.metadata.entry_points(group="vmsvc")):
    pytest.skip("vmsvc-null is not installed", allow_module_level=True)

from tests import documents
from tests.e2e.node import VMSVC, Node
from vmsvc.cli import main

SVCMGR = (sys.executable, "-c", "import sys; from vmsvc.cli.svcmgr import main; sys.exit(main())")
ESCAPE = "\x1b"


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path / "root")


def test_a_service_goes_up_and_down(node):
    node.add("web")
    down = node.run("status", "web")
    started = node.run("start", "web")
    up = node.run("status", "web")
    again = node.run("start", "web")
    stopped = node.run("stop", "web")

    assert (down.returncode, down.stdout.split()[-3:]) == (0, ["web", "down", "down"])
    assert started.returncode == 0
    assert re.fullmatch(r"web: up \(start container#1, \d+\.\d s\)\n", started.stdout)
    assert re.fullmatch(r"web: start container#1 …\nweb: start container#1 … done \(\d+\.\d s\)\n", started.stderr)
    assert up.stdout.split()[-3:] == ["web", "up", "up"]
    assert again.stdout == "web: up (nothing to do: container#1 already up)\n"
    assert stopped.stdout.startswith("web: down (stop container#1")
    assert [entry.verb for entry in node.hypervisor.log()] == ["start", "stop"]


def test_restart_and_kill(node):
    node.add("web", "ignore_stop = true", "stop_timeout = 0.3", "initial = running")
    forced = node.run("restart", "web")
    killed = node.run("stop", "web", "--kill")

    assert re.search(r"stop container#1 failed.*kill container#1.*start container#1", forced.stdout)
    assert killed.stdout.startswith("web: down (kill container#1")


@pytest.mark.parametrize(
    ("phase", "code", "word"), [("running", 0, "up"), ("paused", 0, "warn"), ("nonsense", 4, "unknown")]
)
def test_status_exits_with_what_it_knows(node, phase, code, word):
    node.add("web")
    node.hypervisor.set("web", phase=phase)
    done = node.run("status", "web")
    answer = node.json("status", "web")

    assert done.returncode == code
    assert f"web      {word}" in done.stdout
    assert answer[0] == code
    assert answer[1]["services"][0]["avail"] == word


def test_what_is_odd_is_told_beneath(node):
    node.add("web", "fail = observe")
    node.hypervisor.set("web", phase="running")
    done = node.run("status")
    tree = node.run("print", "status")

    assert re.search(r"^  container#1  unknown  simulated hypervisor: ", done.stdout, re.MULTILINE)
    assert re.search(
        r"^web  unknown  \(avail unknown\)\n└─ n1 \(this node\)  unknown\n   └─ container#1  \.\.  unknown", tree.stdout
    )
    assert "      unknown: simulated hypervisor: " in tree.stdout
    assert (done.returncode, tree.returncode) == (4, 4)


def test_a_guest_that_is_not_there_is_told_beneath(node):
    node.add("web", "initial = absent")
    node.add("db", "initial = stopped")

    assert node.run("status").stdout.splitlines()[1:] == [
        "db       down   down",
        "web      down   down",
        "  container#1  down  absent: simulated hypervisor: web is absent",
    ]


def test_flags_and_reasons_in_the_tree(node):
    path = node.add("web", "optional = true")
    path.write_text(path.read_text() + "[fs#1]\ndev = /dev/x\nmnt = /srv\n[app#1]\ndisable = true\n")
    tree = node.run("print", "status").stdout

    assert re.search(r"├─ container#1  \.O  down", tree)
    assert re.search(r"├─ fs#1 +\.\.  n/a .*\n   │  note: fs resources are not handled", tree)
    assert re.search(r"└─ app#1 +D\.  n/a", tree)


def test_a_broken_file_hides_no_other(node):
    node.add("web")
    (node.services_dir / "bad.conf").write_text("[container#1]\ntype = nul\n")
    done = node.run("status")
    code, answer = node.json("status")

    assert done.returncode == code == 2
    assert "web      down" in done.stdout
    assert "did you mean `null`?" in done.stderr
    assert [service["name"] for service in answer["services"]] == ["web"]
    assert answer["errors"][0]["code"].startswith("config.")


def test_where_services_would_live(node):
    done = node.run("status")

    assert done.returncode == 0
    assert done.stdout == ""
    assert str(node.services_dir) in done.stderr
    assert node.json("status") == (0, {"schema": "vmsvc.status/1", "services": [], "errors": []})


def test_names_and_patterns(node):
    for name in ("web1", "web2", "db"):
        node.add(name)
    done = node.run("start", "web*", "web1")

    assert done.returncode == 0
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["web1", "web2"]
    assert "there is no service 'nope'" in node.run("status", "nope").stderr
    assert node.run("status", "nope").returncode == 2


@pytest.mark.parametrize("command", ["start", "stop", "restart", "start --dry-run", "plan start", "push", "diskupdate"])
def test_nothing_is_done_where_something_asked_for_is_not_there(node, command):
    node.add("web1", "disks = /dev/zero")
    node.hypervisor.set("web1", phase="running" if command == "stop" else "stopped")
    (node.services_dir / "web2.conf").write_text("[container#1]\ntype = nul\n")
    named = node.run(*command.split(), "web1", "nope", "x*")
    matched = node.run(*command.split(), "web*")
    code, answer = node.json(*command.split(), "web1", "nope")

    assert (named.returncode, matched.returncode, code) == (2, 2, 2)
    assert named.stdout == matched.stdout == ""
    assert "there is no service 'nope'" in named.stderr
    assert "no service matches 'x*'" in named.stderr
    assert "did you mean `null`?" in matched.stderr
    assert "nothing was done to web1 either" in matched.stderr
    assert [error["code"] for error in answer["errors"]] == ["usage.no-such-service", "note.nothing-done"]
    assert not node.hypervisor.log()
    assert not (node.root / "var/lib/vmsvc").exists()


def test_ten_services_at_once(node):
    for number in range(10):
        node.add(f"s{number}", "start_delay = 2s")
    began = time.monotonic()
    done = node.run("start", "s*")

    assert done.returncode == 0
    assert done.stdout.count(": up (start container#1") == 10
    assert time.monotonic() - began < 12  # 20 one after the other


def test_the_worst_of_several_counts(node):
    node.add("web")
    node.add("sick", "fail = start")
    node.add("blind", "fail = observe")
    done = node.run("start", "web", "sick", "blind")
    code, answer = node.json("start", "web", "sick", "blind")

    assert done.returncode == code == 4
    assert done.stdout.startswith("web: up")
    assert "start of sick failed at start container#1" in done.stderr
    assert "--despite-unknown container#1" in done.stderr
    outcomes = {result["service"]: (result["outcome"], result["exit_code"]) for result in answer["results"]}
    assert outcomes == {
        "web": ("unchanged", 0), "sick": ("failed", 1), "blind": ("undetermined", 4)
    }  # fmt: skip
    assert answer["results"][0]["status"]["avail"] == "up"


def test_a_rollback_that_failed_is_an_error(node):
    path = node.add("web", "fail = stop kill")
    path.write_text(path.read_text() + "[container#2]\ntype = null\nname = two\nfail = start\n")
    code, answer = node.json("start", "web")
    (result,) = answer["results"]
    node.hypervisor.set("web", phase="stopped")
    text = node.run("start", "web")

    assert code == text.returncode == 1
    assert [error["code"] for error in result["errors"]] == ["driver", *["action.rollback-failed"] * 2]
    assert text.stderr.count("error: web: [container#1]: not rolled back: ") == 2
    assert node.hypervisor.machine("web").phase == "running"


def test_what_is_lost_is_told_before_it_is(node):
    node.add("web", "initial = paused")
    planned = node.run("plan", "stop", "web")
    told, began, *_ = node.run("stop", "web").stderr.splitlines()

    assert told == (
        "vmsvc: note: web: container#1 is paused: it cannot hear a request, so it is stopped by force; "
        "what it has in memory is lost"
    )
    assert began == "web: kill container#1 …"
    assert told in planned.stderr


def test_who_waits_is_told_for_whom(node):
    node.add("web", "start_delay = 2s")
    first = node.begin("start", "web")
    node.wait_for("web", "starting")
    second = node.run("stop", "web")
    first.communicate(timeout=30)

    assert second.returncode == 0
    assert re.match(rf"web: waiting for: start by pid {first.pid} since [\d:]+\nweb: stop", second.stderr)


@pytest.mark.option("--verbose")
def test_verbose_tells_what_was_asked(node):
    node.add("web")
    looked = node.run("-v", "status", "web").stderr
    started = node.run("start", "web", "-v").stderr

    assert re.search(
        r"vmsvc: info: looked at container#1 of web: stopped \(simulated hypervisor: web is stopped; \d", looked
    )
    assert re.search(r"vmsvc: info: null driver, start container#1 of web: it has heard the request \(\d", started)
    assert "info" not in node.run("status", "web").stderr


def test_a_hypervisor_that_tells_nothing_of_a_guest(node):
    node.add("web", "fail = observe")
    node.add("gone", "initial = absent")
    blind = node.run("push", "web")
    gone = node.run("push", "gone")

    assert blind.returncode == 4
    assert blind.stdout.startswith("web: stored configuration, status, and facts of 0 of 1 guest at")
    assert gone.returncode == 0
    assert "facts of 0 of 1 guest at" in gone.stdout


def test_consent_must_name_a_resource_that_exists(node):
    node.add("web", "fail = observe")
    done = node.run("start", "web", "--despite-unknown", "container#2")

    assert done.returncode == 2
    assert "web has no resource container#2" in done.stderr
    assert not node.hypervisor.log()


def test_a_drp_node_needs_consent(node):
    node.add("web", default=("nodes = n2", "drpnodes = n1"))
    refused = node.run("start", "web")
    planned = node.run("plan", "start", "web")
    done = node.run("start", "--drp", "--despite-peer", "n2", "web")

    assert (refused.returncode, planned.returncode, done.returncode) == (3, 3, 0)
    assert "--drp" in refused.stderr
    assert "note: web: n2 cannot say whether it runs web: " in done.stderr


def test_a_disaster_is_declared_for_services_with_different_nodes_at_once(node):
    node.add("a", default=("nodes = n2", "drpnodes = n1"))
    node.add("b", default=("nodes = n3", "drpnodes = n1"))
    gone = ("--despite-peer", "n2", "--despite-peer", "N3")

    assert node.run("start", "*", "--drp", *gone, "--despite-peer", "n4").returncode == 2
    assert node.run("plan", "start", "*", "--drp", *gone).returncode == 0
    assert node.run("start", "*", "--drp", "--despite-peer", "n2").returncode == 3  # n3 may run b
    assert node.run("start", "*", "--drp", *gone).returncode == 0


def test_a_plan_does_nothing(node):
    node.add("web", "initial = running")
    plan = node.run("plan", "stop", "web")
    dry = node.run("stop", "web", "--dry-run")
    code, answer = node.json("plan", "stop", "web")

    assert plan.stdout == dry.stdout
    assert re.search(
        r"1\. stop container#1  within 120 s.*\n  2\. kill container#1  within 30 s, if still needed", plan.stdout
    )
    assert (code, answer["schema"], len(answer["plans"][0]["steps"])) == (0, "vmsvc.plan/1", 2)
    assert not node.hypervisor.log()


def test_an_interrupt_takes_back_what_was_started(node):
    node.add("web", "start_delay = 30s")
    process = node.begin("start", "web")
    node.wait_for("web", "starting")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert process.returncode == 1
    assert out == ""
    assert "interrupted: what is running is broken off" in err
    assert "note: web: [container#1]: rolled back: stop container#1: done" in err
    assert node.hypervisor.machine("web").phase == "stopped"
    assert "Traceback" not in err


def test_an_interrupted_stop_says_what_stands_and_what_to_do_next(node):
    node.add("web", "ignore_stop = true")
    node.run("start", "web")
    process = node.begin("stop", "web")
    while "stop container#1" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 1
    assert "interrupted: nothing more is stopped; what was stopped stays down" in err
    assert "stopped again" not in err
    assert "container#1 may still go down; `vmsvc status web` tells how it stands; run the same again" in err
    assert node.hypervisor.machine("web").phase == "running"


def test_a_second_interrupt_leaves_at_once(node):
    node.add("web", "start_delay = 30s", "ignore_stop = true", "hang = kill")
    process = node.begin("start", "web")
    node.wait_for("web", "starting")
    process.send_signal(signal.SIGTERM)
    while "interrupted" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    _, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert time.monotonic() - began < 8
    assert "`vmsvc status` tells what was cut short" in err
    assert "Traceback" not in err


def test_a_reader_that_leaves_stops_no_action(node):
    for name in ("a", "b"):
        node.add(name, "start_delay = 0.5s")
    process = node.begin("start", "a", "b")
    process.stdout.close()
    process.stderr.close()

    assert process.wait(timeout=30) == 0
    assert {node.hypervisor.machine(name).phase for name in "ab"} == {"running"}


def test_a_full_disk_is_told(node):
    node.add("web")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*VMSVC, "status"],
            env=node.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert "the output could not be written: No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_standard_streams(node):
    node.add("web")
    closing = f"exec {' '.join(VMSVC)} status >&- 2>&-"
    assert subprocess.run(["sh", "-c", closing], env=node.environment, timeout=60, check=False).returncode == 0


def test_pipes_get_no_colour_and_whole_lines(node):
    node.add("web", "fail = observe", "name = " + "x" * 180)
    plain = node.run("print", "status")
    coloured = node.run("print", "status", "--color", "always", NO_COLOR="1")

    assert ESCAPE not in plain.stdout + plain.stderr
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.stdout) == plain.stdout
    assert coloured.stdout != plain.stdout


def _on_terminal(node, *words, **environment):
    """Run on a terminal of our own; give what was shown there."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*VMSVC, *words], env={**node.environment, **environment}, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while chunk := os.read(leader, 65536):
            shown += chunk
    os.close(leader)
    return process.wait(timeout=30), shown.decode()


def test_a_terminal_gets_colours_unless_told_otherwise(node):
    node.add("web")
    assert f"{ESCAPE}[31mdown" in _on_terminal(node, "status")[1]
    assert ESCAPE not in _on_terminal(node, "status", NO_COLOR="1")[1]
    assert ESCAPE not in _on_terminal(node, "start", "web", "nope", NO_COLOR="1")[1]
    assert ESCAPE not in _on_terminal(node, "start", "web", NO_COLOR="1")[1]
    assert f"{ESCAPE}[32mup" in _on_terminal(node, "status", "--color", "always", NO_COLOR="1")[1]
    assert ESCAPE not in _on_terminal(node, "status", "--color", "never")[1]
    assert ESCAPE not in _on_terminal(node, "status", TERM="dumb")[1]


def test_progress_is_drawn_on_a_terminal(node):
    node.add("web", "start_delay = 0.6s")
    code, shown = _on_terminal(node, "start", "web")

    assert code == 0
    assert "web: start container#1" in shown
    assert f"{ESCAPE}[?25l" in shown  # the cursor was hidden, and
    assert f"{ESCAPE}[?25h" in shown  # shown again
    assert "web: " in shown.rsplit(f"{ESCAPE}[?25h", 1)[1]


def test_ascii_where_there_is_nothing_better(node):
    node.add("web")
    done = node.run("print", "status", PYTHONIOENCODING="ascii")

    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "`- container#1" in done.stdout


def test_what_a_guest_says_moves_no_cursor(node):
    node.add("web", "initial = running")
    node.hypervisor.set("web", phase="\x1b[2J")
    done = node.run("print", "status")

    assert ESCAPE not in done.stdout
    assert r"\x1b[2J" in done.stdout
    logged = node.run("status", "-v").stderr
    assert ESCAPE not in logged
    assert r"\x1b[2J" in logged


def test_the_old_grammar(node):
    node.add("web", "disks = /dev/zero")
    node.add("db")

    def svcmgr(*words):
        done = node.run(*words, program=SVCMGR)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    assert svcmgr("-s", "web", "start")[1].startswith("web: up")
    assert svcmgr("-s", "web,db", "print", "status")[1].count("(this node)") == 2
    assert json.loads(svcmgr("-s", "web", "status", "--format", "json")[1])["services"][0]["avail"] == "up"
    assert svcmgr("-s", "web", "push")[1].startswith("web: stored configuration")
    assert "/dev/zero" in svcmgr("-s", "web", "diskupdate")[1]
    assert svcmgr("-s", "web", "stop", "--dry-run")[1].startswith("stop web on n1\n  1. stop container#1")
    assert svcmgr("-s", "web", "set", "--param", "comment", "--value", "a b=c")[0] == 0
    assert svcmgr("-s", "web", "get", "--param", "comment")[1] == "a b=c\n"
    assert svcmgr("-s", "web", "unset", "--param", "comment")[0] == 0
    assert svcmgr("-s", "web", "validate", "config")[0] == 0
    assert "type = null" in svcmgr("-s", "web", "print", "config")[1]
    assert svcmgr("ls")[1] == "db\nweb\n"
    for words in ("-s web print status --format json", "--format json -s web print status",
                  "-s web --format=json print status", "print -s web --format json status"):  # fmt: skip
        assert json.loads(svcmgr(*words.split())[1])["schema"] == "vmsvc.status/1"
    assert svcmgr("-s", "web", "stop", "--kill", "--parallel", "2")[1].startswith("web: down (kill")
    assert svcmgr("start", "web")[2].endswith("start takes its services from -s (say `svcmgr -s web start`)\n")
    assert "svcmgr -s web,db print status" in svcmgr("-s", "web", "print", "status", "db")[2]
    assert svcmgr("-s", "web", "start")[0] == 0
    assert svcmgr("-s", "web", "stop")[1].startswith("web: down")
    code, out, err = svcmgr("-s", "web", "start", "--force")
    assert (code, out) == (2, "")
    assert "--despite-unknown RID, --despite-frozen, or --force NODE" in err


def test_a_guest_whose_disks_another_section_reserves_is_shown_so(node):
    node.add("web", "disks = /dev/zero", "[vmdg]", "scsireserv = true")
    guest, _, group = node.run("show", "web").stdout.partition("\n[vmdg]\n")
    assert "scsireserv = false" in guest
    assert "; its disks are reserved by [vmdg]" in guest
    assert "reserved by" not in group


def test_show_and_drivers(node):
    node.add("web", "vcpus = 3", "disks = /dev/zero")
    shown = node.run("show", "web")
    code, answer = node.json("show", "web")

    assert "vcpus = 3" in shown.stdout
    assert "; 3 vCPU, 256 MiB" in shown.stdout
    assert (code, answer["guests"][0]["disks"][0]["source"]) == (0, "/dev/zero")
    assert "container null  API 1  bulk" in node.run("drivers").stdout
    (null,) = [plugin for plugin in node.json("drivers")[1]["plugins"] if plugin["name"] == "null"]
    assert null["state"] == "ok"
    assert "start_delay" in node.run("keywords", "container", "null").stdout


def test_an_editor_that_prints_is_not_in_the_document(node):
    node.add("web")
    done = node.run("--format", "json", "edit", "web", EDITOR="sh -c 'echo noise' sh")
    assert (done.returncode, done.stderr) == (0, "noise\n")
    assert documents.checked(done.stdout)["schema"] == "vmsvc.changed/1"
    assert "noise" in node.run("edit", "web", EDITOR="sh -c 'echo noise' sh").stdout


@pytest.mark.parametrize("editor", ["vi '", "  "])
def test_an_editor_that_is_none(node, editor):
    node.add("web")
    done = node.run("edit", "web", EDITOR=editor)

    assert done.returncode == 2
    assert done.stderr.startswith("vmsvc: error: EDITOR is no command: ")


@pytest.mark.parametrize("program", [VMSVC, SVCMGR])
def test_an_interrupt_at_any_time_is_quiet(node, program):
    (node.services_dir / "job.conf").write_text("[app#1]\nstart = true\ncheck = sleep 5\n")
    for wait_s in (0.04, 0.06, 0.08, 0.1, 0.13, 0.17, 0.3):
        process = subprocess.Popen(
            [*program, "status"], env=node.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        time.sleep(wait_s)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        # Before vmsvc is loaded, Python itself says what it wants.
        if "vmsvc/cli" in err or "Traceback" not in err:
            assert process.returncode in (130, -signal.SIGINT), (wait_s, err)
            assert err in ("", "vmsvc: interrupted\n", "svcmgr: interrupted\n"), wait_s


MISTAKES = [
    ["frob"],
    ["stat"],
    ["--verson"],
    ["statsu"],
    ["status", "nope"],
    ["status", "--drp"],
    ["status", "--format", "yaml"],
    ["status", "--format"],
    ["--color", "red", "status"],
    ["start"],
    ["start", "--parallel", "0", "web"],
    ["start", "--parallel", "٣", "web"],
    ["start", "--parallel", "many", "web"],
    ["start", "web", "--kill"],
    ["start", "../web"],
    ["start", "-web"],
    ["start", ""],
    ["stop", "web", "--despite-unknown"],
    ["stop", "web", "--despite-unknown", "ip#7"],
    ["plan"],
    ["plan", "explode", "web"],
    ["plan", "start"],
    ["print"],
    ["print", "config"],
    ["validate", "/nowhere/x.conf"],
    ["validate", "/"],
    ["create", "a/b"],
    ["create", "web"],
    ["create", "new", "=x"],
    ["create", "new", "container#1.type"],
    ["create", "new", "--type", "nul"],
    ["create", "new", "--from", "/nowhere"],
    ["edit", "nope"],
    ["get", "web", ""],
    ["get", "web", "nope"],
    ["get", "web", "container#9.name"],
    ["set", "web", "container#1.start_timeout=soon"],
    ["set", "web", "comment"],
    ["unset", "web", "comment"],
    ["show", "nope"],
    ["show", "web", "extra"],
    ["keywords", "containr"],
    ["keywords", "container", "nul"],
    ["node", "mode"],
    ["node", "mode", "PROD"],
    ["node", "colour", "blue"],
    ["completion", "tcsh"],
    ["diskupdate", "web*x"],
    ["status", "\udcff"],
]


@pytest.fixture(scope="module")
def quiet_node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("quiet") / "root")
    node.add("web")
    return node


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_mistakes_are_told_without_a_traceback(quiet_node, words, capsys, monkeypatch):
    text = quiet_node.run(*words)
    for key, value in quiet_node.environment.items():
        monkeypatch.setenv(key, value)
    code = main(["--format", "json", *words])
    shown = capsys.readouterr()
    answer = json.loads(shown.out)

    assert text.returncode == code == 2
    assert "Traceback" not in text.stderr
    assert "bug in vmsvc" not in text.stderr
    assert text.stderr or text.stdout
    assert shown.err == ""
    assert answer["schema"].startswith("vmsvc.")
    assert '"code"' in json.dumps(answer)
    assert not quiet_node.hypervisor.log()


def test_mistakes_in_the_old_grammar(quiet_node):
    for words in ([], ["-s"], ["-s", "web"], ["start"], ["-s", "web", "frob"], ["-s", "web", "get"], ["-s", ",", "stop"],
                  ["-s", "web,web2", "edit", "config"], ["-s", "web", "stop", "--drp"], ["-s", "web", "show", "--dry-run"]):  # fmt: skip
        done = quiet_node.run(*words, program=SVCMGR)
        assert done.returncode == 2, words
        assert "Traceback" not in done.stderr
        assert done.stderr, words


def test_an_action_on_some_resources_only(node):
    path = node.add("web", "name = web1")
    path.write_text(path.read_text() + "[container#2]\ntype = null\nname = web2\n")
    wrong = node.run("start", "web", "--rid", "container#1,ip#7")
    started = node.run("start", "web", "--rid", "container#2")
    planned = node.json("plan", "stop", "web", "--rid", "container")

    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "web has no resource ip#7 (it has: container#1, container#2)" in wrong.stderr
    assert re.fullmatch(r"web: warn \(start container#2, \d+\.\d s\)\n", started.stdout)
    assert [entry.machine for entry in node.hypervisor.log()] == ["web2"]
    assert planned[1]["plans"][0]["only"] == ["container#1", "container#2"]
    shown = node.run("plan", "stop", "web", "--rid", "container#2").stdout
    assert shown.startswith("stop web on n1, only container#2\n  1. stop container#2")


def test_a_freeze_tells_of_the_start_that_it_comes_too_late_for(node):
    node.add("web", "start_delay = 2")
    process = node.begin("start", "web")
    node.wait_for("web", "starting")
    frozen = node.run("freeze", "web")
    process.communicate(timeout=30)

    assert frozen.returncode == process.returncode == 0
    assert re.search(r"web: what began before goes on: start by pid \d+ since", frozen.stderr)
    assert node.run("start", "web").returncode == 3


def test_freezing_and_thawing(node):
    node.add("web")
    dry = node.run("freeze", "web", "--dry-run")
    not_yet = node.json("status", "web")[1]["services"][0]["instances"][0]["frozen"]
    frozen = node.run("freeze", "web", "--reason", "storage is moved")
    again = node.run("freeze", "web")
    refused = node.run("start", "web")
    shown = node.run("status", "web")
    code, document = node.json("print", "status", "web")
    tree = node.run("print", "status", "web")
    thawed = node.run("thaw", "web")
    started = node.run("start", "web")

    assert (dry.stdout, not_yet) == ("web: would be frozen\n", False)
    assert re.fullmatch(r"web: frozen since [-0-9]+ [:0-9]+: storage is moved\n", frozen.stdout)
    assert again.stdout == frozen.stdout.replace("frozen", "already frozen")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "--despite-frozen" in refused.stderr
    assert "note: frozen since" in shown.stdout
    assert "note: frozen since" in tree.stdout
    assert document["services"][0]["instances"][0]["frozen"]
    assert thawed.stdout == "web: thawed\n"
    assert started.returncode == code == 0
    assert node.run("thaw", "web").stdout == "web: not frozen: nothing to do\n"
    assert node.run("freeze", "nope").returncode == 2


def test_the_old_grammar_freezes_and_thaws(node):
    node.add("web")
    frozen = node.run("-s", "web", "freeze", program=SVCMGR)
    refused = node.run("-s", "web", "start", program=SVCMGR)
    agreed = node.run("-s", "web", "start", "--despite-frozen", "--rid", "container#1", program=SVCMGR)

    assert frozen.stdout.startswith("web: frozen since")
    assert (refused.returncode, agreed.returncode) == (3, 0)
    assert node.run("-s", "web", "thaw", program=SVCMGR).stdout == "web: thawed\n"


def test_looks_limited_by_rid_tags_and_subset(node):
    path = node.add("web", "name = web1", "tags = front")
    path.write_text(path.read_text() + "[container#2]\ntype = null\nname = web2\nsubset = late\n")
    node.hypervisor.set("web2", phase="running")
    front = node.run("status", "web", "--tags", "front")
    late = node.json("print", "status", "web", "--subset", "late")
    none = node.json("status", "web", "--tags", "back")

    assert front.stdout.splitlines()[1].split() == ["web", "down", "down"]
    assert "nothing but container#1 was looked at" in front.stdout
    assert [item["rid"] for item in late[1]["services"][0]["instances"][0]["resources"]] == ["container#2"]
    assert (none[0], none[1]["services"]) == (2, [])
    assert none[1]["errors"][0]["hint"] == "its tags: front"


def test_triggers_are_shown_by_plans_and_dry_runs_and_run_by_actions_alone(node):
    marks = [node.root / f"mark{number}" for number in range(3)]
    node.add("web", f"pre_start = touch {marks[0]}", f"post_start = sh -c 'touch {marks[1]}; echo no space; exit 1'",
             default=("nodes = n1", f"blocking_pre_start = touch {marks[2]}"))  # fmt: skip
    planned = node.run("plan", "start", "web")
    dry = node.run("start", "web", "--dry-run")
    document = node.json("plan", "start", "web")[1]["plans"][0]["steps"]
    untouched = not any(mark.exists() for mark in marks)
    started = node.run("start", "web")

    assert planned.stdout == dry.stdout
    assert f"1. run blocking_pre_start  within 60 s  (touch {marks[2]})" in planned.stdout
    assert document[1]["trigger"] == {"key": "pre_start", "command": ["touch", str(marks[0])]}
    assert untouched
    assert all(mark.exists() for mark in marks)
    assert started.returncode == 0
    assert "warning: web: run post_start of container#1 failed: " in started.stderr
    assert "exit code 1: no space" in started.stderr
    assert started.stdout.startswith("web: up (run blocking_pre_start, ")


def test_a_trigger_that_blocks_fails_the_start(node):
    node.add("web", "blocking_post_start = sh -c 'echo not ready >&2; exit 7'")
    code, document = node.json("start", "web")
    (result,) = document["results"]

    assert (code, result["outcome"], result["status"]["avail"]) == (1, "failed", "down")
    assert "exit code 7: not ready" in result["errors"][0]["message"]
    assert result["errors"][0]["hint"].startswith("run it by hand: sh -c ")
    assert "rolled back: stop container#1: done" in [note["message"] for note in result["notes"]]


def test_kill_9_while_a_trigger_runs_is_told_by_status_and_mended_by_a_second_run(node, tmp_path):
    gate = tmp_path / "gate"
    node.add("web", f"pre_start = sh -c 'touch {gate}.begun; test -e {gate} || sleep 30'")
    process = node.begin("start", "web")
    deadline = time.monotonic() + 20
    while not Path(f"{gate}.begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    gate.touch()
    told = node.run("status", "web")
    again = node.run("start", "web")

    assert "it had begun: run pre_start of container#1" in told.stdout
    assert (again.returncode, [entry.verb for entry in node.hypervisor.log()]) == (0, ["start"])
