"""Asking peers: whatever goes wrong with one of them is its answer."""

from __future__ import annotations

import json
import threading
import time

import pytest

from vmsvc.core.errors import NoWayIn, Undetermined
from vmsvc.core.peers.asking import Peers
from vmsvc.core.transport import OUTPUT_LIMIT, Outcome


def asked(host, *services, **options):
    return Peers(lambda _: host).ask("guests", {"n2": services}, **options)


class Host:
    """A peer that prints a document with some bytes for each service, as far as a transport keeps it."""

    name = "n2"

    def __init__(self, bytes_each=1000):
        self.bytes_each = bytes_each
        self.questions = []

    def run(self, argv, *, budget_s, environment=None):
        services = argv[argv.index("guests") + 1 :]
        self.questions.append(len(services))
        instance = {"node": "n2", "resources": [], "going_on": "", "notes": ["x" * self.bytes_each]}
        told = [{"name": each, "nodes": ["n1"], "drpnodes": [], "instances": [instance]} for each in services]
        text = json.dumps({"schema": "vmsvc.status/1", "services": told}).encode()
        return Outcome(
            argv=tuple(argv),
            code=0,
            stdout=text[:OUTPUT_LIMIT],
            stderr=b"",
            duration_s=0.0,
            truncated=len(text) > OUTPUT_LIMIT,
        )

    def close(self):
        pass


def test_a_defect_in_asking_one_peer_is_told_as_its_answer():
    def broken(peer):
        raise RuntimeError(f"no way to {peer}")

    answer = Peers(broken).ask("guests", {"n2": ["web"]})["n2", "web"]
    assert answer.error == "RuntimeError: no way to n2"


def test_what_to_do_about_a_way_that_is_barred_is_told_with_it():
    def barred(peer):
        raise NoWayIn("its host key has changed", hint="look at it")

    answer = Peers(barred).ask("guests", {"n2": ["web"]})["n2", "web"]
    assert (answer.error, answer.hint) == ("its host key has changed", "look at it")


def test_an_answer_that_is_longer_than_what_is_kept_is_asked_for_in_parts():
    host = Host()
    names = [f"s{number}" for number in range(1500)]
    answers = asked(host, *names)
    assert {answer.error for answer in answers.values()} == {""}
    assert len(answers) == 1500
    assert host.questions == [1500, 750, 750]


def test_one_service_whose_answer_is_longer_than_what_is_kept_is_told_as_such():
    assert "longer than the 1 MiB" in asked(Host(OUTPUT_LIMIT), "web")["n2", "web"].error


def test_a_peer_that_is_asked_for_nothing_is_not_asked():
    host = Host()
    assert asked(host) == {}
    assert host.questions == []


def test_what_is_raised_meanwhile_ends_the_asking():
    release = threading.Event()

    class Hung(Host):
        def run(self, argv, **options):
            release.wait(30)
            return super().run(argv, **options)

    def meanwhile(silent):
        assert list(silent) == ["n2"]
        raise InterruptedError

    began = time.monotonic()
    with pytest.raises(InterruptedError):
        asked(Hung(), "web", meanwhile=meanwhile)
    assert time.monotonic() - began < 5
    release.set()


@pytest.mark.parametrize(
    ("code", "out", "known"),
    [(0, b"DEV\n", "DEV"), (0, b"unknown\n", None), (125, b"DEV\n", None), (0, b"", None)],
)
def test_a_host_mode_is_a_word_that_a_node_has_told_or_is_not_known(code, out, known):
    class Node(Host):
        def run(self, argv, *, budget_s, environment=None):
            assert argv[-1] == "mode"
            return Outcome(argv=tuple(argv), code=code, stdout=out, stderr=b"", duration_s=0.0)

    peers = Peers(lambda _: Node())
    if known:
        assert peers.host_mode("n2") == known
    else:
        with pytest.raises(Undetermined, match="the host mode of n2 is not known: "):
            peers.host_mode("n2")


def test_a_host_mode_that_cannot_be_asked_for_is_not_known():
    def broken(peer):
        raise RuntimeError(f"no way to {peer}")

    with pytest.raises(Undetermined, match="RuntimeError: no way to n2"):
        Peers(broken).host_mode("n2")
