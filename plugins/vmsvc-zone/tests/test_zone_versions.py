"""Lists of zones as other systems print them: each zone is read rightly, or is unknown, and none is down that runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_zone.driver import ZoneDriver
from vmsvc_zone.options import ZoneGuest

from vmsvc.driver import OUTPUT_LIMIT, Context, Node, Outcome, Phase
from vmsvc.testing.kit import identity

#: How the systems end a line after its seventh field.
ENDINGS = {
    "Solaris 10": "",
    "OmniOS": ":0",
    "Solaris 11.0": ":-:none",
    "Solaris 11.3": ":-:none:",
    "Solaris 11.4": ":-:none:{auxiliary}:",
    "a later one": ":R:strict:{auxiliary}:x:y",
}
MEANT = {
    ("configured", ""): Phase.STOPPED,
    ("incomplete", ""): Phase.STOPPED,
    ("unavailable", ""): Phase.STOPPED,
    ("installed", ""): Phase.STOPPED,
    ("ready", ""): Phase.PREPARED,
    ("running", ""): Phase.RUNNING,
    ("shutting_down", ""): Phase.STOPPING,
    ("down", ""): Phase.STOPPING,
    ("mounted", ""): Phase.DEGRADED,
    ("installed", "suspended"): Phase.SAVED,
    ("running", "suspended"): Phase.SUSPENDED,
    ("running", "migrating-out"): Phase.MIGRATING,
    ("installed", "migrating-in"): Phase.MIGRATING,
    ("running", "debugging"): Phase.STUCK,
    ("running", "panicked"): Phase.CRASHED,
    ("laeuft", ""): Phase.UNKNOWN,
    ("running_later", "panicked"): Phase.UNKNOWN,
}
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,12}", fullmatch=True).filter(lambda name: name != "global")
zones = st.dictionaries(names, st.sampled_from(list(MEANT)), max_size=6)


class Telling:
    """A host on which zoneadm prints a text."""

    name = "n1"

    def __init__(self, out):
        self._out = out.encode()

    def run(self, argv, *, budget_s, environment=None, keep=OUTPUT_LIMIT):
        return Outcome(argv=tuple(argv), code=0, stdout=self._out, stderr=b"", duration_s=0.0)


def seen(tmp_path, text, *names):
    driver = ZoneDriver(Context(node=Node(name="n1", root=tmp_path), host=Telling(text), state_dir=tmp_path))
    guests = [ZoneGuest(**identity("zone", name)) for name in names]
    found = driver.observe_all(guests, budget_s=5)
    return {each.name: found[each.service, each.rid].phase for each in guests}


def printed(zones, ending):
    lines = [f"0:global:running:/::solaris:shared{ending.format(auxiliary='')}"]
    for number, (name, (state, auxiliary)) in enumerate(zones.items(), 1):
        place = "-" if auxiliary else f"/zones/{name}"
        in_kernel = "-" if state in ("configured", "incomplete", "unavailable", "installed") else number
        words = f"{in_kernel}:{name}:{state}:{place}:{number:08x}-0000:solaris:excl"
        lines.append(words + ending.format(auxiliary=auxiliary))
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("system", ENDINGS)
@given(zones=zones)
def test_each_zone_is_where_its_system_says(tmp_path_factory, system, zones):
    if "{auxiliary}" not in ENDINGS[system]:
        zones = {name: (state, "") for name, (state, _) in zones.items() if (state, "") in MEANT}
    text = printed(zones, ENDINGS[system])
    assert seen(tmp_path_factory.getbasetemp(), text, *zones) == {name: MEANT[told] for name, told in zones.items()}


@given(zones=zones, cut=st.integers(1, 60), system=st.sampled_from(list(ENDINGS)))
def test_a_list_that_ends_in_the_middle_of_a_line_says_nothing(tmp_path_factory, zones, cut, system):
    text = printed(zones, ENDINGS[system])[:-cut]
    if text.endswith("\n"):
        return
    assert set(seen(tmp_path_factory.getbasetemp(), text, "web", *zones).values()) == {Phase.UNKNOWN}
