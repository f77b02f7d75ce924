"""An initiator's answer when it is asked, at the deadline, what became of its own work.

    your SQL transaction                     coordinator asks: POST {check}
      business change                          │
      insert (gid, done) ── there: fails       insert (gid, never) ── there: read it
      commit                                   commit
                                               ▼
                                               200 done · 410 never · 202 not known yet

Both insert the same key, so one of the two comes first. Who asks writes "never" before it is answered: a commit that
comes late fails then, and what was told stays true.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, Generic, Iterable, Mapping, Optional, Tuple, TypeVar

from ._answer import Answer, failed, problem
from ._contention import WAITED, contention
from ._database import Database, SqlTransaction
from ._failure import TercetError
from ._guard_sql import GUARD
from ._mount import Mounted
from ._own_sql import CHECKED, in_list, in_words_of, insert_once
from ._pool import Busy, Seats
from ._words import GID_MAX_LENGTH, id_fault
from .guard import again, make, text

T = TypeVar("T")

CHECKED_PURGE_AFTER_MS = 90 * 24 * 60 * 60 * 1000
_TOUCH_AFTER_MS = 24 * 60 * 60 * 1000
_SEAT_PATIENCE_S = 1.0
_ROUNDS = 3

_log = logging.getLogger("tercet")


class NotRecorded(TercetError):
    """Your SQL transaction must be rolled back: it comes too late (`too_late`: the coordinator was told that it had
    not happened, and cancels), or another one has done it."""

    def __init__(self, why: str, too_late: bool) -> None:
        super().__init__(why)
        self.too_late = too_late


class Checked(Mounted, Generic[T]):
    """Begin an open transaction with `check` set to where `checked.wsgi` or `checked.asgi` is served, do your own work,
    and call `record` in the same SQL transaction. Whether you then ask for confirm, or die before you can, makes no
    difference: who asks finds the row. A gid stands for one deed and is not used again."""

    body_bytes = 1024

    def __init__(self, database: Database[T], *, secrets: Optional[Iterable[str]] = None) -> None:
        super().__init__()
        if isinstance(secrets, str):
            raise TypeError("secrets: a list of texts")
        from ._signature import SigningKey

        self._keys = None if secrets is None else tuple(SigningKey(one) for one in secrets)
        self.database = database
        self._dialect = database.dialect
        self._seats = Seats(database.connections)

    def migrate(self) -> None:
        """Makes the table, `tercet_checked`, where it is missing."""
        make(self.database, CHECKED[self._dialect])

    def record(self, db: T, gid: str) -> None:
        """Writes, in the SQL transaction of your own work, that it was done. If that commits, the transaction will be
        confirmed; if it does not, cancelled. Call it last: whoever asks meanwhile waits for this row."""
        tx = self.database.wrap(db)
        if self._insert(tx, gid, "done"):
            return
        found = self._find(tx, gid)
        if found is not None and found[0] == "done":
            raise NotRecorded(f"{gid} was done before", too_late=False)
        raise NotRecorded(f"{gid} was asked for before this came, and is being cancelled", True)

    def _insert(self, tx: SqlTransaction[T], gid: str, state: str) -> bool:
        sql = insert_once(self._dialect, "tercet_checked", "gid, state, asked_at", ":gid, :state, {now}")
        values = {"gid": gid, "state": state}
        return tx.execute(in_words_of(self._dialect, sql), values) > 0

    def _find(self, tx: SqlTransaction[T], gid: str) -> Optional[Tuple[str, int]]:
        # A locking read finds what is committed by now, whatever this transaction has seen before.
        lock = "" if self._dialect == "sqlite" else " FOR UPDATE"
        sql = "SELECT state, {now} - asked_at AS ago FROM tercet_checked WHERE gid = :gid" + lock
        rows = tx.fetch(in_words_of(self._dialect, sql), {"gid": gid})
        return (text(rows[0][0]), int(rows[0][1])) if rows else None

    def before_body(self, method: str, leg: str, headers: Mapping[str, str]) -> Optional[Answer]:
        if leg:
            return problem(404, "not-found", "there is nothing below this")
        if method != "POST":
            return problem(405, "method-not-allowed", "it is asked by POST")
        return None

    def answer(self, method: str, leg: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
        refusal = self.before_body(method, leg, headers) or self._unsigned(headers, body)
        if refusal is not None:
            return refusal
        gid = headers.get("tercet-gid")
        if headers.get("tercet-op") != "check":
            return problem(400, "invalid-call", "header tercet-op: must be check")
        fault = "is missing" if gid is None else id_fault(gid, GID_MAX_LENGTH)
        if gid is None or fault:
            return problem(400, "invalid-call", f"header tercet-gid: {fault}")
        try:
            leave: Callable[[], None] = self._seats.take(_SEAT_PATIENCE_S)
        except Busy:
            return _not_known_yet()
        try:
            mark = self._mark_of(gid)
        except Busy:
            return _not_known_yet()
        except Exception:
            _log.warning("a question about %s cannot be answered", gid, exc_info=True)
            return failed()
        finally:
            leave()
        if mark is None:
            return _not_known_yet()
        if mark == "done":
            return Answer(200, b"")
        _log.info("%s was asked for and had not happened: now it never will", gid)
        return problem(410, "never", "it has not happened, and never will")

    def _unsigned(self, headers: Mapping[str, str], body: bytes) -> Optional[Answer]:
        if self._keys is None:
            return None
        import time

        from ._signature import Signed, Unsigned

        try:
            Signed(headers, "check", time.time()).check(self._keys, body)
        except Unsigned as why:
            return problem(401, "unsigned", str(why))
        return None

    def _mark_of(self, gid: str) -> Optional[str]:
        """What is written of this gid, if that can be said by now. Where nothing was, "never" is written by the
        time this says so."""
        for _ in range(_ROUNDS):
            try:
                return self._look(gid)
            except Exception as error:
                kind = contention(error)
                if kind is None:
                    raise
                if kind == WAITED:
                    return None  # It has cost its time.
        return None

    def _look(self, gid: str) -> Optional[str]:
        sql = GUARD[self._dialect]
        with self.database.writing() as tx:
            if "patience" in sql:
                tx.execute(sql["patience"])
            try:
                inserted = self._insert(tx, gid, "never")
            finally:
                if "patience ends" in sql:
                    tx.execute(sql["patience ends"])
            if inserted:
                tx.commit()
                return "never"
            found = self._find(tx, gid)
            if found is None:
                return None  # Purged between the two statements.
            if found[1] >= _TOUCH_AFTER_MS:
                touch = "UPDATE tercet_checked SET asked_at = {now} WHERE gid = :gid"
                tx.execute(in_words_of(self._dialect, touch), {"gid": gid})
                tx.commit()
            return found[0]

    def purge(self, after_ms: int = CHECKED_PURGE_AFTER_MS) -> int:
        """Deletes what was written, and last asked for, so long ago. It must be longer than any transaction of yours
        is open, and than this service may be cut off from the coordinator."""
        deleted = 0
        while True:
            sql = "SELECT gid FROM tercet_checked WHERE asked_at < {now} - :after ORDER BY asked_at LIMIT 500"
            with self.database.read() as tx:
                rows = tx.fetch(in_words_of(self._dialect, sql), {"after": after_ms})
            if not rows:
                return deleted
            marks, gids = in_list([text(row[0]) for row in rows])
            delete = f"DELETE FROM tercet_checked WHERE gid IN ({marks}) AND asked_at < {{now}} - :after"
            values: Dict[str, Any] = {**gids, "after": after_ms}

            def once(delete: str = delete, values: Dict[str, Any] = values) -> int:
                with self.database.writing() as tx:
                    count = tx.execute(in_words_of(self._dialect, delete), values)
                    tx.commit()
                return count

            deleted += again(once)


def _not_known_yet() -> Answer:
    return problem(202, "not-known-yet", "the transaction that would do it has not ended", retry_after_s=1)
