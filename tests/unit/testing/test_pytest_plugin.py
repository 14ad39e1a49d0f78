"""What pytest does with kits, wherever vmsvc is installed; and what it leaves alone in projects that have none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import documents
from tests.unit.testing.reference import ToyKit
from vmsvc.testing.kit import clauses_named, results

pytest_plugins = ["pytester"]

TREE = Path(__file__).parents[3]
#: Two kits, and a test that is of none.
KITS = """
import pytest
from tests.unit.testing.reference import ToyBackend, ToyKit

class Broken(ToyKit.driver):
    capabilities = frozenset()
    def stop(self, resource, *, budget_s):
        pass

class TestToy(ToyKit):
    waivers = {"garbage": "nobody knows"}

class TestBroken(ToyKit):
    driver = Broken

def test_other():
    pass
"""
BY_FIXTURE = """
import pytest
from tests.unit.testing.reference import ToyBackend, ToyKit

class TestToy(ToyKit):
    backend = None

    @pytest.fixture
    def kit_backend(self, tmp_path):
"""
#: Sends each report to another process and back, as pytest-xdist does.
FAR_AWAY = """
import json, pytest

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item):
    hook, report = item.config.hook, (yield)
    sent = json.dumps(hook.pytest_report_to_serializable(config=item.config, report=report))
    return hook.pytest_report_from_serializable(config=item.config, data=json.loads(sent))
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs pytest on the tests in a file, as one does who has no configuration of this tree."""
    monkeypatch.setenv("PYTHONPATH", str(TREE))
    monkeypatch.delenv("CI", raising=False)  # there, pytest's own summary has whole reasons

    def run(source, *words, configuration=""):
        pytester.makepyfile(test_it=source)
        pytester.makeini(f"[pytest]\nfilterwarnings = error\n{configuration}")
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *words)

    return run


def only(*names):
    return [f"--vmsvc-clause={name}" for name in names]


def kits_in(file):
    return {kit["test"].rpartition("::")[2]: kit for kit in documents.checked(file.read_text())["kits"]}


def told_of(kit):
    return {clause["name"]: (clause["state"], clause["reason"]) for clause in kit["clauses"]}


def summary_of(told):
    lines = told.outlines
    begin = next((number for number, line in enumerate(lines) if "conformance kit" in line), len(lines))
    return [line for line in lines[begin + 1 : -1] if line and not line.startswith(("=", "FAILED", "ERROR"))]


@pytest.mark.parametrize("conftest", ["", FAR_AWAY], ids=["in one process", "told of in another process"])
def test_of_each_kit_it_is_told_what_is_kept_and_why_the_rest_is_not(run, pytester, conftest):
    pytester.makeconftest(conftest)
    told = run(KITS, *only("contract", "disks", "garbage", "life"), "--vmsvc-kit-report=kit.json")

    assert told.ret == 1
    assert summary_of(told) == [
        "toy  test_it.py::TestToy  3 kept, 1 waived",
        "  garbage  waived  nobody knows",
        "toy  test_it.py::TestBroken  2 kept, 1 broken, 1 not concerned",
        "  life  broken  stop was asked for, and 'web' goes on running",
    ]
    kits = kits_in(pytester.path / "kit.json")
    assert told_of(kits["TestToy"]) == {
        "contract": ("kept", ""),
        "disks": ("kept", ""),
        "garbage": ("waived", "nobody knows"),
        "life": ("kept", ""),
    }
    assert told_of(kits["TestBroken"])["life"] == ("broken", "stop was asked for, and 'web' goes on running")
    assert told_of(kits["TestBroken"])["disks"] == ("not concerned", "the driver does not declare disks")


def test_the_report_is_what_is_told_without_pytest(run, pytester):
    names = ("contract", "bulk", "dead", "garbage", "life", "self-starting")
    run(KITS, *only(*names), "--vmsvc-kit-report=kit.json")
    kit = type("Kit", (ToyKit,), {"waivers": {"garbage": "nobody knows"}})
    without = {each.clause.name: (each.state.value, each.reason) for each in results(kit, clauses_named(names))}

    assert told_of(kits_in(pytester.path / "kit.json")["TestToy"]) == without


def test_the_report_names_the_package_that_brings_the_driver(run, pytester):
    pytest.importorskip("vmsvc_null")
    run("from vmsvc_null.kit import NullKit as TestNull", *only("contract"), "--vmsvc-kit-report=kit.json")

    kit = kits_in(pytester.path / "kit.json")["TestNull"]
    assert (kit["type"], kit["distribution"], bool(kit["version"])) == ("null", "vmsvc-null", True)


def test_clauses_that_were_not_asked_for_are_deselected_and_other_tests_are_not(run):
    told = run(KITS, *only("life"), "-k", "TestToy or other")

    assert "2 passed" in told.outlines[-1]
    assert summary_of(told) == ["toy  test_it.py::TestToy  1 kept"]


def test_kits_can_be_left_out_by_their_marker_though_markers_are_strict(run):
    told = run(KITS, "-m", "not vmsvc_kit", configuration="addopts = --strict-markers")

    assert "1 passed" in told.outlines[-1]
    assert summary_of(told) == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--vmsvc-clause=lief"], "--vmsvc-clause: there is no clause 'lief'; did you mean `life`?"),
        (["--vmsvc-kit-report=no/kit.json"], "--vmsvc-kit-report: no/kit.json cannot be written: No such file"),
    ],
)
def test_what_is_wrong_with_an_option_is_told_before_anything_is_run(run, words, why):
    told = run(KITS, *words)

    assert told.ret == pytest.ExitCode.USAGE_ERROR
    assert why in told.stderr.str()
    assert "Traceback" not in told.stderr.str()
    assert "passed" not in told.stdout.str()


@pytest.mark.parametrize(
    ("lines", "state", "reason"),
    [
        ("pytest.skip('there is no acmed')", "not tried", "Skipped: there is no acmed"),
        ("raise OSError('acmed does not start')", "broken", "OSError: acmed does not start"),
        ("yield ToyBackend(tmp_path); raise OSError('acmed does not end')", "broken", "OSError: acmed does not end"),
        ("yield ToyBackend(tmp_path)", "kept", ""),
    ],
)
def test_a_backend_that_is_not_there_is_no_backend_that_was_tried(run, pytester, lines, state, reason):
    run(f"{BY_FIXTURE}        {lines}\n", *only("contract"), "--vmsvc-kit-report=kit.json")

    assert told_of(kits_in(pytester.path / "kit.json")["TestToy"])["contract"] == (state, reason)


def test_a_kit_without_a_driver_says_so_and_keeps_no_other_from_being_run(run, pytester):
    source = f"{KITS}\nfrom vmsvc.testing import DriverKit\nclass TestNothing(DriverKit):\n    backend = ToyBackend\n"
    told = run(source, *only("contract"), "--vmsvc-kit-report=kit.json")

    assert "TestNothing has no `driver`: name the class of the driver in it" in told.stdout.str()
    assert told_of(kits_in(pytester.path / "kit.json")["TestToy"])["contract"] == ("kept", "")


def test_an_expected_failure_that_is_no_waiver_waives_nothing(run, pytester):
    source = KITS.replace("class TestBroken", "@pytest.mark.xfail\nclass TestBroken")
    told = run(source, *only("life"), "--vmsvc-kit-report=kit.json")

    assert told.ret == 0
    assert told_of(kits_in(pytester.path / "kit.json")["TestBroken"])["life"][0] == "broken"


def test_a_kit_without_the_plugin_is_held_to_its_clauses_all_the_same(run):
    told = run(KITS, "-p", "no:vmsvc", "-k", "life")

    assert "1 failed, 1 passed" in told.outlines[-1]
    assert summary_of(told) == []


def test_a_project_without_a_kit_loads_nothing_and_hears_nothing_of_vmsvc(run, pytester):
    pytester.makeconftest(
        "import sys\n"
        "def pytest_unconfigure():\n"
        "    print('loaded', *sorted(name for name in sys.modules if name.partition('.')[0] in ('attr', 'vmsvc')))\n"
    )
    told = run("def test_it(): pass")

    assert told.outlines[-1] == "loaded vmsvc vmsvc.testing vmsvc.testing.pytest_plugin"
    assert "conformance kit" not in told.stdout.str()
    assert "1 passed" in told.outlines[-2]


def test_a_report_of_an_earlier_run_does_not_outlive_one_that_has_no_kit(run, pytester):
    (pytester.path / "kit.json").write_text("an earlier report")
    run("def test_it(): pass", "--vmsvc-kit-report=kit.json")

    assert json.loads((pytester.path / "kit.json").read_text())["kits"] == []


@pytest.fixture
def as_a_wheel(pytester):
    """Lists vmsvc's package among the files of a distribution that brings a plugin, as of a wheel that is installed.

    pytest rewrites the assertions of all modules of such a distribution.
    """
    information = pytester.path / "as_a_wheel-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: as-a-wheel\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[pytest11]\nas-a-wheel = json\n")
    (information / "RECORD").write_text("vmsvc/__init__.py,,\n")


@pytest.mark.usefixtures("as_a_wheel")
def test_pytest_adds_nothing_to_what_is_told_of_a_clause(run):
    told = run(KITS, *only("life"))

    assert "  life  broken  stop was asked for, and 'web' goes on running" in summary_of(told)
    assert not [line for line in told.outlines if line.startswith("assert")]


def test_all_whose_assertions_are_told_of_say_so_to_pytest():
    for file in [*TREE.glob("src/vmsvc/testing/kit/*.py"), *TREE.glob("src/vmsvc/testing/recording/*.py")]:
        text = file.read_text()
        assert "    assert " not in text or "PYTEST_DONT_REWRITE" in text, file


@pytest.mark.usefixtures("as_a_wheel")
def test_a_program_that_knows_vmsvc_may_run_pytest(pytester):
    pytester.makepyfile(program="import sys, vmsvc, pytest\nsys.exit(pytest.main(['-W', 'error', 'test_it.py']))")
    pytester.makepyfile(test_it="def test_it(): pass")

    assert pytester.runpython("program.py").ret == 0
