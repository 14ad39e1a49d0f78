"""The benchmarks' own machinery: what they say must be so, on whatever machine they run."""

import contextlib
import importlib
import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.measure import Command, Comparison, Sample, Unavailable, side_by_side
from benchmarks.run import Run
from benchmarks.stand_in import StandIn
from benchmarks.table import Figure, Row, lines
from vmsvc.core.transport.local import LocalHost
from vmsvc.testing import San
from vmsvc.testing.sdk import kits
from vmsvc.testing.standin import StandInBackend


def standing_in():
    """The kits of installed drivers that have a stand-in for their tools."""
    return [kit for kit in kits() if kit.has_backend and issubclass(kit.cases.backend, StandInBackend)]


def row(value, at_most=2.0):
    return Row(what="ours", against="theirs", value=Figure.of([value]), at_most=at_most)


def test_a_limit_is_kept_within_the_tolerance_and_not_beyond():
    assert row(2.1).is_met(0.1)
    assert not row(2.3).is_met(0.1)
    assert row(99.0, at_most=None).is_met(0.0)


def test_the_table_tells_which_row_is_too_much():
    _title, _heads, kept, broken = lines("Title.", [row(1.0), row(3.0)], tolerance=0.1)
    assert "ok" in kept
    assert "TOO MUCH" not in kept
    assert "TOO MUCH" in broken


def test_one_disturbed_round_does_not_change_the_ratio():
    calm = [Sample(2.0, 2.0)] * 4
    found = Comparison(ours=[*calm, Sample(50.0, 2.0)], theirs=[Sample(1.0, 1.0)] * 5)
    assert found.ratio.median == 2.0


def test_both_sides_take_turns_and_the_first_run_of_each_does_not_count():
    order = []

    def side(name):
        def run():
            order.append(name)
            return Sample(1.0, 1.0)

        return run

    found = side_by_side(side("ours"), [side("a"), side("b")], rounds=2)
    assert "".join(each[0] for each in order) == "oab" + "abo" + "oab"
    assert [sample.wall_s for sample in found.theirs] == [2.0, 2.0]


def test_a_command_that_fails_is_no_fast_command():
    with pytest.raises(Unavailable, match="exit 3: no luck"):
        Command((sys.executable, "-c", "import sys; print('no luck', file=sys.stderr); sys.exit(3)"))()


def test_a_commands_peak_is_its_own_and_not_that_of_who_measures_it(tmp_path):
    ballast = bytearray(64 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert Run(directory=tmp_path).python("pass").peak_mib() < 40


def test_commands_are_measured_with_compiled_modules_and_a_root_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment = Run(directory=tmp_path).environment
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert Path(environment["VMSVC_ROOT"]).is_relative_to(tmp_path)


@pytest.mark.parametrize("name", command.names())
def test_every_benchmark_has_a_title_and_can_be_asked(name):
    pytest.importorskip("libvirt")  # of the plugin for KVM; the core is tested without it, too
    case = importlib.import_module(f"benchmarks.cases.{name}")
    assert command.title(case).endswith(".")
    assert callable(case.measure)


def test_the_command_prints_what_it_measured_and_fails_where_a_limit_is_not_kept(capsys, monkeypatch):
    case = importlib.import_module("benchmarks.cases.startup")
    monkeypatch.setattr(case, "measure", lambda run: iter([row(3.0)]))
    assert command.main(["startup", "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["startup"]
    assert found["met"] is False
    monkeypatch.setattr(case, "measure", lambda run: iter([row(1.0)]))
    assert command.main(["startup"]) == 0
    assert "Starting up" in capsys.readouterr().out


@pytest.mark.parametrize("kit", standing_in(), ids=lambda kit: kit.serves)
def test_a_look_is_as_few_commands_whatever_the_number_of_guests(kit, tmp_path):
    case = importlib.import_module("benchmarks.cases.stand_ins")
    rows = list(case._measured(Run(directory=tmp_path, sizes=(2, 5), rounds=1), kit))
    counts = [row.value.median for row in rows if row.unit == "commands"]
    assert counts in ([1, 1], [2, 2]), rows


def test_no_attempt_at_reservations_costs_more_calls_than_the_protocol_needs():
    case = importlib.import_module("benchmarks.cases.reservations")
    rows = [row for disks in (1, 3) for row in case._counted(disks)]
    assert {row.value.median for row in rows} == {1.0}


def test_the_stand_in_for_sg_persist_is_a_command_that_real_tools_understand(tmp_path):
    case = importlib.import_module("benchmarks.cases.reservations")
    stand_in = StandIn(San())
    path = os.environ["PATH"]
    with stand_in.as_command(tmp_path), contextlib.closing(LocalHost()) as host:
        case._take_over(stand_in, host, disks=2, parallel=4)
    assert stand_in.calls == 2 * 5
    assert os.environ["PATH"] == path
