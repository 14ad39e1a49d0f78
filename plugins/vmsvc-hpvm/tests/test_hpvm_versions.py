"""Tables as other versions print them: each guest is read rightly, or is unknown, and none is down that is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_hpvm import HpvmDriver, HpvmGuest

from vmsvc.driver import OUTPUT_LIMIT, Context, Node, Outcome, Phase, Undetermined
from vmsvc.testing.kit import identity

#: The header of a version, from public sessions, and for 6.1 from memory of its manual; and how a line follows from it.
HEADERS = {
    "3.5": """\
Virtual Machine Name VM #  OS Type State     #VCPUs #Devs #Nets Memory  Runsysid
==================== ===== ======= ========= ====== ===== ===== ======= ========
""",
    "4.0": """\
[Virtual Machines]
Virtual Machine Name VM #  OS Type State     #VCPUs #Devs #Nets Memory
==================== ===== ======= ========= ====== ===== ===== =======
""",
    "6.1": """\
[Virtual Machines]
Virtual Machine Name VM #  Type OS Type State     #VCPUs #Devs #Nets Memory
==================== ===== ==== ======= ========= ====== ===== ===== =======
""",
}
LINES = {
    "3.5": "{name:<20} {number:>5} {system:<7} {state:<9} {vcpus:>6} {devices:>5} {nets:>5} {memory:>4} GB {run:>8}\n",
    "4.0": "{name:<20} {number:>5} {system:<7} {state:<9} {vcpus:>6} {devices:>5} {nets:>5} {memory:>4} GB\n",
    "6.1": "{name:<20} {number:>5} {kind:<4} {system:<7} {state:<9} {vcpus:>6} {devices:>5} {nets:>5} {memory:>4} GB\n",
}
STATES = {
    "On (OS)": Phase.RUNNING,
    "On (EFI)": Phase.STARTING,
    "Off": Phase.STOPPED,
    "On (ATTN!)": Phase.STUCK,
    "Off (NR)": Phase.MOVED,
    # Such as nobody has told of, or in another language.
    "On (MCA)": Phase.UNKNOWN,
    "On (MIGR)": Phase.UNKNOWN,
    "Invalid": Phase.UNKNOWN,
    "Aus": Phase.UNKNOWN,
}
guests = st.dictionaries(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,18}", fullmatch=True),
    st.fixed_dictionaries(
        {
            "state": st.sampled_from(list(STATES)),
            "system": st.sampled_from(["HPUX", "LINUX", "WINDOWS", "OpenVMS", "UNKNOWN"]),
            "kind": st.sampled_from(["SH", "VP"]),
            "vcpus": st.integers(1, 32),
            "devices": st.integers(0, 99),
            "nets": st.integers(0, 9),
            "memory": st.integers(1, 512),
            "run": st.integers(0, 999),
        }
    ),
    max_size=5,
)


class Telling:
    """A host on which hpvmstatus prints a text."""

    name = "n1"

    def __init__(self, out):
        self._out = out.encode()

    def run(self, argv, *, budget_s, environment=None, keep=OUTPUT_LIMIT):
        return Outcome(argv=tuple(argv), code=0, stdout=self._out, stderr=b"", duration_s=0.0)


def seen(root, text, *names):
    driver = HpvmDriver(Context(node=Node(name="n1", root=root), host=Telling(text), state_dir=root))
    asked = [HpvmGuest(**identity("hpvm", name)) for name in names]
    found = driver.observe_all(asked, budget_s=5)
    return {each.name: found[each.service, each.rid].phase for each in asked}


@pytest.mark.parametrize("version", HEADERS)
@given(guests=guests)
def test_each_guest_is_where_its_version_says(tmp_path_factory, version, guests):
    header, line = HEADERS[version], LINES[version]
    text = header + "".join(
        line.format(name=name, number=number, **facts) for number, (name, facts) in enumerate(guests.items(), 1)
    )
    told = seen(tmp_path_factory.getbasetemp(), text, "nosuch guest", *guests)
    assert told.pop("nosuch guest") is Phase.ABSENT
    assert told == {name: STATES[facts["state"]] for name, facts in guests.items()}


@pytest.mark.parametrize("version", HEADERS)
def test_a_table_that_is_cut_within_a_line_says_nothing(tmp_path, version):
    header, line = HEADERS[version], LINES[version]
    facts = {
        "system": "HPUX",
        "kind": "SH",
        "state": "On (OS)",
        "vcpus": 1,
        "devices": 1,
        "nets": 1,
        "memory": 4,
        "run": 0,
    }
    names = [f"web{number}" for number in range(1, 5)]
    text = header + "".join(line.format(name=name, number=number, **facts) for number, name in enumerate(names))
    for length in range(len(text)):
        if text[:length].endswith("\n"):
            continue  # the table has no mark of its end: nothing tells such a cut
        with pytest.raises(Undetermined):
            seen(tmp_path, text[:length], *names)


def test_a_guest_whose_name_may_be_cut_where_its_column_ends_is_not_absent(tmp_path):
    header, line = HEADERS["4.0"], LINES["4.0"]
    facts = {"number": 1, "system": "HPUX", "state": "On (OS)", "vcpus": 1, "devices": 1, "nets": 1, "memory": 4}
    long = "a-name-that-is-longer-than-its-column"
    assert seen(tmp_path, header + line.format(name=long[:20], **facts), long) == {long: Phase.UNKNOWN}
    assert seen(tmp_path, header + line.format(name=long, **facts), long) == {long: Phase.RUNNING}
    assert seen(tmp_path, header + line.format(name="another", **facts), long) == {long: Phase.ABSENT}
