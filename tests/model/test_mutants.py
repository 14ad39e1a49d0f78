"""The checker notices: each law, broken on purpose, is violated, and the decisions as they are keep it there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.model import laws
from tests.model.mutants import MUTANTS
from tests.model.world import World


def violations(scenario, law):
    world = World(scenario, checked=frozenset({law}))
    found = world.explored(until=lambda found: law in found.violations)
    return set(found.violations)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_breaks_the_law_that_is_meant_for_it(mutant, monkeypatch):
    assert violations(mutant.scenario, mutant.law) == set()
    for where, name, replacement in mutant.patches:
        if isinstance(where, dict):
            monkeypatch.setitem(where, name, replacement)
        else:
            monkeypatch.setattr(where, name, replacement)
    assert violations(mutant.scenario, mutant.law) == {mutant.law}


def test_every_law_that_is_checked_is_broken_by_a_mutant():
    assert {mutant.law for mutant in MUTANTS} == laws.NAMES


def test_the_documentation_names_every_mutant_with_its_law():
    page = Path(__file__).parents[2] / "docs/explanation/exclusive-disks.md"
    rows = re.findall(r"^\| (I\d+) \| (.+) \|$", page.read_text("utf-8"), re.MULTILINE)
    told = {(law, name) for law, names in rows for name in names.split("; ")}
    assert {(mutant.law, mutant.name) for mutant in MUTANTS} <= told
