"""What hpvmstart and hpvmstop are asked, and what is made of their answers."""

from __future__ import annotations

import pytest
from vmsvc_hpvm.driver import HpvmDriver
from vmsvc_hpvm.kit import HpvmBackend

from vmsvc.driver import DriverError, Phase, Undetermined

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
