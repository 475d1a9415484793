"""The embedded store: state in memory, SQLite as its log.

The file holds the present (`kv`), the leases and the newest revision; a group of changes is one SQLite
transaction, synced to disk before anyone hears of it. History does not survive a restart: watchers
are told `Compacted`, list again and go on, as after a compaction. The file belongs to one process.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from fabric.errors import FabricError, OutOfResources, StoreUnavailable
from fabric.store.history import EVENTS_MAX
from fabric.store.leases import Lease
from fabric.store.local import LocalStore
from fabric.store.mvcc import FIRST_REVISION, Change, Snapshot
from fabric.store.port import KeyValue

SCHEMA_VERSION = 1
LOCK_WAIT_SECONDS = 2.0
SCHEMA = """
CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB NOT NULL, create_revision INTEGER NOT NULL,
                 mod_revision INTEGER NOT NULL, version INTEGER NOT NULL, lease INTEGER NOT NULL);
CREATE TABLE lease (id INTEGER PRIMARY KEY, ttl_seconds INTEGER NOT NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


class SqliteStore(LocalStore):
    """The Store protocol with every acknowledged write on disk."""

    @classmethod
    async def open(cls, path: Path, *, events_max: int = EVENTS_MAX) -> SqliteStore:
        """Open or make the file. FabricError when it is newer, damaged, or in use by another process."""
        log = await asyncio.to_thread(SqliteLog, path)
        return cls(log.snapshot, log, events_max)


class SqliteLog:
    """The file. Its methods block; one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._db = _connect(path)
            self._prepare_schema()
            self.snapshot = self._read()
        except sqlite3.Error as error:
            if _is_disk_full(error):
                raise _disk_full(path) from error
            raise FabricError(
                f"store {path}: {error}; is another process using it, or is it damaged?"
            ) from error

    def append(self, changes: Sequence[Change]) -> None:
        """Write the group's outcome in one transaction."""
        last = {event.kv.key: event for change in changes for event in change.events}
        granted = [(lease.id, lease.ttl_seconds) for c in changes if (lease := c.granted)]
        ended = [(change.ended,) for change in changes if change.ended]
        if not (last or granted or ended):
            return
        puts = [_row(event.kv) for event in last.values() if event.type == "put"]
        deletes = [(event.kv.key,) for event in last.values() if event.type == "delete"]
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany("INSERT OR REPLACE INTO kv VALUES (?, ?, ?, ?, ?, ?)", puts)
                self._db.executemany("DELETE FROM kv WHERE key = ?", deletes)
                self._db.executemany("INSERT INTO lease VALUES (?, ?)", granted)
                self._db.executemany("DELETE FROM lease WHERE id = ?", ended)
                revision = (changes[-1].revision,)
                self._db.execute("UPDATE meta SET value = ? WHERE name = 'revision'", revision)
        except sqlite3.Error as error:
            if _is_disk_full(error):
                raise _disk_full(self._path) from error
            raise StoreUnavailable(f"store {self._path}: the write failed: {error}") from error

    def close(self) -> None:
        self._db.close()

    def _prepare_schema(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            self._db.close()
            raise FabricError(
                f"store {self._path} has schema version {version}, this program knows {SCHEMA_VERSION}: "
                "use the newer program, or `fabric down` and start anew"
            )
        if version == 0:
            revision = f"INSERT INTO meta VALUES ('revision', {FIRST_REVISION})"
            self._db.executescript(
                f"BEGIN; {SCHEMA} {revision}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )

    def _read(self) -> Snapshot:
        (revision,) = self._db.execute("SELECT value FROM meta WHERE name = 'revision'").fetchone()
        columns = "key, value, create_revision, mod_revision, version, lease"
        kvs = tuple(KeyValue(*row) for row in self._db.execute(f"SELECT {columns} FROM kv"))
        leases = tuple(Lease(*row) for row in self._db.execute("SELECT id, ttl_seconds FROM lease"))
        return Snapshot(revision, kvs, leases)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=LOCK_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _is_disk_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _disk_full(path: Path) -> OutOfResources:
    return OutOfResources(f"store {path}: no write can be kept, as the disk is full: free some of it")


def _row(kv: KeyValue) -> tuple[str, bytes, int, int, int, int]:
    return kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease
