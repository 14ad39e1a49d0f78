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


#: The keys that ``[DEFAULT]`` may have whatever types there are.
_OF_ALL_TYPES: Mapping[str, Option] = {**_inherited_of(KINDS.values()), **SERVICE_OPTIONS}


@frozen
class Catalog:
    """What the installed drivers declare. The session hands it in: this room knows no plugin.

    Attributes:
        classes: The option class of each driver, by kind and type of resource.
        refused: Why a type's plugin was refused, by type.
        capabilities: What each driver offers, by kind and type.
    """

    classes: Mapping[tuple[str, str], type[Resource]]
    refused: Mapping[str, str] = field(factory=dict)
    capabilities: Mapping[tuple[str, str], Collection[str]] = field(factory=dict)
    _of_some_types: Mapping[str, Option] = field(init=False, eq=False, repr=False)
    _keys: dict[type[Resource], Mapping[str, Option]] = field(factory=dict, init=False, eq=False, repr=False)

    @_of_some_types.default
    def _inherited_by_types(self) -> Mapping[str, Option]:
        return Lazily(lambda key: self._inherited()[key], self._inherited)

    def _inherited(self) -> dict[str, Option]:
        return _inherited_of(self.classes.values())

    def default_options(self, served: Callable[[], Iterable[tuple[str, str]]]) -> Mapping[str, Option]:
        """The keys that ``[DEFAULT]`` may have: the service's own, and those that sections of any type inherit.

        Args:
            served: Tells the kinds and types of the file's sections. Most keys are the service's, or theirs: drivers of
                other types are asked, and loaded, only for a key that is neither.
        """

        def find(key: str) -> Option:
            if key in _OF_ALL_TYPES:
                return _OF_ALL_TYPES[key]
            own = _inherited_of(self.classes[one] for one in served() if one in self.classes)
            return own.get(key) or self._of_some_types[key]

        return Lazily(find, lambda: {**self._inherited(), **_OF_ALL_TYPES})

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
