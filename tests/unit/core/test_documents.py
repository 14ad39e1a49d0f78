"""The published JSON: its keys are a promise, so they are listed here."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from tests.support import NODE, guest, resource, seen, service
from vmsvc.core.declaration import DriverReport
from vmsvc.core.documents import actions, envelope, inventories, services, statuses
from vmsvc.core.errors import ExitCode, Problem, Severity
from vmsvc.core.execution.report import Report, StepResult
from vmsvc.core.instance import ServiceStatus, instance_of
from vmsvc.core.planning.plan import Step
from vmsvc.core.planning.planner import plan
from vmsvc.core.plugins import PluginReport, PluginState
from vmsvc.core.records.record import Record, Snapshot
from vmsvc.core.status import Phase
from vmsvc.core.verb import Verb

WEB = service(guest(1), guest(2, disable=True), resource("sync#1"), nodes=("n1", "n2"))
FACTS = {
    "container#1": seen(Phase.PAUSED, "paused (ioerror)", warnings=("autostart is on",)),
    "sync#1": seen(Phase.RUNNING),
}


def plain(data):
    """Only what JSON can say, and the same after a round trip."""
    assert json.loads(json.dumps(data)) == data
    return data


def test_status():
    instance = instance_of(WEB, "n1", FACTS, notes=("a note",))
    data = plain(statuses.status([ServiceStatus(service=WEB, instances=(instance,))]))
    assert data["schema"] == "vmsvc.status/1"
    (found,) = data["services"]
    assert (found["name"], found["avail"], found["overall"]) == ("web", "warn", "warn")
    (on_node,) = found["instances"]
    assert (on_node["node"], on_node["avail"], on_node["notes"]) == ("n1", "warn", ["a note"])
    first, second, third = on_node["resources"]
    assert first == {
        "rid": "container#1",
        "kind": "container",
        "type": "fake",
        "label": "container#1",
        "status": "warn",
        "phase": "paused",
        "state": "paused (ioerror)",
        "optional": False,
        "disable": False,
        "evidence": {"probe": "test", "detail": "as told", "at": 1.0, "duration_s": 0.0},
        "warnings": ["autostart is on"],
    }
    assert (second["status"], second["disable"], second["evidence"]["detail"]) == ("n/a", True, "disabled")
    assert (third["status"], third["state"]) == ("n/a", "running")


def test_every_phase_has_its_word_in_the_published_schema():
    common = json.loads((files("vmsvc") / "schemas/common.json").read_text())
    assert set(common["$defs"]["resource_status"]["properties"]["phase"]["enum"]) == {phase.value for phase in Phase}


def test_plan():
    facts = {"container#1": seen(Phase.STOPPED)}
    whole = plain(actions.plans([plan("start", WEB, NODE, facts)], [Problem(message="no such service")]))
    assert whole["schema"] == "vmsvc.plan/1"
    assert whole["errors"][0]["message"] == "no such service"
    (data,) = whole["plans"]
    assert (data["action"], data["service"], data["node"], data["refusals"]) == ("start", "web", "n1", [])
    assert data["steps"] == [
        {
            "rid": "container#1",
            "verb": "start",
            "budget_s": 2.0,
            "why": "stopped",
            "within": "",
            "trigger": None,
            "needs": [],
            "only_if_needed": False,
            "takes_back": False,
            "to": "",
        }
    ]
    assert {kept["rid"] for kept in data["kept"]} == {"container#2", "sync#1"}


def test_error():
    data = plain(
        envelope.error(
            [Problem(message="m", code="c", hint="h", file="f", section="s", key="k", severity=Severity.WARNING)]
        )
    )
    assert data == {
        "schema": "vmsvc.error/1",
        "errors": [
            {"message": "m", "code": "c", "hint": "h", "file": "f", "section": "s", "key": "k", "severity": "warning"}
        ],
    }


def test_drivers():
    driver = DriverReport(kind="container", type="kvm", api=1, capabilities=("bulk",))
    report = PluginReport(name="kvm", distribution="vmsvc-kvm", version="1", drivers=(driver,), state=PluginState.CLASH)
    (data,) = json.loads(json.dumps(services.drivers([report])))["plugins"]
    assert data["state"] == "clash"
    assert data["drivers"] == [{"kind": "container", "type": "kvm", "api": 1, "capabilities": ["bulk"]}]


def test_service():
    data = plain(services.service(WEB))
    assert (data["name"], data["file"], data["settings"]["rollback"]) == ("web", "/etc/web.conf", True)
    assert [each["rid"] for each in data["resources"]] == ["container#1", "container#2", "sync#1"]
    assert data["resources"][2]["settings"]["target"] == ["nodes"]


# --- what commands add -----------------------------------------------------------------------------------------------

STEP = Step(rid="container#1", verb=Verb.START, budget_s=1.0)
NOTE = Problem(message="by the way", severity=Severity.NOTE)


def result_of(exit_code=ExitCode.DONE, results=(), problems=(), *, ran=True):
    report = Report(plan=plan("start", WEB, NODE, FACTS), results=results) if ran else None
    return plain(actions.action_result("web", exit_code=exit_code, report=report, status=None, problems=problems))


def test_action():
    found = result_of(results=[StepResult(step=STEP, duration_s=0.5, acted=True)], problems=[NOTE])
    assert (found["service"], found["outcome"], found["exit_code"], found["status"]) == ("web", "done", 0, None)
    assert found["steps"] == [
        {"rid": "container#1", "verb": "start", "to": "", "trigger": "", "duration_s": 0.5, "error": ""}
    ]
    assert {kept["rid"] for kept in found["kept"]} == {"container#1", "container#2", "sync#1"}
    assert ([each["message"] for each in found["notes"]], found["errors"]) == (["by the way"], [])
    whole = plain(actions.action("start", [found], [Problem(message="no such service")]))
    assert (whole["schema"], whole["action"], whole["results"]) == ("vmsvc.action/1", "start", [found])
    assert whole["command"] == "start"
    assert whole["errors"][0]["message"] == "no such service"


def test_outcomes():
    assert result_of()["outcome"] == "unchanged"
    for code in ExitCode:
        found = result_of(code, problems=[Problem(message="x"), NOTE], ran=False)
        assert (found["outcome"], found["exit_code"]) == (code.name.lower(), int(code))
        assert [each["message"] for each in found["errors"]] == ["x"]


def test_validation():
    data = plain(services.validation([(Path("/a"), [NOTE]), (Path("/b"), [NOTE, Problem(message="x")])]))
    assert data["schema"] == "vmsvc.validation/1"
    assert [(each["file"], each["valid"], len(each["problems"])) for each in data["files"]] == [
        ("/a", True, 1),
        ("/b", False, 2),
    ]


def test_services_and_shown():
    data = plain(services.services([WEB], [NOTE]))
    assert (data["schema"], len(data["errors"])) == ("vmsvc.services/1", 1)
    assert data["services"] == [
        {"name": "web", "file": "/etc/web.conf", "env": "", "nodes": ["n1", "n2"], "drpnodes": [], "types": ["fake"]}
    ]
    data = plain(inventories.shown(WEB, []))
    assert (data["schema"], data["service"]["name"], data["guests"]) == ("vmsvc.service/1", "web", [])


def test_records():
    snapshot = Snapshot(service="web", topic="push", node="n1", at=1.0, content={"a": 1}, confirmed=2.0)
    data = plain(inventories.stored([Record(snapshot=snapshot, losses=(NOTE,))], [NOTE]))
    assert data["schema"] == "vmsvc.stored/1"
    (row,) = data["stored"]
    assert (row["service"], row["at"], row["confirmed"], row["content"]) == ("web", 1.0, 2.0, {"a": 1})
    assert (row["since"], row["changes"], row["stored"], len(row["problems"])) == (None, [], True, 1)
    assert len(data["errors"]) == 1
