"""What the tests share."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import uuid
from typing import Any, Callable, Dict, Iterator, List, Optional
from urllib.parse import unquote, urlsplit

import pytest

import tercet

ROOT = pathlib.Path(__file__).resolve().parents[3]
VECTORS = ROOT / "sdk" / "vectors"
BIN_DIR = pathlib.Path(os.environ.get("BIN_DIR") or ROOT / "target" / "debug")
POSTGRES = os.environ.get("TERCET_TEST_POSTGRES_URL")
MYSQL = os.environ.get("TERCET_TEST_MYSQL_URL")
INSTANCE = "0193b6a0-0000-7000-8000-000000000001"
OTHER_INSTANCE = "0193b6a0-0000-7000-8000-000000000002"
TABLES = ("tercet_guard", "tercet_guard_results", "tercet_outbox", "tercet_checked", "accounts", "orders")
MARK = {"sqlite": "?", "postgres": "%s", "mysql": "%s"}

Answered = Any


def cases(name: str) -> List[Dict[str, Any]]:
    """The cases of a file of vectors."""
    found: List[Dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))["cases"]
    assert found
    return found


def url_of(kind: str, tmp: pathlib.Path) -> Optional[str]:
    """Where a kind of database is; None where there is none."""
    base = kind.split("-")[-1]
    if base == "sqlite":
        return f"sqlite:///{tmp / 'test.db'}"
    return POSTGRES if base == "postgres" else MYSQL


def opened(kind: str, url: str, connections: int = 10) -> tercet.Database[Any]:
    """One more database object, as another process would have it."""
    way = kind.rpartition("-")[0]
    if way == "sqlalchemy":
        import sqlalchemy

        url = url.replace("postgres://", "postgresql+psycopg://").replace("mysql://", "mysql+pymysql://")
        return tercet.SQLAlchemy(sqlalchemy.create_engine(url, pool_size=connections, max_overflow=0, pool_timeout=1))
    if url.startswith("sqlite"):
        return tercet.SQLite(url[len("sqlite:///") :])
    if url.startswith("postgres"):
        return tercet.Postgres(url, connections=connections)
    parts = urlsplit(url)
    arguments: Dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": unquote(parts.password or ""),
        "database": parts.path[1:],
    }
    connect: Callable[[], Any]
    if way == "mysqlclient":
        import MySQLdb

        connect = lambda: MySQLdb.connect(**arguments)  # noqa: E731
    else:
        import pymysql

        connect = lambda: pymysql.connect(**arguments)  # noqa: E731
    return tercet.MySQL(connect, connections=connections)


class Place:
    """A database of a test's own."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind, self.url = kind, url
        self.base = kind.split("-")[-1]
        self._opened: List[tercet.Database[Any]] = []
        self.database = self.another()

    def another(self, connections: int = 10) -> tercet.Database[Any]:
        self._opened.append(opened(self.kind, self.url, connections))
        return self._opened[-1]

    def close(self) -> None:
        for one in self._opened:
            one.close()

    def rows(self, sql: str, **values: Any) -> List[Any]:
        with self.database.read() as tx:
            return tx.fetch(sql, values)

    def run(self, sql: str, **values: Any) -> int:
        with self.database.writing() as tx:
            count = tx.execute(sql, values)
            tx.commit()
        return count

    def accounts(self) -> Dict[str, Any]:
        return {row[0]: (row[1], row[2]) for row in self.rows("SELECT name, balance, frozen FROM accounts")}


SERVERS = ["postgres", "mysql", "mysqlclient-mysql", "sqlalchemy-postgres", "sqlalchemy-mysql"]
KINDS = ["sqlite", "sqlalchemy-sqlite", *SERVERS]


@contextlib.contextmanager
def _server_database(kind: str, url: str) -> Iterator[str]:
    base, name = kind.split("-")[-1], f"tercet_py_{uuid.uuid4().hex[:12]}"
    if base == "postgres":
        import psycopg

        with psycopg.connect(url, autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}")
        try:
            yield url.rpartition("/")[0] + "/" + name
        finally:
            with psycopg.connect(url, autocommit=True) as db:
                db.execute(f"DROP DATABASE {name} WITH (FORCE)")
        return
    import pymysql

    parts = urlsplit(url)
    db = pymysql.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password=unquote(parts.password or "")
    )
    db.cursor().execute(f"CREATE DATABASE {name}")
    try:
        yield url.rpartition("/")[0] + "/" + name
    finally:
        db.cursor().execute(f"DROP DATABASE {name}")
        db.close()


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str, str], str]]:
    """A database on each server, for all tests: to make one takes its time."""
    with contextlib.ExitStack() as stack:
        made: Dict[str, str] = {}

        def of(kind: str, url: str) -> str:
            base = kind.split("-")[-1]
            if base not in made:
                made[base] = stack.enter_context(_server_database(kind, url))
            return made[base]

        yield of


@pytest.fixture(params=[pytest.param(k, marks=pytest.mark.databases if k in SERVERS else []) for k in KINDS])
def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Place]:
    kind = request.param
    url = url_of(kind, tmp_path)
    if url is None:
        pytest.skip("no server")
    if kind.startswith("mysqlclient"):
        pytest.importorskip("MySQLdb")
    if kind in SERVERS:
        url = request.getfixturevalue("servers")(kind, url)
    one = Place(kind, url)
    if kind in SERVERS:
        for table in TABLES:
            one.run(f"DROP TABLE IF EXISTS {table}")
    yield one
    one.close()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "databases: needs the servers of tests/databases")
    config.addinivalue_line("markers", "coordinator: needs a built tercet in BIN_DIR")


def headers(op: str, gid: str = "g-1", **more: str) -> Dict[str, str]:
    """Those of a usual call."""
    usual = {
        "tercet-gid": gid,
        "tercet-branch": "b",
        "tercet-instance": INSTANCE,
        "tercet-op": op,
        "tercet-legs": "try,confirm,cancel",
    }
    return {**usual, **{"tercet-" + name: value for name, value in more.items()}}


def call(endpoint: tercet.Endpoint, op: str, gid: str = "g-1", body: Any = None, **more: str) -> Answered:
    """The status and the body of a call."""
    text = json.dumps({"account": "alice", "amount": 1} if body is None else body)
    answer = endpoint.answer("POST", op, "", headers(op, gid, **more), text.encode())
    return answer.status, json.loads(answer.body)


def words(answered: Answered) -> str:
    """`200 tried`, `409 branch-cancelled`."""
    status, body = answered
    return f"{status} {body.get('code') or body.get('state')}"
