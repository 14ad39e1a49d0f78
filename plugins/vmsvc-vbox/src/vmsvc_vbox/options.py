"""What a service file says about a guest of VirtualBox."""

from __future__ import annotations

from attrs import frozen

from vmsvc.driver import Guest, boolean, option, path


@frozen(kw_only=True, eq=False, repr=False)  # the base compares and shows all fields
class VboxGuest(Guest):
    """A guest of VirtualBox; those of the user who runs vmsvc, since VirtualBox keeps a list for each."""

    headless: bool = option(
        boolean, default=True, inherited=True, help="Start it without a window; a window needs a desktop to be on."
    )
    settings: str = option(
        path,
        default="",
        help="The guest's own file (`NAME.vbox`), which a start registers where VirtualBox does not know the guest.",
    )
