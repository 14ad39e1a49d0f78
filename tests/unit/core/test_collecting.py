"""What push does with what it has collected, whatever goes wrong: store, compare, publish, tell."""

from __future__ import annotations

import json

import pytest

from tests import documents
from tests.support import FakeDriver, guest, seen, service
from vmsvc.core.answers import GuestDisk, Sizes
from vmsvc.core.collecting import Collector
from vmsvc.core.errors import Problem, Severity
from vmsvc.core.guests.definitions import keep
from vmsvc.core.guests.inventory import GuestFacts
from vmsvc.core.instance import ServiceStatus, instance_of
from vmsvc.core.node import Node
from vmsvc.core.records.publishing import Publication
from vmsvc.core.records.record import history
from vmsvc.core.records.store import Store
from vmsvc.core.status import Phase

WEB = service(guest())
KNOWN = {"sizes": Sizes(vcpus=1, memory_mib=256), "disks": (GuestDisk(target="vda", kind="block", source="/dev/sda"),)}


class Bench:
    """A collector on a node of its own, and all that it has published."""

    def __init__(self, root):
        self.node = Node(name="n1", root=root)
        self.store = Store(self.node.state_dir / "store.sqlite")
        self.published: list[Publication] = []
        self.faults: tuple[Problem, ...] = ()
        self.collector = Collector(
            self.node, self.store, self._publish, lambda facts: keep(self.node, facts, FakeDriver())
        )

    def _publish(self, publication):
        self.published.append(publication)
        return self.faults

    def push(self, phase=Phase.STOPPED, web=WEB, **facts):
        status = ServiceStatus(service=web, instances=(instance_of(web, "n1", {"container#1": seen(phase)}),))
        return self.collector.push(web, status, [GuestFacts(guest=guest(), **facts)])


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def told(record):
    return [(" ".join(change.path), change.before, change.after) for change in record.changes]


def test_what_has_changed_since_the_last_time_is_told(bench):
    first = bench.push(**KNOWN)
    again = bench.push(**KNOWN)
    changed = bench.push(**{**KNOWN, "sizes": Sizes(vcpus=2, memory_mib=256)})
    assert (first.since, first.changes) == (None, ())
    assert (again.since, again.changes) == (first.snapshot.confirmed, ())
    assert changed.since == again.snapshot.confirmed
    assert told(changed) == [("guests container#1 sizes vcpus", 1, 2)]


def test_what_could_not_be_learned_has_not_changed(bench):
    bench.push(**KNOWN)
    blind = bench.push(gaps=("disks: no answer", "sizes: no answer"))
    back = bench.push(**{**KNOWN, "disks": ()})
    assert blind.changes == ()
    assert [" ".join(change.path) for change in back.changes] == ["guests container#1 disks container#1 vda"]
    newest, middle, oldest = history(bench.store.history("web", "push"))
    assert (newest.changes, middle.changes, oldest.changes) == (back.changes, (), ())
    assert middle.snapshot.content["guests"][0]["disks"] is None  # what was not known is not made up either


def test_a_store_that_cannot_be_used_is_told_and_all_else_goes_on(bench):
    bench.push(**KNOWN)
    content = bench.store.path.read_bytes()
    bench.store.path.write_bytes(b"x" * 5000)
    lost = bench.push(phase=Phase.RUNNING, definition="<domain/>", **KNOWN)
    assert [(loss.code, loss.severity) for loss in lost.losses] == [("store.unavailable", Severity.ERROR)]
    assert not lost.is_stored
    assert (lost.since, lost.changes) == (None, ())
    assert lost.snapshot.content["status"]["avail"] == "up"
    assert bench.node.definition_file("web", "container#1").read_text() == "<domain/>"
    assert len(bench.published) == 2
    bench.store.path.write_bytes(content)
    assert told(bench.push(phase=Phase.RUNNING, **KNOWN))[0] == ("status avail", "down", "up")


def test_a_store_that_can_only_be_read_tells_what_has_changed_all_the_same(bench, monkeypatch):
    bench.push(**KNOWN)
    monkeypatch.setattr(Store, "add", lambda *_: (_ for _ in ()).throw(_full()))
    lost = bench.push(**{**KNOWN, "sizes": None, "disks": ()})
    assert not lost.is_stored
    assert [change.kind.value for change in lost.changes] == ["removed"]


def _full():
    from vmsvc.core.errors import ActionFailed

    return ActionFailed("full", code="store.unavailable")


def test_a_definition_that_cannot_be_kept_is_told_and_all_else_goes_on(bench):
    bench.node.state_dir.mkdir(parents=True)
    (bench.node.state_dir / "definitions").write_text("in the way")
    lost = bench.push(definition="<domain/>", **KNOWN)
    assert [(loss.section, loss.severity) for loss in lost.losses] == [("container#1", Severity.ERROR)]
    assert history(bench.store.history("web", "push"))[0].snapshot == lost.snapshot
    assert len(bench.published) == 1


def test_a_publisher_s_fault_is_a_warning(bench):
    bench.faults = (Problem(message="no way", severity=Severity.WARNING),)
    record = bench.push(**KNOWN)
    assert record.losses == bench.faults
    assert record.is_stored


def test_a_kept_definition_that_is_replaced_is_told_and_is_no_loss(bench):
    bench.push(definition="<domain/>", **KNOWN)
    replaced = bench.push(definition="<domain><changed/></domain>", **KNOWN)
    assert [(problem.code, problem.severity) for problem in replaced.losses] == [
        ("note.definition-replaced", Severity.NOTE)
    ]
    assert replaced.is_stored


def test_what_is_published_is_the_document_without_secrets_and_definitions(bench):
    bench.push(definition="<domain><password/></domain>", **KNOWN)
    bench.push(web=service(guest(comment="see http://u:hunter2@h/")), **KNOWN)
    first, second = bench.published
    assert (first.service, first.topic, first.node) == ("web", "push", "n1")
    for publication in bench.published:
        text = json.dumps(publication.document)
        documents.checked(text)
        assert "hunter2" not in text
        assert "<domain>" not in text
    assert "http://u:***@h/" in json.dumps(second.document)
    assert [change["path"][-1] for change in second.document["changes"]] == ["comment"]
