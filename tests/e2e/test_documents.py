"""Every command answers, in JSON, with what its published schema says; and no schema is without a command."""

from __future__ import annotations

import argparse
import importlib.metadata

import pytest

if not any(entry.name == "null" for entry in importlib.metadata.entry_points(group="vmsvc")):
    pytest.skip("vmsvc-null is not installed", allow_module_level=True)

from tests import documents
from tests.e2e.node import Node
from vmsvc.cli import grammar

#: Calls that bring forth every document, in order. A new command has its line here.
CALLS = (
    ("vmsvc.changed/1", "create new --type null"),
    ("vmsvc.changed/1", "set new comment=x"),
    ("vmsvc.changed/1", "edit new"),
    ("vmsvc.changed/1", "unset new comment"),
    ("vmsvc.changed/1", "node mode TST"),
    ("vmsvc.value/1", "get web container#1.start_timeout"),
    ("vmsvc.adoption/1", "adopt --dry-run"),
    ("vmsvc.services/1", "ls"),
    ("vmsvc.status/1", "status"),
    ("vmsvc.status/1", "print status web blind"),
    ("vmsvc.plan/1", "plan start web blind"),
    ("vmsvc.plan/1", "start web --dry-run"),
    ("vmsvc.action/1", "start web blind sick"),
    ("vmsvc.plan/1", "plan migrate sick --to n2"),
    ("vmsvc.action/1", "migrate sick --to n2"),
    ("vmsvc.service/1", "show web"),
    ("vmsvc.service/1", "show blind"),
    ("vmsvc.file/1", "show web --config"),
    ("vmsvc.drift/1", "show web --drift"),
    ("vmsvc.stored/1", "push web blind"),
    ("vmsvc.stored/1", "diskupdate web"),
    ("vmsvc.stored/1", "show web --disks"),
    ("vmsvc.stored/1", "push sick"),
    ("vmsvc.history/1", "show web --history"),
    ("vmsvc.action/1", "restart web"),
    ("vmsvc.action/1", "stop web --kill"),
    ("vmsvc.monitor/1", "monitor --once"),
    ("vmsvc.frozen/1", "freeze web blind --reason why"),
    ("vmsvc.frozen/1", "thaw web"),
    ("vmsvc.validation/1", "validate"),
    ("vmsvc.drivers/1", "drivers"),
    ("vmsvc.keywords/1", "keywords"),
    ("vmsvc.node/1", "node"),
    ("vmsvc.prkey/1", "node prkey"),
    ("vmsvc.disks/1", "disks shared"),
    ("vmsvc.disks/1", "pr status"),
    ("vmsvc.action/1", "pr start shared"),
    ("vmsvc.action/1", "pr stop shared"),
    ("vmsvc.action/1", "boot"),
    ("vmsvc.action/1", "startapp web"),
    ("vmsvc.action/1", "stopapp web"),
    ("vmsvc.app-info/1", "appinfo web"),
    ("vmsvc.watch/1", "pr watch --once"),
    ("vmsvc.validate-disks/1", "validate-disks shared"),
    ("vmsvc.trust/1", "trust guest web"),
    ("vmsvc.trust/1", "trust peers"),
    ("vmsvc.package/1", "sdk new acme --directory {root}"),
    ("vmsvc.kit/1", "sdk test null --clause contract"),
    ("vmsvc.recording/1", "sdk record null --directory {root}/samples"),
    ("vmsvc.completion/1", "completion bash"),
    ("vmsvc.disks/1", "disks web"),
    ("vmsvc.disks/1", "pr status web"),
    ("vmsvc.error/1", "start wbe"),
    ("vmsvc.error/1", "strat web"),
)


#: What is for publishers, and no command's.
PUBLISHED = {"vmsvc.snapshot/1"}


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path / "root")
    disk = tmp_path / "disk"
    disk.touch()
    path = node.add("web", f"disks = {disk} /dev/zero", f"config_files = {disk}")
    path.write_text(path.read_text() + "[ip#1]\nipname = 10.0.0.1\nipdev = eth0\nwait = false\n[app#1]\ncheck = true\n")
    node.add("shared", f"disks = {disk} /dev/vmsvc-no-such-disk", "scsireserv = true")
    node.add("blind", "fail = observe")
    node.add("sick", "fail = start", default=("nodes = n1 n2", "service_type = TST"))
    return node


def test_every_call_answers_with_its_document(node):
    for name, words in CALLS:
        _, answer = node.json(*words.format(root=node.root).split(), EDITOR="true")
        assert (words, answer["schema"]) == (words, name)


def test_what_goes_wrong_for_one_service_is_told_in_the_document_of_the_others(node):
    (node.services_dir / "bad.conf").write_text("[container#1]\ntype = nul\n")
    for words in ("status", "ls", "validate", "status web nope 'x*'"):
        code, answer = node.json(*words.split())
        assert code
        assert answer["schema"] != "vmsvc.error/1"


@pytest.mark.parametrize("whom", ["guest", "peers"])
def test_for_services_that_there_are_not_no_key_is_made(node, whom):
    code, answer = node.json("trust", whom, "nope")
    assert (code, answer["schema"]) == (2, "vmsvc.error/1")
    assert not (node.root / "var/lib/vmsvc/ssh").exists()
    assert node.json("trust", whom, "nope", "web")[1]["schema"] == "vmsvc.trust/1"


def commands(parser, before=""):
    """Every command that does something, by its words."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        return {before.strip()}
    return {word for name, each in groups[0].choices.items() for word in commands(each, f"{before} {name}")}


def test_no_command_and_no_schema_is_left_out():
    words = {words for _, words in CALLS}
    assert not {
        each for each in commands(grammar.parser()) if not any(f"{word} ".startswith(f"{each} ") for word in words)
    }
    assert {name for name, _ in CALLS} == documents.names() - PUBLISHED
