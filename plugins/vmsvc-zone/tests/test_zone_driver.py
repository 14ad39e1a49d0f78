"""What is peculiar to zones; the contract is held to by test_zone_kit.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from vmsvc_zone import tool
from vmsvc_zone.driver import ZoneDriver
from vmsvc_zone.kit import ZoneBackend

from vmsvc.driver import ActionFailed, DriverError, GuestAddress, NoWayIn, Phase, Undetermined
from vmsvc.testing.standin import engine

ADDRESS = GuestAddress(device="net0", address="192.0.2.7")


@pytest.fixture(name="backend")
def a_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ZoneBackend]:
    monkeypatch.setattr(tool, "KEPT_IN", tmp_path / "zones")
    (tmp_path / "zones").mkdir()
    with contextlib.closing(ZoneBackend(tmp_path)) as backend:
        yield backend


@pytest.fixture(name="driver")
def a_driver(backend: ZoneBackend) -> ZoneDriver:
    return ZoneDriver(backend.context)


def did(backend, *words):
    return [" ".join(call.argv) for call in backend.standin.calls(*words)]


class TestLooks:
    def test_one_command_serves_all_zones(self, backend, driver):
        guests = [backend.guest(f"z{number}") for number in range(5)]
        driver.observe_all([evolve(guest, service=guest.name) for guest in guests], budget_s=10)
        assert did(backend) == ["zoneadm list -cp"]

    def test_a_zone_that_is_incomplete_is_down_and_not_to_be_started(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "incomplete")
        seen = driver.observe(guest, budget_s=10)
        assert seen.phase is Phase.STOPPED
        assert "incomplete" in seen.objection.why
        with pytest.raises(DriverError, match="it is incomplete"):
            driver.start(guest, budget_s=10)

    def test_a_state_that_nobody_knows_is_unknown(self, backend, driver):
        guest = backend.guest("web")
        table = backend.standin.table.data
        rows = [{**row, "each": row["each"].replace("{state}:", "hovering:")} for row in table["rows"]]
        engine.write(str(backend.standin.directory), "table", {**table, "rows": rows})
        seen = driver.observe(guest, budget_s=10)
        assert (seen.phase, "hovering" in seen.evidence.detail) == (Phase.UNKNOWN, True)
        with pytest.raises(Undetermined, match="hovering"):
            driver.start(guest, budget_s=10)
        assert not did(backend, "ready") + did(backend, "boot")
        for verb in (driver.stop, driver.kill):
            with pytest.raises(Undetermined, match="hovering"):
                verb(guest, budget_s=10)

    @pytest.mark.parametrize(
        ("state", "auxiliary"), [("installed", "migrating-in"), ("running", "migrating-out"), ("ready", "migrating-in")]
    )
    def test_a_zone_between_two_nodes_is_left_to_whoever_moves_it(self, backend, driver, state, auxiliary):
        guest = backend.guest("web")
        self.say(backend, state, auxiliary)
        assert driver.observe(guest, budget_s=10).phase is Phase.MIGRATING
        for verb in (driver.start, driver.prepare, driver.boot, driver.stop, driver.kill):
            with pytest.raises(Undetermined, match=rf"web is between two nodes: it is {state} \({auxiliary}\)"):
                verb(guest, budget_s=10)
        assert set(did(backend)) == {"zoneadm list -cp"}

    def test_a_zone_that_runs_is_not_down_while_it_is_suspended(self, backend, driver):
        guest = backend.guest("web")
        self.say(backend, "running", "suspended")
        assert driver.observe(guest, budget_s=10).phase is Phase.SUSPENDED
        for verb in (driver.start, driver.stop):
            with pytest.raises(DriverError, match=r"it is running \(suspended\)"):
                verb(guest, budget_s=10)

    @staticmethod
    def say(backend, state, auxiliary):
        backend.standin.change("web", state)
        table = backend.standin.table.data
        rows = [{**row, "each": row["each"].replace(":0\n", f":-:none:{auxiliary}:\n")} for row in table["rows"]]
        engine.write(str(backend.standin.directory), "table", {**table, "rows": rows})

    def test_a_zone_that_boots_with_its_node_is_warned_of(self, backend, driver):
        guest = backend.guest("web")
        assert driver.observe(guest, budget_s=10).warnings == ()
        tool.file_of("web").write_text('<zone name="web" zonepath="/zones/web" autoboot="true" brand="ipkg"/>')
        [warning] = driver.observe(guest, budget_s=10).warnings
        assert "boots it by itself" in warning
        assert driver.discover(guest, budget_s=10)[0].autostart
        assert driver.config_files(guest, budget_s=10) == [tool.file_of("web")]

    def test_zones_with_a_network_of_their_own_are_adopted_as_such(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.add("own", "running", ip_type="excl")
        options = {found.name: found.options for found in driver.discover(guest, budget_s=10)}
        assert options == {"web": {}, "own": {"plumb": "false"}}


class TestStarts:
    def test_ready_and_boot_are_two_steps(self, backend, driver):
        guest = backend.guest("web")
        assert driver.prepare(guest, budget_s=10) is True
        assert driver.observe(guest, budget_s=10).phase is Phase.PREPARED
        assert driver.prepare(guest, budget_s=10) is False
        assert driver.boot(guest, budget_s=10) is True
        assert driver.observe(guest, budget_s=10).phase is Phase.RUNNING
        assert driver.boot(guest, budget_s=10) is False

    def test_a_zone_that_runs_is_not_made_ready_which_would_halt_it(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "running")
        assert driver.prepare(guest, budget_s=10) is False
        assert driver.start(guest, budget_s=10) is False
        assert not did(backend, "ready")

    def test_what_is_not_ready_is_not_booted(self, backend, driver):
        with pytest.raises(DriverError, match="it is installed"):
            driver.boot(backend.guest("web"), budget_s=10)
        assert not did(backend, "boot")

    @pytest.mark.parametrize("state", ["configured", "unavailable"])
    def test_a_zone_from_another_node_is_attached_first(self, backend, driver, state):
        guest = backend.guest("web")
        backend.standin.change("web", state)
        assert driver.start(guest, budget_s=10) is True
        assert did(backend, "attach") == ["zoneadm -z web attach"]

    def test_where_the_system_differs_it_is_attached_by_force(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "configured", parts="add net\nset physical=net0\nend\n")
        assert driver.prepare(guest, budget_s=10) is True
        assert did(backend, "attach") == ["zoneadm -z web attach", "zoneadm -z web attach -F"]

    def test_a_zone_that_is_not_known_is_configured_from_what_was_kept(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "absent")
        with pytest.raises(DriverError, match="no zone named 'web'"):
            driver.start(guest, budget_s=10)
        kept = backend.context.definition_file(guest)
        kept.parent.mkdir(parents=True)
        kept.write_text("create -b\n")
        assert driver.start(guest, budget_s=10) is True
        assert did(backend, "-f") == [f"zonecfg -z web -f {kept}"]


class TestStops:
    def test_a_zone_that_runs_is_shut_down_from_within(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "running")
        driver.stop(guest, budget_s=10)
        assert did(backend, "zlogin") == ["zlogin web /sbin/init 0"]
        assert not did(backend, "halt")

    def test_a_zone_that_is_ready_is_halted_at_once(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "ready")
        driver.stop(guest, budget_s=10)
        assert backend.standin.state("web") == "installed"
        assert not did(backend, "zlogin")

    def test_a_zone_that_is_mounted_cannot_hear(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "mounted")
        with pytest.raises(DriverError, match="cannot hear"):
            driver.stop(guest, budget_s=10)
        driver.kill(guest, budget_s=10)
        assert backend.standin.state("web") == "installed"


class TestAddresses:
    @pytest.mark.keyword("container.zone.plumb")
    def test_who_shares_the_nodes_network_is_given_addresses(self, backend):
        guest = backend.guest("web")
        assert (guest.is_split, guest.is_plumbed) == (True, True)
        assert not evolve(guest, plumb=False).is_plumbed

    def test_an_address_is_given_and_taken_away(self, backend, driver):
        guest = backend.guest("web")
        driver.prepare(guest, budget_s=10)
        assert driver.plumbed(guest, budget_s=10) == []
        assert driver.plumb(guest, ADDRESS, budget_s=10) is True
        [given] = driver.plumbed(guest, budget_s=10)
        assert (given.device, given.address, given.prefix) == ("net0:1", "192.0.2.7", 24)
        assert driver.plumb(guest, ADDRESS, budget_s=10) is False
        driver.unplumb(guest, ADDRESS, budget_s=10)
        driver.unplumb(guest, ADDRESS, budget_s=10)
        assert driver.plumbed(guest, budget_s=10) == []
        assert len(did(backend, "addif")) == len(did(backend, "removeif")) == 1

    def test_an_address_of_somebody_else_is_neither_given_nor_taken_away(self, backend, driver):
        guest, other = backend.guest("web"), backend.guest("db")
        for each in (guest, other):
            driver.prepare(each, budget_s=10)
        driver.plumb(other, ADDRESS, budget_s=10)
        with pytest.raises(DriverError, match="of the zone db"):
            driver.plumb(guest, ADDRESS, budget_s=10)
        with pytest.raises(DriverError, match="of the node itself"):
            driver.plumb(guest, evolve(ADDRESS, address="192.0.2.254"), budget_s=10)
        driver.unplumb(guest, ADDRESS, budget_s=10)
        assert not did(backend, "removeif")

    def test_they_go_with_the_zone(self, backend, driver):
        guest = backend.guest("web")
        driver.prepare(guest, budget_s=10)
        driver.plumb(guest, ADDRESS, budget_s=10)
        driver.kill(guest, budget_s=10)
        assert driver.plumbed(guest, budget_s=10) == []

    def test_a_logical_interface_is_not_asked_for(self, backend, driver):
        with pytest.raises(DriverError, match="logical interface"):
            driver.plumb(backend.guest("web"), evolve(ADDRESS, device="net0:1"), budget_s=10)


class TestEntry:
    def test_words_arrive_as_they_are(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "running")
        words = ["printf", "%s|", "a b", "$(id)", "'", "\n"]
        assert driver.enter(guest, words, budget_s=10).out == "a b|$(id)|'|\n|"
        for code, said in ((127, "mysqld: not found"), (126, ""), (1, "login allowed only to running zones")):
            told = driver.enter(guest, ["sh", "-c", f"echo {said!r} >&2; exit {code}"], budget_s=10)
            assert (told.code, told.err, told.out) == (code, f"{said}\n", "")
        told = driver.enter(guest, ["sh", "-c", 'printf %s "$A"; exit 3'], budget_s=10, environment={"A": "1 '2'"})
        assert (told.out, told.code) == ("1 '2'", 3)

    @pytest.mark.parametrize("state", ["installed", "ready", "absent"])
    def test_there_is_no_way_into_what_does_not_run(self, backend, driver, state):
        guest = backend.guest("web")
        backend.standin.change("web", state)
        with pytest.raises(NoWayIn):
            driver.enter(guest, ["true"], budget_s=10)

    def test_a_command_that_is_not_there_is_told(self, backend, driver):
        guest = backend.guest("web")
        backend.standin.change("web", "running")
        with pytest.raises(ActionFailed, match="no such command in web"):
            driver.enter(guest, ["/no/such"], budget_s=10)


def test_sizes_without_limits_are_not_made_up(backend, driver):
    guest = backend.guest("web")
    sizes = driver.sizes(guest, budget_s=10)
    assert (sizes.vcpus, sizes.memory_mib) == (4, 2048)
    backend.standin.change("web", limits="")
    with pytest.raises(Undetermined, match="no limit of its own for its processors"):
        driver.sizes(guest, budget_s=10)
