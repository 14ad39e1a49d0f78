import io
import json
import os
import subprocess
import sys

import pytest

from vmsvc.cli.screen import Screen, Stream, plain, printable
from vmsvc.core.errors import Problem, Severity


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("  indented", "  indented"),
        ("a\tb", "a b"),
        ("one\ntwo\r\n", "one two"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("ünï → …", "ünï → …"),
    ],
)
def test_no_text_moves_the_cursor(text, expected):
    assert printable(text) == expected


@pytest.mark.parametrize(
    ("file", "color", "environment", "expected"),
    [
        (Terminal(), "auto", {}, True),
        (Terminal(), "auto", {"NO_COLOR": "1"}, False),
        (Terminal(), "auto", {"NO_COLOR": ""}, True),
        (Terminal(), "auto", {"TERM": "dumb"}, False),
        (Terminal(), "never", {}, False),
        (Terminal(), "always", {"NO_COLOR": "1"}, True),
        (io.StringIO(), "auto", {}, False),
        (io.StringIO(), "always", {}, True),
        (None, "auto", {}, False),
    ],
)
def test_when_there_are_colours(monkeypatch, file, color, environment, expected):
    for key, value in environment.items():
        monkeypatch.setenv(key, value)

    assert Stream(file, color).is_coloured is expected


def test_a_long_line_stays_one_line_in_colours_too():
    file = Terminal()
    Stream(file).write([("x" * 500, "red"), (" [bold]:smile:", "")])

    assert file.getvalue().count("\n") == 1
    assert "[bold]:smile:" in file.getvalue()


def test_a_stream_that_is_not_there_takes_everything():
    stream = Stream(None)
    stream.write(plain("x"))
    stream.write_text("x")
    stream.flush()

    assert stream.failure == ""


def test_errors_name_the_program_the_service_and_what_to_do(capsys):
    screen = Screen("vmsvc")
    screen.tell(Problem(message="it hangs", hint="shake it", severity=Severity.WARNING), of="web")
    screen.tell(Problem(message="wrong", file="/f", section="ip#1", key="dev"), of="web")

    assert capsys.readouterr().err == "vmsvc: warning: web: it hangs (shake it)\nvmsvc: error: /f: [ip#1] dev: wrong\n"


def test_json_is_all_that_json_prints(capsys):
    screen = Screen.guessed_from(["status", "--format", "json"], prog="vmsvc")
    screen.say("hello")
    screen.fail([Problem(message="wrong\udcff")])
    shown = capsys.readouterr()

    assert shown.err == ""
    assert json.loads(shown.out)["errors"][0]["message"] == "wrong\udcff"


@pytest.mark.parametrize("words", [["--format=json"], ["x", "--format", "json", "y"]])
def test_json_is_recognised_before_anything_is_parsed(words):
    assert Screen.guessed_from(words, prog="vmsvc").json
    assert not Screen.guessed_from(["--format", "text", "json"], prog="vmsvc").json


def test_version_imports_nothing_that_it_does_not_need():
    program = (
        "import sys; from vmsvc.cli import main; main(['--version']);"
        "print([name for name in ('attrs', 'attr', 'pluggy', 'rich', 'argparse', 'vmsvc.session') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[1:] == ["[]"]


def test_text_in_a_pipe_does_not_import_rich(tmp_path):
    program = (
        "import sys; from vmsvc.cli import main; main(['validate']); main(['drivers']);"
        "print('rich' in sys.modules, 'argcomplete' in sys.modules)"
    )
    environment = {**os.environ, "VMSVC_ROOT": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)

    assert done.stdout.splitlines()[-1] == "False False"
