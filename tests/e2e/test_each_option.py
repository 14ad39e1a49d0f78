"""Each option of a command changes what it does: with it, and without it."""

from __future__ import annotations

import json
import time

import pytest

from vmsvc import __version__

GUEST = "[container#1]\ntype = null"


@pytest.fixture
def web(inside):
    inside.add("[DEFAULT]", "nodes = n1", GUEST)
    return inside


@pytest.mark.option("--format")
def test_the_format_is_text_or_json(web):
    assert web.run("status web")[1].startswith("SERVICE")
    assert json.loads(web.run("status web --format json")[1])["schema"] == "vmsvc.status/1"


@pytest.mark.option("--color")
def test_colours_are_there_when_asked_for(web):
    assert "\x1b[" not in web.run("status web")[1]
    assert "\x1b[" in web.run("status web --color always")[1]
    assert "\x1b[" not in web.run("status web --color never")[1]


@pytest.mark.option("--version")
def test_the_version_is_told(web):
    assert web.run("--version")[:2] == web.run("--format json --version")[:2] == (0, f"vmsvc {__version__}\n")


@pytest.mark.option("start --dry-run", "stop --dry-run", "restart --dry-run", "svcmgr --dry-run")
def test_a_dry_run_does_nothing(web):
    assert web.code("start web --dry-run") == 0
    assert web.phase() == "stopped"
    assert web.code("start web") == 0
    for action in ("stop", "restart"):
        assert "container#1" in web.run(f"{action} web --dry-run")[1]
    assert web.svcmgr("-s web stop --dry-run")[0] == 0
    assert [entry.verb for entry in web.hypervisor.log() if entry.verb != "observe"] == ["start"]


@pytest.mark.option("push --dry-run", "diskupdate --dry-run")
@pytest.mark.parametrize("command", ["push", "diskupdate"])
def test_facts_that_are_collected_in_a_dry_run_are_compared_and_not_stored(web, command):
    store = web.root / "var/lib/vmsvc/store.sqlite"
    assert "dry run: collected" in web.run(f"{command} web --dry-run")[1]
    assert not store.exists()
    assert web.code(f"{command} web") == 0
    kept = store.read_bytes()
    assert "nothing has changed" in web.run(f"{command} web --dry-run")[1]
    web.add("[DEFAULT]", "nodes = n1", f"{GUEST}\ndisks = {web.root}/other.img")
    code, told, _ = web.run(f"{command} web --dry-run")
    assert (code, "changed since" in told, "other.img" in told) == (0, True, True)
    assert store.read_bytes() == kept
    answer = json.loads(web.run(f"{command} web --dry-run --format json")[1])["stored"][0]
    assert (answer["dry_run"], answer["stored"]) == (True, False)
    assert web.svcmgr(f"-s web {command} --dry-run")[0] == 0
    assert store.read_bytes() == kept


@pytest.mark.option("node --dry-run")
def test_a_host_mode_can_be_tried(inside):
    file = inside.root / "etc/vmsvc/node.conf"
    assert "+DEV" in inside.run("node mode DEV --dry-run")[1]
    assert not file.exists()
    assert inside.code("node mode DEV") == 0
    assert "-DEV\n+PRD" in inside.run("node mode PRD --dry-run")[1]
    assert file.read_text() == "DEV\n"
    assert inside.code("node peer add n2 --prkey 0xabc --dry-run") == 2


@pytest.mark.option("boot --dry-run")
def test_a_boot_can_be_tried(inside):
    inside.add("[container#1]", "type = null", "disks = /dev/vmsvc-no-such-disk", "[vmdg]", "scsireserv = true")
    assert "stop vmdg" in inside.run("boot --dry-run")[1]
    assert not (inside.root / "var/lib/vmsvc/journal").exists()
    assert inside.code("boot") == 0
    assert (inside.root / "var/lib/vmsvc/journal").exists()


@pytest.mark.option("stop --kill", "restart --kill", "plan --kill", "svcmgr --kill")
@pytest.mark.parametrize("action", ["stop", "restart"])
def test_a_kill_asks_nobody_first(web, action):
    assert web.code("start web") == 0
    assert "stop container#1" not in web.run(f"plan {action} web --kill")[1]
    assert "stop container#1" in web.run(f"plan {action} web")[1]
    assert web.code(f"{action} web --kill") == 0
    if action == "stop":
        assert web.code("start web") == 0
    assert web.svcmgr(f"-s web {action} --kill")[0] == 0
    verbs = [entry.verb for entry in web.hypervisor.log()]
    assert (verbs.count("kill"), verbs.count("stop")) == (2, 0)


@pytest.mark.option(
    "start --despite-unknown, stop --despite-unknown, restart --despite-unknown, plan --despite-unknown",
    "svcmgr --despite-unknown",
)
@pytest.mark.parametrize("action", ["start", "stop", "restart"])
def test_what_is_unknown_is_left_alone_unless_it_is_named(inside, action):
    # Asked for its status, this application says nothing that could be understood: its check is killed.
    mark = inside.root / "mark"
    inside.add(
        f"[app#1]\nstart = touch {mark}\nstop = rm -f {mark}\ncheck = sh -c 'test ! -e {mark}.lame || kill $$'\n"
        "start_timeout = 1\nstop_timeout = 1"
    )
    (inside.root / "mark.lame").touch()
    assert inside.code(f"{action} web") == 4
    assert inside.code(f"plan {action} web") == 4
    assert inside.code(f"plan {action} web --despite-unknown app#1") == 0
    if action != "start":
        mark.touch()
    inside.code(f"{action} web --despite-unknown app#1")
    assert mark.exists() == (action == "start")  # a restart goes no further than the stop, which nobody can confirm
    assert "cannot be decided" not in inside.svcmgr(f"-s web {action} --despite-unknown app#1 --dry-run")[1]


@pytest.mark.option(
    "start --despite-frozen", "restart --despite-frozen", "plan --despite-frozen", "svcmgr --despite-frozen"
)
def test_what_is_frozen_starts_only_when_told_so_in_words(web):
    assert web.code("freeze web") == 0
    for action in ("start", "restart"):
        assert web.code(f"plan {action} web") == 3
        assert web.code(f"plan {action} web --despite-frozen") == 0
        assert web.code(f"{action} web") == 3
        assert web.code(f"{action} web --despite-frozen") == 0
    assert web.svcmgr("-s web restart")[0] == 3
    assert web.svcmgr("-s web restart --despite-frozen")[0] == 0


@pytest.mark.option(
    "start --despite-moved", "restart --despite-moved", "plan --despite-moved", "svcmgr --despite-moved"
)
@pytest.mark.parametrize("action", ["start", "restart"])
def test_what_was_moved_to_where_nobody_sees_it_starts_only_when_told_so_in_words(web, action):
    web.hypervisor.set("web", phase="moved")
    assert web.code(f"plan {action} web") == 3
    assert "container#1 has been moved away" in web.run("status web")[1]
    code, _, told = web.run(f"{action} web")
    assert (code, "no node of web says that it has it" in told, "--despite-moved container#1" in told) == (
        3,
        True,
        True,
    )
    assert web.svcmgr(f"-s web {action}")[0] == 3
    assert web.code(f"{action} web --despite-moved container#2") == 2
    assert web.code(f"plan {action} web --despite-moved container#1") == 0
    assert web.svcmgr(f"-s web {action} --despite-moved container#1 --dry-run")[0] == 0
    assert web.hypervisor.machine("web").phase == "moved"
    assert web.code(f"{action} web --despite-moved container#1") == 0


@pytest.mark.option("freeze --reason", "freeze --dry-run", "thaw --dry-run")
def test_a_freeze_has_a_reason_and_can_be_tried(web):
    assert web.code("freeze web --dry-run") == 0
    assert "frozen" not in web.run("status web")[1]
    assert web.run("freeze web --reason", "storage is moved")[0] == 0
    assert "storage is moved" in web.run("status web")[1]
    assert web.code("thaw web --dry-run") == 0
    assert "frozen" in web.run("status web")[1]


@pytest.mark.option("start --force", "restart --force", "plan --force", "pr start --force")
@pytest.mark.parametrize("command", ["start", "restart", "plan start", "pr start"])
def test_force_is_for_disks_that_somebody_holds(web, command):
    code, _, told = web.run(f"{command} web --force n2")
    assert code == 2
    assert "reserves no disks" in told


@pytest.mark.parametrize("command", ["start", "restart", "plan start", "pr start"])
def test_lost_keys_are_those_of_reserved_disks(web, command):
    code, _, told = web.run(f"{command} web --despite-lost-keys")
    assert code == 2
    assert "web reserves no disks" in told


@pytest.mark.option("svcmgr --despite-lost-keys")
def test_svcmgr_knows_lost_keys_too(web):
    assert "--despite-lost-keys: web reserves no disks" in web.svcmgr("-s web start --despite-lost-keys")[2]
    assert "it is for start, restart, prstart" in web.svcmgr("-s web stop --despite-lost-keys")[2]


@pytest.mark.option("svcmgr --force")
def test_force_without_a_name_is_refused_with_what_to_say_instead(web):
    code, _, told = web.svcmgr("-s web stop --force")
    assert code == 2
    assert "--despite-unknown RID" in told
    assert "reserves no disks" in web.svcmgr("-s web start --force n2")[2]


@pytest.mark.option("start --parallel", "stop --parallel", "restart --parallel", "svcmgr --parallel")
@pytest.mark.parametrize("action", ["start", "stop", "restart"])
def test_services_are_acted_on_one_after_the_other_or_at_once(inside, action):
    log = inside.root / "log"

    def noted(number):
        command = f"sh -c 'echo begin >> {log}; sleep 0.7; echo end >> {log}; CHANGE {inside.root}/up{number}'"
        return "\n".join([
            "[app#1]",
            f"start = {command.replace('CHANGE', 'touch')}",
            f"stop = {command.replace('CHANGE', 'rm')}",
            f"check = test -e {inside.root}/up{number}",
        ])  # fmt: skip

    for number in range(2):
        inside.add(noted(number), name=f"web{number}")
    if action != "start":
        assert inside.code("start web* --parallel 2") == 0
        log.unlink()
    assert inside.code(f"{action} web* --parallel 1") == 0
    assert log.read_text().split()[:4] == ["begin", "end", "begin", "end"]
    if action != "restart":
        assert inside.code(f"{'stop' if action == 'start' else 'start'} web*") == 0
    log.unlink()
    assert inside.svcmgr(f"-s web* {action} --parallel 2")[0] == 0
    assert log.read_text().split()[:2] == ["begin", "begin"]


@pytest.mark.option("ls --long")
def test_a_long_list_tells_more(web):
    assert web.run("ls")[1] == "web\n"
    assert "web.conf" in web.run("ls --long")[1]


@pytest.mark.option("show --config", "get --raw")
def test_a_file_can_be_shown_as_it_is(inside):
    inside.add("[DEFAULT]", "# why", "comment = {svcname} of {nodename}", GUEST)
    assert "# why" in inside.run("show web --config")[1]
    assert "# why" not in inside.run("show web")[1]
    assert inside.run("get web comment")[1] == "web of n1\n"
    assert inside.run("get web comment --raw")[1] == "{svcname} of {nodename}\n"


@pytest.mark.option("show --disks", "show --history", "show --limit", "show --since", "show --drift")
def test_show_can_show_what_was_stored(inside):
    inside.add(GUEST, "disks = /dev/vmsvc-a")
    assert inside.code("diskupdate web") == 0
    assert inside.code("push web") == 0
    assert "/dev/vmsvc-a" in inside.run("show web --disks")[1]
    inside.add(GUEST, "disks = /dev/vmsvc-b")
    assert inside.code("push web") == 0
    everything = inside.run("show web --history")[1]
    newest = inside.run("show web --history --limit 1")[1]
    assert 0 < len(newest) < len(everything)
    time.sleep(1.1)
    assert len(inside.run("show web --history --since 1s")[1]) < len(everything)
    assert inside.run("show web --drift")[1] != inside.run("show web")[1]


@pytest.mark.option("create --type", "create --from", "create --toml")
def test_a_service_can_be_made_of_a_type_of_a_file_or_in_toml(web):
    assert web.code("create one --type null") == 0
    assert "type = null" in web.run("show one --config")[1]
    assert web.run("create two --from", str(web.services_dir / "one.conf"))[0] == 0
    assert web.run("show two --config")[1] == web.run("show one --config")[1]
    assert web.code("create three --type null --toml") == 0
    assert (web.services_dir / "three.toml").exists()


@pytest.mark.option("adopt --dry-run", "adopt --set")
def test_an_adoption_can_be_tried_and_given_more_to_say(inside):
    inside.hypervisor.set("old", phase="running")
    before = inside.run("adopt --dry-run")
    assert "old" in before[1]
    assert list(inside.services_dir.iterdir()) == []
    assert inside.code("adopt --set app=shop") == 0
    assert "app = shop" in inside.run("show old --config")[1]


@pytest.mark.option("node --prkey")
def test_a_peer_has_the_key_that_is_given(inside):
    assert inside.code("node peer add n2") == 2
    assert inside.code("node peer add n2 --prkey 0xabc") == 0
    assert "0x0000000000000abc" in inside.run("node --format json")[1]


@pytest.mark.option("svcmgr --service", "svcmgr --param", "svcmgr --value", "svcmgr --local")
def test_the_words_of_old(web):
    assert web.svcmgr("print status")[1] == web.svcmgr("-s web print status")[1] != ""
    assert web.svcmgr("-s other print status")[0] == 2
    assert web.svcmgr("-s web set --param comment --value hello")[0] == 0
    assert web.svcmgr("-s web get --param comment")[1] == "hello\n"
    assert web.svcmgr("-s web print status --local")[1] == web.svcmgr("-s web print status")[1]


# --- reservations: what can be seen without a SCSI disk; with disks, in the lab ----------------------------------------

DISKS = ["[disk#1]", "devices = /dev/vmsvc-none", "scsireserv = true", "tags = back", "subset = late", "[disk#2]",
         "devices = /dev/vmsvc-other", "scsireserv = true"]  # fmt: skip


@pytest.mark.option(
    "pr status --rid, pr status --tags, pr status --subset, pr start --rid, pr start --tags, pr start --subset",
    "pr stop --rid, pr stop --tags, pr stop --subset, pr start --dry-run, pr stop --dry-run",
)
@pytest.mark.keyword("disk.devices", "disk.scsireserv")
@pytest.mark.parametrize("limit", ["--rid disk#1", "--tags back", "--subset late"])
def test_reservations_can_be_limited_to_some_disks(inside, limit):
    inside.add(*DISKS)
    assert "vmsvc-other" in inside.run("pr status web")[1]
    assert "vmsvc-other" not in inside.run(f"pr status web {limit}")[1]
    for action in ("start", "stop"):
        told = "".join(inside.run(f"pr {action} web --dry-run {limit}")[1:])
        assert "disk#1" in told
        assert "disk#2" not in told


@pytest.mark.option(
    "pr start --drp", "pr start --despite-frozen", "pr start --despite-unknown, pr stop --despite-unknown"
)
def test_reserving_asks_for_the_same_words_as_starting(inside):
    def told(line):
        return "".join(inside.run(line)[1:])

    inside.add("[DEFAULT]", "nodes = n2", "drpnodes = n1", *DISKS)
    assert "--drp" in told("pr start web")
    assert "--drp" not in told("pr start web --drp")
    inside.add(*DISKS)
    assert inside.code("freeze web") == 0
    assert "--despite-frozen" in told("pr start web")
    assert "--despite-frozen" not in told("pr start web --despite-frozen")
    assert inside.code("thaw web") == 0
    line = "pr start web --dry-run --rid disk#1"
    assert told(f"{line} --despite-unknown disk#1") != told(line)
    # Nobody can tell whether this guest may write to the disks that are to be given up.
    inside.add(GUEST, "fail = observe", "disks = /dev/vmsvc-none", "[vmdg]", "scsireserv = true")
    line = "pr stop web --dry-run"
    assert told(f"{line} --despite-unknown container#1") != told(line)


@pytest.mark.option("pr start --parallel", "pr stop --parallel")
@pytest.mark.parametrize("action", ["start", "stop"])
def test_reserving_takes_a_number_of_services_at_once(inside, action):
    inside.add(*DISKS)
    assert inside.code(f"pr {action} web --parallel 0") == 2
    assert inside.code(f"pr {action} web --parallel 1") == {"start": 4, "stop": 0}[action]
