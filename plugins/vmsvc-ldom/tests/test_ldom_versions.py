"""Lists of domains as other versions of the manager print them: each domain is read rightly, or is unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vmsvc_ldom.driver import LdomDriver, LdomGuest

from vmsvc.driver import OUTPUT_LIMIT, Context, Node, Outcome, Phase, Undetermined
from vmsvc.testing.kit import identity

#: The version of the protocol, how many columns of flags it has, and what follows them. 1.11 is from a recorded list; of
#: the others, that migration brought the sixth column is from ldm(8), and the rest a guess.
VERSIONS = {
    "1.0": (5, "|cons=5000|ncpu=1|mem=1073741824|util=0.4|uptime=3"),
    "1.6": (6, "|cons=5000|ncpu=1|mem=1073741824|util=0.4|uptime=3"),
    "1.11": (6, "|cons=5000|ncpu=1|mem=1073741824|util=0.4|uptime=3|norm_util=0.4"),
    "2.0": (6, "|cons=5000|ncpu=1|mem=1073741824|util=0.4|uptime=3|norm_util=0.4|softstate=Solaris running|x=|y=1"),
}
#: A state with its flags, as those mean that are in ldm(8), and some that are not.
MEANT = {
    ("inactive", "------"): Phase.STOPPED,
    ("bound", "------"): Phase.STOPPED,
    ("active", "-n----"): Phase.RUNNING,
    ("active", "-n--v-"): Phase.RUNNING,
    ("active", "-t----"): Phase.STARTING,
    ("bound", "s-----"): Phase.STARTING,
    ("bound", "-----e"): Phase.STUCK,
    ("active", "-n---s"): Phase.MIGRATING,
    ("bound", "-----t"): Phase.MIGRATING,
    ("active", "-n---e"): Phase.STUCK,
    ("active", "-?----"): Phase.UNKNOWN,
    ("resting", "-n----"): Phase.UNKNOWN,
    ("aktiv", "-n----"): Phase.UNKNOWN,
}
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,12}", fullmatch=True).filter(lambda name: name != "primary")
domains = st.dictionaries(names, st.sampled_from(list(MEANT)), max_size=6)


class Telling:
    """A host on which ldm prints a text."""

    name = "n1"

    def __init__(self, out):
        self._out = out.encode()

    def run(self, argv, *, budget_s, environment=None, keep=OUTPUT_LIMIT):
        return Outcome(argv=tuple(argv), code=0, stdout=self._out, stderr=b"", duration_s=0.0)


def seen(root, text, *names):
    driver = LdomDriver(Context(node=Node(name="n1", root=root), host=Telling(text), state_dir=root))
    guests = [LdomGuest(**identity("ldom", name)) for name in names]
    try:
        found = driver.observe_all(guests, budget_s=5)
    except Undetermined:  # which vmsvc tells of each of them
        return dict.fromkeys(names, Phase.UNKNOWN)
    return {each.name: found[each.service, each.rid].phase for each in guests}


def told_by(version, domains):
    """Those that a version has columns for."""
    columns, _ = VERSIONS[version]
    return {name: told for name, told in domains.items() if set(told[1][columns:]) <= {"-"}}


def printed(domains, version):
    columns, more = VERSIONS[version]
    rows = [("primary", "active", "-n-cv-"), *((name, state, flags) for name, (state, flags) in domains.items())]
    lines = [f"DOMAIN|name={name}|state={state}|flags={flags[:columns]}{more}" for name, state, flags in rows]
    return "".join(f"{line}\n" for line in (f"VERSION {version}", *lines))


@pytest.mark.parametrize("version", VERSIONS)
@given(domains=domains)
def test_each_domain_is_where_its_version_says(tmp_path_factory, version, domains):
    domains = told_by(version, domains)
    found = seen(tmp_path_factory.getbasetemp(), printed(domains, version), "no-such-domain", *domains)
    assert found.pop("no-such-domain") is Phase.ABSENT
    assert found == {name: MEANT[told] for name, told in domains.items()}


@given(domains=domains.filter(bool), version=st.sampled_from(list(VERSIONS)), cut=st.integers(1, 60))
def test_of_a_list_that_ends_in_the_middle_of_a_line_nothing_is_down_that_runs(tmp_path_factory, domains, version, cut):
    domains = told_by(version, domains)
    text = printed(domains, version)[:-cut]
    if text.endswith("\n"):
        return  # ldm has no word for the end of a list
    for name, phase in seen(tmp_path_factory.getbasetemp(), text, *domains).items():
        assert phase in (MEANT[domains[name]], Phase.UNKNOWN), name


@pytest.mark.parametrize("label", ["DOMAIN", "name=", "state=", "flags=", "VERSION"])
@given(domains=domains.filter(bool))
def test_labels_of_another_program_say_nothing_of_a_domain(tmp_path_factory, label, domains):
    text = printed(domains, "1.11").replace(label, f"X{label}")
    assert set(seen(tmp_path_factory.getbasetemp(), text, *domains).values()) == {Phase.UNKNOWN}
