"""Manual pages: all commands, options and keywords are in them, and man has nothing to complain about."""

import os
import shutil
import subprocess

import pytest

from tests import named
from vmsvc.cli import manual
from vmsvc.core.config.schema import SERVICE_OPTIONS


@pytest.fixture(scope="module")
def pages():
    return manual.pages()


def test_every_command_with_its_options_is_there(pages):
    page = pages["man1/vmsvc.1"].replace("\\-", "-")
    for option in named.options():
        command, _, name = option.rpartition(" ")
        if command != "svcmgr":
            assert not command or f".SS vmsvc {command}\n" in page
            assert (
                name in page.partition(f".SS vmsvc {command}\n")[2].partition("\n.S")[0]
                or name in page.partition(".SH COMMANDS")[0]
            )
    assert "--param" in pages["man1/svcmgr.1"].replace("\\-", "-")


def test_every_keyword_is_there(pages):
    for key in SERVICE_OPTIONS:
        assert f".B {key}\n" in pages["man5/vmsvc-service.5"].replace("\\-", "-")


def test_what_looks_like_a_request_is_text():
    assert manual._text(".TH of a \\ page") == "\\&.TH of a \\e page"


@pytest.mark.skipif(not shutil.which("groff"), reason="there is no groff here")
def test_groff_has_no_complaint(pages, tmp_path):
    assert manual.main([str(tmp_path)]) == 0
    for place in pages:
        done = subprocess.run(
            ["groff", "-man", "-ww", "-K", "utf8", "-T", "utf8", str(tmp_path / place)],
            capture_output=True, text=True, check=True, env={**os.environ, "MANROFFOPT": ""},
        )  # fmt: skip
        assert done.stderr == "", place
        assert "vmsvc" in done.stdout
