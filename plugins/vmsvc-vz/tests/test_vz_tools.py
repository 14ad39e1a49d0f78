"""What the tools print: recorded sessions of the real ones, and what must not be believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from vmsvc_vz import conf
from vmsvc_vz.states import phase_of
from vmsvc_vz.tools import Listed, Prlctl, Vzctl, the_one

from vmsvc.driver import OUTPUT_LIMIT, Outcome, Phase, Undetermined
from vmsvc.testing.standin import exchanges

SAMPLES = Path(__file__).parent / "samples"
VZLIST = list(exchanges(SAMPLES / "vzlist-4.11.1.txt"))


class Told:
    """A host on which every command prints the same."""

    name = "told"

    def __init__(self, out="", err="", code=0):
        self.done = Outcome(argv=("x",), code=code, stdout=out.encode(), stderr=err.encode(), duration_s=0.0)

    def run(self, argv, *, budget_s, environment=None, keep=OUTPUT_LIMIT):
        return self.done


class TestLists:
    def test_of_the_real_vzlist(self):
        real = next(each for each in VZLIST if "-j" in each.argv)
        found = Vzctl(Told(real.out, real.err), 1).list()
        assert [(each.id, each.state, each.onboot, each.private) for each in found] == [
            ("101", "running", True, "/vz/private/101"),
            ("102", "running", True, "/vz/private/102"),
            ("103", "stopped", True, "/vz/private/103"),
        ]
        assert found[0].title == "ct101.example.com debian-7.0-x86_64"

    def test_where_there_is_none_the_real_vzlist_fails(self):
        real = next(each for each in VZLIST if each.code)
        assert Vzctl(Told(real.out, real.err, real.code), 1).list() == []

    def test_of_prlctl(self):
        text = '[\n\t{\n\t\t"uuid": "{e97a3a2f-9112-4017-a3a7-48c04bdd7a45}",\n\t\t"status": "stopped",\n\t\t"name": "a b"\n\t}\n]\n'
        assert Prlctl(Told(text), 1).list() == [
            Listed(id="e97a3a2f-9112-4017-a3a7-48c04bdd7a45", name="a b", state="stopped")
        ]
        assert Prlctl(Told("[]\n"), 1).list() == []

    @pytest.mark.parametrize(
        "out",
        [
            "",
            "garbage",
            "[{",
            "{}x",
            '[{"ctid": 1}]',
            '["ctid"]',
            "7",
            "null",
            "{}",
            '""',
            "[" * 100_000,
            '{"ctid": 1}',
        ],
    )
    def test_what_is_no_list_tells_nothing(self, out):
        for tools in (Vzctl, Prlctl):
            with pytest.raises(Undetermined):
                tools(Told(out), 1).list()

    @pytest.mark.parametrize(("code", "err"), [(5, "x"), (1, "x"), (12, "Container(s) not found")])
    def test_a_failure_tells_nothing(self, code, err):
        with pytest.raises(Undetermined, match=f"exit code {code}"):
            Vzctl(Told("", err, code), 1).list()

    def test_words_of_none_count_alone_and_from_vzlist(self):
        none = "Container(s) not found"
        assert Vzctl(Told("", f"{none}\n", 1), 1).list() == []
        for tools, err in [(Vzctl, f"Unable to open /etc/vz/conf: Permission denied\n{none}\n"), (Prlctl, none)]:
            with pytest.raises(Undetermined, match="exit code 1"):
                tools(Told("", err, 1), 1).list()

    def test_a_number_counts_before_a_name(self):
        both = [Listed(id="7", name="101", state="running"), Listed(id="101", name="web", state="stopped")]
        assert the_one(both, "101") is both[1]
        assert the_one(both, "web") is both[1]
        assert the_one(both, "1") is None

    def test_two_of_one_name_are_unknown(self):
        with pytest.raises(Undetermined, match="2 containers"):
            the_one([Listed(id="7", name="web", state="running"), Listed(id="8", name="web", state="stopped")], "web")


class TestStates:
    @pytest.mark.parametrize(
        ("word", "phase"),
        [
            ("running", Phase.RUNNING),
            ("stopped", Phase.STOPPED),
            ("mounted", Phase.STOPPED),
            ("suspended", Phase.SAVED),
            ("paused", Phase.PAUSED),
            ("resuming", Phase.STARTING),
            ("Running", Phase.UNKNOWN),
            ("invalid", Phase.UNKNOWN),
            ("", Phase.UNKNOWN),
        ],
    )
    def test_a_word_means(self, word, phase):
        assert phase_of(word) is phase


class TestConf:
    def test_the_last_line_of_a_name_counts(self):
        assert conf.values("A=1\n# A=2\nB='x y'\nA=\"3\"\nnot a line\n") == {"A": "3", "B": "x y"}

    @pytest.mark.parametrize(
        ("pages", "mib"),
        [
            ("0:131072", 512),
            ("131072", 512),
            ("0:512M", 512),
            ("0:2G", 2048),
            ("0:9223372036854775807", None),
            ("unlimited", None),
            ("", None),
        ],
    )
    def test_memory_is_given_in_pages_or_bytes(self, pages, mib):
        assert conf.memory_mib({"PHYSPAGES": pages}) == mib

    @pytest.mark.parametrize(("cpus", "count"), [("2", 2), ("0", None), ("", None), ("unlimited", None)])
    def test_processors(self, cpus, count):
        assert conf.vcpus({"CPUS": cpus}) == count
