"""PostgreSQL by psycopg 3."""

from __future__ import annotations

import contextlib
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ContextManager,
    Iterator,
    Optional,
    Union,
)

from ._database import ENDED, FAILED, PATIENCE_S, Database, EndedInside, Rows, SqlTransaction, Values, pyformat
from ._guard_sql import POSTGRES
from ._pool import Pool

if TYPE_CHECKING:
    import psycopg

    PgCursor = psycopg.Cursor[Any]
    PgConnection = psycopg.Connection[Any]


class Postgres(Database["PgCursor"]):
    """psycopg 3. Business code gets a `psycopg.Cursor`.

    `connect` is a connection string, or makes a connection each time it is called. At most `connections`
    are open; psycopg's own pool is not needed.
    """

    dialect = "postgres"

    def __init__(self, connect: Union[str, Callable[[], PgConnection]], *, connections: int = 10) -> None:
        import psycopg
        import psycopg.rows

        self._psycopg, self._tuple_row = psycopg, psycopg.rows.tuple_row
        self.connections = connections
        if isinstance(connect, str):
            conninfo = connect
            connect = lambda: psycopg.connect(conninfo, connect_timeout=2)  # noqa: E731
        self._pool = Pool(connect, lambda db: db.close(), connections)

    def __repr__(self) -> str:
        return f"Postgres(connections={self.connections})"

    def begin(self, patience_s: float = PATIENCE_S) -> ContextManager[SqlTransaction[PgCursor]]:
        return self._begin(True, patience_s)

    def begin_patient(self) -> ContextManager[SqlTransaction[PgCursor]]:
        return self._begin(False, PATIENCE_S)

    @contextlib.contextmanager
    def _begin(self, bounded: bool, patience_s: float) -> Iterator[SqlTransaction[PgCursor]]:
        db, is_fresh = self._pool.take(patience_s)
        try:
            own = self._begun(db, bounded)
        except BaseException as error:
            if is_fresh or not isinstance(error, self._psycopg.Error):
                self._pool.give(db, True)
                raise
            # The server was away, or ended a connection that was idle: nothing has begun yet.
            db = self._pool.fresh(db)
            try:
                own = self._begun(db, bounded)
            except BaseException:
                self._pool.give(db, True)
                raise
        idle = False
        try:
            try:
                yield _PgTransaction(db, own, bounded)
            finally:
                if not db.closed and db.pgconn.transaction_status != _IDLE:
                    db.rollback()
            idle = not db.closed
        except Exception:
            idle = not db.closed and db.pgconn.transaction_status == _IDLE
            raise
        finally:
            self._pool.give(db, not idle)

    def _begun(self, db: PgConnection, bounded: bool) -> PgCursor:
        # By an explicit word, which brings the bound of waits with it: that saves a round trip.
        if not db.autocommit:
            db.autocommit = True
        own = db.cursor(row_factory=self._tuple_row)
        # Words without values or rows, which cost a cursor as much as a query.
        _run(db, _PG_BOUNDED if bounded else b"BEGIN")
        return own

    def wrap(self, handle: PgCursor) -> SqlTransaction[PgCursor]:
        db = handle.connection
        return _PgTransaction(db, db.cursor(row_factory=self._tuple_row), False)

    def close(self) -> None:
        self._pool.close()


_PG_PATIENCE = POSTGRES["patience"]
_PG_BOUNDED = f"BEGIN; {_PG_PATIENCE}".encode()
_IDLE, _IN_TRANSACTION = 0, 2


def _run(db: PgConnection, words: bytes) -> Optional[bytes]:
    """Runs words of the library's own; the tag that they end with."""
    import psycopg

    answer = db.pgconn.exec_(words)
    if answer.status != psycopg.pq.ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(answer)
    return answer.command_status


class _PgTransaction(SqlTransaction["PgCursor"]):
    def __init__(self, db: PgConnection, own: PgCursor, bounded: bool) -> None:
        self._db, self._own, self._bounded = db, own, bounded
        # One cursor does for both, unless business code wants its rows otherwise.
        self.handle = own if db.row_factory is own.row_factory else db.cursor()

    def execute(self, sql: str, values: Optional[Values] = None) -> int:
        if self._bounded and sql == _PG_PATIENCE:
            return 0  # It came with the begin.
        return self._own.execute(pyformat(sql), values).rowcount

    def fetch(self, sql: str, values: Values) -> Rows:
        return self._own.execute(pyformat(sql), values).fetchall()

    def check_open(self) -> None:
        if self._own.closed:
            self._own = self._db.cursor()  # Business code has closed the one that both used.
        status = self._db.pgconn.transaction_status
        if status != _IN_TRANSACTION:
            raise EndedInside(ENDED if status == _IDLE else FAILED)

    def commit(self) -> None:
        self.check_open()
        if _run(self._db, b"COMMIT") != b"COMMIT":
            raise EndedInside(FAILED)
