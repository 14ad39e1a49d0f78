"""What a service file says about a zone."""

from __future__ import annotations

from attrs import frozen

from vmsvc.driver import Guest, boolean, option


@frozen(kw_only=True, eq=False, repr=False)  # the base compares and shows all fields
class ZoneGuest(Guest):
    """A zone of this node."""

    plumb: bool = option(
        boolean,
        default=True,
        inherited=True,
        help="Give the zone the addresses of the service, between its preparation and its boot, as a zone needs that "
        "shares the node's network; `false` for one with a network of its own (`ip-type=exclusive`).",
    )

    @property
    def is_split(self) -> bool:
        """A zone is readied before it is booted."""
        return True

    @property
    def is_plumbed(self) -> bool:
        """Whether this node gives the zone its addresses."""
        return self.plumb
