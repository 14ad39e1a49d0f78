"""What hpvmstart and hpvmstop are asked, and what is made of their answers."""

from __future__ import annotations

import time

import pytest
from attrs import evolve
from vmsvc_hpvm.driver import HpvmDriver, Tools
from vmsvc_hpvm.kit import HpvmBackend

from vmsvc.driver import Destination, DriverError, Phase, Undetermined

BUDGET_S = 10.0


@pytest.fixture
def backend(tmp_path):
    backend = HpvmBackend(tmp_path)
    yield backend
    backend.close()


@pytest.fixture
def driver(backend):
    return HpvmDriver(backend.context)


@pytest.fixture
def web(backend):
    return backend.guest("web")


def test_progress_on_standard_error_is_no_failure(backend, driver, web):
    assert driver.start(web, budget_s=BUDGET_S)
    assert backend.truth(web) in (Phase.STARTING, Phase.RUNNING)


def test_a_start_that_is_refused_fails_with_the_tools_own_words(backend, driver, web):
    with (
        backend.standin.having("locked", words=["hpvmstart"]),
        pytest.raises(
            DriverError, match="hpvmstart exits with 1; it said last: The virtual machine configuration is locked"
        ),
    ):
        driver.start(web, budget_s=BUDGET_S)


def test_a_stop_asks_first_and_a_kill_does_not(backend, driver, web):
    backend.standin.change("web", "os")
    driver.stop(web, budget_s=BUDGET_S)
    backend.standin.change("web", "os")
    driver.kill(web, budget_s=BUDGET_S)

    asked = [call.argv for call in backend.standin.calls("hpvmstop")]
    assert asked == [("hpvmstop", "-g", "-F", "-P", "web"), ("hpvmstop", "-F", "-P", "web")]


def test_a_guest_that_hangs_is_not_started(backend, driver, web):
    backend.standin.change("web", "hung")

    with pytest.raises(DriverError, match="it is Hung"):
        driver.start(web, budget_s=BUDGET_S)


def test_a_guest_that_the_node_starts_by_itself_is_warned_of(backend, driver, web):
    assert driver.observe(web, budget_s=BUDGET_S).warnings == ()

    backend.standin.change("web", boot="Auto")
    [warning] = driver.observe(web, budget_s=BUDGET_S).warnings
    assert "hpvmmodify -P web -B manual" in warning


def test_nothing_is_done_to_a_guest_in_a_state_that_nobody_knows(backend, driver, web, monkeypatch):
    monkeypatch.setattr("vmsvc_hpvm.parse.PHASES", {})

    for verb in (driver.start, driver.stop, driver.kill):
        with pytest.raises(Undetermined):
            verb(web, budget_s=BUDGET_S)
    assert not backend.standin.calls("hpvmstart")
    assert not backend.standin.calls("hpvmstop")


@pytest.mark.keyword("container.hpvm.directory")
def test_the_files_of_a_guest_are_those_behind_its_link(driver, web, tmp_path):
    assert driver.config_files(web, budget_s=BUDGET_S) == [tmp_path / "uuids/of-web/vmm_config.current"]


@pytest.mark.keyword("container.hpvm.migrate_host")
def test_a_move_goes_to_what_other_nodes_call_the_node(backend, driver, web):
    driver.start(web, budget_s=BUDGET_S)
    _until_it_runs(backend, web)
    named = Destination(node="elsewhere", guest=evolve(web, migrate_host="nowhere"))
    with pytest.raises(DriverError, match="has not come to nowhere"):
        driver.migrate(web, named, budget_s=BUDGET_S)
    assert backend.truth(web) is Phase.RUNNING
    named = Destination(node="nowhere", guest=evolve(web, migrate_host="elsewhere"))
    driver.migrate(web, named, budget_s=BUDGET_S)
    assert backend.truth(web) is Phase.MOVED


def test_a_move_that_fails_when_the_guest_has_left_is_unknown(backend, driver, web, monkeypatch):
    driver.start(web, budget_s=BUDGET_S)
    _until_it_runs(backend, web)
    really = Tools.run

    def run(self, *argv):
        done = really(self, *argv)
        return evolve(done, code=1) if "hpvmmigrate" in argv[:2] else done

    monkeypatch.setattr(Tools, "run", run)
    with pytest.raises(Undetermined, match=r"has not come to elsewhere: .*; here it is Off \(NR\)"):
        driver.migrate(web, Destination(node="elsewhere", guest=web), budget_s=BUDGET_S)


def _until_it_runs(backend, guest):
    deadline = time.monotonic() + BUDGET_S
    while backend.truth(guest) is not Phase.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.02)
