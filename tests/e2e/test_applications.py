"""Applications inside of guests, by the command line: launchers that do all that launchers do, and what becomes of it."""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
import time

import pytest

from tests import documents

GUEST = ("[container#1]", "type = null", "name = web")


class Launchers:
    """The launchers of a guest, whose inside is this machine; each notes that it ran, and with what."""

    def __init__(self, inside):
        self.inside = inside
        self.directory = inside.root / "init.d"
        self.directory.mkdir()
        self.log = inside.root / "ran"

    def add(self, name, *lines, mode=0o755):
        path = self.directory / name
        path.write_text("\n".join(["#!/bin/sh", f'echo "${{0##*/}} $1" >>{self.log}', *lines, ""]))
        path.chmod(mode)

    def service(self, *lines):
        self.inside.add(*GUEST, "[app#1]", f"launchers = {self.directory}", *lines)

    @property
    def ran(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def ran_but_checks(self):
        return [line for line in self.ran if not line.endswith(" status")]


@pytest.fixture
def launchers(inside):
    return Launchers(inside)


@pytest.fixture
def web(launchers):
    """An application of one launcher for each sort: its state is a file."""
    mark = launchers.inside.root / "mark"
    launchers.add("S1", f"touch {mark}")
    launchers.add("K1", f"rm -f {mark}")
    launchers.add("C1", f"test -e {mark}")
    launchers.service()
    return launchers


@pytest.mark.keyword("app.launchers")
def test_launchers_run_after_the_guests_start_and_before_its_stop_once_each(web, inside):
    web.add("S0 first")
    code, out, err = inside.run("start web")
    assert (code, "warning" in err) == (0, False)
    assert out.startswith("web: up (start container#1, ")
    assert web.ran_but_checks() == ["S0 first start", "S1 start"]
    assert " up " in inside.run("status web")[1]
    web.log.unlink()
    assert inside.code("start web") == 0
    assert web.ran_but_checks() == []
    assert inside.code("stop web") == 0
    assert (web.ran_but_checks(), inside.phase()) == (["K1 stop"], "stopped")


def test_a_check_that_says_down_makes_the_service_less_than_up(web, inside):
    inside.run("start web")
    (inside.root / "mark").unlink()
    code, out, _ = inside.run("--format json status web")
    (_, app) = json.loads(out)["services"][0]["instances"][0]["resources"]
    assert (code, app["status"], app["evidence"]["detail"]) == (
        0,
        "down",
        "C1 exited with 1: no output",
    )


def test_of_a_guest_that_is_down_nothing_is_asked(web, inside):
    code, out, _ = inside.run("print status web")
    assert (code, web.ran) == (0, [])
    assert "guest is down" in out


def test_launchers_that_are_mounted_late_are_waited_for_as_a_step_of_its_own(web, inside):
    late = inside.root / "late"
    web.directory.rename(late)
    threading.Timer(1.5, lambda: late.rename(web.directory)).start()
    code, out, err = inside.run("start web")
    assert (code, web.ran_but_checks()) == (0, ["S1 start"])
    assert "web: wait app#1 … done (" in err
    assert "; wait app#1, " in out


def test_launchers_that_do_not_come_are_told_with_the_time_that_they_were_waited_for(web, inside):
    web.directory.rename(inside.root / "elsewhere")
    inside.add(
        "[container#1]", "type = null", "name = web", "start_timeout = 2", "[app#1]", f"launchers = {web.directory}"
    )
    code, _, err = inside.run("start web")
    assert (code, inside.phase()) == (4, "stopped")
    told = r"start of web failed at wait app#1: it could not be seen within [12]\.\d s: there is no directory "
    assert re.search(told, err)


TROUBLE = {
    "hangs": ("sleep 60", "did not end within 0.5 s, and was killed"),
    "fails": ("echo no database >&2; exit 3", "S1 exited with 3: no database"),
    "prints 100 MB and fails": ("head -c 100000000 /dev/zero | tr '\\0' x; echo the end >&2; exit 3", "the end"),
    "prints binary": ("printf '\\001\\377\\033[2J' >&2; exit 3", "S1 exited with 3: \\x01\\xff\\x1b[2J"),
    "kills its own shell": ("kill -KILL $$", "S1 was killed by signal 9"),
}


def test_several_launchers_in_trouble_have_a_line_each_that_can_be_read(launchers, inside):
    launchers.add("S1", "echo no database >&2", "exit 3")
    launchers.add("S2", "head -c 100000 /dev/zero", "exit 4")
    launchers.add("S3", "head -c 100000 /dev/urandom | base64 -w 0", "exit 5")
    launchers.service()
    code, _, err = inside.run("start web")
    assert code == 0
    told = [line for line in err.splitlines() if line.startswith("vmsvc: warning: ")]
    kept = inside.root / "var/lib/vmsvc/launchers/web/app#1"
    assert told[:3] == [
        f"vmsvc: warning: web: start app#1 failed: 3 of 3 launchers failed: S1, S2, S3 (what was printed is in {kept})",
        "vmsvc: warning: web: [app#1]: S1 exited with 3: no database",
        "vmsvc: warning: web: [app#1]: S2 exited with 4: bytes that are no text",
    ]
    assert told[3].startswith("vmsvc: warning: web: [app#1]: S3 exited with 5: …")
    assert max(map(len, err.splitlines())) < 500
    assert sum("no database" in line for line in err.splitlines()) == 1


@pytest.mark.parametrize(("line", "told"), TROUBLE.values(), ids=TROUBLE)
def test_a_launcher_in_trouble_is_told_with_its_name_and_the_others_run(launchers, inside, line, told):
    launchers.add("S1", line)
    launchers.add("S2")
    launchers.service("launcher_timeout = 500ms" if "sleep" in line else "")
    began = time.monotonic()
    code, out, err = inside.run("start web")
    assert time.monotonic() - began < 20
    assert (code, inside.phase()) == (0, "running")
    assert told in err
    assert "warning: web: start app#1 failed: 1 of 2 launchers failed: S1" in err
    assert "start app#1 failed" in out
    assert launchers.ran == ["S1 start", "S2 start"]


def test_a_launcher_that_takes_its_guest_down_fails_the_start_whatever_is_forgiven(launchers, inside):
    launchers.add("S1", f"{sys.executable} -m vmsvc_null {inside.root} set web phase=stopped", "exit 1")
    launchers.service()
    code, _, err = inside.run("start web")
    assert (code, inside.phase()) == (1, "stopped")
    assert "its guest went down while it was waited for" in err


def test_a_daemon_that_keeps_the_output_open_is_not_waited_for_and_lives_on(launchers, inside):
    launchers.add("S1", f"(sleep 3; touch {inside.root}/lived) &", "echo started")
    launchers.service()
    began = time.monotonic()
    assert inside.code("start web") == 0
    assert time.monotonic() - began < 3
    (kept,) = (inside.root / "var/lib/vmsvc/launchers/web/app#1").iterdir()
    assert (kept.name, kept.read_text()) == ("S1.start.log", "started\n")
    while not (inside.root / "lived").exists():
        assert time.monotonic() - began < 20
        time.sleep(0.1)


def test_a_launcher_that_hangs_is_told_by_its_name_and_not_by_the_line_that_called_it(launchers, inside):
    launchers.add("S1", "echo said; sleep 987")
    launchers.service("launcher_timeout = 1")
    _, _, err = inside.run("start web")
    assert (
        "1 of 1 launchers failed: S1: did not end within 1.0 s, and was killed; it said last: said; nothing of" in err
    )


@pytest.mark.parametrize("sort", ["launcher", "command"])
def test_an_interrupt_does_not_leave_an_application_half_stopped(launchers, inside, sort):
    """It prints beyond what vmsvc would still read if it had gone, and it is one of two."""
    launchers.add("K1", "sleep 3", "echo stopped", f"touch {inside.root}/stopped")
    launchers.add("K2")
    if sort == "launcher":
        launchers.service()
    else:
        inside.add(*GUEST, "[app#1]", f"stop = {launchers.directory}/K1 stop")
    inside.run("start web --rid container")
    stop = inside.node.begin("stop", "web")
    while "K1 stop" not in launchers.ran:
        assert stop.poll() is None
        time.sleep(0.05)
    stop.send_signal(signal.SIGINT)
    _, err = stop.communicate(timeout=60)
    assert (stop.returncode, inside.phase()) == (1, "running"), err
    assert (inside.root / "stopped").exists()
    assert launchers.ran == ["K1 stop"]


def test_where_failures_are_to_fail_the_action_what_it_started_is_stopped_again(launchers, inside):
    launchers.add("S1", "exit 3")
    launchers.add("S2")
    launchers.add("K1")
    launchers.service("on_launcher_failure = fail")
    code, _, err = inside.run("start web")
    assert (code, inside.phase()) == (1, "stopped")
    assert "1 of 2 launchers failed: S1 exited with 3" in err
    assert launchers.ran == ["S1 start", "K1 stop"]


def test_what_a_launcher_has_started_is_stopped_again_though_checks_say_that_nothing_runs(launchers, inside):
    mark = inside.root / "database"
    launchers.add("S1", f"touch {mark}")
    launchers.add("S2", "exit 3")
    launchers.add("K1", f"rm {mark}")
    launchers.add("C2", "exit 1")
    launchers.service("on_launcher_failure = fail")
    inside.run("start web --rid container")
    code, _, err = inside.run("startapp web")
    assert (code, inside.phase(), mark.exists()) == (1, "running", False)
    assert launchers.ran_but_checks() == ["S1 start", "S2 start", "K1 stop"]
    assert "rolled back: stop app#1: done" in err


@pytest.mark.parametrize("code", [2, 3, 4])
def test_what_has_ended_uncleanly_is_started_again(web, inside, code):
    (inside.root / "mark").touch()
    web.add("C1", f"test -e {inside.root}/started || exit {code}")
    web.add("S1", f"touch {inside.root}/started")
    assert inside.code("start web") == 0
    assert " up " in inside.run("status web")[1]
    assert web.ran_but_checks() == ["S1 start"]


def test_the_key_for_a_guest_of_several_services_is_for_the_launchers_of_all(inside):
    for name in ("web", "api"):
        inside.add(
            *GUEST[:2],
            f"name = {name}",
            "hostname = host",
            "way_in = ssh",
            "[app#1]",
            f"launchers = /svc/{name}",
            name=name,
        )
    inside.add(*GUEST[:2], "name = other", "way_in = ssh", name="other")
    for name in ("web", "api"):
        assert "permit /svc/api /svc/web" in inside.run(f"trust guest {name}")[1]
    assert "permit /svc/etc/init.d" in inside.run("trust guest other")[1]


def test_a_guest_that_cannot_be_entered_is_stopped_all_the_same(web, inside):
    inside.run("start web")
    inside.hypervisor.set("web", fail=["enter"])
    assert inside.run("status web")[0] == 4
    code, _, err = inside.run("stop web")
    assert (code, inside.phase()) == (0, "stopped")
    assert "warning: " in err
    assert "app#1 is not stopped before its guest, and goes down with it: its status is unknown: " in err


def test_where_nobody_knows_what_became_of_a_launcher_nor_of_the_application_that_is_no_success(launchers, inside):
    launchers.add("S1", f"touch {inside.root}/begun", "sleep 987")
    launchers.add("C1", f"[ -e {inside.root}/begun ] && kill -9 $$", "exit 1")
    launchers.service("launcher_timeout = 1")
    code, out, err = inside.run("start web")
    assert code == 4, err
    assert out.startswith("web: unknown (")
    assert "1 of 1 launchers failed: S1: did not end" in err
    launchers.add("C1", f"test -e {inside.root}/begun")
    (inside.root / "begun").unlink()
    assert inside.code("startapp web") == 0


def test_a_launcher_that_does_not_stop_its_application_does_not_keep_the_guest(web, inside):
    inside.run("start web")
    web.add("K1", "exit 7")
    code, _, err = inside.run("stop web")
    assert (code, inside.phase()) == (0, "stopped")
    assert "K1 exited with 7" in err


# --- by hand ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["vmsvc", "svcmgr"])
def test_applications_are_started_and_stopped_by_hand_and_the_guest_is_left(web, inside, program):
    call = (
        (lambda verb: inside.run(f"{verb} web")) if program == "vmsvc" else lambda verb: inside.svcmgr(f"-s web {verb}")
    )
    inside.run("start web")
    web.log.unlink()
    assert call("stopapp")[0] == 0
    assert (web.ran_but_checks(), inside.phase()) == (["K1 stop"], "running")
    assert call("startapp")[0] == 0
    assert web.ran_but_checks() == ["K1 stop", "S1 start"]


def test_applications_of_a_guest_that_is_down_are_not_started(web, inside):
    code, _, err = inside.run("startapp web")
    assert (code, inside.phase(), web.ran) == (3, "stopped", [])
    assert "container#1" in err


def test_a_service_without_a_section_has_the_launchers_of_its_guest(launchers, inside):
    inside.add("[DEFAULT]", f"launchers = {launchers.directory}", *GUEST)
    inside.run("start web")
    launchers.add("S1")
    assert "app" not in inside.run("print status web")[1]
    code, out, _ = inside.run("--format json startapp web")
    assert (code, launchers.ran) == (0, ["S1 start"])
    assert [step["rid"] for step in documents.checked(out)["results"][0]["steps"]] == ["app#1"]


def test_a_guest_without_launchers_has_nothing_to_start_and_says_so(launchers, inside):
    launchers.service()
    why = f"there are no launchers in {launchers.directory}"
    _, out, err = inside.run("start web")
    assert f"note: web: app#1: {why}\n" in err
    assert "start app#1" not in out + err
    code, out, err = inside.run("startapp web")
    assert (code, out, err) == (0, f"web: up (nothing to do: app#1 n/a: {why})\n", "")
    code, out, _ = inside.run("--format json startapp web")
    assert documents.checked(out)["results"][0]["outcome"] == "unchanged"


def test_a_script_can_tell_applications_that_were_started_from_a_whole_service(launchers, inside):
    launchers.service()
    for verb in ("start", "startapp", "stopapp"):
        answer = documents.checked(inside.run(f"--format json {verb} web")[1])
        only = [] if verb == "start" else ["app#1"]
        assert (answer["action"], answer["command"]) == (verb.removesuffix("app"), verb)
        assert answer["results"][0]["only"] == only


def test_a_service_without_applications_and_guests_has_none_to_start(inside):
    inside.add("[fs#1]", "dev = /dev/x", "mnt = /x")
    code, _, err = inside.run("startapp web")
    assert code == 2
    assert "neither an application nor a guest" in err


@pytest.mark.option("startapp --dry-run", "stopapp --dry-run", "startapp --rid", "stopapp --rid")
@pytest.mark.parametrize(("verb", "other"), [("startapp", "S2"), ("stopapp", "K2")])
def test_some_applications_alone_and_a_plan_of_them(launchers, inside, verb, other):
    launchers.add(other)
    launchers.service("[app#2]", "start = true", "stop = true")
    inside.run("start web")
    before = launchers.ran
    code, out, _ = inside.run(f"{verb} web --rid app#2 --dry-run")
    assert (code, "app#2" in out, "app#1" in out) == (0, True, False)
    inside.run(f"{verb} web --rid app#2")
    assert launchers.ran == before
    inside.run(f"{verb} web --rid app#1")
    assert launchers.ran == [*before, f"{other} {verb.removesuffix('app')}"]


def test_launchers_tell_about_what_they_start(web, inside):
    web.add("S1", "echo version: 7")
    web.add("S2", "exit 4")
    inside.run("start web")
    code, out, _ = inside.run("appinfo web")
    assert code == 1
    assert "  S1\n    version: 7\n  S2 exited with 4" in out
    (told,) = documents.checked(inside.run("--format json appinfo web")[1])["applications"]
    assert [(each["name"], each["exit_code"], each["output"]) for each in told["launchers"]] == [
        ("S1", 0, "version: 7\n"),
        ("S2", 4, ""),
    ]
    assert inside.svcmgr("-s web info")[0] == 1


def test_what_launchers_tell_fills_no_terminal_and_a_document_has_all_that_is_kept(web, inside):
    web.add("S1", "seq 1000")
    web.add("S2", "head -c 10000 /dev/zero | tr '\\0' x")
    web.add("S3", "head -c 3000000 /dev/zero | tr '\\0' x")
    inside.run("start web")
    _, out, _ = inside.run("appinfo web")
    assert len(out) < 3000
    assert "    100\n    [it told 3893 bytes: --format json has all of them]\n  S2\n" in out
    assert "x\n    [it told 10000 bytes: --format json has all of them]\n  S3\n" in out
    assert out.endswith("x\n    [it told more than the 1048576 bytes that are kept: see --format json]\n")
    (told,) = documents.checked(inside.run("--format json appinfo web")[1])["applications"]
    assert [(len(each["output"]), each["truncated"]) for each in told["launchers"]] == [
        (3893, False),
        (10000, False),
        (1048576, True),
    ]


@pytest.mark.option("appinfo --rid", "appinfo --tags", "appinfo --subset")
@pytest.mark.option("startapp --tags", "startapp --subset", "stopapp --tags", "stopapp --subset")
@pytest.mark.parametrize("option", ["--rid app#1", "--tags front", "--subset first"])
def test_applications_are_chosen_like_other_resources(launchers, inside, option):
    launchers.add("S1")
    launchers.service("tags = front", "subset = first", "[app#2]", "start = false", "stop = false")
    inside.run("start web --rid container")
    assert inside.code(f"startapp web {option}") == inside.code(f"stopapp web {option}") == 0
    (told,) = documents.checked(inside.run(f"--format json appinfo web {option}")[1])["applications"]
    assert (told["rid"], launchers.ran) == ("app#1", ["S1 start", "S1 info"])
    assert inside.code("startapp web") == 1


@pytest.mark.option("startapp --despite-frozen")
def test_applications_of_a_frozen_service_are_started_on_demand_only(web, inside):
    inside.run("start web --rid container")
    inside.run("freeze web")
    assert inside.code("startapp web") == 3
    assert inside.code("startapp web --despite-frozen") == 0


@pytest.mark.option("startapp --drp")
def test_applications_on_a_drpnode_are_started_in_the_disaster_only(web, inside):
    inside.run("start web --rid container")
    inside.add("[DEFAULT]", "nodes = n9", "drpnodes = n1", *GUEST, "[app#1]", f"launchers = {web.directory}")
    assert inside.code("startapp web") == 3
    assert inside.code("startapp web --drp") == 0


@pytest.mark.option("startapp --despite-unknown", "stopapp --despite-unknown")
@pytest.mark.parametrize("verb", ["startapp", "stopapp"])
def test_applications_whose_check_says_nothing_are_started_and_stopped_if_somebody_says_so(web, inside, verb):
    inside.run("start web")
    web.add("C1", "kill -KILL $$")
    web.log.unlink()
    assert inside.code(f"{verb} web") == 4
    assert web.ran_but_checks() == []
    inside.code(f"{verb} web --despite-unknown app#1")
    assert len(web.ran_but_checks()) == 1


@pytest.mark.option("startapp --parallel", "stopapp --parallel")
@pytest.mark.parametrize(("parallel", "at_once"), [(1, 1), (2, 2)])
def test_applications_of_so_many_services_are_started_at_once(inside, parallel, at_once):
    log = inside.root / "log"
    noting = f"sh -c 'echo begin >>{log}; sleep 0.5; echo end >>{log}'"
    for name in ("a", "b"):
        inside.add(*GUEST[:2], f"name = {name}", "[app#1]", f"start = {noting}", f"stop = {noting}", name=name)
    inside.run("start a b --rid container")
    for verb in ("startapp", "stopapp"):
        log.unlink(missing_ok=True)
        assert inside.code(f"{verb} a b --parallel {parallel}") == 0
        lines = log.read_text().split()
        assert (lines[:2] == ["begin", "begin"]) == (at_once == 2)
