"""The node's own store of what `push` and `diskupdate` collected: an SQLite file with the history of each service.

A snapshot that says what the one before said is not stored again: that one is *confirmed*. Every change of the file is
one transaction, migration included, so that a crash or a full disk at any point leaves the history as it was.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import evolve, field, frozen
from attrs.validators import ge

from vmsvc.core.errors import ActionFailed
from vmsvc.core.records.changes import is_same
from vmsvc.core.records.record import Snapshot

#: How many snapshots of a service and a topic are kept, the newest; unchanged ones count once.
HISTORY_LENGTH = 100

#: The version of the tables; each later version adds the statements that lead from the one before.
_MIGRATIONS = (
    """CREATE TABLE snapshot (
        id INTEGER PRIMARY KEY,
        service TEXT NOT NULL,
        topic TEXT NOT NULL,
        node TEXT NOT NULL,
        at REAL NOT NULL,
        content TEXT NOT NULL
    );
    CREATE INDEX snapshot_of ON snapshot (service, topic, id);""",
    """ALTER TABLE snapshot ADD COLUMN confirmed REAL NOT NULL DEFAULT 0;
    UPDATE snapshot SET confirmed = at;""",
)
_BUSY_S = 5.0


@frozen
class Store:
    """The node's store.

    Args:
        path: Its file; made when the first snapshot is added.
        keep: How many snapshots of a service and a topic are kept; at least one.
    """

    path: Path = field(converter=Path)
    keep: int = field(default=HISTORY_LENGTH, validator=ge(1))

    def add(self, service: str, topic: str, node: str, content: object) -> Snapshot:
        """Add a snapshot, or confirm the newest one if it says the same; let go of the oldest ones.

        Args:
            service: The service's name.
            topic: ``push`` or ``disks``.
            node: The node that collected it.
            content: Plain data, as in JSON.

        Returns:
            The snapshot as it is in the store.

        Raises:
            ActionFailed: The store cannot be written; it is as it was.
        """
        now = time.time()
        text = json.dumps(content)
        plain = json.loads(text)  # tuples are lists, as they will be when they are read
        with self._errors(), self._changing() as database:
            for number, newest in self._newest_first(database, service, topic, limit=1):
                if newest.node == node and is_same(newest.content, plain):
                    database.execute("UPDATE snapshot SET confirmed = max(confirmed, ?) WHERE id = ?", (now, number))
                    return evolve(newest, confirmed=max(newest.confirmed, now))
            database.execute(
                "INSERT INTO snapshot (service, topic, node, at, content, confirmed) VALUES (?, ?, ?, ?, ?, ?)",
                (service, topic, node, now, text, now),
            )
            database.execute(
                "DELETE FROM snapshot WHERE service = ? AND topic = ? AND id NOT IN"
                " (SELECT id FROM snapshot WHERE service = ? AND topic = ? ORDER BY id DESC LIMIT ?)",
                (service, topic, service, topic, self.keep),
            )
        return Snapshot(service=service, topic=topic, node=node, at=now, content=plain, confirmed=now)

    def latest(self, service: str, topic: str) -> Snapshot | None:
        """The newest snapshot of a topic. Needs no permission but to read, and waits for no writer but its last moment.

        Args:
            service: The service's name.
            topic: ``push`` or ``disks``.

        Returns:
            The snapshot; ``None`` when there is none.

        Raises:
            ActionFailed: The store cannot be read.
        """
        return next(iter(self.history(service, topic, limit=1)), None)

    def history(self, service: str, topic: str, *, limit: int = -1) -> tuple[Snapshot, ...]:
        """The snapshots of a topic, the newest first. What :meth:`latest` says of permissions is true here, too.

        Args:
            service: The service's name.
            topic: ``push`` or ``disks``.
            limit: How many at most; all of them when negative.

        Raises:
            ActionFailed: The store cannot be read.
        """
        if not self.path.exists():
            return ()
        with self._errors(), self._reading() as database:
            return tuple(snapshot for _, snapshot in self._newest_first(database, service, topic, limit=limit))

    @staticmethod
    def _newest_first(
        database: sqlite3.Connection, service: str, topic: str, *, limit: int = -1
    ) -> list[tuple[int, Snapshot]]:
        """Snapshots with the numbers of their rows."""
        rows = database.execute(
            "SELECT id, node, at, content, confirmed FROM snapshot WHERE service = ? AND topic = ?"
            " ORDER BY id DESC LIMIT ?",
            (service, topic, limit),
        )
        return [
            (
                number,
                Snapshot(service=service, topic=topic, node=node, at=at, content=json.loads(text), confirmed=confirmed),
            )
            for number, node, at, text, confirmed in rows
        ]

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that changes nothing; an older version's tables are brought up to date in a copy, in memory."""
        # Not `mode=ro`, which could not read what a crash has left to be rolled back; a file that may only be read is
        # opened for reading all the same.
        opened = f"{self.path.absolute().as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(opened, uri=True, timeout=_BUSY_S, isolation_level=None)) as database:
            if self._version(database) == len(_MIGRATIONS):
                yield database
                return
            with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
                database.backup(copy)
                self._migrate(copy)
                yield copy

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """A connection with one transaction around the caller's block, and the tables brought up to date."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                self._migrate(database)
                yield database
            except BaseException:
                if database.in_transaction:  # a full disk has ended it already
                    database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's errors and the disk's, as ours."""
        try:
            yield
        except (OSError, sqlite3.Error, json.JSONDecodeError) as error:
            raise ActionFailed(
                f"the store cannot be used: {error}: {self.path}",
                code="store.unavailable",
                hint="make room or mend its permissions",
            ) from error

    @staticmethod
    def _version(database: sqlite3.Connection) -> int:
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if version > len(_MIGRATIONS):
            raise sqlite3.DatabaseError(f"a newer vmsvc has made it (version {version}, not {len(_MIGRATIONS)})")
        return version

    def _migrate(self, database: sqlite3.Connection) -> None:
        version = self._version(database)
        for script in _MIGRATIONS[version:]:
            for statement in script.split(";"):
                database.execute(statement)
        if version < len(_MIGRATIONS):
            database.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
