"""Telling "someone else was there first" from every other failure of a database."""

from __future__ import annotations

from typing import Iterator, Optional, Set

LOST = "lost"
"""This transaction was sacrificed, at once: a deadlock, a serialization failure, a file that is locked."""
WAITED = "waited"
"""It waited for a lock for as long as it may."""

_SQLSTATES = {"40001": LOST, "40P01": LOST, "55P03": WAITED}
_MYSQL = {1213: LOST, 1020: LOST, 9007: LOST, 1205: WAITED, 3572: WAITED}
_MADE_MEANWHILE = {"23505", "42P07", "42710"}
_SQLITE_LOCKED = ("database is locked", "database table is locked", "database schema is locked")


def contention(error: BaseException) -> Optional[str]:
    """What of another transaction was in the way, wherever in the chain of causes it stands."""
    for link in _chain(error):
        module = type(link).__module__
        if module == "sqlite3":
            code = getattr(link, "sqlite_errorcode", None)  # Python 3.11
            if code is not None and code & 0xFF in (5, 6):
                return LOST
            if code is None and str(link).startswith(_SQLITE_LOCKED):
                return LOST
        elif module.startswith(("pymysql", "MySQLdb")):
            found = _MYSQL.get(link.args[0]) if link.args else None
            if found:
                return found
        else:
            state = sqlstate(link)
            if state in _SQLSTATES:
                return _SQLSTATES[state]
    return None


def is_made_meanwhile(error: BaseException) -> bool:
    """Whether a table could not be made because another session has just made it."""
    return any(sqlstate(link) in _MADE_MEANWHILE for link in _chain(error))


def sqlstate(error: BaseException) -> Optional[str]:
    """PostgreSQL's code: psycopg 3, psycopg2."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return state if isinstance(state, str) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: Set[int] = set()
    waiting = [error]
    while waiting:
        link = waiting.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        # SQLAlchemy has the driver's own in `orig`.
        for cause in (link.__cause__, link.__context__, getattr(link, "orig", None)):
            if isinstance(cause, BaseException):
                waiting.append(cause)
