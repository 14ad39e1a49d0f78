"""For authors of drivers: a new package from the template, and the kits that installed packages bring."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

from vmsvc.core.errors import UsageError, VmsvcError, told
from vmsvc.core.nearest import did_you_mean
from vmsvc.testing.kit import DriverKit
from vmsvc.testing.kit.judging import lacks_driver

#: The entry-point group of kits: each entry names a subclass of :class:`~vmsvc.testing.DriverKit`.
GROUP = "vmsvc.kit"

_TEMPLATE = Path(__file__).with_name("template")
_ENDING = ".in"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def new_package(name: str, where: Path) -> tuple[Path, ...]:
    """Write a package with a driver, its kit and its test, for a technology that does not exist.

    Args:
        name: The technology, which is the driver's type; the package is ``vmsvc-NAME``.
        where: The directory in which the package's own is made.

    Returns:
        The files that were written.

    Raises:
        UsageError: The name cannot be one, or the package is there already, or one of its name is installed.
        VmsvcError: It cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a driver",
            hint="lower-case letters and digits, words joined by '-': the word that service files give as type",
        )
    package = where / f"vmsvc-{name}"
    if version := _installed(package.name):
        raise UsageError(
            f"{package.name} {version} is installed: a package of that name would take its place",
            hint="choose another name, or uninstall it first",
        )
    if package.exists():
        raise UsageError(f"{package} is there already", hint="choose another name, or another --directory")
    written = []
    try:
        for template in sorted(_TEMPLATE.rglob(f"*{_ENDING}")):
            file = package / _named(str(template.relative_to(_TEMPLATE)).removesuffix(_ENDING), name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_named(template.read_text(encoding="utf-8"), name), encoding="utf-8")
            written.append(file)
    except OSError as error:
        raise VmsvcError(f"{package} cannot be written: {error.strerror}", code="file") from error
    return tuple(written)


def _installed(distribution: str) -> str:
    """The version of a distribution that is installed; empty where it is not."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _named(text: str, name: str) -> str:
    """Text of the template, with the technology's name in the place of its own."""
    words = name.split("-")
    names = {
        "vmsvc_acme": "_".join(("vmsvc", *words)),
        "Acme": "".join(word.capitalize() for word in words),
        "acme": name,
    }
    # All at once: the new name may have the old one in it.
    return re.sub("|".join(names), lambda found: names[found[0]], text)


@frozen(kw_only=True)
class Kit:
    """A kit that an installed package brings.

    Attributes:
        serves: The type of its driver.
        distribution: The package.
        version: Its version.
        cases: The kit itself.
    """

    serves: str
    distribution: str
    version: str
    cases: type[DriverKit]

    @property
    def has_backend(self) -> bool:
        """Whether it can be run as it is; else the tests of the package's source make a backend for it."""
        return hasattr(self.cases, "backend")


def bringing(packages: Sequence[str] = ()) -> list[importlib.metadata.EntryPoint]:
    """Where the kits of installed packages are; nothing of them is imported.

    Args:
        packages: Names of distributions, which may bring several, or the types that their drivers serve; all when there
            are none.

    Raises:
        UsageError: A package is not installed, or brings no kit.
    """
    found = [point for point in importlib.metadata.entry_points(group=GROUP) if point.dist]
    every = sorted({distribution_of(point) for point in found})
    by_word: dict[str, list[importlib.metadata.EntryPoint]] = {}
    for point in sorted(found, key=lambda point: (distribution_of(point), point.name)):
        for word in dict.fromkeys((distribution_of(point), point.name)):
            by_word.setdefault(word, []).append(point)
    for package in packages:
        if package not in by_word:
            there_are = f"packages with a kit: {', '.join(every) or 'none'}"
            if _installed(package):
                raise UsageError(f"{package} brings no kit (entry point {GROUP})", hint=there_are)
            hint = did_you_mean(package, by_word, otherwise=there_are)
            raise UsageError(f"no installed package {package!r} brings a kit (entry point {GROUP})", hint=hint)
    return list({(point.name, point.value): point for word in packages or every for point in by_word[word]}.values())


def distribution_of(point: importlib.metadata.EntryPoint) -> str:
    """The package that brings a kit.

    Args:
        point: Where the kit is.
    """
    return point.dist.name if point.dist else ""


def kit_of(point: importlib.metadata.EntryPoint) -> Kit:
    """Import a kit.

    Args:
        point: Where it is.

    Raises:
        VmsvcError: It cannot be imported, or is none.
    """
    package = distribution_of(point)
    try:
        cases = point.load()
    except Exception as error:
        raise VmsvcError(f"the kit of {package} cannot be imported: {told(error)}", code="kit") from error
    if not (isinstance(cases, type) and issubclass(cases, DriverKit)):
        raise VmsvcError(f"the kit of {package}, {point.value}, is no subclass of DriverKit", code="kit")
    if lack := lacks_driver(cases):
        raise VmsvcError(f"the kit of {package}: {lack}", code="kit")
    return Kit(serves=point.name, distribution=package, version=point.dist.version if point.dist else "", cases=cases)


def kits(packages: Sequence[str] = ()) -> Iterator[Kit]:
    """The kits of installed packages.

    Args:
        packages: As for :func:`bringing`.

    Yields:
        Each kit, once it is imported.

    Raises:
        UsageError: A package is not installed, or brings no kit.
        VmsvcError: A kit cannot be imported.
    """
    return map(kit_of, bringing(packages))
