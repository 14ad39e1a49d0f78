"""What makes commands fast, in numbers that do not depend on the machine: modules loaded, files read, threads started.

How long it takes is measured by ``python -m benchmarks``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from tests.support import FakeDriver, guest, lay_plugin
from vmsvc.core import observe as observing
from vmsvc.core.contract import Capability
from vmsvc.core.observe import key_of
from vmsvc.core.status import Phase

#: What only acting, editing, storing, drawing, TOML, JSON or a mistake needs.
HEAVY = {
    "argcomplete",
    "difflib",
    "filelock",
    "http.client",
    "rich",
    "secrets",
    "sh",
    "sqlite3",
    "ssl",
    "tomli",
    "tomlkit",
    "vmsvc.cli.acting",
    "vmsvc.cli.completion",
    "vmsvc.cli.progress",
    "vmsvc.cli.render",
    "vmsvc.core.config.edit",
    "vmsvc.core.config.toml",
    "vmsvc.core.guests.definitions",
    "vmsvc.core.execution.executor",
    "vmsvc.core.guests.inventory",
    "vmsvc.core.planning.ordering",
    "vmsvc.core.planning.plan",
    "vmsvc.core.planning.planner",
    "vmsvc.core.documents",
    "vmsvc.core.execution.steps",
    "vmsvc.core.records.store",
    "vmsvc.core.vmdg.quirks",
    "xml.etree.ElementTree",
}


#: What a look at guests does without whose technology has an API: records of what is not their state, and commands.
NOT_OF_STATES = {
    "json",
    "subprocess",
    "vmsvc.core.answers",
    "vmsvc.core.records.publishing",
    "vmsvc.core.transport.announced",
    "vmsvc.core.transport.commands",
}
#: A driver in a module of its own, as in every plugin: the module of its hook costs next to nothing.
PLUGIN = """
from vmsvc.driver import hookimpl
from {name}_driver import Driver

@hookimpl
def vmsvc_drivers():
    return [Driver]
"""
DRIVER = """
from attrs import frozen
from vmsvc.driver import Evidence, Guest, Observation, Phase, option, text

@frozen(kw_only=True)
class Options(Guest):
    of_{name}: str = option(text, default="", inherited=True, help="The driver's own key.")

class Driver:
    type, kind, api, options, capabilities = "{name}", "container", frozenset({{1}}), Options, frozenset()

    def __init__(self, context): pass
    def observe(self, resource, *, budget_s):
        return Observation(phase=Phase.STOPPED, state="off", evidence=Evidence(probe="test"))
    def start(self, resource, *, budget_s): pass
    def stop(self, resource, *, budget_s): pass
    kill = stop
    def close(self): pass
"""


@pytest.fixture
def loaded(tmp_path):
    """Runs a command in a Python of its own; gives the modules that it has loaded."""
    services = tmp_path / "etc/vmsvc/services"
    services.mkdir(parents=True)
    (services / "web.conf").write_text("[DEFAULT]\nnodes = n1\n[ip#1]\nipname = 192.0.2.1\nipdev = eth0\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "VMSVC_ROOT": str(tmp_path), "VMSVC_NODENAME": "n1", "PYTHONPATH": path}
    code = "import sys; from vmsvc.cli import main; code = main(sys.argv[1:])\nprint(code, *sys.modules)"

    def run(*words):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=True
        )
        exit_code, *modules = done.stdout.splitlines()[-1].split()
        assert exit_code == "0", done.stderr
        return set(modules)

    return run


def test_the_version_loads_no_plugin_no_grammar_and_no_session(loaded):
    modules = loaded("--version")
    assert {name for name in modules if name.startswith("vmsvc")} == {"vmsvc", "vmsvc.cli"}
    assert modules & {"argparse", "attr", "importlib.metadata", "logging", "pluggy"} == set()


@pytest.mark.parametrize("command", ["status", "print status", "ls"])
def test_a_look_loads_nothing_that_only_others_need(loaded, command):
    assert loaded(*command.split()) & HEAVY == set()


@pytest.mark.parametrize("command", ["status", "print status", "status web"])
def test_a_look_at_guests_of_one_type_loads_the_driver_of_no_other(loaded, tmp_path, command):
    for name in ("stone", "wood"):
        lay_plugin(tmp_path, name, PLUGIN.format(name=name), serves=name)
        (tmp_path / f"{name}_driver.py").write_text(DRIVER.format(name=name))
    service = tmp_path / "etc/vmsvc/services/web.conf"
    service.write_text(
        "[DEFAULT]\nnodes = n1\nenv = TST\nstart_timeout = 1m\nof_stone = x\n[container#1]\ntype = stone\n"
    )
    modules = loaded(*command.split())
    assert modules & {"stone_driver", "wood", "wood_driver"} == {"stone_driver"}
    assert modules & (HEAVY | NOT_OF_STATES) == set()


def test_the_guard_knows_its_modules_by_the_names_that_they_have(loaded):
    """A module that was renamed would be guarded no more."""
    for module in HEAVY | NOT_OF_STATES:
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True, capture_output=True)


def test_a_thousand_guests_of_one_technology_take_one_query_and_one_thread_beyond_its_lane(monkeypatch):
    begun = []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda self: (begun.append(self.name), start(self)))

    class Bulk(FakeDriver):
        capabilities = frozenset({Capability.BULK})

        def observe_all(self, resources, *, budget_s):
            self.calls.append("observe_all")
            return {key_of(each): observing.unknown("test", "as told") for each in resources}

    driver = Bulk()
    found = observing.observe([guest(number) for number in range(1000)], lambda _: driver)
    assert {each.phase for each in found.values()} == {Phase.UNKNOWN}
    assert driver.calls == ["observe_all"]
    assert begun == ["vmsvc look", "vmsvc lane fake driver"]
