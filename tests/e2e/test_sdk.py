"""A driver from nothing: written, built, installed, found, held to the contract, uninstalled, and gone."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import tomli

from docs.examples import TREE
from tests import documents
from tests.e2e.node import Node
from tests.support import succeeds

#: More than the kit of a new package takes; it waits for what hangs.
KIT_S = 240


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path / "root")


@pytest.mark.timeout(2 * KIT_S)
def test_a_new_package_is_a_driver_whose_kit_passes(page):
    succeeds(page, "vmsvc sdk new two-words")
    succeeds(page, "python -m pip wheel -q ./vmsvc-two-words -w dist")
    assert succeeds(page, "ls dist").split() == ["vmsvc_two_words-0.1.0-py3-none-any.whl"]
    succeeds(page, "rm -r vmsvc-two-words/src && python -m pip install -q dist/*.whl")
    [plugin] = [
        each
        for each in json.loads(succeeds(page, "vmsvc drivers --format json"))["plugins"]
        if each["name"] == "two-words"
    ]
    assert (plugin["distribution"], plugin["version"], plugin["state"]) == ("vmsvc-two-words", "0.1.0", "ok")
    assert [(each["type"], each["api"], each["capabilities"]) for each in plugin["drivers"]] == [
        ("two-words", 1, ["bulk"])
    ]

    answer = documents.checked(succeeds(page, "vmsvc sdk test two-words --format json 2>said"))
    [kit] = answer["kits"]
    states = {clause["name"]: (clause["state"], clause["reason"]) for clause in kit["clauses"]}
    assert {state for state, _ in states.values()} == {"kept", "not concerned"}, states
    assert succeeds(page, "cd vmsvc-two-words && python -m pytest -q -k 'life or contract'").count("2 passed") == 1

    succeeds(page, "python -m pip uninstall -q -y vmsvc-two-words")
    assert "two-words" not in succeeds(page, "vmsvc drivers")
    said, code = page.run("vmsvc sdk test two-words")
    assert (code, "no installed package 'two-words' brings a kit" in said) == (2, True)


def test_a_new_package_is_typed_and_clean(page):
    succeeds(page, "vmsvc sdk new tidy")
    assert "Success" in succeeds(page, "python -m mypy --strict vmsvc-tidy/src")
    ruff = shlex.quote(str(Path(sys.executable).with_name("ruff")))
    ours = shlex.quote(str(TREE / "pyproject.toml"))
    # What counts as a package of one's own is another thing in a tree of one's own.
    succeeds(page, f"{ruff} check --config {ours} --ignore I001 vmsvc-tidy/src")
    succeeds(page, f"{ruff} format --config {ours} --check vmsvc-tidy")


def test_nothing_of_the_template_s_own_name_is_left(node, tmp_path):
    node.run("sdk", "new", "zeta", "--directory", str(tmp_path))
    files = [file for file in (tmp_path / "vmsvc-zeta").rglob("*") if file.is_file()]
    assert len(files) > 5
    for file in files:
        assert "acme" not in f"{file}{file.read_text()}".lower()
    project = tomli.loads((tmp_path / "vmsvc-zeta/pyproject.toml").read_text())["project"]
    core = importlib.metadata.version("vmsvc").split(".")
    assert f"vmsvc>={core[0]}.{core[1]},<{int(core[0]) + 1}" in project["dependencies"]


def test_a_name_that_has_the_template_s_own_in_it(node, tmp_path):
    node.run("sdk", "new", "acme-two", "--directory", str(tmp_path))
    assert (tmp_path / "vmsvc-acme-two/src/vmsvc_acme_two/acme-twoctl").is_file()
    assert "class AcmeTwoDriver" in (tmp_path / "vmsvc-acme-two/src/vmsvc_acme_two/driver.py").read_text()


@pytest.mark.option("sdk new --directory")
def test_a_package_is_made_where_it_is_wanted_and_never_over_another(node, tmp_path):
    there = tmp_path / "src"
    there.mkdir()
    code, answer = node.json("sdk", "new", "acme", "--directory", str(there))
    assert code == 0
    assert answer["directory"] == str(there / "vmsvc-acme")
    assert sorted(answer["files"]) == sorted(str(file) for file in there.rglob("*") if file.is_file())

    code, answer = node.json("sdk", "new", "acme", "--directory", str(there))
    assert (code, answer["errors"][0]["message"]) == (2, f"{there / 'vmsvc-acme'} is there already")

    (tmp_path / "file").touch()
    code, answer = node.json("sdk", "new", "acme", "--directory", str(tmp_path / "file"))
    assert (code, answer["errors"][0]["code"]) == (1, "file")


def test_no_package_is_made_that_would_take_the_place_of_one_that_is_installed(node, tmp_path):
    code, answer = node.json("sdk", "new", "null", f"--directory={tmp_path}")
    assert (code, "vmsvc-null 0.1.0 is installed" in answer["errors"][0]["message"]) == (2, True)
    assert not list(tmp_path.glob("vmsvc-*"))


def test_an_installed_package_without_a_kit_is_told_as_such(node):
    code, answer = node.json("sdk", "test", "pytest")
    assert (code, answer["errors"][0]["message"]) == (2, "pytest brings no kit (entry point vmsvc.kit)")


@pytest.mark.parametrize("name", ["Acme", "", "a b", "../x", "a_b", "-x", "9x", "a--b", "ä"])
def test_a_name_that_no_driver_can_have(node, tmp_path, name):
    code, answer = node.json("sdk", "new", f"--directory={tmp_path}", "--", name)
    assert code == 2
    assert "cannot be the name of a driver" in answer["errors"][0]["message"]
    assert not list(tmp_path.glob("vmsvc-*"))


@pytest.mark.option("sdk test --clause")
def test_one_clause_alone(node):
    done = node.run("sdk", "test", "null", "--clause", "life")
    assert "vmsvc-null: 1 clause …" in done.stderr
    code, answer = node.json("sdk", "test", "null", "--clause", "life", "--clause", "addresses", "--clause", "slow")
    assert code == 0
    [kit] = answer["kits"]
    assert (kit["type"], kit["distribution"]) == ("null", "vmsvc-null")
    assert [(each["name"], each["state"]) for each in kit["clauses"]] == [
        ("life", "kept"),
        ("addresses", "not concerned"),
        ("slow", "waived"),
    ]
    code, answer = node.json("sdk", "test", "null", "--clause", "lief")
    assert (code, answer["errors"][0]["hint"]) == (2, "did you mean `life`?")


@pytest.fixture
def bring(tmp_path, monkeypatch):
    """Makes a distribution that brings a kit, for the commands that are run from now on."""

    def make(entry, source=""):
        (tmp_path / "toykit.py").write_text(source)
        information = tmp_path / "vmsvc_toy-1.2.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: vmsvc-toy\nVersion: 1.2\n")
        (information / "entry_points.txt").write_text(f"[vmsvc.kit]\ntoy = {entry}\n")
        return {"PYTHONPATH": str(tmp_path)}

    return make


BROKEN = """
from vmsvc_null.kit import NullKit
class Sleepy(NullKit.driver):
    def stop(self, resource, *, budget_s):
        pass
class Kit(NullKit):
    driver = Sleepy
    waivers = {"garbage": "it is only a test"}
"""


def test_a_clause_that_is_broken_is_told_with_what_was_seen(node, bring):
    done = node.run(
        "sdk", "test", "vmsvc-toy", "--clause", "life", "--clause", "garbage", **bring("toykit:Kit", BROKEN)
    )
    assert done.returncode == 1
    assert re.search(r"^toy  vmsvc-toy 1\.2  1 broken, 1 waived$", done.stdout, re.MULTILINE)
    assert "life  broken  stop was asked for, and 'web' goes on running" in done.stdout
    assert "garbage  waived  it is only a test" in done.stdout


def test_a_kit_whose_backend_its_own_tests_make_is_left_to_them(node, bring):
    lone = "from vmsvc.testing import DriverKit\nfrom vmsvc_null.kit import NullDriver\nclass Kit(DriverKit): driver = NullDriver"
    environment = bring("toykit:Kit", lone)
    code, answer = node.json("sdk", "test", "toy", **environment)
    assert (code, answer["errors"][0]["message"]) == (2, "vmsvc-toy brings no backend for its kit")
    done = node.run("sdk", "test", "--clause", "contract", **environment)
    assert done.returncode == 0
    assert "vmsvc-toy brings no backend for its kit: left to the tests of its source" in done.stderr
    assert "toy" not in done.stdout


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("toykit:Kit", "cannot be imported: AttributeError"),
        ("toykit:missing", "cannot be imported: AttributeError"),
        ("nowhere:Kit", "cannot be imported: ModuleNotFoundError"),
        ("toykit:print", "is no subclass of DriverKit"),
        ("vmsvc.testing:DriverKit", "DriverKit has no `driver`: name the class of the driver in it"),
    ],
)
def test_a_kit_that_is_none_is_told_without_a_traceback(node, bring, entry, why):
    code, answer = node.json("sdk", "test", "vmsvc-toy", **bring(entry, "print = print"))
    assert (code, answer["errors"][0]["code"]) == (1, "kit")
    assert why in answer["errors"][0]["message"]


def test_a_kit_that_is_none_keeps_no_other_from_being_run(node, bring):
    code, answer = node.json("sdk", "test", "vmsvc-toy", "null", "--clause", "contract", **bring("nowhere:Kit"))
    assert (code, [kit["type"] for kit in answer["kits"]]) == (1, ["null"])
    assert "the kit of vmsvc-toy cannot be imported" in answer["errors"][0]["message"]


def test_a_package_may_bring_several_kits(node, bring, tmp_path):
    environment = bring("toykit:Kit", BROKEN)
    points = tmp_path / "vmsvc_toy-1.2.dist-info/entry_points.txt"
    points.write_text(points.read_text() + "other = toykit:NullKit\n")
    for words in (["vmsvc-toy"], ["toy", "other"]):
        code, answer = node.json("sdk", "test", *words, "--clause", "contract", **environment)
        assert (code, sorted(kit["type"] for kit in answer["kits"])) == (0, ["other", "toy"])


# --- record -----------------------------------------------------------------------------------------------------------

TOOL = r"""#!/bin/sh
case $1 in
list) printf 'STATE\\tNAME\\non\\tsecret-db 1\\noff\\tsecret-db 10\\n'; echo "agent 10.9.8.7 of secret-db 1" >&2 ;;
*) exit 1 ;;
esac
"""


def served_by_acme(page):
    """A page with a driver that runs commands, a tool for it, and a service."""
    succeeds(page, "vmsvc sdk new acme && python -m pip install -q ./vmsvc-acme")
    page.write("tool", TOOL.replace("\\\\", "\\"))
    succeeds(page, "chmod +x tool")
    settings = 'container#1.tool="$PWD/tool"'
    succeeds(page, f"vmsvc create db --type acme container#1.name='secret-db 1' {settings} nodes='n1 secret-peer'")
    succeeds(page, f"vmsvc create down --type acme container#1.name='secret-db 10' {settings}")


def test_a_new_driver_believes_no_line_that_it_cannot_read(page):
    served_by_acme(page)
    page.write("tool", "#!/bin/sh\nprintf 'STATE\\tNAME\\non secret-db 1\\n'\n")
    said, code = page.run("vmsvc status db")
    assert (code, "unknown" in said) == (4, True), said


@pytest.mark.option("sdk record --directory")
def test_what_is_recorded_tells_nothing_of_the_host_and_is_read_as_the_host_was(page):
    served_by_acme(page)
    answer = documents.checked(succeeds(page, "vmsvc sdk record acme --directory samples --format json"))
    assert (answer["directory"], answer["guests"], answer["is_faithful"]) == ("samples", 2, True)
    assert sorted(answer["files"]) == sorted(f"samples/{file.name}" for file in (page.directory / "samples").iterdir())
    text = "".join(file.read_text() for file in (page.directory / "samples").iterdir())
    assert "secret" not in text.replace("what looks like a secret", "")
    assert "10.9.8.7" not in text
    assert "192.0.2.1" in text
    told = json.loads((page.directory / "samples/recording.json").read_text())
    one, two = (guest["name"] for guest in told["guests"])
    assert two == f"{one}{two[-1]}"  # a name that begins another still does
    assert [answer["phase"] for key, answer in told["answers"].items() if key.startswith("observe ")] == [
        "running",
        "stopped",
    ]
    page.write(
        "replaying.py",
        "from pathlib import Path\nfrom vmsvc_acme import AcmeDriver\nfrom vmsvc.testing.recording import replay\n"
        "replay(AcmeDriver, Path('samples'))\n",
    )
    succeeds(page, "python replaying.py")
    said, code = page.run("vmsvc sdk record acme --directory samples")
    assert (code, "samples is there already" in said) == (2, True)
    said, code = page.run("vmsvc sdk record amce")
    assert (code, "no driver serves the container type 'amce' (did you mean `acme`?)" in said) == (2, True)


def test_it_is_told_whether_the_driver_has_named_all_guests(node, page):
    assert node.json("sdk", "record", "null", "--directory", str(node.root / "samples"))[1]["knows_names"]
    served_by_acme(page)  # whose driver cannot name guests
    told = succeeds(page, "vmsvc sdk record acme")
    assert "names of guests that have no service are not masked: the driver could not tell them" in told


def test_names_that_are_words_of_the_tool_are_told(page):
    served_by_acme(page)
    succeeds(page, "vmsvc create odd --type acme container#1.name=on container#1.tool=$PWD/tool")
    assert "what is masked changes what the driver reads" in succeeds(page, "vmsvc sdk record acme")


def test_the_name_of_the_tool_tells_nothing_even_where_a_service_has_it_too(page):
    served_by_acme(page)
    for name in ("tool", "acme"):
        succeeds(page, f"vmsvc create {name} --type acme container#1.name='secret-db 2' container#1.tool=$PWD/tool")
    answer = json.loads(succeeds(page, "vmsvc sdk record acme --directory samples --format json"))
    told = json.loads((page.directory / "samples/recording.json").read_text())
    assert answer["is_faithful"]
    assert {Path(command["argv"][0]).name for command in told["commands"]} == {"tool"}
    assert told["type"] == "acme"
    assert "secret" not in json.dumps(told)


@pytest.mark.option("sdk record --set")
def test_guests_without_a_service_are_recorded_where_they_are_to_be_looked_for(node):
    node.hypervisor.set("lonely", phase="paused")
    code, answer = node.json("sdk", "record", "null", "--directory", str(node.root / "samples"))
    assert (code, answer["commands"], answer["guests"], answer["is_faithful"]) == (0, 0, 1, None)
    told = json.loads((node.root / "samples/recording.json").read_text())
    assert "lonely" not in json.dumps(told)
    assert {answer["phase"] for key, answer in told["answers"].items() if key.startswith("observe ")} == {"paused"}

    code, answer = node.json(
        "sdk", "record", "null", "--directory", str(node.root / "more"), "--set", "container#1.vcpus=7"
    )
    assert code == 0
    told = json.loads((node.root / "more/recording.json").read_text())
    assert [answer["vcpus"] for key, answer in told["answers"].items() if key.startswith("sizes ")] == [7]
    assert [entry.verb for entry in node.hypervisor.log()] == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("null", "--set", "x=1"), "there is no key `x`"),
        (("null", "--set", "container#1.nosuch=1"), "there is no key `nosuch`"),
        (("null", "--set", "container#1.vcpus=many"), "vcpus"),
    ],
)
def test_a_place_that_is_none_is_no_empty_recording(node, words, why):
    code, answer = node.json("sdk", "record", *words, "--directory", str(node.root / "samples"))
    assert code == 2
    assert why in json.dumps(answer["errors"], ensure_ascii=False)
    assert not (node.root / "samples").exists()


def test_a_driver_that_has_to_know_where_its_guests_are_is_told(node):
    pytest.importorskip("vmsvc_esx")
    done = node.run("sdk", "record", "esx", "--directory", str(node.root / "samples"), VMSVC_DISABLE_PLUGINS="")
    assert (done.returncode, "`server` is missing" in done.stderr) == (2, True), done.stderr
    assert not (node.root / "samples").exists()


def test_where_there_is_no_guest_it_is_recorded_what_is_told_of_one(node):
    code, answer = node.json("sdk", "record", "null", "--directory", str(node.root / "samples"))
    assert (code, answer["guests"]) == (0, 1)
    told = json.loads((node.root / "samples/recording.json").read_text())
    assert [key for key in told["answers"] if key.startswith("observe ")] == ["observe adopted"]


def test_the_command_for_authors_costs_others_nothing(node):
    code = "import sys; from vmsvc.cli import main; main(['status']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=node.environment, capture_output=True, text=True, check=True
    )
    assert not {name for name in done.stdout.split() if name.startswith(("vmsvc.testing", "vmsvc.cli.sdk"))}
