import time
from pathlib import Path

import pytest

from vmsvc.cli.columns import columns
from vmsvc.cli.render import value
from vmsvc.cli.screen import plain
from vmsvc.cli.tree import overview, trees
from vmsvc.core.instance import Instance, ResourceStatus, ServiceStatus
from vmsvc.core.kinds import App, Ip
from vmsvc.core.node import Node
from vmsvc.core.resource import Guest
from vmsvc.core.service import Service
from vmsvc.core.status import Evidence, Observation, Phase


def seen(phase, state, *, age_s=0.0, duration_s=0.0, warnings=()):
    evidence = Evidence(probe="look", detail=f"it is {state}", at=time.time() - age_s, duration_s=duration_s)
    return Observation(phase=phase, state=state, evidence=evidence, warnings=warnings)


def of(resource, observation):
    return ResourceStatus(resource=resource, observation=observation)


GUEST = Guest(service="web", rid="container#1", kind="container", type="kvm", name="web01")
APP = App(service="web", rid="app#10", kind="app", optional=True)
IP = Ip(service="web", rid="ip#1", kind="ip", ipname="10.0.0.1", ipdev="br0", disable=True)


def status(*instances):
    return ServiceStatus(service=Service(name="web", file=Path("/web.conf")), instances=instances)


def text(lines):
    return ["".join(part for part, _ in line) for line in lines]


def test_a_tree_with_everything():
    here = Instance(
        node="n1",
        resources=(
            of(GUEST, seen(Phase.PAUSED, "paused (ioerror)", age_s=12, duration_s=2.5, warnings=("autostart is on",))),
            of(APP, seen(Phase.STOPPED, "stopped", age_s=7.2)),
            of(IP, seen(Phase.INAPPLICABLE, "n/a")),
        ),
        notes=("going on: start",),
    )
    there = Instance(node="n2", resources=(of(GUEST, seen(Phase.STOPPED, "absent")),))

    assert text(trees([status(here, there)], Node(name="N1"))) == [
        "web  warn  (avail warn)",
        "├─ n1 (this node)  warn",
        "│  ├─ container#1  ..  warn  kvm web01     paused (ioerror)",
        "│  │  warn: look: it is paused (ioerror) (took 2.5 s, 12 s ago)",
        "│  │  warning: autostart is on",
        "│  ├─ app#10       .O  down                stopped",
        "│  │  note: seen 7 s ago",
        "│  └─ ip#1         D.  n/a   10.0.0.1@br0",
        "│  note: going on: start",
        "└─ n2  down",
        "   └─ container#1  ..  down  kvm web01  absent",
    ]


def test_what_is_plain_takes_one_line():
    up = status(Instance(node="n1", resources=(of(GUEST, seen(Phase.RUNNING, "running")),)))

    assert text(overview([up])) == ["SERVICE  AVAIL  OVERALL", "web      up     up"]
    assert text(overview([])) == []


def test_a_service_that_is_up_twice_says_where():
    twice = status(*(Instance(node=node, resources=(of(GUEST, seen(Phase.RUNNING, "on")),)) for node in ("n1", "n2")))
    note = "note: it is up on 2 nodes at once (n1, n2): stop all but one"

    assert text(overview([twice]))[1:] == ["web      warn   warn", f"  {note}"]
    assert text(trees([twice], Node(name="n1")))[:3] == [
        "web  warn  (avail warn)",
        f"│  {note}",
        "├─ n1 (this node)  up",
    ]


def test_whatever_is_not_plain_is_told_beneath():
    absent = Instance(
        node="n1",
        resources=(of(GUEST, seen(Phase.ABSENT, "absent")), of(IP, seen(Phase.INAPPLICABLE, "n/a"))),
        notes=("cut short",),
    )
    warned = Instance(node="n1", resources=(of(GUEST, seen(Phase.RUNNING, "running", warnings=("autostart is on",))),))

    assert text(overview([status(absent), status(warned)]))[1:] == [
        "web      down   down",
        "  container#1  down  absent: look: it is absent",
        "  note: cut short",
        "web      up     up",
        "  container#1  up  running: look: it is running",
        "  container#1  warning: autostart is on",
    ]


def test_a_line_of_many_nodes_tells_which_node_it_is_of():
    gone = of(GUEST, seen(Phase.ABSENT, "absent"))
    both = status(Instance(node="n1", resources=(gone,)), Instance(node="n2", resources=(gone,), notes=("cut short",)))

    assert text(overview([both]))[2:] == [
        "  n1  container#1  down  absent: look: it is absent",
        "  n2  container#1  down  absent: look: it is absent",
        "  n2  note: cut short",
    ]


def test_a_mixture_tells_what_is_down():
    mixed = Instance(node="n1", resources=(of(GUEST, seen(Phase.RUNNING, "on")), of(APP, seen(Phase.STOPPED, "off"))))

    assert text(overview([status(mixed)]))[1:] == ["web      up     warn", "  app#10  down  off: look: it is off"]


def test_columns_have_no_blanks_at_the_end():
    rows = [(("a", ""), ("bbb", ""), ("", "")), (("aaaa", ""), ("", ""), ("", ""))]

    assert text(columns(rows)) == ["a     bbb", "aaaa"]
    assert text(columns([])) == []
    assert text([plain(3)]) == ["3"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [(True, "true"), (240.0, "240"), (0.5, "0.5"), (("a", "b"), "a b"), ((), ""), ("x", "x"), (3, "3")],
)
def test_values_read_as_in_a_file(content, expected):
    assert value(content) == expected


def test_what_a_look_has_said_is_told_once():
    words = "ping does not answer; 192.0.2.1 is on no adapter"
    evidence = Evidence(probe="ping", detail=words, at=time.time())
    address = of(IP, Observation(phase=Phase.DEGRADED, state=words, evidence=evidence))
    lines = text(overview([status(Instance(node="n1", resources=(address,)))]))
    assert sum(line.count(words) for line in lines) == 1
