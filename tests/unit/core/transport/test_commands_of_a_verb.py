"""Commands of one verb share its time, and tell nothing where they have not told all."""

from __future__ import annotations

from typing import ClassVar

import pytest

from vmsvc.core.transport import Outcome
from vmsvc.driver import ANSWER_LIMIT, OUTPUT_LIMIT, Commands, DriverError, Undetermined, refusal, whole_lines


class FakeHost:
    name = "n1"

    def __init__(self, **outcome):
        self.outcome = {"code": 0, "stdout": b"told\n", "stderr": b"", **outcome}
        self.ran = []

    def run(self, argv, *, budget_s, environment=None, keep=0):
        self.ran.append((argv, budget_s, environment))
        self.kept = keep
        return Outcome(argv=tuple(argv), duration_s=0.0, **self.outcome)


def test_each_command_has_what_the_others_have_left():
    host = FakeHost()
    commands = Commands(host, 10.0)
    assert [commands.told("acmectl", "list") for _ in range(2)] == ["told\n", "told\n"]
    (first, first_s, environment), (_, second_s, _) = host.ran
    assert (first, environment) == (("acmectl", "list"), {"LC_ALL": "C"})
    assert 10.0 >= first_s > second_s > commands.left_s > 9.0


def test_what_a_tool_needs_is_set_for_each_of_its_commands():
    class Acme(Commands):
        environment: ClassVar[dict[str, str]] = {"LC_ALL": "C.UTF-8"}

        def run(self, *argv):
            return super().run("acmectl", *argv)

    host = FakeHost()
    assert Acme(host, 10.0).told("list") == "told\n"
    assert [(argv, environment) for argv, _, environment in host.ran] == [(("acmectl", "list"), {"LC_ALL": "C.UTF-8"})]


class Acme(Commands):
    """Runs its tool by default."""

    def run(self, *argv):
        return super().run("acmectl", *argv)


def test_files_that_are_there_are_told_by_one_command_that_is_not_the_tool():
    host = FakeHost(code=1, stdout=b"/a\0/c d\0", stderr=b"find: '/b': No such file or directory\n")
    assert Acme(host, 10.0).there("/a", "/b", "/c d") == ["/a", "/c d"]
    assert [argv[0] for argv, *_ in host.ran] == ["find"]


@pytest.mark.parametrize("outcome", [{"stderr": b"find: '/b': Permission denied\n"}, {"truncated": True}])
def test_files_of_which_it_cannot_be_told_are_not_taken_for_missing(outcome):
    with pytest.raises(Undetermined, match=r"Permission denied|more than is kept"):
        Acme(FakeHost(stdout=b"/a\0", **outcome), 10.0).there("/a", "/b")


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ({"code": 3, "stderr": b"acmectl: no\n"}, "acmectl list: exit code 3.*acmectl: no"),
        ({"truncated": True}, "acmectl list: it printed more than is kept"),
    ],
)
def test_what_is_not_whole_tells_nothing(outcome, words):
    commands = Commands(FakeHost(**outcome), 10.0)
    with pytest.raises(Undetermined, match=words):
        commands.told("acmectl", "list")
    assert commands.run("acmectl", "list").code == outcome.get("code", 0)


def test_an_answer_may_be_longer_than_what_a_guest_s_own_command_may_print():
    host = FakeHost()
    Commands(host, 10.0).told("acmectl", "list")
    assert host.kept == ANSWER_LIMIT > OUTPUT_LIMIT
    Commands(host, 10.0, keep=OUTPUT_LIMIT).run("acmectl", "exec", "web", "true")
    assert host.kept == OUTPUT_LIMIT


@pytest.mark.parametrize(("printed", "lines"), [(b"", []), (b"a\n\nb\x0bc\r\n", ["a", "", "b\x0bc\r"])])
def test_lines_end_where_the_tool_ends_them_and_nowhere_else(printed, lines):
    assert Commands(FakeHost(stdout=printed), 10.0).lines("acmectl", "list") == lines


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ({"stdout": b"on web1\noff we"}, "acmectl list: its answer ends within a line: 'off we'"),
        ({"truncated": True}, "it printed more than is kept"),
        ({"code": 1}, "exit code 1"),
    ],
)
def test_lines_of_an_answer_that_is_cut_off_tell_nothing(outcome, words):
    with pytest.raises(Undetermined, match=words):
        whole_lines(FakeHost(**outcome).run(["acmectl", "list"], budget_s=1.0))


def test_a_refusal_has_the_last_words_of_the_tool_and_its_code():
    done = Outcome(argv=("acmectl", "start", "web"), code=7, stdout=b"", stderr=b"a warning\nno\n", duration_s=0.0)
    error = refusal("web cannot be started", done)
    assert isinstance(error, DriverError)
    assert str(error).startswith("web cannot be started: acmectl exits with 7")
    assert "no" in str(error).rpartition("7")[2]
