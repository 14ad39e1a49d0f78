"""A domain is bound before it is started and unbound after it was stopped, so that it holds nothing while it is down."""

from __future__ import annotations

import pytest
from vmsvc_ldom.driver import LdomDriver
from vmsvc_ldom.kit import LdomBackend

from vmsvc.driver import DriverError

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


@pytest.mark.parametrize("state", ["error", "source"])
def test_what_is_neither_up_nor_down_is_not_started(backend, driver, web, state):
    backend.standin.change("web", state)

    with pytest.raises(DriverError, match="it is active"):
        driver.start(web, budget_s=BUDGET_S)
    assert not backend.standin.calls("start-domain")


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
