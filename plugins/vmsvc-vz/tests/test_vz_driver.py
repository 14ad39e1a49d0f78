"""What is OpenVZ' own about the driver; the contract is held to by test_vz_kit.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from attrs import evolve
from vmsvc_vz.driver import VzDriver
from vmsvc_vz.kit import PrlctlBackend, VzctlBackend
from vmsvc_vz.options import VzGuest
from vmsvc_vz.tools import Prlctl

from vmsvc.driver import (
    OUTPUT_LIMIT,
    Context,
    DriverError,
    GuestDisk,
    Node,
    NoWayIn,
    Outcome,
    Phase,
    Sizes,
    TimedOut,
    Undetermined,
)
from vmsvc.testing import identity
from vmsvc.testing.commands import CASES, hold, odd_cases
from vmsvc.testing.standin import exchanges

SAMPLES = Path(__file__).parent / "samples"
#: Of what is kept of an output, the tools' own notes and the driver's mark take some bytes.
TO_THE_BYTE = ("as much output as is kept", "one byte more than is kept", "a hundred megabytes")


@pytest.fixture(name="backend", params=[VzctlBackend, PrlctlBackend])
def a_backend(request, tmp_path: Path) -> Iterator[VzctlBackend]:
    with contextlib.closing(request.param(tmp_path)) as backend:
        yield backend


@pytest.fixture(name="vzctl")
def a_backend_with_vzctl(tmp_path: Path) -> Iterator[VzctlBackend]:
    with contextlib.closing(VzctlBackend(tmp_path)) as backend:
        yield backend


def driver_on(backend: VzctlBackend) -> VzDriver:
    return VzDriver(backend.context)


class TestStandIn:
    """The stand-in and the real tools have one judge: what the real ones have printed."""

    @pytest.mark.parametrize("words", ["vzctl start 102", "vzctl start 999", "vzctl stop 999"])
    def test_it_fails_as_the_real_one_has_failed(self, vzctl, words):
        vzctl.standin.add("web", "running", ctid="102")
        real = [each for each in exchanges(SAMPLES / "vzctl-4.11.1-real-run.txt") if str(each) == words][-1]
        done = vzctl.host.run(words.split(), budget_s=10)
        assert (done.err, done.code) == (real.err, real.code)


class TestTools:
    @pytest.mark.keyword("container.vz.tool")
    def test_the_tools_that_are_installed_are_used(self, backend):
        guest = evolve(backend.guest("web"), tool="auto")
        driver = driver_on(backend)
        assert driver.start(guest, budget_s=10) is True
        assert {call.argv[0] for call in backend.standin.calls()} <= set(backend.standin.table.commands)
        other = "prlctl" if not isinstance(backend, PrlctlBackend) else "vzctl"
        assert driver.observe(evolve(guest, tool=other), budget_s=10).phase is Phase.UNKNOWN

    def test_one_command_serves_all(self, backend):
        guests = [evolve(backend.guest(f"g{number}"), service=f"g{number}") for number in range(5)]
        driver_on(backend).observe_all(guests, budget_s=10)
        assert len(backend.standin.calls()) == 1


class TestLooks:
    def test_a_container_is_found_by_its_number(self, vzctl):
        guest = vzctl.guest("web")
        vzctl.standin.change("web", "running")
        assert driver_on(vzctl).observe(evolve(guest, name="101"), budget_s=10).phase is Phase.RUNNING

    def test_what_is_mounted_is_down_and_warned_of(self, vzctl):
        guest = vzctl.guest("web")
        vzctl.standin.change("web", "mounted", onboot="true")
        seen = driver_on(vzctl).observe(guest, budget_s=10)
        assert (seen.phase, seen.state) == (Phase.STOPPED, "mounted")
        assert ["onboot" in warning for warning in seen.warnings] == [True, False]
        assert "umount 101" in seen.warnings[1]

    def test_a_failing_kernel_is_unknown(self, vzctl):
        guest = vzctl.guest("web")
        with vzctl.standin.having("dead"):
            assert "exit code 5" in driver_on(vzctl).observe(guest, budget_s=10).evidence.detail


class Listing:
    """A host on which prlctl lists containers, and is asked nothing else."""

    name = "n1"

    def __init__(self, out):
        self._out = out.encode()

    def run(self, argv, *, budget_s, environment=None, keep=OUTPUT_LIMIT):
        assert argv[:2] == Prlctl.probe[:2]
        return Outcome(argv=tuple(argv), code=0, stdout=self._out, stderr=b"", duration_s=0.0)


class TestVerbs:
    def test_a_suspended_container_goes_on(self, backend):
        guest = backend.guest("web")
        backend.standin.change("web", "suspended")
        assert driver_on(backend).start(guest, budget_s=10) is True
        assert len(backend.standin.calls("resume")) == 1

    def test_a_paused_one_is_left_alone(self, tmp_path):
        with contextlib.closing(PrlctlBackend(tmp_path)) as backend:
            guest = backend.guest("web")
            backend.standin.change("web", "paused")
            with pytest.raises(DriverError, match="it is paused"):
                driver_on(backend).start(guest, budget_s=10)
            with pytest.raises(DriverError, match="cannot hear"):
                driver_on(backend).stop(guest, budget_s=10)

    @pytest.mark.parametrize(("state", "why"), [("migrating", "between two nodes"), ("hovering", "not known")])
    def test_what_moves_or_is_not_known_is_left_alone(self, tmp_path, state, why):
        host = Listing(f'[{{"uuid": "{{1}}", "status": "{state}", "name": "web"}}]')
        driver = VzDriver(Context(node=Node(name="n1", root=tmp_path), host=host, state_dir=tmp_path))
        for verb in (driver.start, driver.stop, driver.kill):
            with pytest.raises(Undetermined, match=why):
                verb(VzGuest(**identity("vz", "web"), tool="prlctl"), budget_s=5)

    def test_a_lock_is_told_in_the_tools_words(self, vzctl):
        guest = vzctl.guest("web")
        vzctl.standin.knob("locked", words=["start"])
        with pytest.raises(DriverError, match="exits with 9; it said last: Container already locked"):
            driver_on(vzctl).start(guest, budget_s=10)

    def test_somebody_else_was_faster(self, vzctl):
        guest = vzctl.guest("web")
        vzctl.standin.knob("die", "after", words=["start"])
        vzctl.standin.pace(0.1)
        assert driver_on(vzctl).start(guest, budget_s=10) in (False, True)
        vzctl.standin.well()

    def test_a_stop_that_takes_longer_than_its_budget_was_asked_for(self, vzctl):
        guest = vzctl.guest("web")
        vzctl.standin.change("web", "running", deaf=True)
        driver_on(vzctl).stop(guest, budget_s=1.0)
        assert vzctl.standin.state("web") == "running"

    def test_a_kill_that_is_not_answered_is_not_called_done(self, vzctl):
        guest = vzctl.guest("web")
        vzctl.standin.change("web", "running")
        vzctl.standin.knob("hang", words=["--fast"])
        with pytest.raises(Undetermined):
            driver_on(vzctl).kill(guest, budget_s=1.0)


class TestWhatItIsMadeOf:
    def test_its_disk_is_its_private_area(self, backend):
        guest = backend.guest("web")
        private = f"/vz/private/{backend.standin.guest('web')[backend._id]}"
        assert driver_on(backend).disks(guest, budget_s=10) == [
            GuestDisk(target="/", kind="dir", source=private, persistent=True)
        ]

    @pytest.mark.keyword("container.vz.config_dir")
    def test_its_files_are_where_the_service_says(self, vzctl):
        guest = vzctl.guest("web")
        Path(guest.config_dir, "101.mount").touch()
        names = [file.name for file in driver_on(vzctl).config_files(guest, budget_s=10)]
        assert names == ["101.conf", "101.mount"]
        assert driver_on(vzctl).config_files(evolve(guest, config_dir="/no/such"), budget_s=10) == []
        with pytest.raises(Undetermined):
            driver_on(vzctl).definition(evolve(guest, config_dir="/no/such"), budget_s=10)

    @pytest.mark.parametrize("text", ["", 'CPUS="2"\nVE_PRIV'])
    def test_a_definition_that_is_not_whole_is_none(self, vzctl, text):
        guest = vzctl.guest("web")
        Path(guest.config_dir, "101.conf").write_text(text)
        with pytest.raises(Undetermined, match="is not whole"):
            driver_on(vzctl).definition(guest, budget_s=10)

    def test_its_sizes_are_its_limits(self, vzctl):
        guest = vzctl.guest("web")
        assert driver_on(vzctl).sizes(guest, budget_s=10) == Sizes(vcpus=2, memory_mib=512)
        Path(guest.config_dir, "101.conf").write_text('CPUS="2"\nPHYSPAGES="unlimited"\n')
        with pytest.raises(Undetermined, match="no limit of memory"):
            driver_on(vzctl).sizes(guest, budget_s=10)


class TestEntry:
    @pytest.fixture(name="enter")
    def an_entry(self, backend):
        guest = backend.guest("web")
        backend.standin.change("web", "running")
        return partial(driver_on(backend).enter, guest)

    @pytest.mark.parametrize("case", [case for case in CASES if case.name not in TO_THE_BYTE], ids=str)
    def test_it_keeps_what_every_way_keeps(self, enter, case):
        hold(enter, case)

    def test_odd_commands(self, enter):
        for case in odd_cases(7, 6):
            hold(enter, case)

    def test_exit_codes_of_the_tool_are_not_those_of_a_command(self, backend, enter):
        assert enter(["sh", "-c", "exit 31"], budget_s=10).code == 31
        backend.standin.knob("dead", words=["exec2" if not isinstance(backend, PrlctlBackend) else "exec"])
        with pytest.raises(NoWayIn, match="exits with"):
            enter(["true"], budget_s=10)

    def test_what_cannot_be_killed_is_not_called_killed(self, backend, enter):
        with pytest.raises(TimedOut, match=r"sleep 60 in web did not end within 3\.0 s and was killed"):
            enter(["sleep", "60"], budget_s=3.0)
        backend.standin.knob("hang", words=["exec2" if not isinstance(backend, PrlctlBackend) else "exec"])
        with pytest.raises(TimedOut, match=r"sleep 60 in web did not end within 3\.0 s and may go on"):
            enter(["sleep", "60"], budget_s=3.0)

    def test_there_is_no_way_into_what_is_not_there(self, backend):
        guest = evolve(backend.guest("web"), name="other")
        with pytest.raises(NoWayIn, match="it is absent"):
            driver_on(backend).enter(guest, ["true"], budget_s=10)
