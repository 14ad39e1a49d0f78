from __future__ import annotations

import json
import os
import threading

import pytest
from vmsvc_file import vmsvc_publishers

import vmsvc
from tests import documents
from vmsvc.driver import Node, Publication, Publisher


@pytest.fixture
def node(tmp_path):
    node = Node(name="n1", root=tmp_path)
    node.config_dir.mkdir(parents=True)
    return node


@pytest.fixture
def target(node, tmp_path):
    """The directory that the node's file names."""
    (node.config_dir / "publish-file.toml").write_text(f"directory = '{tmp_path}/out'\n")
    return tmp_path / "out"


def publication(text="x", service="web"):
    return Publication(service=service, topic="push", node="n1", document={"text": text})


def test_a_node_that_does_not_ask_for_it_has_none(node):
    assert vmsvc_publishers(node) == []


def test_what_is_published_replaces_what_was(node, target):
    (publisher,) = vmsvc_publishers(node)
    assert isinstance(publisher, Publisher)
    for text in ("old", "new"):
        publisher.publish(publication(text), budget_s=1)
    assert json.loads((target / "push/web.json").read_text()) == {"text": "new"}
    assert [path.name for path in (target / "push").iterdir()] == ["web.json"]


@pytest.mark.parametrize(
    "text", ["directory = ", "", "directory = 7", "directory = 'relative'", "directory = '/x'\nmore = 1", "\xff"]
)
def test_a_file_that_is_wrong_is_told(node, text):
    (node.config_dir / "publish-file.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(vmsvc.UsageError, match=r"publish-file\.toml"):
        vmsvc_publishers(node)


def test_what_cannot_be_written_leaves_the_old_document_and_nothing_else(node, target, monkeypatch):
    (publisher,) = vmsvc_publishers(node)
    publisher.publish(publication("old"), budget_s=1)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        publisher.publish(publication("new"), budget_s=1)
    assert json.loads((target / "push/web.json").read_text()) == {"text": "old"}
    assert [path.name for path in (target / "push").iterdir()] == ["web.json"]


def test_who_reads_meanwhile_gets_a_whole_document(node, target):
    (publisher,) = vmsvc_publishers(node)
    publisher.publish(publication(), budget_s=1)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            publisher.publish(publication("y" * 100_000), budget_s=1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            assert set(json.loads((target / "push/web.json").read_text())) == {"text"}
    finally:
        stop.set()
        writer.join()


def test_push_and_diskupdate_publish(node, target):
    (node.services_dir).mkdir()
    (node.services_dir / "web.conf").write_text("[app#1]\ncheck = true\n")
    with vmsvc.Session({"VMSVC_ROOT": str(node.root), "VMSVC_NODENAME": "n1"}) as session:
        web = session.load("web")
        assert session.push(web).losses == session.diskupdate(web).losses == ()
    for topic in ("push", "disks"):
        document = documents.checked((target / topic / "web.json").read_text())
        assert (document["schema"], document["service"], document["topic"]) == ("vmsvc.snapshot/1", "web", topic)
