"""Publishes what `push` and `diskupdate` collect as JSON files; see this package's README."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmsvc.driver import hookimpl

if TYPE_CHECKING:
    from vmsvc.driver import Node, Publisher

__all__ = ["vmsvc_publishers"]


@hookimpl
def vmsvc_publishers(node: Node) -> list[Publisher]:
    """The publisher that the node's file describes."""
    from vmsvc_file.publisher import configured  # noqa: PLC0415 - every command imports this module; few of them publish

    return list(configured(node))
