import pytest

from vmsvc.core.ips import ping
from vmsvc.core.transport.echo import Heard


@pytest.fixture(autouse=True)
def kept_in(monkeypatch):
    """Stands in for the socket by which requests leave this node, and keeps them here; tells why one could not leave."""
    unasked: dict[str, str] = {}
    monkeypatch.setattr(ping, "answering", lambda addresses, *, wait_s: Heard(answers={}, unasked=unasked))
    return unasked
