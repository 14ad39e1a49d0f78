"""How much was explored is told at the end of a run."""

from __future__ import annotations

import pytest

FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request, record_property):
    """Record what an exploration found: in the report, and for the summary."""

    def record(scenario, found):
        record_property("states", found.states)
        record_property("transitions", found.transitions)
        line = f"{found.states:>10,} states {found.transitions:>10,} transitions {found.seconds:>7.1f} s  {scenario}"
        request.config.stash.setdefault(FIGURES, []).append(line)

    return record


def pytest_terminal_summary(terminalreporter, config):
    """Tell the figures."""
    if lines := config.stash.get(FIGURES, []):
        terminalreporter.section("explored")
        for line in lines:
            terminalreporter.line(line)
