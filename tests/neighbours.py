"""Two nodes on this machine, each with a root and a simulated hypervisor of its own, that ask each other without ssh."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from vmsvc_null import Hypervisor

import vmsvc
from vmsvc.core.documents import statuses
from vmsvc.core.peers.answers import PeerAnswer, read_answers
from vmsvc.core.planning.limits import Limits
from vmsvc.core.transport import Outcome

WEB = """
    [DEFAULT]
    nodes = n1 n2
    drpnodes = n3
    [container#1]
    type = null
    {more}
"""


class Neighbours:
    """Nodes n1 and n2, side by side; n3 is off."""

    def __init__(self, directory: Path) -> None:
        self.roots = {name: directory / name for name in ("n1", "n2")}
        self.hypervisors = {name: Hypervisor.of_node(root) for name, root in self.roots.items()}
        self.off = {"n3"}
        self.before_answer = lambda peer: None
        for root in self.roots.values():
            root.joinpath("etc/vmsvc/services").mkdir(parents=True)
            root.joinpath("var/lib").mkdir(parents=True)

    def add(self, *more: str, text: str = WEB, name: str = "web", on: tuple[str, ...] = ("n1", "n2")) -> None:
        """Write a service's file on both nodes."""
        places = [f"migrate_root@{node} = {root}" for node, root in self.roots.items()]
        body = textwrap.dedent(text).format(more="\n".join([*places, *more]))
        for node in on:
            self.roots[node].joinpath(f"etc/vmsvc/services/{name}.conf").write_text(body)

    def environment(self, name: str) -> dict[str, str]:
        return {"VMSVC_ROOT": str(self.roots[name]), "VMSVC_NODENAME": name}

    def session(self, name: str = "n1") -> vmsvc.Session:
        return vmsvc.Session(self.environment(name))

    def phase(self, name: str, machine: str = "web") -> str:
        return self.hypervisors[name].machine(machine).phase

    # --- what stands for vmsvc.core.peers.asking.Peers ----------------------------------------------------------------

    def __call__(self, _ssh) -> Neighbours:
        return self

    def ask(self, verb, questions, *, budget_s=12.0, meanwhile=lambda _: None):
        found = {}
        for peer, services in questions.items():
            self.before_answer(peer)
            meanwhile((peer,))
            answers = {}
            if peer in self.off:
                answers = {name: PeerAnswer(node=peer, error="it gave no answer within 12 s") for name in services}
            else:
                answers = read_answers(peer, services, self._answer(peer, services))
            found.update({(peer, name): answer for name, answer in answers.items()})
        return found

    def host_mode(self, peer, *, meanwhile=lambda _: None):
        meanwhile((peer,))
        with self.session(peer) as session:
            return session.node.mode

    def _answer(self, peer, services) -> Outcome:
        with self.session(peer) as session:
            session.asks_peers = False
            limits = Limits(rids=("container",))
            told = statuses.status(session.statuses(map(session.load, services), limits=limits))
        return Outcome(argv=(), code=0, stdout=json.dumps(told).encode(), stderr=b"", duration_s=0.0)

    def close(self) -> None:
        pass
