"""The node's own store of what `push` and `diskupdate` collected: an SQLite file, appended to, never rewritten."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import field, frozen

from vmsvc.core.errors import ActionFailed

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
)
_BUSY_S = 5.0


@frozen(kw_only=True)
class Snapshot:
    """What was collected about a service at one time.

    Attributes:
        service: The service's name.
        topic: ``push`` or ``disks``.
        node: The node that collected it.
        at: When, in seconds since the epoch.
        content: What was collected: plain data, as in JSON.
    """

    service: str
    topic: str
    node: str
    at: float
    content: Any


@frozen
class Store:
    """The node's store.

    Args:
        path: Its file; made when the first snapshot is added.
    """

    path: Path = field(converter=Path)

    def add(self, service: str, topic: str, node: str, content: object) -> Snapshot:
        """Add a snapshot.

        Args:
            service: The service's name.
            topic: ``push`` or ``disks``.
            node: The node that collected it.
            content: Plain data, as in JSON.

        Returns:
            The snapshot as it was stored.

        Raises:
            ActionFailed: The store cannot be written.
        """
        snapshot = Snapshot(service=service, topic=topic, node=node, at=time.time(), content=content)
        with self._errors(), self._changing() as database:
            database.execute(
                "INSERT INTO snapshot (service, topic, node, at, content) VALUES (?, ?, ?, ?, ?)",
                (service, topic, node, snapshot.at, json.dumps(content)),
            )
        return snapshot

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
        if not self.path.exists():
            return None
        # Not `mode=ro`, which could not read what a crash has left to be rolled back; a file that may only be read is
        # opened for reading all the same.
        opened = f"{self.path.absolute().as_uri()}?mode=rw"
        with (
            self._errors(),
            contextlib.closing(sqlite3.connect(opened, uri=True, timeout=_BUSY_S, isolation_level=None)) as database,
        ):
            if self._version(database) == 0:  # the very first snapshot is being added right now
                return None
            row = database.execute(
                "SELECT service, topic, node, at, content FROM snapshot WHERE service = ? AND topic = ?"
                " ORDER BY id DESC LIMIT 1",
                (service, topic),
            ).fetchone()
        if row is None:
            return None
        service, topic, node, at, content = row
        return Snapshot(service=service, topic=topic, node=node, at=at, content=json.loads(content))

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
        except (OSError, sqlite3.Error) as error:
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
