"""Lists as other versions of the tools print them: each container is read rightly, or is unknown."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_vz import VzDriver, VzGuest

from vmsvc.driver import OUTPUT_LIMIT, Context, Node, Outcome, Phase
from vmsvc.testing.kit import identity

STATES = {
    "running": Phase.RUNNING,
    "stopped": Phase.STOPPED,
    "mounted": Phase.STOPPED,
    "suspended": Phase.SAVED,
    "paused": Phase.PAUSED,
    "starting": Phase.STARTING,
    "resuming": Phase.STARTING,
    "stopping": Phase.STOPPING,
    "suspending": Phase.STOPPING,
    "migrating": Phase.MIGRATING,
    # What is not known to mean anything, among them words of later tools, of damaged containers, of another language.
    "invalid": Phase.UNKNOWN,
    "deleted": Phase.UNKNOWN,
    "compacting": Phase.UNKNOWN,
    "unknown": Phase.UNKNOWN,
    "läuft": Phase.UNKNOWN,
}
names = st.from_regex(r"[a-z][A-Za-z0-9_.-]{0,12}", fullmatch=True)
containers = st.dictionaries(names, st.sampled_from(list(STATES)), max_size=5)
#: How a version tells of a container, beside its name and status.
VERSIONS = {
    "vzlist 4": ("vzctl", lambda number: {"ctid": 101 + number, "onboot": False, "private": f"/vz/{number}"}),
    "vzlist 7": ("vzctl", lambda number: {"ctid": str(uuid.UUID(int=number)), "onboot": None, "type": "ct"}),
    "prlctl 6": ("prlctl", lambda number: {"uuid": f"{{{uuid.UUID(int=number)}}}", "ip_configured": "-"}),
    "prlctl 7": ("prlctl", lambda number: {"uuid": str(uuid.UUID(int=number)), "type": "CT", "owner": "root"}),
}


class Telling:
    """A host on which the tools print a text."""

    name = "n1"

    def __init__(self, out):
        self._out = out.encode()

    def run(self, argv, *, budget_s, environment=None, keep=OUTPUT_LIMIT):
        return Outcome(argv=tuple(argv), code=0, stdout=self._out, stderr=b"", duration_s=0.0)


def seen(root, tool, text, *names):
    driver = VzDriver(Context(node=Node(name="n1", root=root), host=Telling(text), state_dir=root))
    asked = [VzGuest(**identity("vz", name), tool=tool) for name in names]
    found = driver.observe_all(asked, budget_s=5)
    return {each.name: found[each.service, each.rid].phase for each in asked}


@pytest.mark.parametrize("version", VERSIONS)
@given(containers=containers, indent=st.sampled_from([None, 2, "\t"]))
def test_each_container_is_where_its_version_says(tmp_path_factory, version, containers, indent):
    tool, facts = VERSIONS[version]
    told = [{**facts(number), "status": state, "name": name} for number, (name, state) in enumerate(containers.items())]
    text = json.dumps(told, indent=indent, ensure_ascii=False)
    found = seen(tmp_path_factory.getbasetemp(), tool, text, "NO-SUCH", *containers)
    assert found.pop("NO-SUCH") is Phase.ABSENT
    assert found == {name: STATES[state] for name, state in containers.items()}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("damage", ["status", "ctid", "uuid"])
def test_one_container_of_which_too_little_is_told_leaves_nobody_down(tmp_path, version, damage):
    tool, facts = VERSIONS[version]
    told = [{**facts(number), "status": "running", "name": name} for number, name in enumerate(("web", "db"))]
    if damage not in told[1]:
        return
    del told[1][damage]
    assert set(seen(tmp_path, tool, json.dumps(told), "web", "db", "other").values()) == {Phase.UNKNOWN}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("nameless", ["", "-", None])
def test_a_container_without_a_name_is_found_by_its_number(tmp_path, version, nameless):
    tool, facts = VERSIONS[version]
    its = {**facts(3), "status": "running", "name": nameless}
    number = str(its.get("ctid") or its["uuid"]).strip("{}")
    assert seen(tmp_path, tool, json.dumps([its]), number, "-", "None") == {
        number: Phase.RUNNING,
        "-": Phase.ABSENT,
        "None": Phase.ABSENT,
    }
