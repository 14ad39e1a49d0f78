"""Commands of one verb share its time, and tell nothing where they have not told all."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import ClassVar

import pytest

from vmsvc.core.transport import Outcome
from vmsvc.core.transport.local import LocalHost
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


def test_what_hangs_in_a_part_of_the_time_leaves_the_rest():
    host = FakeHost()
    commands = Commands(host, 10.0, keep=OUTPUT_LIMIT)
    part = commands.within(commands.left_s / 4)
    part.run("acmectl", "list")
    ((_, budget_s, _),) = host.ran
    assert 2.4 < budget_s <= 2.5
    assert host.kept == OUTPUT_LIMIT
    assert commands.left_s > 9.0


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
    lost = b"find: '/b': No such file or directory\n"
    host = FakeHost(code=1, stdout=b"f/a\0d/dir\0f/c d\0c/null\0l/link\0b/sda\0", stderr=lost)
    paths = ("/a", "/b", "/dir", "/c d", "/null", "/link", "/sda", "/a")
    assert Acme(host, 10.0).there(*paths) == ["/a", "/c d"]
    assert [argv[0] for argv, *_ in host.ran] == ["find"]
    assert Acme(host, 10.0).there() == []
    kinds = Acme(host, 10.0).kinds(*paths)
    assert kinds == {"/a": "file", "/dir": "dir", "/c d": "file", "/null": "other", "/sda": "block"}


def test_what_a_path_leads_to_is_as_find_tells_it(tmp_path):
    for name, make in (("file", Path.touch), ("dir", Path.mkdir), ("link", lambda path: path.symlink_to("dir"))):
        make(tmp_path / name)
    (tmp_path / "lost").symlink_to("nowhere")
    with contextlib.closing(LocalHost("n1")) as host:
        names = ("file", "dir", "link", "lost", "none", "file/below")
        found = Commands(host, 10.0).kinds(*(f"{tmp_path}/{name}" for name in names), "/dev/null")
    assert {path.rpartition("/")[2]: kind for path, kind in found.items()} == {
        "file": "file", "dir": "dir", "link": "dir", "null": "other"
    }  # fmt: skip


@pytest.mark.parametrize(
    "outcome",
    [
        {"stderr": b"find: '/b': Permission denied\n"},
        {"stdout": b""},
        {"stdout": b"f/a\0"},
        {"stdout": b"f/a\0f/"},
        {"stdout": b"f/a\0f/other\0"},
    ],
)
def test_files_of_which_it_cannot_be_told_are_not_taken_for_missing(outcome):
    with pytest.raises(Undetermined, match=r"Permission denied|is not whole"):
        Acme(FakeHost(**{"stdout": b"f/a\0", **outcome}), 10.0).there("/a", "/b")


def test_a_file_that_is_whole_is_told_by_a_command_that_is_not_the_tool():
    host = FakeHost(stdout=b"<a>\n</a>\n")
    assert Acme(host, 10.0).file("/a", mark="</a>") == "<a>\n</a>\n"
    assert [argv for argv, *_ in host.ran] == [("cat", "--", "/a")]


@pytest.mark.parametrize("text", [b"", b"\n", b"<a>\n", b"<a>\n</a", b"<a>\n</a>", b"\0\0\0</a>\n"])
def test_a_file_that_is_not_whole_is_none(text):
    with pytest.raises(Undetermined, match=r"/a is (not whole|no text)"):
        Acme(FakeHost(stdout=text), 10.0).file("/a", mark="</a>")


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
