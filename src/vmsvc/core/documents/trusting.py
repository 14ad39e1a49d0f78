"""What guests and peers are to trust."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vmsvc.core.errors import Problem

if TYPE_CHECKING:  # who has no disks to reserve does not pay for them
    from vmsvc.core.trust.guest import GuestTrust
    from vmsvc.core.trust.own_key import OwnKey
    from vmsvc.core.trust.peers import PeerTrust
    from vmsvc.core.trust.trusting import Trust
from vmsvc.core.documents.envelope import Data, document, problem


def trust_of_guests(key: OwnKey, items: Iterable[tuple[str, GuestTrust]], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.trust/1``: what guests are to have for vmsvc's own ssh key, what was installed, and what the test found.

    Args:
        key: vmsvc's own key.
        items: Services, and what is known of a guest of each.
        problems: Why others are not among them.
    """
    rows = [
        {"service": name, "rid": item.guest.rid, "guest": item.guest.name, "way": item.way.value, **_trust(item)}
        for name, item in items
    ]
    return _trusts(key, {"guests": rows, "peers": []}, problems)


def trust_of_peers(key: OwnKey, items: Iterable[PeerTrust], problems: Iterable[Problem] = ()) -> Data:
    """``vmsvc.trust/1``: the same of peers.

    Args:
        key: vmsvc's own key.
        items: What is known of each peer.
        problems: Why services are not among them.
    """
    rows = [{"node": item.peer, "services": list(item.services), **_trust(item)} for item in items]
    return _trusts(key, {"guests": [], "peers": rows}, problems)


def _trusts(key: OwnKey, rows: Data, problems: Iterable[Problem]) -> Data:
    shown = {"file": str(key.file), "public": key.public, "fingerprint": key.fingerprint}
    return document("vmsvc.trust/1", {"key": shown, **rows, "problems": [problem(each) for each in problems]})


def _trust(item: Trust) -> Data:
    wanted = item.wanted
    return {
        "target": item.target,
        "script": None if wanted is None else {"path": wanted.script, "text": wanted.text},
        "line": None if wanted is None else wanted.line,
        "host_keys": [{"type": key.type, "fingerprint": key.fingerprint} for key in item.host_keys],
        "changes": [
            {"file": each.path, "diff": each.diff, "is_done": each.is_needed and item.is_installed}
            for each in item.changes
        ],
        "tests": [
            {
                "name": each.name,
                "is_right": each.verdict.is_right,
                "verdict": each.verdict.name.lower().replace("_", "-"),
                "detail": each.detail,
            }
            for each in item.tried
        ],
        "problems": [problem(each) for each in (*item.warnings, *(item.error.problems if item.error else ()))],
    }
