"""A mapping that is found out entry by entry, as it is asked. Pure, where what it asks is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")

#: In the place of what was looked for, and is not there.
_NOTHING: Any = object()


class Lazily(Mapping[K, V]):
    """A mapping that finds an entry when it is first looked up, and all keys when it is gone through.

    Args:
        find: Finds the value of a key. Raises :class:`KeyError` where there is none.
        keys: Lists the keys.
    """

    def __init__(self, find: Callable[[K], V], keys: Callable[[], Collection[K]]) -> None:
        self._find = find
        self._keys = keys
        self._found: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        if key not in self._found:
            try:
                self._found[key] = self._find(key)
            except KeyError:
                self._found[key] = _NOTHING
        value = self._found[key]
        if value is _NOTHING:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[K]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())
