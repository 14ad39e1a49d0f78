"""Every hook of vmsvc: the first page for authors of plugins.

A plugin is a module named by an entry point of the group ``vmsvc``. It marks functions with :data:`hookimpl`; the
core calls them. Hooks discover and broadcast: what a technology *does* is methods on a driver
(:mod:`vmsvc.driver`), since a hook call cannot be typed and ``start`` has exactly one right receiver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from vmsvc.core.contract import Driver
    from vmsvc.core.node import Node
    from vmsvc.core.planning.plan import Step
    from vmsvc.core.records.publishing import Publisher
    from vmsvc.core.service import Service
    from vmsvc.core.vmdg.quirks import Quirks

hookspec = pluggy.HookspecMarker("vmsvc")
hookimpl = pluggy.HookimplMarker("vmsvc")

# --- discovery: once, when a session looks for its plugins -----------------------------------------------------------


@hookspec
def vmsvc_drivers() -> list[type[Driver[object]]]:  # type: ignore[type-var, empty-body]
    """The driver classes that the plugin offers.

    Called once for each session, when the plugin is loaded: before any service is read; of a plugin whose entry points
    of the group ``vmsvc.KIND`` say which types it is for, when one of these is first used. Import nothing heavy here: a
    session asks every other plugin, also for a command that will not use it.

    Returns:
        Classes that satisfy :class:`vmsvc.driver.Driver`.

    Example::

        @hookimpl
        def vmsvc_drivers():
            return [BhyveDriver]
    """


@hookspec
def vmsvc_publishers(node: Node) -> list[Publisher]:  # type: ignore[empty-body]
    """The publishers that the plugin offers: who else receives what `push` and `diskupdate` collect.

    Called once for each session, when there is first something to publish. A plugin that is not configured on this
    node offers none.

    Args:
        node: This node; ``node.config_dir`` is where a plugin's own file belongs.

    Returns:
        Objects that satisfy :class:`vmsvc.driver.Publisher`.

    Example::

        @hookimpl
        def vmsvc_publishers(node):
            return [Inventory("https://inventory.example.org")]
    """


@hookspec
def vmsvc_disk_quirks() -> list[Quirks]:  # type: ignore[empty-body]
    """What the plugin knows of arrays that do not reserve disks as SPC-4 says.

    Called when disks are first reserved, released or looked at in a session.

    Returns:
        Rows for the table of quirks; they count before vmsvc's own, and the first one that fits a disk counts.

    Example::

        @hookimpl
        def vmsvc_disk_quirks():
            return [Quirks(vendor="ACME", product="Vault", why="firmware 7 refuses PREEMPT AND ABORT", abort=False)]
    """


# --- broadcast: around each step of an action, in the process that acts ----------------------------------------------


@hookspec
def vmsvc_before_step(step: Step, service: Service) -> None:
    """A step is about to be taken; its intention is on disk already.

    Called in plan order. An exception is a veto: the step is not taken, the action fails with the exception's text as
    the reason, and what the action had started is rolled back. Steps of a rollback are announced too.

    Args:
        step: What is about to be done. A start may come in two halves, ``prepare`` and ``boot``.
        service: The service that it is done for.

    Example::

        @hookimpl
        def vmsvc_before_step(step, service):
            if step.verb in ("start", "prepare", "boot") and maintenance_window():
                raise RuntimeError("the storage is being serviced until 04:00")
    """


@hookspec
def vmsvc_after_step(step: Step, service: Service, error: str) -> None:
    """A step has been taken; its result is on disk already.

    Called for steps that failed, too. An exception here is logged and changes nothing: the step has happened.

    Args:
        step: What was done.
        service: The service that it was done for.
        error: Why it failed; empty where it succeeded.

    Example::

        @hookimpl
        def vmsvc_after_step(step, service, error):
            print(f"{service.name}: {step} {error or 'done'}")
    """
