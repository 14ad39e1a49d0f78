"""Each keyword of service files changes behaviour: with it, and without it, the same command does something else."""

from __future__ import annotations

import time

import pytest

from tests.e2e.node import VMSVC
from vmsvc import Session
from vmsvc.core.disks.watch import Concern, Watched
from vmsvc.core.execution.lock import service_lock
from vmsvc.core.node import Node
from vmsvc.core.status import Status

GUEST = "[container#1]\ntype = null"
APP = "[app#1]\nstart = true\nstop = true\ncheck = true"
UP_OR_DOWN = ("start", "stop")


def app(root, number=1, *more):
    """An application whose state is a file."""
    mark = root / f"app{number}"
    return "\n".join(
        [f"[app#{number}]", f"start = touch {mark}", f"stop = rm {mark}", f"check = test -e {mark}", *more]
    )


# --- the service itself ----------------------------------------------------------------------------------------------


@pytest.mark.keyword("DEFAULT.app")
def test_app_tells_what_the_service_belongs_to(inside):
    inside.add("[DEFAULT]", "app = shop", GUEST)
    assert "app = shop" in inside.run("show web")[1]
    inside.add(GUEST)
    assert "app = default" in inside.run("show web")[1]


@pytest.mark.keyword("DEFAULT.comment", "any.comment")
def test_comments_are_shown(inside):
    inside.add("[DEFAULT]", "comment = the front", app(inside.root, 1, "comment = the motor"))
    assert "comment = the front" in inside.run("show web")[1]
    assert "the motor" in inside.run("print status web")[1]


@pytest.mark.keyword("DEFAULT.env")
def test_nothing_but_production_starts_on_production(inside):
    assert inside.code("node mode PRD") == 0
    inside.add("[DEFAULT]", "env = TST", GUEST)
    assert inside.code("start web") == 3
    inside.add("[DEFAULT]", "env = PRD", GUEST)
    assert inside.code("start web") == 0


@pytest.mark.keyword("DEFAULT.nodes")
def test_a_service_starts_on_its_nodes_only(inside):
    inside.add("[DEFAULT]", "nodes = n2", GUEST)
    assert inside.code("start web") == 3
    inside.add("[DEFAULT]", "nodes = n2 n1", GUEST)
    assert inside.code("start web --despite-peer n2") == 0


@pytest.mark.keyword("DEFAULT.drpnodes")
@pytest.mark.option("start --drp", "restart --drp", "plan --drp", "svcmgr --drp")
def test_a_node_for_disasters_starts_a_service_in_one_only(inside):
    inside.add("[DEFAULT]", "nodes = n2", "drpnodes = n1", GUEST)
    assert inside.code("plan start web") == 3
    assert inside.code("plan start web --drp --despite-peer n2") == 0
    assert inside.code("start web --despite-peer n2") == 3
    assert inside.code("start web --drp --despite-peer n2") == 0
    assert inside.code("restart web") == 3
    assert inside.code("restart web --drp") == 0
    assert inside.svcmgr("-s web restart")[0] == 3
    assert inside.svcmgr("-s web restart --drp")[0] == 0


@pytest.mark.keyword("DEFAULT.lock_timeout")
def test_an_action_waits_for_another_as_long_as_the_service_says(inside):
    inside.add("[DEFAULT]", "lock_timeout = 300ms", GUEST)
    with service_lock(Node(name="n1", root=inside.root), "web", "start", timeout_s=1):
        began = time.monotonic()
        done = inside.node.run("start", "web", program=VMSVC)
    assert done.returncode == 3
    assert "another action on web is going on" in done.stderr
    assert time.monotonic() - began < 9  # the default would be ten


@pytest.mark.keyword("DEFAULT.rollback")
@pytest.mark.parametrize(("rollback", "left"), [("true", "stopped"), ("false", "running")])
def test_what_a_failed_start_has_started_is_stopped_again_unless_told_otherwise(inside, rollback, left):
    inside.add("[DEFAULT]", f"rollback = {rollback}", GUEST, "name = one", "[container#2]\ntype = null\nfail = start")
    assert inside.code("start web") == 1
    assert inside.phase("one") == left


# --- triggers: those of a service, and those of a resource -----------------------------------------------------------

BEFORE_AND_AFTER = [f"{when}_{verb}" for verb in UP_OR_DOWN for when in ("pre", "post")]
ALL_TRIGGERS = [f"{blocking}{key}" for key in BEFORE_AND_AFTER for blocking in ("", "blocking_")]


def with_trigger(root, place, *settings):
    default = ["[DEFAULT]", *settings] if place == "DEFAULT" else []
    return [*default, app(root, 1, *(settings if place == "any" else ()))]


@pytest.mark.keyword(
    "DEFAULT.pre_start, DEFAULT.post_start, DEFAULT.pre_stop, DEFAULT.post_stop",
    "DEFAULT.blocking_pre_start, DEFAULT.blocking_post_start, DEFAULT.blocking_pre_stop, DEFAULT.blocking_post_stop",
    "any.pre_start, any.post_start, any.pre_stop, any.post_stop",
    "any.blocking_pre_start, any.blocking_post_start, any.blocking_pre_stop, any.blocking_post_stop",
)
@pytest.mark.parametrize("place", ["DEFAULT", "any"])
@pytest.mark.parametrize("key", ALL_TRIGGERS)
def test_a_trigger_runs_around_its_verb_and_fails_the_action_only_if_it_blocks(inside, place, key):
    mark, verb = inside.root / "mark", key.rpartition("_")[2]
    inside.add(*with_trigger(inside.root, place, f"{key} = touch {mark}"))
    other = "stop" if verb == "start" else "start"
    assert inside.code("start web") == 0
    if verb == "stop":
        assert not mark.exists()
        assert inside.code("stop web") == 0
    assert mark.exists(), f"{key} did not run with the {verb}, nor with the {other}"

    inside.add(*with_trigger(inside.root, place, f"{key} = false"))
    assert inside.code("stop web" if verb == "start" else "start web") == 0
    assert inside.code(f"{verb} web") == (1 if key.startswith("blocking_") else 0)


@pytest.mark.keyword("DEFAULT.trigger_timeout", "any.trigger_timeout")
@pytest.mark.parametrize("place", ["DEFAULT", "any"])
def test_a_trigger_has_its_time(inside, place):
    inside.add(*with_trigger(inside.root, place, "blocking_pre_start = sleep 20", "trigger_timeout = 200ms"))
    began = time.monotonic()
    assert inside.code("start web") != 0
    assert time.monotonic() - began < 15


# --- every resource --------------------------------------------------------------------------------------------------


@pytest.mark.keyword("any.optional")
def test_the_failure_of_what_is_optional_fails_no_action(inside):
    inside.add("[app#1]\nstart = false\nstop = true\ncheck = false")
    assert inside.code("start web") == 1
    inside.add("[app#1]\nstart = false\nstop = true\ncheck = false\noptional = true", app(inside.root, 2))
    assert inside.code("start web") == 0
    assert "web      up     warn" in inside.run("status web")[1]


@pytest.mark.keyword("any.disable")
def test_what_is_disabled_is_left_alone(inside):
    inside.add(app(inside.root, 1), app(inside.root, 2, "disable = true"))
    assert inside.code("start web") == 0
    assert (inside.root / "app1").exists()
    assert not (inside.root / "app2").exists()


@pytest.mark.keyword("any.tags", "any.subset")
@pytest.mark.option(
    "start --rid, start --tags, start --subset, stop --rid, stop --tags, stop --subset",
    "restart --rid, restart --tags, restart --subset, plan --rid, plan --tags, plan --subset",
    "print --rid, print --tags, print --subset, status --rid, status --tags, status --subset",
    "svcmgr --rid, svcmgr --tags, svcmgr --subset",
)
@pytest.mark.parametrize("limit", ["--rid app#2", "--tags back", "--subset late"])
def test_commands_can_be_limited_to_some_resources(inside, limit):
    one, two = inside.root / "app1", inside.root / "app2"
    inside.add(app(inside.root, 1), app(inside.root, 2, "tags = back", "subset = late"))
    planned = inside.run(f"plan start web {limit}")[1]
    assert "start app#2" in planned
    assert "start app#1" not in planned
    assert inside.code(f"start web {limit}") == 0
    assert (one.exists(), two.exists()) == (False, True)
    for look in ("status", "print status"):
        assert "app#1  " not in inside.run(f"{look} web {limit}")[1].replace("nothing but", "")
    assert " up " in inside.run(f"status web {limit}")[1]
    assert inside.code(f"restart web {limit}") == 0
    assert (one.exists(), two.exists()) == (False, True)
    assert inside.code("start web") == 0
    assert inside.code(f"stop web {limit}") == 0
    assert (one.exists(), two.exists()) == (True, False)
    assert inside.svcmgr(f"-s web start {limit}")[0] == 0
    assert two.exists()


# --- guests ----------------------------------------------------------------------------------------------------------


@pytest.mark.keyword("container.name")
def test_a_guest_is_found_by_its_name(inside):
    inside.add(GUEST, "name = other")
    assert inside.code("start web") == 0
    assert inside.phase("other") == "running"


@pytest.mark.keyword("container.start_timeout", "container.null.start_delay")
def test_a_guest_that_takes_longer_to_start_than_it_may_fails_the_start(inside):
    inside.add(GUEST, "start_delay = 20", "start_timeout = 300ms")
    assert inside.code("start web") != 0
    inside.add(GUEST, "name = quick", "start_delay = 300ms", "start_timeout = 20")
    began = time.monotonic()
    assert inside.code("start web") == 0
    assert time.monotonic() - began > 0.3


@pytest.mark.keyword("container.stop_timeout", "container.null.ignore_stop")
def test_a_guest_that_ignores_requests_is_forced_when_its_time_is_up(inside):
    inside.add(GUEST, "ignore_stop = true", "stop_timeout = 300ms", "initial = running")
    began = time.monotonic()
    assert inside.code("stop web") == 0
    assert 0.3 < time.monotonic() - began < 60
    assert "kill" in [entry.verb for entry in inside.hypervisor.log()]


@pytest.mark.keyword("container.kill_timeout", "container.null.hang")
def test_a_forced_stop_has_its_time_too(inside):
    inside.add(
        GUEST, "hang = kill", "ignore_stop = true", "stop_timeout = 0", "kill_timeout = 300ms", "initial = running"
    )
    began = time.monotonic()
    assert inside.code("stop web") == 4
    assert time.monotonic() - began < 25  # the default would be thirty


@pytest.mark.keyword("container.scsireserv")
def test_a_guest_whose_disks_are_to_be_reserved_does_not_start_on_disks_that_nobody_sees(inside):
    inside.add(GUEST, "disks = /dev/vmsvc-none", "scsireserv = true")
    assert inside.code("start web") == 4
    inside.add(GUEST, "disks = /dev/vmsvc-none")
    assert inside.code("start web") == 0


@pytest.mark.keyword(
    "container.null.vcpus, container.null.memory_mib, container.null.disks, container.null.config_files"
)
def test_what_a_simulated_guest_is_made_of_is_shown(inside):
    file = inside.root / "firmware"
    file.touch()
    inside.add(GUEST, "vcpus = 3", "memory_mib = 96", "disks = /dev/vmsvc-a", f"config_files = {file}")
    shown = inside.run("show web")[1]
    assert "3 vCPU, 96 MiB" in shown
    assert "/dev/vmsvc-a" in shown
    assert f"; config file {file}" in shown


@pytest.mark.keyword("container.null.initial")
def test_a_simulated_guest_begins_as_it_is_told(inside):
    inside.add(GUEST, "initial = paused")
    assert "paused" in inside.run("status web")[1]


@pytest.mark.keyword("container.null.stop_delay")
def test_a_simulated_guest_takes_its_time_to_stop(inside):
    inside.add(GUEST, "stop_delay = 400ms", "initial = running")
    began = time.monotonic()
    assert inside.code("stop web") == 0
    assert time.monotonic() - began > 0.4


@pytest.mark.keyword("container.null.dies_after")
def test_a_simulated_guest_stops_by_itself(inside):
    inside.add(GUEST, "dies_after = 500ms")
    assert inside.code("start web") == 0
    deadline = time.monotonic() + 20
    while " down " not in inside.run("status web")[1]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.keyword("container.null.fail")
def test_a_simulated_guest_fails_as_it_is_told(inside):
    inside.add(GUEST, "fail = start")
    assert inside.code("start web") == 1


# --- applications ----------------------------------------------------------------------------------------------------


@pytest.mark.keyword("app.start", "app.stop", "app.check")
def test_an_application_is_what_its_commands_make_it(inside):
    inside.add(app(inside.root))
    assert " down " in inside.run("status web")[1]
    assert inside.code("start web") == 0
    assert (inside.root / "app1").exists()
    assert " up " in inside.run("status web")[1]
    assert inside.code("stop web") == 0
    assert not (inside.root / "app1").exists()


@pytest.mark.keyword("app.start_timeout", "app.stop_timeout", "app.check_timeout")
@pytest.mark.parametrize("verb", ["start", "stop", "check"])
def test_the_commands_of_an_application_have_their_time(inside, verb):
    mark = inside.root / "app1"
    if verb == "stop":
        mark.touch()
    commands = {"start": f"touch {mark}", "stop": f"rm {mark}", "check": f"test -e {mark}", verb: "sleep 30"}
    inside.add("[app#1]", *(f"{key} = {command}" for key, command in commands.items()), f"{verb}_timeout = 300ms")
    began = time.monotonic()
    assert inside.code("status web" if verb == "check" else f"{verb} web") in (1, 4)
    assert time.monotonic() - began < 25


# --- exclusive disks: what shows without one; with disks, in the lab --------------------------------------------------


@pytest.mark.keyword("vmdg.container_id", "vmdg.scsireserv")
def test_a_disk_group_means_the_disks_of_one_container(inside):
    two = ["[container#1]\ntype = null\nname = one\ndisks = /dev/vmsvc-one", "[container#2]\ntype = null\nname = two",
           "disks = /dev/vmsvc-two"]  # fmt: skip
    inside.add(*two, "[vmdg]", "container_id = container#2", "scsireserv = true")
    assert "/dev/vmsvc-two" in "".join(inside.run("pr status web")[1:])
    inside.add(*two, "[vmdg]", "container_id = container#1", "scsireserv = true")
    assert "/dev/vmsvc-one" in "".join(inside.run("pr status web")[1:])
    inside.add(*two, "[vmdg]", "container_id = container#1", "scsireserv = false")
    assert "reserves no disks" in inside.run("pr start web")[2]


DISK = {
    "vmdg": "[container#1]\ntype = null\ndisks = /dev/vmsvc-one\n[vmdg]",
    "disk": "[disk#1]\ndevices = /dev/vmsvc-one",
}


@pytest.mark.keyword("disk.reserve_timeout", "vmdg.reserve_timeout")
@pytest.mark.parametrize("kind", DISK)
def test_reserving_has_its_time(inside, kind):
    inside.add(DISK[kind], "scsireserv = true", "reserve_timeout = 7")
    rid = {"vmdg": "vmdg", "disk": "disk#1"}[kind]
    planned = inside.run(f"plan start web --rid {rid} --despite-unknown {rid}")
    assert "within 7 s" in "".join(planned[1:])


@pytest.mark.keyword("disk.prkey", "vmdg.prkey")
@pytest.mark.parametrize("kind", DISK)
def test_a_resource_may_have_a_key_of_its_own(inside, kind):
    inside.add(DISK[kind], "scsireserv = true", "prkey = 0xabc")
    assert "0x0000000000000abc" in inside.run("show web")[1]
    assert not (inside.root / "var/lib/vmsvc/prkey").exists()
    inside.add(DISK[kind], "scsireserv = true", "prkey = abc")
    assert inside.code("validate web") == 2


@pytest.mark.keyword("disk.on_lost_keys", "vmdg.on_lost_keys")
@pytest.mark.parametrize("kind", DISK)
@pytest.mark.parametrize(("wanted", "left"), [("kill", "stopped"), ("alarm", "running")])
def test_a_guest_that_has_lost_its_disks_is_stopped_where_its_service_wants_that(
    inside, monkeypatch, kind, wanted, left
):
    guest = "" if kind == "vmdg" else "[container#1]\ntype = null\n"
    inside.add(f"{guest}{DISK[kind]}", "scsireserv = true", f"on_lost_keys = {wanted}")
    inside.hypervisor.set("web", phase="running")

    def lost(_, services):
        return [
            Watched(
                resource=each,
                concern=Concern.LOST,
                text="as told",
                status=Status.DOWN,
                users=("container#1",),
                taken=("/dev/sda",),
            )
            for service in services
            for each in service.resources
            if each.kind == kind
        ]

    monkeypatch.setattr(Session, "watch", lost)
    assert inside.code("pr watch --once") == 1
    assert inside.phase() == left


# --- what has no behaviour yet is checked, so that no file that is wrong passes for right ------------------------------

RIGHT = {
    "DEFAULT": {"orchestrate": "start"},
    "container#1": {"type": "null", "guestos": "windows"},
    "fs#1": {"dev": "/dev/vmsvc-none", "mnt": "/srv", "mnt_opt": "ro"},
    "sync#1": {"src": "/srv", "dst": "/srv", "target": "nodes", "dstfs": "/srv"},
}
BELL = "a\x07b"
WRONG = [
    ("DEFAULT", "orchestrate", "perhaps"),
    ("container#1", "guestos", "plan9"),
    ("fs#1", "dev", "sda"),
    ("fs#1", "mnt", "srv"),
    ("fs#1", "mnt_opt", BELL),
    ("sync#1", "src", BELL),
    ("sync#1", "dst", "srv"),
    ("sync#1", "target", "everybody"),
    ("sync#1", "dstfs", "srv"),
]


@pytest.mark.keyword(
    "DEFAULT.orchestrate, container.guestos, fs.dev, fs.mnt, fs.mnt_opt",
    "sync.src, sync.dst, sync.target, sync.dstfs",
)
@pytest.mark.parametrize(("section", "key", "wrong"), WRONG, ids=[f"{section}.{key}" for section, key, _ in WRONG])
def test_what_nothing_uses_yet_is_checked_and_shown(inside, section, key, wrong):
    def write(values):
        lines = []
        for name, pairs in values.items():
            lines += [f"[{name}]", *(f"{each} = {value}" for each, value in pairs.items())]
        inside.add(*lines)

    write(RIGHT)
    assert inside.code("validate web") == 0
    assert f"{key} = {RIGHT[section][key]}" in inside.run("show web")[1]
    write({**RIGHT, section: {**RIGHT[section], key: wrong}})
    code, _, told = inside.run("validate web")
    assert code == 2, told
    assert inside.code("status web") == 2
