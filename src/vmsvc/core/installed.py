"""Which plugins are installed, as the metadata of their distributions tell. Nothing of a plugin is imported here."""

from __future__ import annotations

import importlib.metadata
import logging
import re
from collections.abc import Iterator

from attrs import frozen

#: The entry-point group of plugins, which is also pluggy's project name.
GROUP = "vmsvc"

_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class Installed:
    """One plugin that is installed.

    Attributes:
        point: Its entry point, which names its module.
        distribution: The distribution that brings it.
        version: That distribution's version.
        origin: The directory that it was found in.
        serves: The kinds and types that it is for, where it says that it is for nothing else: its distribution names
            the same module in the group ``vmsvc.KIND``, too, under the type. It need not be loaded where none of them
            is used. Empty where it says nothing.
    """

    point: importlib.metadata.EntryPoint
    distribution: str
    version: str
    origin: str
    serves: frozenset[tuple[str, str]] = frozenset()


def installed_plugins() -> Iterator[Installed]:
    """The plugins of all distributions; of one that is on the path twice, those that Python would import.

    Distributions are asked one by one, so that unreadable metadata of one of them costs only that one.
    """
    seen = set()
    for distribution in importlib.metadata.distributions():
        try:
            plugins = list(plugins_of(distribution))
        except Exception as error:  # noqa: BLE001 - whatever a stranger's broken metadata raises
            _log.warning("ignoring a distribution with unreadable metadata: %s", error)
            continue
        if plugins and plugins[0].distribution not in seen:
            seen.add(plugins[0].distribution)
            yield from plugins


def plugins_of(distribution: importlib.metadata.Distribution) -> Iterator[Installed]:
    """The plugins that one distribution brings.

    Args:
        distribution: The distribution.
    """
    points = distribution.entry_points
    found = [point for point in points if point.group == GROUP]
    if not found:
        return
    name, version = _identity(distribution)
    origin = str(distribution.locate_file(""))
    for plugin in found:
        serves = frozenset(
            (point.group.removeprefix(f"{GROUP}."), point.name)
            for point in points
            if point.group.startswith(f"{GROUP}.") and point.value == plugin.value
        )
        yield Installed(point=plugin, distribution=name, version=version, origin=origin, serves=serves)


def _identity(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    """A distribution's name, in the form in which names compare (PEP 503), and its version.

    Both are single lines of the head of its metadata (core metadata, 2.1); ``Distribution.metadata`` would parse the
    whole of it as an e-mail, whose body is the readme: for each plugin, and at every start.
    """
    # In the order in which importlib.metadata itself looks: of a wheel, of an egg.
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    fields = dict(line.partition(":")[::2] for line in text.partition("\n\n")[0].splitlines())
    return re.sub(r"[-_.]+", "-", fields["Name"].strip()).lower(), fields["Version"].strip()
