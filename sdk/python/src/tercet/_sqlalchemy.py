"""Each of them by SQLAlchemy."""

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

from ._database import BUSY_TIMEOUT_MS, ENDED, FAILED, PATIENCE_S, Database, EndedInside, Rows, SqlTransaction, Values
from ._line import WriteLine
from ._mysql import MARK, MARK_ENDS, mark_ending
from ._pool import Busy

if TYPE_CHECKING:
    import sqlalchemy
    import sqlalchemy.orm

_IN_ERROR = 3


class SQLAlchemy(Database["sqlalchemy.orm.Session"]):
    """SQLAlchemy 2, on SQLite, PostgreSQL, MySQL or MariaDB. Business code gets the `Session`.

    Takes an `Engine`, or a `sessionmaker` that is bound to one. Do not commit the session: the guard does. Give the
    engine a `pool_timeout` of 2 or so: its own 30 s are longer than any caller waits.
    """

    def __init__(self, sessions: Union[sqlalchemy.Engine, sqlalchemy.orm.sessionmaker[Any]]) -> None:
        import sqlalchemy
        import sqlalchemy.exc
        import sqlalchemy.orm

        self._sa = sqlalchemy
        if isinstance(sessions, sqlalchemy.Engine):
            engine: Any = sessions
            sessions = sqlalchemy.orm.sessionmaker(sessions)
        else:
            engine = sessions.kw["bind"]
        self._sessions: Callable[[], sqlalchemy.orm.Session] = sessions
        names = {
            "sqlite": "sqlite",
            "postgresql": "postgres",
            "mysql": "mysql",
            "mariadb": "mysql",
            "cockroachdb": "postgres",
        }
        if engine.dialect.name not in names:
            raise TypeError(f"{engine.dialect.name} is neither SQLite, PostgreSQL, MySQL nor MariaDB")
        self.dialect = names[engine.dialect.name]
        self._engine = engine
        if self.dialect == "sqlite":
            self.line = WriteLine.before(engine.url.database or "")
            self.connections = 4
        else:
            size: Callable[[], int] = getattr(engine.pool, "size", lambda: 10)
            self.connections = size() or 10

    def __repr__(self) -> str:
        return f"SQLAlchemy({self.dialect})"

    def begin(self, patience_s: float = PATIENCE_S) -> ContextManager[SqlTransaction[sqlalchemy.orm.Session]]:
        return self._begin(self.dialect == "sqlite")

    def read(self) -> ContextManager[SqlTransaction[sqlalchemy.orm.Session]]:
        return self._begin(False)

    @contextlib.contextmanager
    def _begin(self, immediate: bool) -> Iterator[SqlTransaction[sqlalchemy.orm.Session]]:
        session = self._sessions()
        try:
            try:
                connection = session.connection()
            except self._sa.exc.TimeoutError as error:
                raise Busy("the engine's pool had no connection") from error
            if immediate:
                _begin_immediate(connection)
            tx = _SaTransaction(self._sa.text, session)
            yield tx
        finally:
            # What is not committed is rolled back.
            session.close()

    def wrap(self, handle: sqlalchemy.orm.Session) -> SqlTransaction[sqlalchemy.orm.Session]:
        return _SaTransaction(self._sa.text, handle)

    def close(self) -> None:
        self._engine.dispose()


def _begin_immediate(connection: sqlalchemy.Connection) -> None:
    """Begins with the right to write, where sqlite3 would begin at the first change, without it."""
    raw: Any = connection.connection.dbapi_connection
    if raw.in_transaction:
        connection.exec_driver_sql("ROLLBACK")
    # The connection is the application's too, so it gets back the patience that it had.
    before = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(before)}")


class _SaTransaction(SqlTransaction["sqlalchemy.orm.Session"]):
    _is_marked = False

    def __init__(self, text: Callable[[str], Any], session: sqlalchemy.orm.Session) -> None:
        self._text, self.handle = text, session
        self._connection = session.connection()
        self._root = self._connection.get_transaction()

    def execute(self, sql: str, values: Optional[Values] = None) -> int:
        return int(self._connection.execute(self._text(sql), values or {}).rowcount)

    def fetch(self, sql: str, values: Values) -> Rows:
        return [tuple(row) for row in self._connection.execute(self._text(sql), values)]

    def mark(self) -> None:
        if self._connection.dialect.name in ("mysql", "mariadb"):
            self._connection.exec_driver_sql(MARK)
            self._is_marked = True

    def check_open(self) -> None:
        if self._root is None or not self._root.is_active:
            raise EndedInside(ENDED)
        if self._is_marked:
            self._is_marked = False
            with mark_ending():
                self._connection.exec_driver_sql(MARK_ENDS)
        if self._connection.dialect.name == "postgresql":
            # Its COMMIT of a transaction that has failed says nothing, and rolls back.
            raw: Any = self._connection.connection.dbapi_connection
            status = getattr(getattr(raw, "info", None), "transaction_status", None)
            if status is None:
                self._connection.exec_driver_sql("SELECT 1")
            elif status == _IN_ERROR:
                raise EndedInside(FAILED)

    def commit(self) -> None:
        self.handle.flush()
        self.check_open()
        self.handle.commit()
