"""Asking peers: whatever goes wrong with one of them is its answer."""

from __future__ import annotations

from vmsvc.core.peers.asking import Peers


def test_a_defect_in_asking_one_peer_is_told_as_its_answer():
    def broken(peer):
        raise RuntimeError(f"no way to {peer}")

    answer = Peers(broken).ask("guests", {"n2": ["web"]})["n2", "web"]
    assert answer.error == "RuntimeError: no way to n2"
