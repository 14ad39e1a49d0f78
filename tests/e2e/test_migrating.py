"""`vmsvc migrate`: its words, what it prints, and its options, between two nodes of the simulated hypervisor."""

from __future__ import annotations

import json

import pytest

from tests import documents
from tests.neighbours import Neighbours
from tests.support import drivers_but
from vmsvc.cli import main, svcmgr


class Pair(Neighbours):
    """The command line of node n1, or of another one, in this process."""

    def __init__(self, directory, monkeypatch, capsys):
        super().__init__(directory)
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def run(self, line, *, on="n1", program=main):
        for name, value in self.environment(on).items():
            self._monkeypatch.setenv(name, value)
        code = program(line.split())
        shown = self._capsys.readouterr()
        return code, shown.out, shown.err

    def json(self, line):
        code, out, _ = self.run(f"--format json {line}")
        return code, documents.checked(out)


@pytest.fixture
def pair(tmp_path, monkeypatch, capsys):
    pair = Pair(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("VMSVC_DISABLE_PLUGINS", drivers_but("null"))
    monkeypatch.setattr("vmsvc.core.peers.asking.Peers", pair)
    pair.add()
    assert pair.run("start web --despite-peer n3")[0] == 0
    return pair


@pytest.mark.option("migrate --to", "plan --to", "svcmgr --to", "migrate --dry-run")
@pytest.mark.keyword("container.null.migrate_root")
def test_a_guest_is_moved_to_the_node_that_is_named(pair):
    for line in ("plan migrate web --to n2", "migrate web --to n2 --dry-run"):
        code, out, _ = pair.run(line)
        assert (code, "migrate container#1 to n2" in out, pair.phase("n1")) == (0, True, "running")
    code, out, err = pair.run("migrate web --to n2")
    assert (code, pair.phase("n1"), pair.phase("n2")) == (0, "moved", "running")
    assert out.startswith("web: on n2 (migrate container#1 to n2, ")
    assert "web: migrate container#1 to n2 … done" in err
    code, out, _ = pair.run("migrate web --to n2")
    assert (code, "web: on n2 (nothing to do: container#1 running on n2 already)" in out) == (0, True)
    assert pair.run("-s web migrate --to n1", on="n2", program=svcmgr.main)[0] == 0
    assert (pair.phase("n1"), pair.phase("n2")) == ("running", "moved")


def test_the_documents_tell_where_to(pair):
    code, plan = pair.json("plan migrate web --to n2")
    assert (code, plan["plans"][0]["to"], plan["plans"][0]["steps"][0]["to"]) == (0, "n2", "n2")
    code, done = pair.json("migrate web --to n2")
    assert (code, done["action"], done["results"][0]["outcome"]) == (0, "migrate", "done")
    [step] = done["results"][0]["steps"]
    assert (step["verb"], step["to"], step["error"]) == ("migrate", "n2", "")
    code, again = pair.json("migrate web --to n2")
    assert (code, again["results"][0]["outcome"]) == (0, "unchanged")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("migrate web", "--to"),
        ("migrate web --to n9", "n9 is no other node of web"),
        ("migrate web --to n1", "n1 is no other node of web"),
        ("plan migrate web", "migrate needs --to NODE"),
        ("plan start web --to n2", "start takes no --to"),
    ],
)
def test_words_that_mean_nothing_are_mistakes(pair, line, words):
    code, _, err = pair.run(line)
    assert (code, words in err, pair.phase("n1")) == (2, True, "running")


def test_what_cannot_be_asked_is_refused_and_what_stays_has_failed(pair):
    pair.off.add("n2")
    code, _, err = pair.run("migrate web --to n2")
    assert (code, "n2 cannot say whether it runs container#1" in err) == (3, True)
    pair.off.remove("n2")
    pair.hypervisors["n2"].set(None, fail=("receive",))
    code, _, err = pair.run("migrate web --to n2")
    assert (code, "it has not moved" in err, pair.phase("n1")) == (1, True, "running")
    pair.hypervisors["n1"].set("web", fail=("observe",))
    assert pair.run("migrate web --to n2")[0] == 4


@pytest.mark.keyword("container.migrate_timeout", "container.null.move_delay")
def test_a_move_that_takes_longer_than_it_may_is_not_known_to_have_happened(pair, monkeypatch):
    monkeypatch.setattr("vmsvc.core.execution.steps._ENDS_S", 0.1)
    pair.add("move_delay = 20", "migrate_timeout = 300ms")
    code, _, err = pair.run("migrate web --to n2")
    assert (code, "here it is migrating, and on n2 migrating" in err) == (4, True)


def test_a_timeout_of_a_type_that_cannot_be_moved_is_told_to_have_no_effect(pair, monkeypatch):
    driver = type(pair.session()._drivers.of_guest(pair.session().load("web").guests[0]))
    few = frozenset(each for each in driver.capabilities if each.value != "migrate")
    monkeypatch.setattr(driver, "capabilities", few)
    pair.add("migrate_timeout = 9")
    assert "`migrate_timeout` has no effect: a guest of type null cannot be moved" in pair.run("validate web")[1]
    code, _, err = pair.run("migrate web --to n2")
    assert (code, "a guest of type null cannot be moved while it runs" in err) == (3, True)


@pytest.mark.option("migrate --despite-frozen")
def test_a_node_where_the_service_is_frozen_takes_it_only_when_told_so(pair):
    assert pair.run("freeze web", on="n2")[0] == 0
    assert pair.run("migrate web --to n2")[0] == 3
    assert pair.run("-s web migrate --to n2 --despite-frozen --dry-run", program=svcmgr.main)[0] == 0
    assert pair.run("migrate web --to n2 --despite-frozen")[0] == 0


@pytest.mark.option("migrate --parallel")
def test_many_are_moved_at_once_or_one_by_one(pair):
    pair.add(name="db")
    assert pair.run("start db --despite-peer n3")[0] == 0
    for name in ("web", "db"):
        pair.hypervisors["n1"].set(name, move_delay=0.4)
    assert pair.run("migrate web db --to n2 --parallel 1")[0] == 0
    moves = [entry.at for entry in pair.hypervisors["n1"].log() if entry.verb == "migrate"]
    assert moves[1] - moves[0] >= 0.4
    for name in ("web", "db"):
        pair.hypervisors["n2"].set(name, move_delay=0.4)
    assert pair.run("migrate web db --to n1 --parallel 2", on="n2")[0] == 0
    moves = [entry.at for entry in pair.hypervisors["n2"].log() if entry.verb == "migrate"]
    assert moves[1] - moves[0] < 0.4


def test_a_service_with_disks_of_its_own_is_to_be_stopped_and_started(pair):
    pair.add("scsireserv = true", "disks = /dev/vmsvc-none")
    code, out, _ = pair.run("--format json migrate web --to n2")
    assert code == 3
    [error, *_] = json.loads(out)["results"][0]["errors"]
    assert (error["code"], "`vmsvc stop web`, then `vmsvc start web` on n2" in error["hint"]) == (
        "refused.exclusive-disks",
        True,
    )
