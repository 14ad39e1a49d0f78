from __future__ import annotations

import pytest

from tests.support import resource
from vmsvc.core.apps import AppDriver
from vmsvc.core.contract import Context, Driver
from vmsvc.core.errors import ActionFailed, DriverError, Undetermined
from vmsvc.core.node import Node
from vmsvc.core.observe import observe
from vmsvc.core.status import Phase
from vmsvc.core.transport import Outcome
from vmsvc.core.transport.local import LocalHost

APP = resource("app#1", start=("start-it", "now"), stop=("stop-it",), check=("check-it",))


class Host:
    """A host that answers as it is told."""

    name = "n1"

    def __init__(self, code=0, out="", err="", fail=None):
        self.answer = {"code": code, "stdout": out.encode(), "stderr": err.encode(), "duration_s": 0.5}
        self.fail = fail
        self.ran = []

    def run(self, argv, *, budget_s, environment=None):
        self.ran.append((argv, budget_s))
        if self.fail:
            raise self.fail
        return Outcome(argv=tuple(argv), **self.answer)


def driver_on(host, tmp_path) -> Driver[object]:
    return AppDriver(Context(node=Node(name="n1", root=tmp_path), host=host, state_dir=tmp_path))


@pytest.mark.parametrize(
    ("code", "phase"),
    [(0, Phase.RUNNING), (1, Phase.STOPPED), (2, Phase.DEGRADED), (125, Phase.DEGRADED), (255, Phase.DEGRADED)],
)
def test_a_check_tells_by_its_exit_code(tmp_path, code, phase):
    host = Host(code=code, out="all is well\n")
    found = driver_on(host, tmp_path).observe(APP, budget_s=4.0)
    assert (found.phase, found.state) == (phase, f"check exited with {code}")
    assert (found.evidence.probe, found.evidence.detail, found.evidence.duration_s) == ("check-it", "all is well", 0.5)
    assert host.ran == [(("check-it",), 4.0)]


@pytest.mark.parametrize(
    ("code", "reason"),
    [(-9, "killed by signal 9"), (-15, "killed by signal 15"), (126, "cannot be executed"), (127, "was not found")],
)
def test_a_check_that_did_not_run_to_its_end_tells_nothing(tmp_path, code, reason):
    driver = driver_on(Host(code=code, err="sh: no\n"), tmp_path)
    (found,) = observe([APP], lambda _: driver).values()
    assert found.phase is Phase.UNKNOWN
    assert reason in found.evidence.detail
    assert found.evidence.detail.endswith("sh: no")


def test_without_a_check_there_is_no_status(tmp_path):
    found = driver_on(Host(), tmp_path).observe(resource("app#1"), budget_s=1.0)
    assert (found.phase, found.evidence.detail) == (Phase.INAPPLICABLE, "it has no check command")


@pytest.mark.parametrize("error", [Undetermined("it took too long"), ActionFailed("no such program")])
def test_a_check_that_does_not_end_or_begin_is_unknown(tmp_path, error):
    driver = driver_on(Host(fail=error), tmp_path)
    (found,) = observe([APP], lambda _: driver).values()
    assert (found.phase, found.evidence.detail) == (Phase.UNKNOWN, str(error))


def test_commands(tmp_path):
    host = Host()
    driver = driver_on(host, tmp_path)
    assert driver.start(APP, budget_s=7.0) is True
    driver.stop(APP, budget_s=8.0)
    assert host.ran == [(("start-it", "now"), 7.0), (("stop-it",), 8.0)]
    driver.close()


def test_a_command_that_fails_tells_its_last_lines_and_what_to_run(tmp_path):
    driver = driver_on(Host(code=3, out="ignored", err="a\nb\nc\nd\n"), tmp_path)
    with pytest.raises(DriverError, match="start command exited with 3: b / c / d") as error:
        driver.start(APP, budget_s=1.0)
    assert error.value.hint == "run it by hand: start-it now"
    with pytest.raises(DriverError, match="exit code 3, no output"):
        driver_on(Host(code=3), tmp_path).stop(APP, budget_s=1.0)


def test_there_is_no_force(tmp_path):
    with pytest.raises(DriverError, match="app#1 has no way to be stopped by force"):
        driver_on(Host(), tmp_path).kill(APP, budget_s=1.0)


@pytest.mark.parametrize("script", ["kill -KILL $$", "no-such-command-anywhere"])
def test_a_real_check_that_is_killed_or_not_found(tmp_path, script):
    host = LocalHost("n1")
    try:
        driver = driver_on(host, tmp_path)
        with pytest.raises(Undetermined, match="the check"):
            driver.observe(resource("app#1", check=("sh", "-c", script)), budget_s=5.0)
    finally:
        host.close()


def test_on_the_real_node(tmp_path):
    flag = tmp_path / "flag"
    app = resource("app#1", start=("touch", str(flag)), stop=("rm", str(flag)), check=("test", "-e", str(flag)))
    host = LocalHost("n1")
    try:
        driver = driver_on(host, tmp_path)
        assert driver.observe(app, budget_s=5.0).phase is Phase.STOPPED
        driver.start(app, budget_s=5.0)
        assert driver.observe(app, budget_s=5.0).phase is Phase.RUNNING
        driver.stop(app, budget_s=5.0)
        with pytest.raises(DriverError, match="No such file"):
            driver.stop(app, budget_s=5.0)
    finally:
        host.close()
