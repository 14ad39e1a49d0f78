"""What a service file says about a container of OpenVZ or Virtuozzo."""

from __future__ import annotations

from attrs import frozen

from vmsvc.driver import Guest, choice, option, path


@frozen(kw_only=True, eq=False, repr=False)  # the base compares and shows all fields
class VzGuest(Guest):
    """A container of OpenVZ or Virtuozzo; its name is its number (CTID), its UUID or its name."""

    tool: str = option(
        choice("auto", "vzctl", "prlctl"),
        default="auto",
        inherited=True,
        help="Which tools to use: vzctl and vzlist, or prlctl. `auto` is vzctl where vzlist is installed, else prlctl.",
    )
    config_dir: str = option(
        path, default="/etc/vz/conf", inherited=True, help="Where containers' configuration files (`CTID.conf`) are."
    )
