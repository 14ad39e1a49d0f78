"""What the driver makes of LXC's words: recorded ones, and such as a test cannot bring about at will."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from vmsvc_lxc import LxcDriver, LxcGuest

from vmsvc.driver import Context, DriverError, Node, Outcome, Phase, Undetermined
from vmsvc.testing.kit import identity
from vmsvc.testing.standin import exchanges

RECORDED = tuple(exchanges(Path(__file__).parent / "samples/lxc-5.0.2.txt"))
LIST = next(each.out for each in RECORDED if each.argv[0] == "lxc-ls" and "FROZEN" in each.out)
ASKED = "State:          {}\nlxc.start.auto = {}\n"


class Host:
    """Answers with what a test says, by the tool's name; each answer is a code, output, and errors."""

    name = "n1"

    def __init__(self, **answers):
        self._answers = {tool.replace("_", "-"): list(told) for tool, told in answers.items()}
        self.ran = []

    def run(self, argv, *, budget_s, environment=None, keep=0):
        self.ran.append((tuple(argv), budget_s, environment))
        told = self._answers[argv[0]]
        code, out, err = told.pop(0) if len(told) > 1 else told[0]
        return Outcome(argv=tuple(argv), code=code, stdout=out.encode(), stderr=err.encode(), duration_s=0.0)


def driver_on(host, tmp_path):
    return LxcDriver(Context(node=Node(name="n1", root=tmp_path), host=host, state_dir=tmp_path / "state"))


def guest(name, **options):
    return LxcGuest(**identity("lxc", name), **options)


def phases(driver, *names):
    guests = [guest(name) for name in names]
    seen = driver.observe_all(guests, budget_s=5)
    return [seen[each.service, each.rid].phase for each in guests]


def test_a_recorded_list_is_read_and_what_could_not_be_read_is_not_absent(tmp_path):
    driver = driver_on(Host(lxc_ls=[(0, LIST, "Failed to load config for bad\n")]), tmp_path)
    found = phases(driver, "c1", "two words", "two", "bad", "ad")
    assert found == [Phase.PAUSED, Phase.STOPPED, Phase.ABSENT, Phase.UNKNOWN, Phase.ABSENT]


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("STOPPED", Phase.STOPPED), ("STARTING", Phase.STARTING), ("RUNNING", Phase.RUNNING),
        ("STOPPING", Phase.STOPPING), ("ABORTING", Phase.STOPPING), ("FREEZING", Phase.PAUSED),
        ("FROZEN", Phase.PAUSED), ("THAWED", Phase.RUNNING), ("DREAMING", Phase.UNKNOWN),
    ],
)  # fmt: skip
def test_each_word_has_its_meaning_alone_and_in_a_list(tmp_path, word, phase):
    listed = f"STATE AUTOSTART NAME\n{word} 0 web \n{word} 1 other \n"
    driver = driver_on(Host(lxc_ls=[(0, listed, "")], lxc_info=[(0, ASKED.format(word, 1), "")]), tmp_path)
    assert phases(driver, "web", "other") == [phase, phase]
    seen = driver.observe(guest("web"), budget_s=5)
    assert seen.phase is phase
    assert "lxc.start.auto is 1" in seen.warnings[0]


@pytest.mark.parametrize(
    "listed",
    ["STATE AUTOSTART NAME\nSTOPPED 0 web \nRUNNING 0 web \n", "STATE NAME\nSTOPPED web\n", f"{LIST}\n\nhello\n"],
    ids=["a name twice", "other columns", "a line more"],
)
def test_a_list_that_is_not_whole_tells_nothing(tmp_path, listed):
    driver = driver_on(Host(lxc_ls=[(0, listed, "")]), tmp_path)
    assert phases(driver, "web", "c1") == [Phase.UNKNOWN] * 2


@pytest.mark.parametrize(
    ("code", "entries", "phase"),
    [
        (0, "/p/\0", Phase.ABSENT),
        (0, "/p/\0/p/web\0/p/web/config\0", Phase.UNKNOWN),
        (1, "", Phase.UNKNOWN),
        (0, "", Phase.UNKNOWN),
    ],
)
def test_an_empty_list_is_believed_of_an_empty_directory_alone(tmp_path, code, entries, phase):
    host = Host(lxc_info=[(1, "", "web doesn't exist\n")], lxc_ls=[(0, "", "")], find=[(code, entries, "")])
    assert driver_on(host, tmp_path).observe(guest("web", lxcpath="/p"), budget_s=5).phase is phase


@pytest.mark.keyword("container.lxc.lxcpath")
def test_each_directory_has_its_own_containers_and_one_list(tmp_path):
    lists = [f"STATE AUTOSTART NAME\n{word} 0 web \n" for word in ("RUNNING", "STOPPED")]
    host = Host(lxc_ls=[(0, listed, "") for listed in lists])
    here, there = guest("web"), evolve(guest("web", lxcpath="/srv/lxc"), service="there")
    seen = driver_on(host, tmp_path).observe_all([here, there], budget_s=5)
    assert [seen[each.service, each.rid].phase for each in (here, there)] == [Phase.RUNNING, Phase.STOPPED]
    assert [argv[:2] for argv, _, _ in host.ran] == [("lxc-ls", "-f"), ("lxc-ls", "--lxcpath=/srv/lxc")]


def test_somebody_who_was_faster_has_started_it_and_not_this_call(tmp_path):
    again = next(each for each in RECORDED if "already running" in each.err)
    assert again.code == 0, "lxc-start succeeds where it has done nothing"
    host = Host(lxc_info=[(0, ASKED.format("STOPPED", 0), "")], lxc_start=[(again.code, again.out, again.err)])
    assert driver_on(host, tmp_path).start(guest("c1"), budget_s=5) is False


def test_what_stops_by_itself_meanwhile_is_no_failure_of_a_stop(tmp_path):
    states = [(0, ASKED.format(word, 0), "") for word in ("RUNNING", "STOPPED")]
    host = Host(lxc_info=states, lxc_stop=[(2, "", "lxc-stop: c1: main: 168 c1 is not running\n")])
    driver_on(host, tmp_path).stop(guest("c1"), budget_s=5)
    host = Host(lxc_info=states[:1], lxc_stop=[(1, "", "no\n")])
    with pytest.raises(DriverError, match="exit code 1"):
        driver_on(host, tmp_path).stop(guest("c1"), budget_s=5)


def test_a_state_that_nobody_knows_is_no_ground_to_act_upon(tmp_path):
    driver = driver_on(Host(lxc_info=[(0, ASKED.format("DREAMING", 0), "")]), tmp_path)
    for verb in (driver.start, driver.stop, driver.kill):
        with pytest.raises(Undetermined, match="DREAMING"):
            verb(guest("web"), budget_s=5)


@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        ("lxc.cgroup2.memory.max = 512M\n\nlxc.cgroup2.cpuset.cpus = 0-1,3\n", (3, 512)),
        ("lxc.cgroup.memory.limit_in_bytes = 1073741824\n\nlxc.cgroup2.cpu.max = 150000 100000\n", (2, 1024)),
        ("lxc.cgroup2.memory.max =\nlxc.cgroup2.cpu.max = max 100000\n", (8, 2048)),
    ],
)
def test_sizes_are_those_of_the_config_else_the_node_s(tmp_path, config, sizes):
    told = [(0, ASKED.format("STOPPED", 0), ""), (0, "State:          STOPPED\n" + config, "")]
    host = Host(lxc_info=told, nproc=[(0, "8\n", "")], cat=[(0, "MemTotal:        2097152 kB\n", "")])
    found = driver_on(host, tmp_path).sizes(guest("web"), budget_s=5)
    assert (found.vcpus, found.memory_mib) == sizes


def test_disks_are_roots_mounts_and_devices_and_what_is_missing_may_be_a_disk(tmp_path):
    config = (
        "State:          RUNNING\nlxc.rootfs.path = /dev/vg/web\n"
        "lxc.mount.entry = shm dev/shm tmpfs defaults 0 0\n/srv/a\\040b srv none bind,ro 0 0\n\n"
        "lxc.cgroup2.devices.allow = c 1:3 rwm\nb 8:16 rw\nb *:* m\nb 8:32 m\n\n"
    )
    told = [(0, ASKED.format("RUNNING", 0), ""), (0, config, "")]
    kinds = (1, "b/dev/vg/web\0d/srv/a b\0", "find: '/dev/block/8:16': No such file or directory\n")
    found = driver_on(Host(lxc_info=told, find=[kinds]), tmp_path).disks(guest("web"), budget_s=5)
    assert [(each.target, each.kind, each.source, each.readonly) for each in found] == [
        ("/", "block", "/dev/vg/web", False),
        ("/srv", "dir", "/srv/a b", True),
        ("/dev/block/8:16", "block", "/dev/block/8:16", False),
    ]
    assert all(each.live and each.persistent for each in found)


@pytest.mark.parametrize("kinds", [(1, "", "find: '/srv/web': Input/output error\n"), (0, "", "")])
def test_what_a_path_leads_to_is_not_guessed(tmp_path, kinds):
    told = [(0, ASKED.format("RUNNING", 0), ""), (0, "State:          RUNNING\nlxc.rootfs.path = /srv/web\n", "")]
    with pytest.raises(Undetermined, match="find"):
        driver_on(Host(lxc_info=told, find=[kinds]), tmp_path).disks(guest("web"), budget_s=5)


def test_a_table_of_mounts_that_ends_within_a_line_loses_none(tmp_path):
    config = "State:          RUNNING\nlxc.rootfs.path = /srv/web\nlxc.mount.fstab = /srv/fstab\n"
    told = [(0, ASKED.format("RUNNING", 0), ""), (0, config, "")]
    host = Host(lxc_info=told, cat=[(0, "/dev/sdb data ext4 rw 0 0\n/dev/sdc mo", "")], find=[(0, "", "")])
    with pytest.raises(Undetermined, match="within a line"):
        driver_on(host, tmp_path).disks(guest("web"), budget_s=5)


@pytest.mark.parametrize("text", ["", "lxc.uts.name = web\nlxc.rootfs.path = /srv/w"])
def test_a_config_that_is_not_whole_is_none(tmp_path, text):
    host = Host(lxc_info=[(0, ASKED.format("STOPPED", 0), "")], cat=[(0, text, "")])
    with pytest.raises(Undetermined, match="is not whole"):
        driver_on(host, tmp_path).definition(guest("web", lxcpath="/srv"), budget_s=5)
