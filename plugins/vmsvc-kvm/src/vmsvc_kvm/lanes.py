"""The lanes to libvirts."""

from __future__ import annotations

from functools import partial

from vmsvc.driver import ClientLanes, Lane
from vmsvc_kvm.client import Connection


class Lanes(ClientLanes[Connection]):
    """Lanes by purpose."""

    def __init__(self) -> None:
        super().__init__(Connection.close)

    def to(self, uri: str, purpose: str, *, readonly: bool = False, max_abandoned: int = 3) -> Lane[Connection]:
        """The lane to a libvirt for a purpose.

        Args:
            uri: What to connect to.
            purpose: What for, in messages: ``status``, ``start of web1`` …
            readonly: Whether libvirt itself shall refuse changes.
            max_abandoned: How many calls may hang in it before others fail at once.
        """
        connect = partial(Connection, uri, readonly=readonly)
        return self.lane(f"libvirt {uri}, {purpose}", connect, max_abandoned=max_abandoned)
