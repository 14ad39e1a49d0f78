"""A domain is bound before it is started and unbound after it was stopped, so that it holds nothing while it is down."""

from __future__ import annotations

import pytest
from attrs import evolve
from vmsvc_ldom.driver import LdomDriver
from vmsvc_ldom.kit import LdomBackend

from vmsvc.driver import Destination, DriverError, Phase, Undetermined
from vmsvc.testing.kit.bench import Bench

BUDGET_S = 10.0


@pytest.fixture
def backend(tmp_path):
    backend = LdomBackend(tmp_path)
    yield backend
    backend.close()


@pytest.fixture
def driver(backend):
    return LdomDriver(backend.context)


@pytest.fixture
def web(backend):
    return backend.guest("web")


def test_a_start_binds_and_a_stop_unbinds(backend, driver, web):
    assert driver.start(web, budget_s=BUDGET_S)
    driver.stop(web, budget_s=BUDGET_S)

    assert backend.standin.state("web") == "inactive"
    changes = [call.argv[1] for call in backend.standin.calls() if not call.argv[1].startswith("list")]
    assert changes == ["bind-domain", "start-domain", "stop-domain", "unbind-domain"]


def test_a_domain_that_is_bound_already_is_only_started(backend, driver, web):
    backend.standin.change("web", "bound")

    assert driver.start(web, budget_s=BUDGET_S)
    assert not backend.standin.calls("bind-domain")


def test_a_stop_frees_what_a_shutdown_that_outlasted_its_request_has_left_bound(backend, driver, web):
    backend.standin.change("web", "bound")

    driver.stop(web, budget_s=BUDGET_S)
    assert backend.standin.state("web") == "inactive"


def test_a_domain_that_cannot_be_started_is_not_left_bound(backend, driver, web):
    with (
        backend.standin.having("locked", words=["start-domain"]),
        pytest.raises(DriverError, match="cannot be started"),
    ):
        driver.start(web, budget_s=BUDGET_S)

    assert backend.standin.state("web") == "inactive"


def test_what_is_neither_up_nor_down_is_not_started(backend, driver, web):
    backend.standin.change("web", "error")

    with pytest.raises(DriverError, match=r"it is active \(error\)") as error:
        driver.start(web, budget_s=BUDGET_S)
    assert "ldm cancel-operation migration web" in error.value.hint
    assert not backend.standin.calls("start-domain")


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_what_a_failed_migration_has_left_bound_is_unbound_and_not_stopped(backend, driver, web, verb):
    backend.standin.change("web", "left")
    getattr(driver, verb)(web, budget_s=BUDGET_S)
    assert backend.standin.state("web") == "inactive"
    assert not backend.standin.calls("stop-domain")


def test_what_cannot_be_freed_of_a_failed_migration_is_told_with_the_way_out(backend, driver, web):
    backend.standin.change("web", "left")
    with (
        backend.standin.having("locked", words=["unbind-domain"]),
        pytest.raises(DriverError, match=r"does not run, and is bound \(error\)") as error,
    ):
        driver.stop(web, budget_s=BUDGET_S)
    assert "ldm cancel-operation migration web" in error.value.hint


def test_a_domain_between_two_machines_is_left_to_whoever_moves_it(backend, driver, web):
    backend.standin.change("web", "source")

    for verb in (driver.start, driver.stop, driver.kill):
        with pytest.raises(Undetermined, match=r"domain web is between two nodes: it is active \(migrating\)"):
            verb(web, budget_s=BUDGET_S)
    assert backend.standin.state("web") == "source"


def test_a_domain_that_starts_is_neither_down_nor_unbound(backend, driver, web):
    backend.standin.change("web", "starting")

    assert driver.observe(web, budget_s=BUDGET_S).phase is Phase.STARTING
    assert driver.start(web, budget_s=BUDGET_S) is False
    assert not backend.standin.calls("start-domain")
    driver.stop(web, budget_s=BUDGET_S)
    assert [call.argv[1] for call in backend.standin.calls("stop-domain")] == ["stop-domain"]


def test_a_domain_that_lacks_resources_is_down_and_is_not_started(backend, driver, web):
    backend.standin.change("web", "degraded")

    seen = driver.observe(web, budget_s=BUDGET_S)
    assert (seen.phase, seen.state) == (Phase.STOPPED, "bound (degraded)")
    assert seen.objection is not None
    with pytest.raises(DriverError, match="lacks resources that it needs"):
        driver.start(web, budget_s=BUDGET_S)
    assert not backend.standin.calls("start-domain")


def test_a_list_that_is_cut_within_a_line_says_nothing(backend, driver, web):
    db = backend.guest("db")
    whole = backend.host.run(["ldm", "list-domain", "-p"], budget_s=BUDGET_S)
    for length in range(len(whole.stdout)):
        if whole.stdout[:length].endswith(b"\n"):
            continue  # the list has no mark of its end: nothing tells such a cut
        told = evolve(whole, stdout=whole.stdout[:length])
        cut = LdomDriver(evolve(backend.context, host=Telling(told)))
        with pytest.raises(Undetermined):
            cut.observe_all([web, db], budget_s=BUDGET_S)


class Telling:
    """A host on which each command prints the same."""

    name = "n1"

    def __init__(self, told):
        self._told = told

    def run(self, argv, **how):
        return self._told


def test_a_domain_that_ldm_does_not_know_is_made_of_what_push_has_kept(backend, driver, web):
    absent = backend.described("kept")
    file = backend.context.definition_file(absent)
    file.parent.mkdir(parents=True)
    file.write_text(driver.definition(web, budget_s=BUDGET_S))

    assert driver.start(absent, budget_s=BUDGET_S)
    assert [call.argv[1:] for call in backend.standin.calls("add-domain")] == [("add-domain", "-i", str(file))]


def test_the_sizes_are_those_of_the_list(driver, web):
    sizes = driver.sizes(web, budget_s=BUDGET_S)

    assert (sizes.vcpus, sizes.memory_mib) == (4, 4096)


@pytest.mark.keyword("container.ldom.migrate_host")
def test_a_move_goes_to_what_other_nodes_call_the_node(backend, driver, web):
    driver.start(web, budget_s=BUDGET_S)
    Bench(LdomDriver, backend).true(web, Phase.RUNNING)
    named = Destination(node="elsewhere", guest=evolve(web, migrate_host="nowhere"))
    with pytest.raises(DriverError, match="has not come to nowhere"):
        driver.migrate(web, named, budget_s=BUDGET_S)
    assert backend.truth(web) is Phase.RUNNING
    named = Destination(node="nowhere", guest=evolve(web, migrate_host="elsewhere"))
    driver.migrate(web, named, budget_s=BUDGET_S)
    assert backend.truth(web) is Phase.ABSENT
