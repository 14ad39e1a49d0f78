"""What a service file says about a container of LXC."""

from __future__ import annotations

from attrs import frozen

from vmsvc.driver import Guest, option, path


@frozen(kw_only=True, eq=False, repr=False)  # the base compares and shows all fields
class LxcGuest(Guest):
    """A container of LXC."""

    lxcpath: str = option(
        path,
        default="",
        inherited=True,
        identifies=True,
        help="The directory that has the container's own, as for `lxc-start -P`. Else what `lxc-config lxc.lxcpath` "
        "says: /var/lib/lxc as a rule.",
    )
