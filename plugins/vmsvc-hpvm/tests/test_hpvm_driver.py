"""What hpvmstart and hpvmstop are asked, and what is made of their answers."""

from __future__ import annotations

import re

import pytest
from attrs import evolve
from vmsvc_hpvm.driver import HpvmDriver
from vmsvc_hpvm.kit import HpvmBackend
from vmsvc_hpvm.tools import Tools

from vmsvc.driver import Destination, DriverError, Outcome, Phase, Undetermined
from vmsvc.testing.kit.bench import Bench

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


def test_a_guest_that_needs_attention_is_not_started(backend, driver, web):
    backend.standin.change("web", "attention")

    with pytest.raises(DriverError, match=r"it is On \(ATTN!\)"):
        driver.start(web, budget_s=BUDGET_S)


def test_a_start_returns_when_the_table_shows_it(backend, driver, web):
    assert driver.start(web, budget_s=BUDGET_S)
    assert driver.observe(web, budget_s=BUDGET_S).phase in (Phase.STARTING, Phase.RUNNING)


def test_a_start_that_never_shows_is_not_known(backend, driver, web, monkeypatch):
    monkeypatch.setattr("vmsvc_hpvm.driver._SHOWN_S", 0.3)
    monkeypatch.setattr("vmsvc_hpvm.driver.AT_REST", frozenset(Phase))
    with pytest.raises(Undetermined, match="has begun to start guest web, and hpvmstatus says that it is"):
        driver.start(web, budget_s=BUDGET_S)


def test_a_start_that_shows_something_odd_at_once_is_not_waited_for(backend, driver, web, monkeypatch):
    really = Tools.run

    def run(self, *argv):
        done = really(self, *argv)
        if argv[0] == "hpvmstart":
            backend.standin.change("web", "attention")
        return done

    monkeypatch.setattr(Tools, "run", run)
    assert driver.start(web, budget_s=BUDGET_S)
    assert len(backend.standin.calls("hpvmstatus")) == 2


def test_a_guest_that_was_migrated_away_is_down_and_is_not_started(backend, driver, web):
    backend.standin.change("web", "moved")
    seen = driver.observe(web, budget_s=BUDGET_S)
    assert (seen.phase, seen.state) == (Phase.MOVED, "Off (NR)")
    assert seen.objection is not None
    assert "hpvmmodify -P web -x register_status=enabled" in seen.objection.hint
    with pytest.raises(DriverError, match=r"it must not run here \(Off \(NR\)\)"):
        driver.start(web, budget_s=BUDGET_S)
    driver.stop(web, budget_s=BUDGET_S)
    driver.kill(web, budget_s=BUDGET_S)
    assert not backend.standin.calls("hpvmstart")
    assert not backend.standin.calls("hpvmstop")


def test_a_guest_that_the_node_starts_by_itself_is_warned_of_where_it_alone_is_asked_for(backend, driver, web):
    db = backend.guest("db")
    assert driver.observe(web, budget_s=BUDGET_S).warnings == ()

    backend.standin.change("web", boot="Auto")
    [warning] = driver.observe(web, budget_s=BUDGET_S).warnings
    assert "hpvmmodify -P web -B manual" in warning
    before = len(backend.standin.calls("hpvmstatus"))
    driver.observe_all([web, evolve(db, service="db")], budget_s=BUDGET_S)
    assert len(backend.standin.calls("hpvmstatus")) == before + 1


def test_a_warning_that_cannot_be_had_costs_no_state(backend, driver, web):
    backend.standin.change("web", "os")
    with backend.standin.having("hang", words=["-M"]):
        assert driver.observe(web, budget_s=2).phase is Phase.RUNNING


def test_a_name_that_may_be_cut_is_asked_for_by_itself(backend, driver):
    one, other = (backend.guest(f"a-name-of-more-than-twenty{end}") for end in ("", "-2"))
    short = backend.guest(one.name[:20])
    table = "[Virtual Machines]\n" + backend.host.run(["hpvmstatus"], budget_s=BUDGET_S).out
    assert one.name in table, "the stand-in cuts none: the answers below do"
    backend.standin.change(other.name, "os")
    cutting = Cutting(backend.host)
    asked = [evolve(each, service=each.name) for each in (one, other, short)]
    seen = HpvmDriver(evolve(backend.context, host=cutting)).observe_all(asked, budget_s=BUDGET_S)
    assert {name: each.phase for (name, _), each in seen.items()} == {
        one.name: Phase.STOPPED,
        other.name: Phase.RUNNING,
        short.name: Phase.STOPPED,
    }


class Cutting:
    """A host on which the table cuts names where their column ends."""

    name = "n1"

    def __init__(self, host):
        self._host = host

    def run(self, argv, **how):
        done = self._host.run(argv, **how)
        if tuple(argv) != ("hpvmstatus",):
            return done
        rows = done.out.splitlines()
        cut = [*rows[:3], *(re.sub(r"^(\S{20})\S*", r"\1", row) for row in rows[3:])]
        return evolve(done, stdout="".join(f"{row}\n" for row in cut).encode())


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


@pytest.mark.parametrize("told", ["", "WARNING: the clock is off\n/srv\nvmm_config.current\n/\n", "/srv\nvmm_conf\n"])
def test_files_that_are_not_told_are_not_taken_for_none(backend, web, told):
    with pytest.raises(Undetermined, match=r"files in .* are not told"):
        HpvmDriver(evolve(backend.context, host=Telling(told))).config_files(web, budget_s=BUDGET_S)


class Telling:
    """A host on which every command prints this."""

    name = "n1"

    def __init__(self, told):
        self._told = told

    def run(self, argv, **_how):
        return Outcome(argv=tuple(argv), code=0, stdout=self._told.encode(), stderr=b"", duration_s=0.0)


def test_a_guest_without_a_directory_has_no_files(driver, web):
    assert driver.config_files(evolve(web, directory="/nowhere"), budget_s=BUDGET_S) == []


@pytest.mark.keyword("container.hpvm.migrate_host")
def test_a_move_goes_to_what_other_nodes_call_the_node(backend, driver, web):
    driver.start(web, budget_s=BUDGET_S)
    Bench(HpvmDriver, backend).true(web, Phase.RUNNING)
    named = Destination(node="elsewhere", guest=evolve(web, migrate_host="nowhere"))
    with pytest.raises(DriverError, match="has not come to nowhere"):
        driver.migrate(web, named, budget_s=BUDGET_S)
    assert backend.truth(web) is Phase.RUNNING
    named = Destination(node="nowhere", guest=evolve(web, migrate_host="elsewhere"))
    driver.migrate(web, named, budget_s=BUDGET_S)
    assert backend.truth(web) is Phase.MOVED
