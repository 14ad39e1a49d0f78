"""A driver that keeps the contract passes every clause, and each clause catches the defect that it is for."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import asdict

from tests.unit.testing.mutants import MUTANTS, importing
from tests.unit.testing.reference import ToyBackend, ToyDriver, ToyKit
from vmsvc.core.declaration import Quarantined
from vmsvc.testing import DriverKit
from vmsvc.testing.kit import CLAUSES, TROUBLES, State, results
from vmsvc.testing.kit.judging import hold, waiver

TREE = Path(__file__).parents[3]


class TestToy(ToyKit):
    pass


@pytest.fixture(autouse=True)
def _what_mutants_do_is_undone(monkeypatch, tmp_path):
    """Mutants start processes, and some of what they run in a shell makes files."""
    made, popen = [], subprocess.Popen

    class Remembered(popen):
        def __init__(self, *words, **options):
            super().__init__(*words, **options)
            made.append(self)

    monkeypatch.setattr(subprocess, "Popen", Remembered)
    monkeypatch.chdir(tmp_path)
    yield
    for process in made:
        process.kill()
        process.wait()


def kit_of(driver):
    class Backend(ToyBackend):
        def guest(self, name):
            return driver.options(**asdict(super().guest(name), recurse=False))

    return type("Kit", (DriverKit,), {"driver": driver, "backend": Backend})


@pytest.mark.parametrize(("clause", "driver"), [pytest.param(c, d, id=f"{c}: {n}") for c, n, d in MUTANTS])
def test_a_clause_catches_the_defect_it_is_for(clause, driver, tmp_path):
    kit = kit_of(driver)
    with pytest.raises((AssertionError, Quarantined)):
        hold(kit, CLAUSES[clause], kit.backend(tmp_path))


@pytest.mark.parametrize("statement", ["import subprocess", "from vmsvc.core import lane", "import vmsvc"])
def test_a_driver_that_goes_round_the_door(statement, tmp_path):
    kit = kit_of(importing(statement, tmp_path))
    with pytest.raises(AssertionError, match=r"toy_that_imports\.py imports"):
        hold(kit, CLAUSES["imports"], kit.backend(tmp_path))


def test_a_guest_that_a_hung_move_has_lost_is_noticed(tmp_path):
    class Backend(ToyBackend):
        @contextlib.contextmanager
        def when_hung(self):
            with super().when_hung():
                yield
            self.tool.machines["web"].state = "off"

    with pytest.raises(AssertionError, match="stopped here, and does not run at the destination"):
        hold(ToyKit, CLAUSES["migrate-hung"], Backend(tmp_path))


def test_a_backend_that_cannot_tell_what_has_arrived_says_so(tmp_path):
    class Backend(ToyBackend):
        def has_arrived(self, guest):
            return None

    with pytest.raises(AssertionError, match=r"Backend cannot tell: give it has_arrived\(\), or waive"):
        hold(ToyKit, CLAUSES["migrate-arrived"], Backend(tmp_path))


def test_each_clause_has_a_mutant():
    assert {clause for clause, _, _ in MUTANTS} | {"imports"} == set(CLAUSES)


def test_each_clause_says_why():
    assert all(clause.why.endswith(".") for clause in CLAUSES.values())
    of_one_answer = {"alone"}  # what clauses about spoilt answers do besides, where the backend can
    assert {clause.trouble for clause in CLAUSES.values()} - {""} == set(TROUBLES) - of_one_answer


# --- waivers ----------------------------------------------------------------------------------------------------------


class Blind(ToyDriver):
    """Knows nothing, and offers nothing."""

    capabilities = frozenset()

    def observe(self, resource, *, budget_s):
        return 1


def state_of(kit, name):
    [found] = [result for result in results(kit) if result.clause.name == name]
    return found.state, found.reason


def test_without_pytest_each_clause_has_a_result():
    found = list(results(ToyKit))
    assert [result.clause for result in found] == list(CLAUSES.values())
    assert {result.state for result in found} == {State.KEPT}, [r for r in found if r.state is not State.KEPT]


def test_a_clause_is_waived_with_a_reason_and_concerns_only_who_declares_it():
    kit = type("Kit", (DriverKit,), {"driver": Blind, "backend": ToyBackend, "waivers": {"garbage": "cannot be told"}})
    found = {result.clause.name: result for result in results(kit)}
    assert (found["garbage"].state, found["garbage"].reason) == (State.WAIVED, "cannot be told")
    assert (found["bulk"].state, found["bulk"].reason) == (State.NOT_CONCERNED, "the driver does not declare bulk")
    assert found["life"].state is State.BROKEN
    assert "returned 1" in found["life"].reason


@pytest.mark.parametrize(
    ("waivers", "why"),
    [
        ({"garbage": " "}, "the waiver of 'garbage' has no reason"),
        ({"garbage": None}, "the waiver of 'garbage' has no reason"),
        ({"garbadge": "cannot be told"}, "a waiver names 'garbadge', which is no clause"),
    ],
)
def test_a_waiver_without_a_reason_or_a_clause_is_none(waivers, why):
    kit = type("Kit", (ToyKit,), {"waivers": waivers})
    with pytest.raises(AssertionError, match=why):
        waiver(kit, CLAUSES["garbage"])


def test_a_backend_that_cannot_make_a_trouble_says_what_is_to_be_done(tmp_path):
    class Plain(ToyBackend):
        when_hung = None
        phases = frozenset()

    with pytest.raises(AssertionError, match=r"Plain has no when_hung\(\): give it one, or waive 'hung'"):
        hold(ToyKit, CLAUSES["hung"], Plain(tmp_path))
    with pytest.raises(AssertionError, match=r"Plain.phases lacks PAUSED: let put\(\) make it, or waive 'paused'"):
        hold(ToyKit, CLAUSES["paused"], Plain(tmp_path))


def pytested(directory, *words):
    """What pytest says of the tests in a directory, to one who has no configuration of this tree."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rx",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        *words,
        str(directory),
    ]
    environment = {**os.environ, "PYTHONPATH": str(TREE)}
    done = subprocess.run(
        command, env=environment, cwd=directory, capture_output=True, text=True, check=False, timeout=120
    )
    return done.stdout


def test_odd_names_are_tried_or_waived(tmp_path):
    class Strict(ToyBackend):
        def can_be_named(self, name):
            return name == "plain"

    with pytest.raises(AssertionError, match="waive 'names'"):
        hold(ToyKit, CLAUSES["names"], Strict(tmp_path))


def test_pytest_runs_the_clauses_of_a_class_and_tells_what_is_waived(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "from tests.unit.testing.reference import ToyKit\n"
        "from vmsvc.driver import Capability\n"
        "class Small(ToyKit.driver):\n"
        "    capabilities = frozenset()\n"
        "class TestIt(ToyKit):\n"
        "    driver = Small\n"
        "    waivers = {'capabilities': 'it is only a test', 'garbage': 'nobody knows'}\n"
    )
    told = pytested(tmp_path)

    concerning_all = sum(not clause.capabilities for clause in CLAUSES.values())
    assert f"{concerning_all - 2} passed, 2 xfailed" in told
    assert "waived: nobody knows" in told


def test_a_backend_may_be_made_by_a_fixture(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "from tests.unit.testing.reference import ToyBackend, ToyKit\n"
        "class TestIt(ToyKit):\n"
        "    backend = None\n"
        "    @pytest.fixture\n"
        "    def kit_backend(self, tmp_path):\n"
        "        return ToyBackend(tmp_path)\n"
    )
    assert "2 passed" in pytested(tmp_path, "-k", "life or deaf")


def test_the_kit_needs_no_pytest():
    code = "import sys, vmsvc.testing.kit; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pytest", "_pytest"} & set(loaded)


def test_a_broken_clause_is_told_with_what_the_driver_raised_and_no_line_of_a_clause(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "from tests.unit.testing.reference import ToyKit\n"
        "class Broken(ToyKit.driver):\n"
        "    def start(self, resource, *, budget_s):\n"
        "        return resource.nonsense\n"
        "class TestIt(ToyKit):\n"
        "    driver = Broken\n"
    )
    told = pytested(tmp_path, "-k", "life")
    assert "start raised AttributeError" in told
    assert f"clause life: {CLAUSES['life'].why}" in told
    assert "    return resource.nonsense\n" in told
    assert "verbs.py" not in told
    assert "During handling" not in told
