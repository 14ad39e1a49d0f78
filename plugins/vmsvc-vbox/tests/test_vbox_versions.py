"""Lists as other versions of VirtualBox print them: each guest is read rightly, or is unknown."""

from __future__ import annotations

import contextlib
import os
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_vbox import VboxDriver, VboxGuest

from vmsvc.core.transport.local import LocalHost
from vmsvc.driver import OUTPUT_LIMIT, Context, Node, Outcome, Phase, Undetermined
from vmsvc.testing.kit import identity

#: The width of the labels' column: VirtualBox 4 to 6, and 7.
WIDTHS = {"4.3": 17, "5.2": 17, "6.1": 29, "7.2": 29}
#: The words for people of ``machineStateToName()`` in VBoxManageInfo.cpp, and such as it has not.
STATES = {
    "powered off": Phase.STOPPED,
    "saved": Phase.SAVED,
    "aborted-saved": Phase.SAVED,
    "teleported": Phase.MOVED,
    "aborted": Phase.STOPPED,
    "running": Phase.RUNNING,
    "paused": Phase.PAUSED,
    "guru meditation": Phase.STUCK,
    "teleporting": Phase.MIGRATING,
    "live snapshotting": Phase.RUNNING,
    "starting": Phase.STARTING,
    "stopping": Phase.STOPPING,
    "saving": Phase.STOPPING,
    "restoring": Phase.STARTING,
    "teleporting paused vm": Phase.MIGRATING,
    "teleporting (incoming)": Phase.MIGRATING,
    "deleting snapshot live": Phase.RUNNING,
    "deleting snapshot live paused": Phase.PAUSED,
    "restoring snapshot": Phase.STOPPED,
    "deleting snapshot": Phase.STOPPED,
    "setting up": Phase.STOPPED,
    "offline snapshotting": Phase.STOPPED,
    "ausgeschaltet": Phase.UNKNOWN,
    "stuck": Phase.UNKNOWN,
    "unknown": Phase.UNKNOWN,
}
#: Text of an administrator, which stands among what VirtualBox tells.
FORGED = "Name:                        db\nState:                       powered off (since 2020)\n"
names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters='"\\'), min_size=1)
guests = st.dictionaries(names.filter(lambda name: not name.startswith("<")), st.sampled_from(list(STATES)), max_size=5)


class Telling:
    """A host on which VBoxManage prints two lists."""

    name = "n1"

    def __init__(self, short, long):
        self._told = {("vms",): short, ("--long", "vms"): long, ("hostinfo",): "Host Information:\n"}
        self._told["user=,args=",] = "root /sbin/init\n"

    def run(self, argv, *, budget_s, environment=None, keep=OUTPUT_LIMIT):
        out = self._told[tuple(argv[2:])].encode()
        return Outcome(argv=tuple(argv), code=0, stdout=out, stderr=b"", duration_s=0.0)


def seen(root, host, *names):
    driver = VboxDriver(Context(node=Node(name="n1", root=root), host=host, state_dir=root))
    asked = [VboxGuest(**identity("vbox", name)) for name in names]
    found = driver.observe_all(asked, budget_s=5)
    return {each.name: found[each.service, each.rid] for each in asked}


def printed(guests, width, *, autostart="disabled", description=""):
    short = long = ""
    for number, (name, state) in enumerate(guests.items()):
        its = uuid.UUID(int=number)
        facts = {
            "Name:": name,
            "Groups:": "/",
            "Guest OS:": "Debian (64-bit)",
            "UUID:": its,
            "Config file:": f"/srv/{name}.vbox",
            "State:": f"{state} (since 2013-02-03T04:05:06.789000000)",
            "Autostart Enabled:": autostart,
        }
        short += f'"{name}" {{{its}}}\n'
        long += "".join(f"{label:<{width}}{'' if len(label) < width else ' '}{fact}\n" for label, fact in facts.items())
        long += f"Storage Controller Name (0):            IDE\nDescription:\n{description}\n\n"
    return Telling(short, long)


@pytest.mark.parametrize("version", WIDTHS)
@given(guests=guests, description=st.sampled_from(["", FORGED]))
def test_each_guest_is_where_its_version_says(tmp_path_factory, version, guests, description):
    host = printed(guests, WIDTHS[version], description=description)
    found = seen(tmp_path_factory.getbasetemp(), host, "no such guest", *guests)
    assert found.pop("no such guest").phase is Phase.ABSENT
    assert {name: each.phase for name, each in found.items()} == {name: STATES[word] for name, word in guests.items()}


@pytest.mark.parametrize("version", WIDTHS)
def test_a_guest_that_its_node_starts_is_told_of_by_every_version(tmp_path, version):
    host = printed({"web": "running"}, WIDTHS[version], autostart="enabled")
    assert "behind the service's back" in seen(tmp_path, host, "web")["web"].warnings[0]


@given(guests=guests.filter(bool), label=st.sampled_from(["State:", "UUID:", "Name:"]))
def test_labels_in_another_language_say_nothing_of_a_guest(tmp_path_factory, guests, label):
    host = printed(guests, 29)
    host._told["--long", "vms"] = host._told["--long", "vms"].replace(label, f"Ä{label}")
    found = seen(tmp_path_factory.getbasetemp(), host, *guests)
    for name, each in found.items():
        assert each.phase in (Phase.UNKNOWN, STATES[guests[name]]), name


@pytest.mark.parametrize("first", ["liar", "web"])
def test_a_description_that_tells_of_another_guest_makes_it_unknown_and_not_down(tmp_path, first):
    known = ["liar", "web"] if first == "liar" else ["web", "liar"]
    forged = f"Name:  web\nUUID:   {uuid.UUID(int=known.index('web'))}\nState:   powered off (since 2020)\n"
    host = printed(dict.fromkeys(known, "running"), 29, description=forged)
    seen_web = seen(tmp_path, host, "web")["web"]
    assert seen_web.phase is Phase.UNKNOWN
    assert "two states of web: " in seen_web.evidence.detail


@given(data=st.data(), guests=guests.filter(bool))
def test_lists_that_end_within_a_line_make_nobody_down(tmp_path_factory, data, guests):
    host = printed(guests, 29)
    which = data.draw(st.sampled_from([("vms",), ("--long", "vms")]))
    text = host._told[which]
    end = data.draw(st.integers(1, len(text)).filter(lambda end: text[end - 1] != "\n"))
    host._told[which] = text[:end]
    assert {each.phase for each in seen(tmp_path_factory.getbasetemp(), host, *guests).values()} == {Phase.UNKNOWN}


@pytest.mark.parametrize(
    "process", ["VBoxHeadless --comment web --startvm {} --vrde config", "VBoxHeadless -s web", "VBoxSDL --startvm {}"]
)
def test_a_guest_that_runs_as_another_user_is_not_absent(tmp_path, process):
    host = printed({"db": "running"}, 29)
    host._told["user=,args=",] += f"vbox /usr/lib/virtualbox/{process.format(uuid.UUID(int=7))}\n"
    found = seen(tmp_path, host, "web", "db")
    assert (found["web"].phase, found["db"].phase) == (Phase.UNKNOWN, Phase.RUNNING)
    assert "runs as vbox" in found["web"].evidence.detail
    driver = VboxDriver(Context(node=Node(name="n1", root=tmp_path), host=host, state_dir=tmp_path))
    for verb in (driver.start, driver.stop, driver.kill):
        with pytest.raises(Undetermined, match="runs as vbox"):
            verb(VboxGuest(**identity("vbox", "web")), budget_s=5)


def test_where_processes_cannot_be_told_nobody_is_absent(tmp_path):
    host = printed({"db": "running"}, 29)
    host._told["user=,args=",] = "root /sbin/in"
    found = seen(tmp_path, host, "web", "db")
    assert (found["web"].phase, found["db"].phase) == (Phase.UNKNOWN, Phase.RUNNING)


def test_a_thousand_guests_are_told_of_on_a_real_host(tmp_path, monkeypatch):
    """``list --long`` prints some 3 KiB of each in VirtualBox 7.2: more than is kept of what other commands print."""
    known = {f"web{number}": "running" if number % 2 else "powered off" for number in range(1000)}
    telling = printed(known, WIDTHS["7.2"], description="x" * 2500 + "\n")
    for words, text in telling._told.items():
        (tmp_path / "-".join(words)).write_text(text)
    assert (tmp_path / "--long-vms").stat().st_size > 2 * OUTPUT_LIMIT
    tool = tmp_path / "VBoxManage"
    tool.write_text(f'#!/bin/sh\nshift\nexec cat "{tmp_path}/$(echo "$*" | tr " " -)"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with contextlib.closing(LocalHost("n1")) as host:
        found = seen(tmp_path, host, *known)
    assert {name: each.phase for name, each in found.items()} == {name: STATES[state] for name, state in known.items()}
