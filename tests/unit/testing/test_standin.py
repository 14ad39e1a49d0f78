"""Stand-ins for tools: executables that answer as a table says, and fail loudly where it says nothing."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmsvc.core.errors import ActionFailed, Undetermined
from vmsvc.core.transport import Outcome
from vmsvc.core.transport.local import LocalHost
from vmsvc.driver import Guest, Phase
from vmsvc.testing import identity
from vmsvc.testing.standin import KNOBS, UNANSWERED, StandIn, TableError, exchanges, read_table
from vmsvc.testing.standin.backend import StandInBackend

HERE = Path(__file__).parent


@pytest.fixture(name="acme")
def an_acme(tmp_path: Path) -> StandIn:
    standin = StandIn(read_table(HERE / "acme.toml"), tmp_path / "acme")
    standin.add("web", disks=["/dev/sda", "/dev/sdb"])
    return standin


@pytest.fixture(name="host")
def a_host() -> Iterator[LocalHost]:
    with contextlib.closing(LocalHost("here")) as host:
        yield host


def run(acme: StandIn, *words: str, **environment: str) -> Outcome:
    """Run acmectl as a program, with nothing of vmsvc between."""
    begin = time.monotonic()
    done = subprocess.run(
        ["acmectl", *words], env={**os.environ, "PATH": acme.path, **environment}, capture_output=True, check=False
    )
    took_s = time.monotonic() - begin
    return Outcome(argv=words, code=done.returncode, stdout=done.stdout, stderr=done.stderr, duration_s=took_s)


def eventually(acme: StandIn, name: str, state: str) -> None:
    deadline = time.monotonic() + 10
    while acme.state(name) != state:
        assert time.monotonic() < deadline, f"{name} is {acme.state(name)}"
        time.sleep(0.01)


class TestRows:
    def test_a_list_has_every_guest_in_the_order_they_were_made(self, acme):
        acme.add("db", "on")
        assert run(acme, "list").out == "STATE\tNAME\noff\tweb\non\tdb\n2 guests\n"

    def test_a_list_of_some_states_has_only_those(self, acme):
        acme.add("db", "on")
        acme.add("mail", "on")
        seen = run(acme, "list", "running").out
        assert seen == f'"db" {{{acme.guest("db")["uuid"]}}}, "mail" {{{acme.guest("mail")["uuid"]}}}\n'

    def test_a_view_gives_the_tools_word_and_a_line_for_each_item(self, acme):
        assert run(acme, "show", "web").out == (
            "web: powered off,    256 MiB\n  disk 0: /dev/sda\n  disk 1: /dev/sdb\n"
        )

    def test_a_guest_is_known_by_each_of_its_names(self, acme):
        assert run(acme, "show", acme.guest("web")["uuid"]).out.startswith("web: ")

    @pytest.mark.parametrize("name", ["two words", "$(id)", "a*", "{x}", "ä中", "-x"])
    def test_a_name_is_data(self, acme, name):
        acme.add(name)
        assert run(acme, "show", name).out.startswith(f"{name}: powered off")
        acme.check()

    def test_a_start_takes_its_time_and_counts(self, acme):
        acme.pace(3)
        assert run(acme, "boot", "web").code == 0
        assert acme.state("web") == "booting"
        assert run(acme, "start", "web").code == 3
        eventually(acme, "web", "on")
        assert acme.guest("web")["starts"] == 1

    def test_a_tool_may_take_its_time_while_others_answer(self, acme):
        acme.pace(10)
        slow = subprocess.Popen(["acmectl", "kill", "web"], env={**os.environ, "PATH": acme.path})
        assert run(acme, "list").duration_s < 0.9
        assert slow.wait() == 0

    def test_a_value_of_the_call_is_kept(self, acme):
        run(acme, "set", "web", "memory", "512")
        assert acme.guest("web")["memory"] == "512"

    def test_guests_are_made_and_deleted(self, acme):
        assert run(acme, "create", "new").out == "new is made\n"
        assert acme.guest("new")["config"] == f"{acme.directory}/new.conf"
        run(acme, "delete", "new")
        assert acme.state("new") == "absent"
        assert run(acme, "show", "new").err == "acmectl: no such guest: new\n"

    def test_a_deaf_guest_goes_on_and_a_dying_one_does_not(self, acme):
        acme.change("web", dying=True)
        run(acme, "start", "web")
        eventually(acme, "web", "off")
        acme.change("web", "on", deaf=True)
        assert run(acme, "stop", "web").code == 0
        assert acme.state("web") == "on"

    def test_a_command_inside_is_really_run(self, acme):
        acme.change("web", "on")
        assert run(acme, "exec", "web", "printf", "%s|", "a b", "c").out == "a b|c|"
        assert run(acme, "exec", "web", "sh", "-c", "echo err >&2; exit 5").code == 5
        assert run(acme, "exec", "web", "no-such-command").code == 127
        assert run(acme, "shell", "web", "echo", "a  b;", "exit 5").out == "a b\n"
        assert run(acme, "shell", "web", "exit 5").code == 8

    def test_calls_side_by_side_lose_nothing(self, acme):
        many = [
            subprocess.Popen(
                ["acmectl", "create", f"g{number}"], env={**os.environ, "PATH": acme.path}, stdout=subprocess.DEVNULL
            )
            for number in range(12)
        ]
        assert [each.wait() for each in many] == [0] * 12
        assert {f"g{number}" for number in range(12)} <= {
            line.split("\t")[-1] for line in run(acme, "list").out.split("\n")
        }


class TestLoudFailure:
    @pytest.mark.parametrize(
        "words", [(), ("list", "--new"), ("bogus",), ("start",), ("start", "web", "--force"), ("stop", "web")]
    )
    def test_what_no_row_answers_fails_and_is_told_by_check(self, acme, words):
        done = run(acme, *words)
        assert done.code == UNANSWERED
        assert done.out == ""
        assert "no row of acme.toml answers" in done.err
        with pytest.raises(AssertionError, match=f"answers `{' '.join(['acmectl', *words])}`"):
            acme.check()

    def test_a_row_that_fails_is_as_loud(self, acme):
        acme.change("web", "on", memory=[1])
        assert run(acme, "show", "web").code == UNANSWERED
        with pytest.raises(AssertionError, match=r"acme\.toml, row \d+ \(acmectl show {guest}\): the row fails"):
            acme.check()


class TestKnobs:
    def test_a_tool_that_hangs_is_a_process_that_does_not_end(self, acme, host):
        with acme.having("hang"), pytest.raises(Undetermined, match="did not end within"):
            acme.on(host).run(["acmectl", "list"], budget_s=0.5)
        assert acme.on(host).run(["acmectl", "list"], budget_s=5).code == 0
        assert [call.code for call in acme.calls()] == [None, 0]

    @pytest.mark.parametrize(("when", "state"), [("before", "off"), ("after", "booting")])
    def test_a_tool_dies_before_or_after_it_has_done_something(self, acme, when, state):
        acme.pace(100)
        with acme.having("die", when):
            assert run(acme, "start", "web").code == -signal.SIGKILL
        assert acme.state("web") == state

    def test_a_knob_may_be_for_some_calls_only(self, acme):
        acme.knob("dead", words=["start"], times=1)
        assert [run(acme, *words).code for words in (("list",), ("start", "web"), ("start", "web"))] == [0, 3, 0]

    @pytest.mark.parametrize(("knob", "code"), [("dead", 3), ("locked", 5), ("refused", 1)])
    def test_a_tool_fails_in_its_own_words(self, acme, knob, code):
        with acme.having(knob):
            done = run(acme, "start", "web")
        assert (done.code, done.out, bool(done.err), acme.state("web")) == (code, "", True, "off")

    def test_output_is_spoilt(self, acme):
        right = run(acme, "list").stdout
        with acme.having("truncated"):
            assert run(acme, "list").stdout == right[: len(right) // 2]
        with acme.having("empty"):
            assert (run(acme, "show", "no").code, run(acme, "list").stdout) == (0, b"")
        with acme.having("garbage"), pytest.raises(UnicodeDecodeError):
            run(acme, "list").stdout.decode()
        with acme.having("column"):
            assert run(acme, "list").stdout == b"".join(line + b"  extra\n" for line in right.splitlines())
        with acme.having("noise"):
            assert run(acme, "list").err.startswith("WARNING")

    def test_a_foreign_tool_speaks_english_to_who_asks_for_it(self, acme):
        with acme.having("locale"):
            assert "no such guest" not in run(acme, "show", "no", LC_ALL="de_DE.UTF-8").err
            assert run(acme, "show", "no", LC_ALL="C").err == "acmectl: no such guest: no\n"

    def test_a_slow_tool_is_slow(self, acme):
        with acme.having("slow", 0.4):
            assert run(acme, "list").duration_s > 0.4

    def test_a_tool_may_not_be_installed(self, acme, host):
        acme.hide("acmectl")
        with pytest.raises(ActionFailed, match="no such command"):
            acme.on(host).run(["acmectl", "list"], budget_s=5)
        acme.show("acmectl")
        assert acme.on(host).run(["acmectl", "list"], budget_s=5).code == 0

    def test_a_real_tool_does_not_come_to_light_where_its_stand_in_is_hidden(self, acme, host, tmp_path, monkeypatch):
        real = tmp_path / "bin"
        real.mkdir()
        for program in ("acmectl", "neighbour"):
            (real / program).write_text("#!/bin/sh\necho real\n")
            (real / program).chmod(0o755)
        monkeypatch.setenv("PATH", f"{real}:{os.environ['PATH']}")
        acme.hide("acmectl")
        with pytest.raises(ActionFailed, match="no such command"):
            acme.on(host).run(["acmectl", "list"], budget_s=5)
        assert acme.on(host).run(["neighbour"], budget_s=5).out == "real\n"

    def test_there_are_no_others(self, acme):
        with pytest.raises(AssertionError, match="there is no knob"):
            acme.knob("explode")
        assert set(KNOBS) >= {"hang", "die", "garbage", "locale", "slow", "locked"}


class TestLog:
    def test_every_call_is_written_down(self, acme, host):
        acme.on(host).run(["acmectl", "list"], budget_s=5, environment={"LC_ALL": "C"})
        run(acme, "show", "web")
        assert [call.argv for call in acme.calls()] == [("acmectl", "list"), ("acmectl", "show", "web")]
        assert (acme.calls()[0].locale, acme.calls()[0].has_terminal) == ("C", False)
        assert len(acme.calls("show")) == 1
        acme.forget()
        assert acme.calls() == []


class TestSessions:
    def test_a_session_is_what_a_stand_in_prints(self, acme):
        acme.add("two words")
        for exchange in exchanges(HERE / "acme-session.txt"):
            done = run(acme, *exchange.argv[1:])
            assert (done.out, done.err, done.code) == (exchange.out, exchange.err, exchange.code)


class TestTables:
    def test_guesses_are_counted(self):
        guesses = read_table(HERE / "acme.toml").guesses
        assert "acmectl list" not in guesses
        assert "acmectl kill '{guest}'" in guesses
        assert "dead" in guesses

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ('argv = "acmectl list"', "say `sample: …`"),
            ('argv = "acmectl list"\norigin = "from memory"', "say `sample: …`"),
            ('argv = "other list"\norigin = "guess"', "argv begins with one of acmectl"),
            ('argv = "acmectl list"\norigin = "guess"\nwhen = ["up"]', "'up' is not among the states"),
            ('argv = "acmectl list"\norigin = "guess"\nnext = ["up 0.2"]', "'up' is not among the states"),
            ('argv = "acmectl list"\norigin = "guess"\nprints = "x"', "nobody knows prints"),
            ('argv = "acmectl list"\norigin = "guess"\nkind = "begin"', "kind is start or stop"),
        ],
    )
    def test_a_table_that_is_wrong_says_where(self, tmp_path, row, reason):
        file = tmp_path / "wrong.toml"
        file.write_text(f'commands = ["acmectl"]\nstates = ["off"]\n[[row]]\n{row}\n', encoding="utf-8")
        with pytest.raises(TableError, match=r"wrong\.toml, row 1") as caught:
            read_table(file)
        assert reason in str(caught.value)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("commands = [", "wrong.toml cannot be read: "),
            ('commands = ["a"]', "wrong.toml has no states and no row"),
            (
                'commands = ["a"]\nstates = ["off"]\nknown_by = ["nam"]\n[[row]]\nargv = "a"\norigin = "guess"',
                "a guest has no 'nam'; it has deaf, dying, name",
            ),
        ],
    )
    def test_a_file_that_is_no_table_is_named(self, tmp_path, text, reason):
        file = tmp_path / "wrong.toml"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(TableError, match=re.escape(reason)):
            read_table(file)
        with pytest.raises(TableError, match=r"none\.toml cannot be read: No such file"):
            read_table(tmp_path / "none.toml")

    def test_a_template_with_a_name_that_is_none_tells_which_there_are(self, tmp_path):
        file = tmp_path / "odd.toml"
        row = '[[row]]\nargv = "acmectl list"\neach = "{nam}"\norigin = "guess"'
        file.write_text(f'commands = ["acmectl"]\nstates = ["off"]\n{row}\n', encoding="utf-8")
        odd = StandIn(read_table(file), tmp_path / "odd")
        odd.add("web")
        for _ in range(3):
            run(odd, "list")
        with pytest.raises(AssertionError) as caught:
            odd.check()
        said = str(caught.value).splitlines()[0]  # pytest adds its own
        assert said.startswith("odd.toml, row 1 (acmectl list): ")
        assert said.count("nothing is called {nam} here; there are deaf, dying, name") == 1


class TestBackends:
    def backend(self, directory: Path, **parts: object) -> StandInBackend:
        def described(_self: object, name: str) -> Guest:
            return Guest(**identity("acme", name))

        means = dict.fromkeys(("off", "booting", "on", "paused", "ending"), Phase.RUNNING)
        members = {"table": HERE / "acme.toml", "means": means, "described": described, **parts}
        made: StandInBackend = type("AcmeBackend", (StandInBackend,), members)(directory)
        return made

    @pytest.mark.parametrize(
        ("parts", "reason"),
        [
            ({"table": None}, "AcmeBackend.table is no path"),
            ({"described": lambda _self, _name: None}, "described('web') answers with None"),
            ({"described": lambda _self, _name: Guest(**identity("acme", "other"))}, "is of the guest 'other'"),
        ],
    )
    def test_what_an_author_forgot_is_told_in_words(self, tmp_path, parts, reason):
        with pytest.raises(AssertionError, match=re.escape(reason)):
            self.backend(tmp_path, **parts).guest("web")

    def test_a_state_without_a_phase_is_named(self, tmp_path):
        backend = self.backend(tmp_path, means={"on": Phase.RUNNING})
        guest = backend.guest("web")
        with pytest.raises(
            AssertionError, match=r"acme\.toml has the state 'off', and AcmeBackend\.means does not say"
        ):
            backend.truth(guest)

    def test_a_backend_that_says_all_makes_a_guest(self, tmp_path):
        assert self.backend(tmp_path).guest("web").name == "web"
