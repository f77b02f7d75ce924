"""SQLite by the standard library."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from typing import (
    Callable,
    ContextManager,
    Iterator,
    Optional,
)

from ._contention import contention
from ._database import BUSY_TIMEOUT_MS, ENDED, PATIENCE_S, Database, EndedInside, Rows, SqlTransaction, Values
from ._line import WriteLine
from ._pool import Pool


class SQLite(Database["sqlite3.Cursor"]):
    """The standard library's `sqlite3`. Business code gets a `sqlite3.Cursor`.

    `file` is opened with WAL, and begins by BEGIN IMMEDIATE: `sqlite3` by itself begins late, without the
    right to write. Give `connect` as well to open connections yourself, with `check_same_thread=False`.
    """

    dialect = "sqlite"
    connections = 4

    def __init__(self, file: str, *, connect: Optional[Callable[[], sqlite3.Connection]] = None) -> None:
        self._file, self._user_connect = file, connect
        self.line = WriteLine.before(file)
        self.connections = 1 if file == ":memory:" else SQLite.connections
        self._pool = Pool(self._connect, sqlite3.Connection.close, self.connections)

    def __repr__(self) -> str:
        return f"SQLite({self._file!r})"

    def _connect(self) -> sqlite3.Connection:
        if self._user_connect is not None:
            db = self._user_connect()
        else:
            db = sqlite3.connect(self._file, timeout=BUSY_TIMEOUT_MS / 1000, check_same_thread=False)
        try:
            if sys.version_info >= (3, 12) and db.autocommit is False:
                db.autocommit = True
            db.isolation_level = None  # Nothing begins or commits but by our word.
            db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            if self._user_connect is None:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            db.close()
            raise
        return db

    def begin(self, patience_s: float = PATIENCE_S) -> ContextManager[SqlTransaction[sqlite3.Cursor]]:
        return self._begin("BEGIN IMMEDIATE", patience_s)

    def read(self) -> ContextManager[SqlTransaction[sqlite3.Cursor]]:
        return self._begin("BEGIN", PATIENCE_S)

    @contextlib.contextmanager
    def _begin(self, word: str, patience_s: float) -> Iterator[SqlTransaction[sqlite3.Cursor]]:
        db, _ = self._pool.take(patience_s)
        broken = True
        try:
            db.execute(word)
            try:
                yield _SqliteTransaction(db)
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
            broken = False
        except sqlite3.OperationalError as error:
            broken = contention(error) is None
            raise
        except Exception:
            broken = db.in_transaction
            raise
        finally:
            self._pool.give(db, broken)

    def wrap(self, handle: sqlite3.Cursor) -> SqlTransaction[sqlite3.Cursor]:
        return _SqliteTransaction(handle.connection)

    def close(self) -> None:
        self._pool.close()


class _SqliteTransaction(SqlTransaction[sqlite3.Cursor]):
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.handle = db.cursor()
        self._own = db.cursor()
        self._own.row_factory = None

    def execute(self, sql: str, values: Optional[Values] = None) -> int:
        return self._own.execute(sql, values or {}).rowcount

    def fetch(self, sql: str, values: Values) -> Rows:
        return self._own.execute(sql, values).fetchall()

    def check_open(self) -> None:
        if not self._db.in_transaction:
            raise EndedInside(ENDED)

    def commit(self) -> None:
        # A statement that is still being read would keep the transaction open.
        self.handle.close()
        self._db.execute("COMMIT")
