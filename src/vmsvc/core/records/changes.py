"""What has changed between two snapshots, field by field. Pure.

A snapshot is plain data, as in JSON. What could not be learned is ``None`` in it, and the absence of knowledge is no
change: such a field is compared again once it is known, with what was known of it last.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen

#: Keys that are about the look and not about what was seen: when it was, what it asked, why it did not learn something,
#: who was at work; and what the state has said already.
_ABOUT_THE_LOOK = frozenset({"evidence", "notes", "gaps", "going_on", "phase"})
#: What tells a row of a list from the others: an instance's node, a resource's rid, a disk's target in its guest.
_NAMES = ("node", "rid", "target")


class Kind(str, enum.Enum):
    """What became of a field."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@frozen(kw_only=True)
class Change:
    """One field that is not what it was.

    Attributes:
        path: Where it is: keys, and of lists the rows' names, such as ``guests``, ``container#1``, ``disks``, ``vda``.
        kind: What became of it.
        before: What it was; ``None`` where it was not there, or not known.
        after: What it is; ``None`` where it is not there any more.
    """

    path: tuple[str, ...]
    kind: Kind
    before: Any = None
    after: Any = None


def changes(before: Any, after: Any) -> tuple[Change, ...]:
    """What has changed.

    Args:
        before: A snapshot's content, as complete as it was ever known (see :func:`completed`).
        after: A later one's.

    Returns:
        The changes, in the order of the later one; what is gone comes last.
    """
    return tuple(_changes((), before, after))


def is_same(before: Any, after: Any) -> bool:
    """Whether two snapshots say the same: what is known, and what is not.

    Args:
        before: A snapshot's content.
        after: Another one's.
    """
    return bool(_essence(before) == _essence(after))


def completed(newer: Any, older: Any) -> Any:
    """A snapshot with what it does not know as an older one knew it.

    Args:
        newer: A snapshot's content.
        older: An older one's.
    """
    if newer is None:
        return older
    if isinstance(newer, dict) and isinstance(older, dict):
        return {key: completed(value, older.get(key)) for key, value in newer.items()}
    if _has_rows(newer) and _has_rows(older):
        known = _rows(older)
        return [completed(row, known.get(name)) for name, row in _rows(newer).items()]
    return newer


def is_complete(content: Any) -> bool:
    """Whether a snapshot lacks nothing.

    Args:
        content: Its content.
    """
    if isinstance(content, dict):
        return all(is_complete(value) for value in content.values())
    return all(map(is_complete, content)) if isinstance(content, list) else content is not None


def _changes(path: tuple[str, ...], before: Any, after: Any) -> Iterator[Change]:
    if after is None or is_same(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        # A key that one of them does not have is one that another version of vmsvc did not collect: it is not known.
        for key in after:
            if key in before and key not in _ABOUT_THE_LOOK:
                yield from _changes((*path, key), before[key], after[key])
    elif _has_rows(before) and _has_rows(after):
        yield from _changes_of_rows(path, _rows(before), _rows(after))
    else:
        yield Change(path=path, kind=Kind.CHANGED, before=before, after=after)


def _changes_of_rows(path: tuple[str, ...], before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name, row in after.items():
        if name in before:
            yield from _changes((*path, name), before[name], row)
        else:
            yield Change(path=(*path, name), kind=Kind.ADDED, after=row)
    for name, row in before.items():
        if name not in after:
            yield Change(path=(*path, name), kind=Kind.REMOVED, before=row)


def _has_rows(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(row, dict) and _name_of(row) for row in content)


def _rows(content: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Rows by name. A name that comes again is numbered: a disk that the next start will replace is there twice."""
    seen = Counter[str]()
    rows = {}
    for row in content:
        name = _name_of(row)
        seen[name] += 1
        rows[name if seen[name] == 1 else f"{name} ({seen[name]})"] = row
    return rows


def _name_of(row: Mapping[str, Any]) -> str:
    return str(row.get("user") or " ".join(str(row[key]) for key in _NAMES if row.get(key)))


def _essence(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _essence(value) for key, value in content.items() if key not in _ABOUT_THE_LOOK}
    return [_essence(item) for item in content] if isinstance(content, list) else content
