"""The participant's own database, by the driver that its business code uses.

Each of these begins a SQL transaction the way the guard needs it, and hands business code the very
cursor or session of it: what that writes and the guard's row are durable together, or not at all.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import re
import sqlite3
import sys
import time
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ContextManager,
    Generic,
    Iterator,
    List,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    TypeVar,
    Union,
)

from ._contention import contention
from ._failure import TercetError
from ._guard_sql import POSTGRES
from ._line import WriteLine
from ._pool import Busy, Pool

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy.orm

T = TypeVar("T")
Values = Mapping[str, Any]
Rows = List[Tuple[Any, ...]]

BUSY_TIMEOUT_MS = 500
_PATIENCE_S = 30.0


class Cursor(Protocol):
    """What every DB-API cursor has (PEP 249); the handle of `MySQL`, whichever driver it is."""

    @property
    def rowcount(self) -> int: ...
    @property
    def lastrowid(self) -> Any: ...
    def execute(self, query: str, args: Any = ..., /) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...


class EndedInside(TercetError):
    """Business code has committed or rolled back the guard's transaction by itself, or gone on after an error
    that ended it."""


_ENDED = "the guard's transaction was ended inside"
_FAILED = "a statement failed, and with it the whole transaction: let the error through"


class SqlTransaction(abc.ABC, Generic[T]):
    """One SQL transaction that has begun."""

    handle: T
    """What business code writes through."""

    @abc.abstractmethod
    def execute(self, sql: str, values: Optional[Values] = None) -> int:
        """Runs a statement whose values are named (`:gid`); the number of rows it wrote."""

    @abc.abstractmethod
    def fetch(self, sql: str, values: Values) -> Rows:
        """The rows of a query."""

    def check_open(self) -> None:
        """Raises `EndedInside` where the driver can tell that the transaction has ended."""

    @abc.abstractmethod
    def commit(self) -> None:
        """Commits."""


class Database(abc.ABC, Generic[T]):
    """Where a guard, an outbox or a check keeps its rows. `T` is what business code writes through."""

    dialect: str
    """`sqlite`, `postgres` or `mysql`."""
    line: Optional[WriteLine] = None
    """Where this process's calls wait for the right to write; None where many may write at once."""
    connections: int = 10
    """How many transactions can be under way at once."""

    @abc.abstractmethod
    def begin(self, patience_s: float = _PATIENCE_S) -> ContextManager[SqlTransaction[T]]:
        """Begins, with the right to write. What is not committed when it is left is rolled back.
        Raises `Busy` where no connection is to be had in time."""

    @contextlib.contextmanager
    def transaction(self) -> Iterator[T]:
        """A SQL transaction for work of your own, with an outbox, say: committed at the end of the
        block, rolled back when it is left by an exception."""
        with self.writing() as tx:
            yield tx.handle
            tx.check_open()
            tx.commit()

    @contextlib.contextmanager
    def writing(self) -> Iterator[SqlTransaction[T]]:
        """The same, for the library itself: rolled back unless it is committed."""
        with contextlib.ExitStack() as stack:
            if self.line is not None:
                stack.enter_context(self.line.hold())
            yield stack.enter_context(self.begin())

    def read(self) -> ContextManager[SqlTransaction[T]]:
        """A transaction that only reads."""
        return self.begin()

    def wrap(self, handle: T) -> SqlTransaction[T]:
        """The transaction that this handle belongs to, and that somebody else ends."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes the connections that nobody uses."""


@functools.lru_cache(maxsize=256)
def pyformat(sql: str) -> str:
    """`:gid` as `%(gid)s`."""
    return re.sub(r":([a-z_]+)", r"%(\1)s", sql)


# ---- SQLite ---------------------------------------------------------------------------------------


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

    def begin(self, patience_s: float = _PATIENCE_S) -> ContextManager[SqlTransaction[sqlite3.Cursor]]:
        return self._begin("BEGIN IMMEDIATE", patience_s)

    def read(self) -> ContextManager[SqlTransaction[sqlite3.Cursor]]:
        return self._begin("BEGIN", _PATIENCE_S)

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
            raise EndedInside(_ENDED)

    def commit(self) -> None:
        # A statement that is still being read would keep the transaction open.
        self.handle.close()
        self._db.execute("COMMIT")


# ---- PostgreSQL -----------------------------------------------------------------------------------

if TYPE_CHECKING:
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

    @contextlib.contextmanager
    def begin(self, patience_s: float = _PATIENCE_S) -> Iterator[SqlTransaction[PgCursor]]:
        db, is_fresh = self._pool.take(patience_s)
        try:
            own = self._begun(db)
        except BaseException as error:
            if is_fresh or not isinstance(error, self._psycopg.Error):
                self._pool.give(db, True)
                raise
            # The server was away, or ended a connection that was idle: nothing has begun yet.
            db = self._pool.fresh(db)
            try:
                own = self._begun(db)
            except BaseException:
                self._pool.give(db, True)
                raise
        idle = False
        try:
            try:
                yield _PgTransaction(db, own)
            finally:
                if not db.closed and db.pgconn.transaction_status != _IDLE:
                    own.execute("ROLLBACK")
            idle = not db.closed
        except Exception:
            idle = not db.closed and db.pgconn.transaction_status == _IDLE
            raise
        finally:
            self._pool.give(db, not idle)

    def _begun(self, db: PgConnection) -> PgCursor:
        # By an explicit word, which brings the bound of waits with it.
        if not db.autocommit:
            db.autocommit = True
        own = db.cursor(row_factory=self._tuple_row)
        own.execute(_PG_BEGIN)
        return own

    def wrap(self, handle: PgCursor) -> SqlTransaction[PgCursor]:
        db = handle.connection
        return _PgTransaction(db, db.cursor(row_factory=self._tuple_row))

    def close(self) -> None:
        self._pool.close()


_PG_PATIENCE = POSTGRES["patience"]
_PG_BEGIN: Any = f"BEGIN; {_PG_PATIENCE}"
_IDLE, _IN_TRANSACTION, _IN_ERROR = 0, 2, 3


class _PgTransaction(SqlTransaction["PgCursor"]):
    def __init__(self, db: PgConnection, own: PgCursor) -> None:
        self._db, self._own = db, own
        # One cursor does for both, unless business code wants its rows otherwise.
        self.handle = own if db.row_factory is own.row_factory else db.cursor()

    def execute(self, sql: str, values: Optional[Values] = None) -> int:
        if sql == _PG_PATIENCE:
            return 0  # It came with the begin.
        return self._own.execute(pyformat(sql), values).rowcount

    def fetch(self, sql: str, values: Values) -> Rows:
        return self._own.execute(pyformat(sql), values).fetchall()

    def check_open(self) -> None:
        status = self._db.pgconn.transaction_status
        if status != _IN_TRANSACTION:
            raise EndedInside(_ENDED if status == _IDLE else _FAILED)

    def commit(self) -> None:
        self.check_open()
        self._own.execute("COMMIT")


# ---- MySQL and MariaDB ----------------------------------------------------------------------------


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
    def begin(self, patience_s: float = _PATIENCE_S) -> Iterator[SqlTransaction[Cursor]]:
        db, is_fresh = self._pool.take(patience_s)
        try:
            # By an explicit word, whatever `autocommit` is.
            db.begin()
        except BaseException as error:
            if is_fresh or not isinstance(error, Exception):
                self._pool.give(db, True)
                raise
            db = self._pool.fresh(db)
            try:
                db.begin()
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


_MY_IN_TRANSACTION = 1


class _MySqlTransaction(SqlTransaction[Cursor]):
    is_committed = False

    def __init__(self, db: Any) -> None:
        self._db = db
        self.handle = db.cursor()
        # The connection may have been told to give dictionaries.
        self._own = db.cursor(sys.modules[_driver_of(db) + ".cursors"].Cursor)

    def check_open(self) -> None:
        # The server tells with each answer whether a transaction is open; mysqlclient does not pass it on.
        if not getattr(self._db, "server_status", _MY_IN_TRANSACTION) & _MY_IN_TRANSACTION:
            raise EndedInside(_ENDED)

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


# ---- SQLAlchemy -----------------------------------------------------------------------------------


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

    def begin(self, patience_s: float = _PATIENCE_S) -> ContextManager[SqlTransaction[sqlalchemy.orm.Session]]:
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
    def __init__(self, text: Callable[[str], Any], session: sqlalchemy.orm.Session) -> None:
        self._text, self.handle = text, session
        self._connection = session.connection()
        self._root = self._connection.get_transaction()

    def execute(self, sql: str, values: Optional[Values] = None) -> int:
        return int(self._connection.execute(self._text(sql), values or {}).rowcount)

    def fetch(self, sql: str, values: Values) -> Rows:
        return [tuple(row) for row in self._connection.execute(self._text(sql), values)]

    def check_open(self) -> None:
        if self._root is None or not self._root.is_active:
            raise EndedInside(_ENDED)
        if self._connection.dialect.name == "postgresql":
            # Its COMMIT of a transaction that has failed says nothing, and rolls back.
            raw: Any = self._connection.connection.dbapi_connection
            status = getattr(getattr(raw, "info", None), "transaction_status", None)
            if status is None:
                self._connection.exec_driver_sql("SELECT 1")
            elif status == _IN_ERROR:
                raise EndedInside(_FAILED)

    def commit(self) -> None:
        self.handle.flush()
        self.check_open()
        self.handle.commit()


def quick_pause(round_: int, first_s: float, cap_s: float) -> None:
    """Sleeps a random while that grows with the rounds."""
    time.sleep(backoff_s(round_, first_s, cap_s))


def backoff_s(failures: int, first_s: float, cap_s: float) -> float:
    """Exponential, with full jitter."""
    import random

    step: float = min(first_s * 2 ** min(failures - 1, 31), cap_s)
    return random.uniform(0, step)


__all__: Sequence[str] = ["Cursor", "Database", "MySQL", "Postgres", "SQLAlchemy", "SQLite"]
