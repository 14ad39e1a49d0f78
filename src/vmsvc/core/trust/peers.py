"""The trust of this node in its peers by ssh: they say what they see of services, and of themselves."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from vmsvc.core.node import Node
from vmsvc.core.peers.verbs import NAME, script
from vmsvc.core.service import Service
from vmsvc.core.transport.asking import encoded
from vmsvc.core.trust.trials import EVALUATED, Expected, Works
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
