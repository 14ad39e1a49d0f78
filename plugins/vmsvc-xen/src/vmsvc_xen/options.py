"""What a service file says about a guest of Xen."""

from __future__ import annotations

from attrs import frozen

from vmsvc.driver import Guest, line, option, path


@frozen(kw_only=True, eq=False, repr=False)  # the base compares and shows all fields
class XenGuest(Guest):
    """A guest of Xen, by its toolstack `xl`."""

    config_dir: str = option(
        path,
        default="/etc/xen",
        inherited=True,
        help="Where guests' config files (`NAME.cfg`) are, and in `auto` those that the node starts when it boots.",
    )
    config: str = option(
        path, default="", help="The guest's own config file, where it is another one than `NAME.cfg` in `config_dir`."
    )

    migrate_host: str = option(
        line,
        default="",
        inherited=True,
        help="What ssh calls this node on the others, so that `xl migrate` moves guests here; with the node's own "
        "scope: `migrate_host@n2`. The node's name when not given.",
    )

    @property
    def file(self) -> str:
        """Where the guest's config file is, or would be."""
        return self.config or f"{self.config_dir}/{self.name}.cfg"
