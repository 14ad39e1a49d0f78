"""The trust of this node in its peers by ssh: they say what they see of services, and of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve, frozen

from vmsvc.core.node import Node
from vmsvc.core.peers.answers import PeerAnswer
from vmsvc.core.peers.verbs import NAME, script
from vmsvc.core.service import Service
from vmsvc.core.transport.asking import encoded
from vmsvc.core.trust.trials import EVALUATED, Expected, Tried, Verdict, Works
from vmsvc.core.trust.trusting import Trust, Trusting

#: A service that is nowhere; that it is not there is a peer's answer, too.
_NO_SERVICE = "vmsvc-no-such-service"
_NO_DIRECTORY = "/vmsvc-no-such-directory"


@frozen(kw_only=True)
class PeerTrust(Trust):
    """What a peer is to have, and what there is.

    Attributes:
        peer: The peer's name.
        services: The services that name it.
    """

    peer: str
    services: tuple[str, ...]


def trusts_of(trusting: Trusting, services: Iterable[Service], node: Node) -> list[PeerTrust]:
    """What the other nodes of services are to have, each node once. Connects to nothing.

    Args:
        trusting: Knows this node and its key.
        services: The services.
        node: This node.
    """
    named: dict[str, list[str]] = {}
    spelt: dict[str, str] = {}
    for service in services:
        for peer in service.peers_of(node):
            named.setdefault(spelt.setdefault(peer.casefold(), peer), []).append(service.name)
    return [
        trusting.with_host_keys(
            PeerTrust(
                peer=peer, services=tuple(names), target=peer, wanted=trusting.wanted(script()), expected=expected()
            )
        )
        for peer, names in named.items()
    ]


def asked(
    trust: PeerTrust, services: Iterable[Service], answers: Mapping[tuple[str, str], PeerAnswer], node: Node
) -> PeerTrust:
    """What a peer is to have, and whether it answers what a start asks, and would ask this node in turn.

    Args:
        trust: The peer, tried out.
        services: The services, those that name it among them.
        answers: What peers say of them, by peer and service.
        node: This node.
    """
    of_peer = [(each, answers[trust.peer, each.name]) for each in services if (trust.peer, each.name) in answers]
    return evolve(trust, tried=(*trust.tried, *_what_starts_ask(of_peer, node)))


def _what_starts_ask(answers: Iterable[tuple[Service, PeerAnswer]], node: Node) -> Iterator[Tried]:
    """One trial for all services of which the same is to be said."""
    found: dict[str, list[str]] = {}
    for service, answer in answers:
        overlooking = answer.overlooking(service, node)
        trouble = f"{answer.error} ({answer.hint})" if answer.error else str(overlooking or "")
        found.setdefault(trouble, []).append(service.name)
    for trouble, names in found.items():
        verdict = Verdict.DOES_NOT_WORK if trouble else Verdict.WORKS
        yield Tried(f"what a start of {', '.join(sorted(names))} asks", verdict, trouble)


def expected() -> Expected:
    """What vmsvc's own key is to permit on a peer, and what it is not."""
    no_directory = f"{NAME}: there is no directory "
    document = '{\n  "schema": "vmsvc.status/'
    return Expected(
        script=script(),
        works=[
            Works("the verb mode", "mode", proof=""),
            Works("the verb mounted", "mounted /", proof="yes"),
            Works("the verb mounted, nowhere", f"mounted {_NO_DIRECTORY}", code=125, proof=no_directory),
            Works("the verb status", f"status {_NO_SERVICE}", code=2, proof=document),
            Works("the verb guests", f"guests {_NO_SERVICE}", code=2, proof=document),
        ],
        refused={
            "a status of all services": "status",
            "a status of all services, behind a slash": f"status/{_NO_SERVICE}",
            "a status of a pattern": f"status {encoded('*')}",
            "an option in a service's place": "status --help",
            "a start": f"start {_NO_SERVICE}",
        },
        literal={
            f"a directory with {what} in its name": f"mounted {encoded(f'{_NO_DIRECTORY}/{word}')}"
            for what, word in EVALUATED.items()
        },
    )
