"""Lists as other versions of LXC print them: each container is read rightly, or is unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_lxc import LxcDriver, LxcGuest

from vmsvc.driver import Context, Node, Outcome, Phase
from vmsvc.testing.kit import identity

#: lxc(7) and ``lxc_state2str``, and such as it has not.
STATES = {
    "STOPPED": Phase.STOPPED,
    "STARTING": Phase.STARTING,
    "RUNNING": Phase.RUNNING,
    "STOPPING": Phase.STOPPING,
    "ABORTING": Phase.STOPPING,
    "FREEZING": Phase.PAUSED,
    "FROZEN": Phase.PAUSED,
    "THAWED": Phase.RUNNING,
    "MIGRATING": Phase.UNKNOWN,
    "UNKNOWN": Phase.UNKNOWN,
}
names = st.from_regex(r"[A-Za-z0-9_.:+-]([A-Za-z0-9 _.:+-]{0,10}[A-Za-z0-9_.:+-])?", fullmatch=True)
containers = st.dictionaries(names, st.sampled_from(list(STATES)), min_size=2, max_size=6)


class Telling:
    """A host on which lxc-ls prints a text."""

    name = "n1"

    def __init__(self, out):
        self._out = out.encode()

    def run(self, argv, *, budget_s, environment=None, keep=0):
        assert argv[0] == "lxc-ls"
        return Outcome(argv=tuple(argv), code=0, stdout=self._out, stderr=b"", duration_s=0.0)


def seen(root, text, *names):
    driver = LxcDriver(Context(node=Node(name="n1", root=root), host=Telling(text), state_dir=root))
    asked = [LxcGuest(**identity("lxc", name)) for name in names]
    found = driver.observe_all(asked, budget_s=5)
    return {each.name: found[each.service, each.rid].phase for each in asked}


def fancy(containers, *, yes="1", no="0"):
    """Columns as wide as what is in them, as LXC 2 and later have them."""
    rows = [("STATE", "AUTOSTART", "NAME"), *((state, no, name) for name, state in containers.items())]
    rows[1:] = [(state, yes if number % 2 else no, name) for number, (state, _, name) in enumerate(rows[1:])]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [" ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


@given(containers=containers, blanks=st.integers(0, 3))
def test_each_container_is_where_lxc_says(tmp_path_factory, containers, blanks):
    text = "".join(f"{line}{' ' * blanks}\n" for line in fancy(containers))
    told = seen(tmp_path_factory.getbasetemp(), text, "no such container", *containers)
    assert told.pop("no such container") is Phase.ABSENT
    assert told == {name: STATES[state] for name, state in containers.items()}


@given(data=st.data(), containers=containers)
def test_a_list_that_ends_within_a_line_makes_nobody_down(tmp_path_factory, data, containers):
    text = "".join(f"{line}\n" for line in fancy(containers))
    end = data.draw(st.integers(1, len(text) - 1).filter(lambda end: text[end - 1] != "\n"))
    told = seen(tmp_path_factory.getbasetemp(), text[:end], "other", *containers)
    assert set(told.values()) == {Phase.UNKNOWN}


@given(containers=containers)
def test_the_table_of_lxc_1_is_not_understood_and_says_nothing(tmp_path_factory, containers):
    header, *rows = fancy(containers, yes="YES", no="NO")
    text = "\n".join([header, "-" * len(header), *rows, ""])
    assert set(seen(tmp_path_factory.getbasetemp(), text, "other", *containers).values()) == {Phase.UNKNOWN}


@pytest.mark.parametrize("header", ["", "ZUSTAND AUTOSTART NAME", "STATE NAME AUTOSTART", "STATE AUTOSTART NAME IPV4"])
def test_another_header_says_nothing(tmp_path, header):
    text = "\n".join([header, *fancy({"web": "RUNNING", "db": "STOPPED"})[1:], ""])
    assert set(seen(tmp_path, text, "web", "db").values()) == {Phase.UNKNOWN}
