"""Accounts from which payments are frozen, taken or given back: the business, on each database.

The programs beside this one mount it into what people use: `python examples/with_flask.py sqlite:///payment.db 7302`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Dict, List, Tuple, cast
from urllib.parse import unquote, urlsplit

from sqlalchemy import CursorResult, create_engine, text
from sqlalchemy.orm import Session

from tercet import Context, Database, Endpoint, Guard, MySQL, Participant, Postgres, Refused, SQLAlchemy, SQLite
from tercet.databases import Cursor

SCHEMA = """CREATE TABLE IF NOT EXISTS accounts (name VARCHAR(64) PRIMARY KEY,
balance BIGINT NOT NULL CHECK (balance >= 0), frozen BIGINT NOT NULL CHECK (frozen >= 0))"""


@dataclass
class Debit:
    """What each call of a branch brings."""

    account: str
    amount: int


class Payment(Participant[Cursor, Debit]):
    """By a driver's own cursor. `mark` is how the driver writes a value: `?` or `%s`."""

    def __init__(self, mark: str) -> None:
        self._freeze = (
            "UPDATE accounts SET balance = balance - ?, frozen = frozen + ? WHERE name = ? AND balance >= ?"
        ).replace("?", mark)
        self._take = "UPDATE accounts SET frozen = frozen - ? WHERE name = ?".replace("?", mark)
        self._thaw = "UPDATE accounts SET balance = balance + ?, frozen = frozen - ? WHERE name = ?".replace("?", mark)

    def try_(self, db: Cursor, call: Context, debit: Debit) -> None:
        if debit.amount <= 0:
            raise Refused("invalid-amount", "an amount is more than nothing")
        db.execute(self._freeze, (debit.amount, debit.amount, debit.account, debit.amount))
        if db.rowcount == 0:
            raise Refused("insufficient-funds", "there is not enough on the account")

    def confirm(self, db: Cursor, call: Context, debit: Debit) -> None:
        db.execute(self._take, (debit.amount, debit.account))

    def cancel(self, db: Cursor, call: Context, debit: Debit) -> None:
        db.execute(self._thaw, (debit.amount, debit.amount, debit.account))


class SessionPayment(Participant[Session, Debit]):
    """By a session of SQLAlchemy."""

    def try_(self, db: Session, call: Context, debit: Debit) -> None:
        if debit.amount <= 0:
            raise Refused("invalid-amount", "an amount is more than nothing")
        freeze = (
            "UPDATE accounts SET balance = balance - :amount, frozen = frozen + :amount "
            "WHERE name = :account AND balance >= :amount"
        )
        if cast("CursorResult[Any]", db.execute(text(freeze), vars(debit))).rowcount == 0:
            raise Refused("insufficient-funds", "there is not enough on the account")

    def confirm(self, db: Session, call: Context, debit: Debit) -> None:
        db.execute(text("UPDATE accounts SET frozen = frozen - :amount WHERE name = :account"), vars(debit))

    def cancel(self, db: Session, call: Context, debit: Debit) -> None:
        thaw = "UPDATE accounts SET balance = balance + :amount, frozen = frozen - :amount WHERE name = :account"
        db.execute(text(thaw), vars(debit))


class Accounts:
    """The participant and its accounts, on the database that a URL leads to."""

    def __init__(self, url: str, secrets: List[str] | None = None) -> None:
        self.database, participant = _opened(url)
        guard: Guard[Any] = Guard(self.database)
        guard.migrate()
        with self.database.writing() as tx:
            tx.execute(SCHEMA)
            tx.commit()
        with self.database.writing() as tx:
            if not tx.fetch("SELECT name FROM accounts", {}):
                for name, balance in (("alice", 100_000), ("bob", 100_000)):
                    tx.execute("INSERT INTO accounts VALUES (:name, :balance, 0)", {"name": name, "balance": balance})
            tx.commit()
        self.endpoint = Endpoint(participant, guard, secrets=secrets)

    def all(self) -> List[Dict[str, Any]]:
        """The accounts."""
        with self.database.read() as tx:
            rows = tx.fetch("SELECT name, balance, frozen FROM accounts ORDER BY name", {})
        return [dict(zip(("name", "balance", "frozen"), row)) for row in rows]


def _opened(url: str) -> Tuple[Database[Any], Participant[Any, Debit]]:
    """`sqlite:///FILE`, `postgres://…`, `mysql://…`; with `sqlalchemy+` before it by SQLAlchemy, with `mysqlclient+`
    by that."""
    way, plus, rest = url.partition("+")
    if plus and way == "sqlalchemy":
        rest = rest.replace("postgres://", "postgresql+psycopg://").replace("mysql://", "mysql+pymysql://")
        return SQLAlchemy(create_engine(rest, pool_size=10, pool_timeout=2)), SessionPayment()
    if url.startswith("sqlite:///"):
        return SQLite(url[len("sqlite:///") :]), Payment("?")
    if url.startswith("postgres://"):
        return Postgres(url), Payment("%s")
    parts = urlsplit(rest if plus else url)
    arguments: Dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": parts.path[1:],
    }
    if plus and way == "mysqlclient":
        import MySQLdb

        return MySQL(lambda: MySQLdb.connect(**arguments)), Payment("%s")
    import pymysql

    return MySQL(lambda: pymysql.connect(**arguments)), Payment("%s")


def arguments() -> Tuple[Accounts, int]:
    """The accounts and the port that the command line names."""
    import os

    secret = os.environ.get("TERCET_SIGNING_SECRET")
    return Accounts(sys.argv[1], [secret] if secret else None), int(sys.argv[2])
