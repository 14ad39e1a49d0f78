"""``kill -9`` of the acting process at every step, before and after: a second run converges, nothing happens twice.

A plugin, found as any other, kills its own process when it is called for the N-th time; or a moment after a step has
begun, while a guest boots or shuts down. N grows until the action comes to its end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from itertools import count

import pytest

import vmsvc
from tests.support import drivers_but, lay_plugin

PLUGIN = """
    import itertools, os, signal, threading
    from vmsvc.driver import hookimpl

    calls = itertools.count(1)
    is_during = os.environ["KILL_WHEN"] == "during"

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def called():
        if next(calls) == int(os.environ["KILL_AT"]):
            threading.Timer(0.05, die).start() if is_during else die()

    @hookimpl
    def vmsvc_before_step(step, service):
        called()

    @hookimpl
    def vmsvc_after_step(step, service, error):
        if not is_during:
            called()
"""
ACT = """
import sys, vmsvc
with vmsvc.Session() as session:
    getattr(session, sys.argv[1])(session.load("web"))
"""
GUESTS = """
    [DEFAULT]
    nodes = n1
    [container#1]
    type = null
    name = g1
    start_delay = 150ms
    stop_delay = 150ms
    [container#2]
    type = null
    name = g2
    start_delay = 150ms
    stop_delay = 150ms
"""
#: An application that writes down what is done to it, and whether it was done twice.
APP = """
    [app#{n}]
    check = test -e {root}/app{n}
    start = sh -c 'if test -e {root}/app{n}; then echo twice >> {root}/log{n}; fi; touch {root}/app{n}; echo start >> {root}/log{n}'
    stop = sh -c 'test -e {root}/app{n} || echo twice >> {root}/log{n}; rm -f {root}/app{n}; echo stop >> {root}/log{n}'
"""


class Guests:
    """Two simulated guests."""

    rids = ("container#1", "container#2")

    def __init__(self, root):
        self.text = GUESTS
        self.hypervisor = pytest.importorskip("vmsvc_null").Hypervisor.of_node(root)

    def put(self, *, up):
        for name in ("g1", "g2"):
            self.hypervisor.set(name, phase="running" if up else "stopped")

    def done(self):
        """What had an effect, for each guest."""
        log = self.hypervisor.log()
        return [[entry.verb for entry in log if entry.machine == name and entry.effect] for name in ("g1", "g2")]


class SplitGuest:
    """A simulated guest that is prepared, given an address, and booted."""

    text = """
        [DEFAULT]
        nodes = n1
        [container#1]
        type = null
        name = g1
        split_start = true
        [ip#1]
        ipname = 192.0.2.7
        ipdev = net0
        check_ping = false
    """
    effects = ("prepare", "plumb", "boot")

    def __init__(self, root):
        self.hypervisor = pytest.importorskip("vmsvc_null").Hypervisor.of_node(root)

    def put(self, *, up):
        self.hypervisor.set("g1", phase="running" if up else "stopped")
        if up:
            self.hypervisor.plumb(self.hypervisor.machine("g1"), "net0", "192.0.2.7", None)

    def steps_of(self, action):
        starts = ["prepare container#1", "start ip#1", "boot container#1"]
        return {"start": starts, "stop": ["stop container#1"], "restart": ["stop container#1", *starts]}[action]

    def check(self, action):
        """Each half of a start, and what comes in between, has happened once."""
        done = [entry.verb for entry in self.hypervisor.log() if entry.effect]
        whole = {"start": self.effects, "stop": ("plumb", "stop"), "restart": ("stop", *self.effects)}[action]
        if action == "restart":  # a second one takes down what the first one has begun to start
            done = done[-len(whole) :]
        assert tuple(done) == whole


class Apps:
    """Two applications of the node."""

    rids = ("app#1", "app#2")

    def __init__(self, root):
        self.root = root
        self.text = "[DEFAULT]\nnodes = n1\n" + "".join(textwrap.dedent(APP).format(n=n, root=root) for n in (1, 2))

    def put(self, *, up):
        for n in (1, 2):
            if up:
                (self.root / f"app{n}").touch()

    def done(self):
        logs = [self.root / f"log{n}" for n in (1, 2)]
        return [log.read_text().split() if log.exists() else [] for log in logs]


def run_and_die(root, action, kill_at, when):
    """Run an action in a process of its own; whether it came to its end."""
    environment = {
        **os.environ,
        "VMSVC_ROOT": str(root),
        "VMSVC_NODENAME": "n1",
        "VMSVC_DISABLE_PLUGINS": drivers_but("null"),
        "PYTHONPATH": str(root / "site"),
        "KILL_AT": str(kill_at),
        "KILL_WHEN": when,
    }
    done = subprocess.run([sys.executable, "-c", ACT, action], env=environment, timeout=60, check=False)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode == 0


def steps_of(action, rids):
    """The steps in their order: a stop goes the other way."""
    starts, stops = [f"start {rid}" for rid in rids], [f"stop {rid}" for rid in reversed(rids)]
    return {"start": starts, "stop": stops, "restart": stops + starts}[action]


def what_the_note_says(steps, kill_at, when):
    """Which steps were done and which one had begun, when the process was killed."""
    done, is_between = (kill_at - 1, False) if when == "during" else (kill_at // 2, kill_at % 2 == 0)
    told = f"; it had done: {', '.join(steps[:done])}" if done else ""
    return told if is_between else f"{told}; it had begun: {steps[done]}"


@pytest.mark.parametrize(
    ("kind", "action", "when"),
    [
        *[(kind, action, "at") for kind in (Guests, Apps) for action in ("start", "stop", "restart")],
        (Guests, "start", "during"),
        (Guests, "stop", "during"),
    ],
)
def test_kill_at_each_step(tmp_path, kind, action, when):
    steps = steps_of(action, kind.rids)
    for kill_at in count(1):
        root = tmp_path / str(kill_at)
        world = kind(root)
        lay_plugin(root / "site", "killing_plugin", PLUGIN)
        (root / "etc/vmsvc/services").mkdir(parents=True)
        (root / "etc/vmsvc/services/web.conf").write_text(textwrap.dedent(world.text))
        world.put(up=action != "start")
        if run_and_die(root, action, kill_at, when):
            break
        with vmsvc.Session({"VMSVC_ROOT": str(root), "VMSVC_NODENAME": "n1"}) as session:
            web = session.load("web")
            before = world.done()
            (note,) = session.status(web).instances[0].notes
            assert f"the {action} of " in note
            assert note.endswith("was cut short" + what_the_note_says(steps, kill_at, when))
            session.act(action, web)
            status = session.status(web)
        assert status.avail is (vmsvc.Status.DOWN if action == "stop" else vmsvc.Status.UP)
        assert status.instances[0].notes == ()
        for first, whole in zip(before, world.done(), strict=True):
            assert whole[: len(first)] == first
            # Each stop finds it up and each start finds it down: they take turns, and none is wasted.
            assert whole == (["stop", "start"] * (len(whole) // 2) if action == "restart" else [action])
    assert kill_at == len(steps) * (1 if when == "during" else 2) + 1


@pytest.mark.parametrize("action", ["start", "stop", "restart"])
def test_kill_at_each_step_of_a_start_that_is_split(tmp_path, action):
    for kill_at in count(1):
        root = tmp_path / str(kill_at)
        world = SplitGuest(root)
        steps = world.steps_of(action)
        lay_plugin(root / "site", "killing_plugin", PLUGIN)
        (root / "etc/vmsvc/services").mkdir(parents=True)
        (root / "etc/vmsvc/services/web.conf").write_text(textwrap.dedent(world.text))
        world.put(up=action != "start")
        if run_and_die(root, action, kill_at, "at"):
            break
        with vmsvc.Session({"VMSVC_ROOT": str(root), "VMSVC_NODENAME": "n1"}) as session:
            web = session.load("web")
            cut_short = session.status(web).instances[0]
            assert cut_short.notes[0].endswith("was cut short" + what_the_note_says(steps, kill_at, "at"))
            if action == "start" and 1 < kill_at < len(steps) * 2 - 1:  # it is prepared: not up, and not down
                assert cut_short.resources[0].observation.phase.value == "prepared"
                assert cut_short.avail is vmsvc.Status.WARN
            session.act(action, web)
            status = session.status(web)
        assert status.avail is (vmsvc.Status.DOWN if action == "stop" else vmsvc.Status.UP)
        assert status.instances[0].notes == ()
        world.check(action)
    assert kill_at == len(steps) * 2 + 1


def test_a_start_that_was_cut_short_can_be_stopped_instead(tmp_path):
    for kill_at in range(2, 6):
        root = tmp_path / str(kill_at)
        world = SplitGuest(root)
        lay_plugin(root / "site", "killing_plugin", PLUGIN)
        (root / "etc/vmsvc/services").mkdir(parents=True)
        (root / "etc/vmsvc/services/web.conf").write_text(textwrap.dedent(world.text))
        world.put(up=False)
        assert not run_and_die(root, "start", kill_at, "at")
        with vmsvc.Session({"VMSVC_ROOT": str(root), "VMSVC_NODENAME": "n1"}) as session:
            web = session.load("web")
            session.act("stop", web)
            assert session.status(web).avail is vmsvc.Status.DOWN
        assert world.hypervisor.machine("g1").phase == "stopped"
        assert world.hypervisor.plumbed(world.hypervisor.machine("g1")) == []
