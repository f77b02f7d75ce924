"""MySQL and MariaDB by PyMySQL or mysqlclient."""

from __future__ import annotations

import contextlib
import sys
from typing import (
    Any,
    Callable,
    Iterator,
    Optional,
)

from ._database import LOST, PATIENCE_S, Cursor, Database, EndedInside, Rows, SqlTransaction, Values, pyformat
from ._pool import Pool


class MySQL(Database[Cursor]):
    """PyMySQL or mysqlclient, for MySQL and MariaDB. Business code gets the driver's cursor.

    `connect` makes a connection each time it is called. Keep `innodb_lock_wait_timeout` low (2, say): it is
    how long business code may wait for a lock.
    """

    dialect = "mysql"

    def __init__(self, connect: Callable[[], Any], *, connections: int = 10) -> None:
        self.connections = connections
        self._pool: Pool[Any] = Pool(connect, lambda db: db.close(), connections)

    def __repr__(self) -> str:
        return f"MySQL(connections={self.connections})"

    @contextlib.contextmanager
    def begin(self, patience_s: float = PATIENCE_S) -> Iterator[SqlTransaction[Cursor]]:
        db, is_fresh = self._pool.take(patience_s)
        try:
            _begin(db)
        except BaseException as error:
            if is_fresh or not isinstance(error, Exception):
                self._pool.give(db, True)
                raise
            db = self._pool.fresh(db)
            try:
                _begin(db)
            except BaseException:
                self._pool.give(db, True)
                raise
        broken = True
        try:
            tx = _MySqlTransaction(db)
            try:
                yield tx
            except BaseException:
                db.rollback()
                broken = False
                raise
            if not tx.is_committed:
                db.rollback()
            broken = False
        finally:
            self._pool.give(db, broken)

    def wrap(self, handle: Cursor) -> SqlTransaction[Cursor]:
        return _MySqlTransaction(handle.connection)  # type: ignore[attr-defined]

    def close(self) -> None:
        self._pool.close()


def _begin(db: Any) -> None:
    # Of use after a deadlock that business code has caught: what it then writes is rolled back as well.
    db.autocommit(False)
    db.begin()


MARK = "SAVEPOINT tercet"
"""InnoDB answers a deadlock by a rollback of the whole transaction, and goes on with the next statement in another one.
So does whoever ends it inside. A savepoint ends with its own transaction, and its release tells."""
MARK_ENDS = "RELEASE SAVEPOINT tercet"
_NO_SUCH_SAVEPOINT = 1305


@contextlib.contextmanager
def mark_ending() -> Iterator[None]:
    """Runs `MARK_ENDS`, whichever way it goes to the server."""
    try:
        yield
    except Exception as error:
        told = getattr(error, "orig", None) or error  # SQLAlchemy has the driver's own there.
        if told.args[:1] == (_NO_SUCH_SAVEPOINT,):
            raise EndedInside(LOST) from error
        raise


class _MySqlTransaction(SqlTransaction[Cursor]):
    is_committed = False
    _is_marked = False

    def __init__(self, db: Any) -> None:
        self._db = db
        self.handle = db.cursor()
        # The connection may have been told to give dictionaries.
        self._own = db.cursor(sys.modules[_driver_of(db) + ".cursors"].Cursor)

    def mark(self) -> None:
        self._own.execute(MARK)
        self._is_marked = True

    def check_open(self) -> None:
        if self._is_marked:
            self._is_marked = False
            with mark_ending():
                self._own.execute(MARK_ENDS)

    def execute(self, sql: str, values: Optional[Values] = None) -> int:
        self._own.execute(pyformat(sql), values)
        return int(self._own.rowcount)

    def fetch(self, sql: str, values: Values) -> Rows:
        self._own.execute(pyformat(sql), values)
        return list(self._own.fetchall())

    def commit(self) -> None:
        self._db.commit()
        self.is_committed = True


def _driver_of(db: Any) -> str:
    for kind in type(db).__mro__:
        top = kind.__module__.partition(".")[0]
        if top in ("pymysql", "MySQLdb"):
            return top
    raise TypeError(f"{type(db).__module__} is neither PyMySQL nor mysqlclient")
