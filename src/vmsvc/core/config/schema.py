"""Which keys a section may have: the core's declarations joined with those of the drivers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from attrs import field, frozen

from vmsvc.core.kinds import KINDS
from vmsvc.core.lazily import Lazily
from vmsvc.core.options import Option, name, options_of
from vmsvc.core.resource import Resource
from vmsvc.core.service import Service

#: The container types that have a name in the field, with or without a driver on this machine.
KNOWN_TYPES = ("kvm", "xen", "docker", "esx", "hpvm", "ldom", "vbox", "zone", "vz", "lxc")

#: The one key of every section that no class declares: it decides which class does.
TYPE = Option(
    key="type",
    value=name,
    help="Which technology serves the resource.",
    required=False,
    default="",
    inherited=False,
    scoped=True,
)


#: The keys that describe the service itself.
SERVICE_OPTIONS: Mapping[str, Option] = {option.key: option for option in options_of(Service)}


def _inherited_of(owners: Iterable[type[Resource]]) -> dict[str, Option]:
    """The keys of some classes that ``[DEFAULT]`` may give; of one that several have, the first one's."""
    found: dict[str, Option] = {}
    for owner in owners:
        for option in options_of(owner):
            if option.inherited:
                found.setdefault(option.key, option)
    return found


def _after(known: Mapping[str, Option], others: Callable[[], Mapping[str, Option]]) -> Mapping[str, Option]:
    """Keys that are known, and then others, which are asked for only where a key is not among these."""
    return Lazily(
        lambda key: known[key] if key in known else others()[key],
        lambda: {**known, **others()},
    )


@frozen
class Catalog:
    """What the installed drivers declare. The session hands it in: this room knows no plugin.

    Attributes:
        classes: The option class of each driver, by kind and type of resource.
        refused: Why a type's plugin was refused, by type.
        capabilities: What each driver offers, by kind and type.
        inherited_options: The keys that ``[DEFAULT]`` may give for all sections.
        default_options: All keys that ``[DEFAULT]`` may have: those, and the service's own.
    """

    classes: Mapping[tuple[str, str], type[Resource]]
    refused: Mapping[str, str] = field(factory=dict)
    capabilities: Mapping[tuple[str, str], Collection[str]] = field(factory=dict)
    inherited_options: Mapping[str, Option] = field(init=False, eq=False, repr=False)
    default_options: Mapping[str, Option] = field(init=False, eq=False, repr=False)
    _keys: dict[type[Resource], Mapping[str, Option]] = field(factory=dict, init=False, eq=False, repr=False)

    @inherited_options.default
    def _inherited_options(self) -> Mapping[str, Option]:
        return _after(_inherited_of(KINDS.values()), lambda: _inherited_of(self.classes.values()))

    @default_options.default
    def _default_options(self) -> Mapping[str, Option]:
        return _after(SERVICE_OPTIONS, lambda: self.inherited_options)

    def types_of(self, kind: str) -> tuple[str, ...]:
        """The types of a kind of resource that a file may name, with or without a driver here.

        Args:
            kind: The kind, such as ``container``.
        """
        return tuple(dict.fromkeys([*self.installed(kind), *(KNOWN_TYPES if kind == "container" else ())]))

    def installed(self, kind: str) -> tuple[str, ...]:
        """The types of a kind of resource that have a driver here.

        Args:
            kind: The kind, such as ``container``.
        """
        return tuple(sorted(served for served_kind, served in self.classes if served_kind == kind))

    def types_with(self, kind: str, key: str) -> tuple[str, ...]:
        """The installed types of a kind of resource that have a key.

        Args:
            kind: The kind, such as ``container``.
            key: The key.
        """
        return tuple(served for served in self.installed(kind) if key in self.options(kind, served))

    def options(self, kind: str, type: str) -> Mapping[str, Option]:
        """The keys of a section, by name.

        Args:
            kind: The resource's kind.
            type: The resource's type; one without a driver has the keys of its kind.
        """
        owner = self.classes.get((kind, type)) or KINDS[kind]
        if owner not in self._keys:
            self._keys[owner] = {TYPE.key: TYPE, **{option.key: option for option in options_of(owner)}}
        return self._keys[owner]

    def homes_of(self, key: str) -> tuple[str, ...]:
        """Where a key would be right.

        Args:
            key: A key.

        Returns:
            ``DEFAULT``, or the kinds of section that know it.
        """
        kinds = dict.fromkeys([*((kind, "") for kind in KINDS), *self.classes])
        found = [kind for kind, served in kinds if kind in KINDS and key in self.options(kind, served)]
        return tuple(dict.fromkeys([*(["DEFAULT"] if key in SERVICE_OPTIONS else []), *found]))
