"""Messages that are sent exactly when a local SQL transaction commits.

    your SQL transaction                   relay, in any number of processes
      business change                        claim: a few rows that are due, for the time of a lease
      insert (gid, request, pending)         begin with the row's gid, for each: safe to repeat
      commit                                 mark: sent; later, once asked: confirmed or cancelled

    pending ──▶ sent ──▶ confirmed | cancelled
       └──────────┴────▶ dead (with the reason; `again` brings it back)

A relay that dies between hand-over and mark leaves a row whose lease runs out; the next one begins the same gid
again, which the coordinator answers with the transaction as it is.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Callable, Dict, Generic, List, Optional, Tuple, TypeVar, Union

import httpx

from . import _json
from ._database import Database, backoff_s
from ._exchange import Reply, Request
from ._failure import TercetError
from ._own_sql import OUTBOX, in_list, in_words_of, insert_once
from ._words import parse_retry_after
from .client import Client
from .errors import InvalidRequest
from .guard import again, make, text
from .transactions import Transaction, Written, check_name

T = TypeVar("T")

REQUEST_BYTES = 1024 * 1024
OUTBOX_PURGE_AFTER_MS = 7 * 24 * 60 * 60 * 1000
"""How long a message is kept after its end, for whoever looks, and against a repeat of the deed."""
_REASON_CHARS = 1000
_AT_ONCE = 16
_ODD_PAUSE_S = (1.0, 60.0)
_AWAY_PAUSE_S = (0.1, 5.0)
_FOLLOW_PAUSE_S = (1.0, 60.0)
_FORGOTTEN = "the coordinator does not know it any more: it ended long ago, or its database is not the one that had it"

_log = logging.getLogger("tercet")


class NotSent(TercetError):
    """A message was not written: there is one of this gid already (`before`), or it is none. Roll back, unless
    the SQL transaction is to commit without it."""

    def __init__(self, why: str, before: bool = False) -> None:
        super().__init__(why)
        self.before = before


@dataclass(frozen=True)
class OutboxEntry:
    """A message as it stands."""

    gid: str
    state: str
    """`pending`, `sent`, `confirmed`, `cancelled` or `dead`."""
    reason: Optional[str]
    """What went wrong the last time; of a dead one, why it is."""
    attempts: int


class Outbox(Generic[T]):
    """The local message table, `tercet_outbox`, in the database of your business change:

    with database.transaction() as db:
        db.execute("INSERT INTO orders …")
        outbox.send(db, Transaction([Branch("invoice", confirm_url="http://…")], gid="order-17"))
    """

    def __init__(self, database: Database[T]) -> None:
        self.database = database
        self._dialect = database.dialect
        self._skips_locked = database.dialect != "sqlite"

    def migrate(self) -> None:
        """Makes the table where it is missing. Safe to repeat, and for several processes at once."""
        make(self.database, OUTBOX[self._dialect])

    def send(self, db: T, transaction: Transaction) -> str:
        """Sends a transaction if the SQL transaction of `db` commits; its gid. It is only written down here, and a
        relay hands it over. With a gid that belongs to the deed, a repeat of the deed fails here."""
        written = _message(transaction)
        columns = "gid, request, traceparent, state, owner, due_at, attempts, written_at"
        values = ":gid, :request, :traceparent, 'pending', 0, {now}, 0, {now}"
        sql = in_words_of(self._dialect, insert_once(self._dialect, "tercet_outbox", columns, values))
        bound = {
            "gid": written.gid,
            "request": written.body,
            "traceparent": written.traceparent,
        }
        if self.database.wrap(db).execute(sql, bound) == 0:
            raise NotSent(f"{written.gid} was sent before", before=True)
        return written.gid

    def entry(self, gid: str) -> Optional[OutboxEntry]:
        """A message as it stands; None if it was never sent, or was purged."""
        found = self._entries("WHERE gid = :gid", {"gid": gid})
        return found[0] if found else None

    def dead(self) -> List[OutboxEntry]:
        """The dead ones, the oldest first; at most 500."""
        return self._entries("WHERE state = 'dead' ORDER BY due_at LIMIT 500", {})

    def _entries(self, where: str, values: Dict[str, Any]) -> List[OutboxEntry]:
        sql = f"SELECT gid, state, reason, attempts FROM tercet_outbox {where}"
        with self.database.read() as tx:
            rows = tx.fetch(sql, values)
        return [OutboxEntry(text(r[0]), text(r[1]), None if r[2] is None else text(r[2]), int(r[3])) for r in rows]

    def again(self, gid: str) -> bool:
        """Brings a dead one back, once the reason is gone; whether it was dead."""
        sql = (
            "UPDATE tercet_outbox SET state = 'pending', due_at = {now}, attempts = 0 "
            "WHERE gid = :gid AND state = 'dead'"
        )
        return self._write(sql, {"gid": gid}) == 1

    def pending(self) -> int:
        """Messages that are committed and not handed over yet; at most 100 000, beyond which there are more."""
        sql = (
            "SELECT COUNT(*) AS pending FROM "
            "(SELECT gid FROM tercet_outbox WHERE state = 'pending' LIMIT 100000) AS waiting"
        )
        with self.database.read() as tx:
            return int(tx.fetch(sql, {})[0][0])

    def purge(self, after_ms: int = OUTBOX_PURGE_AFTER_MS) -> int:
        """Deletes what was confirmed or cancelled so long ago. What is pending, sent or dead is never deleted."""
        deleted = 0
        for state in ("confirmed", "cancelled"):
            while True:
                sql = (
                    "SELECT gid FROM tercet_outbox WHERE state = :state AND due_at < {now} - :after "
                    "ORDER BY due_at LIMIT 500"
                )
                with self.database.read() as tx:
                    values = {"state": state, "after": after_ms}
                    rows = tx.fetch(in_words_of(self._dialect, sql), values)
                if not rows:
                    break
                marks, gids = in_list([text(row[0]) for row in rows])
                sql = f"DELETE FROM tercet_outbox WHERE gid IN ({marks}) AND state = :state"
                deleted += self._write(sql, {**gids, "state": state})
        return deleted

    def _write(self, sql: str, values: Dict[str, Any]) -> int:
        def once() -> int:
            with self.database.writing() as tx:
                count = tx.execute(in_words_of(self._dialect, sql), values)
                tx.commit()
            return count

        return again(once)

    # ---- What relays do with rows.

    def _claim(self, state: str, limit: int, lease_ms: int) -> Tuple[int, List[_Claimed]]:
        """Takes rows that are due; nobody else sees to them until the lease runs out."""
        look = "SELECT gid FROM tercet_outbox WHERE state = :state AND due_at <= {now} LIMIT 1"
        # Looked at without the right to write, which on SQLite would keep others from writing for nothing.
        with self.database.read() as tx:
            if not tx.fetch(in_words_of(self._dialect, look), {"state": state}):
                return 0, []
        try:
            return again(lambda: self._claim_once(state, limit, lease_ms))
        except Exception as error:
            # MySQL before 8 and MariaDB before 10.6 do not know the words.
            if not (self._dialect == "mysql" and self._skips_locked and "1064" in str(error)):
                raise
        self._skips_locked = False
        return again(lambda: self._claim_once(state, limit, lease_ms))

    def _claim_once(self, state: str, limit: int, lease_ms: int) -> Tuple[int, List[_Claimed]]:
        # Positive, so that no row has it that was never claimed.
        owner = secrets.randbits(62) + 1
        with self.database.writing() as tx:
            due = "SELECT gid FROM tercet_outbox WHERE state = :state AND due_at <= {now} ORDER BY due_at LIMIT :limit"
            due += " FOR UPDATE SKIP LOCKED" if self._skips_locked else ""
            rows = tx.fetch(in_words_of(self._dialect, due), {"state": state, "limit": limit})
            if not rows:
                return owner, []
            marks, gids = in_list([text(row[0]) for row in rows])
            sql = (
                "UPDATE tercet_outbox SET owner = :owner, due_at = {now} + :lease, "
                f"attempts = attempts + 1 WHERE gid IN ({marks}) AND state = :state "
                "AND due_at <= {now}"
            )
            values = {**gids, "owner": owner, "lease": lease_ms, "state": state}
            tx.execute(in_words_of(self._dialect, sql), values)
            sql = (
                "SELECT gid, request, traceparent, attempts FROM tercet_outbox "
                f"WHERE gid IN ({marks}) AND owner = :owner"
            )
            mine = tx.fetch(sql, {**gids, "owner": owner})
            tx.commit()
        return owner, [_Claimed(text(r[0]), text(r[1]), None if r[2] is None else text(r[2]), int(r[3])) for r in mine]

    def _settle(self, owner: int, state: str, ends: Dict[Next, List[str]]) -> None:
        """Writes what became of the rows of a claim, of those that are still its own."""

        def once() -> None:
            with self.database.writing() as tx:
                for next_, ended in ends.items():
                    marks, gids = in_list(ended)
                    sql = (
                        "UPDATE tercet_outbox SET state = :next, owner = 0, due_at = {now} + :pause, "
                        f"attempts = {next_.attempts}, reason = :reason "
                        f"WHERE owner = :owner AND state = :state AND gid IN ({marks})"
                    )
                    values = {
                        **gids,
                        "next": next_.state,
                        "pause": next_.due_in_ms,
                        "reason": next_.reason,
                        "owner": owner,
                        "state": state,
                    }
                    tx.execute(in_words_of(self._dialect, sql), values)
                tx.commit()

        if ends:
            again(once)


def _message(transaction: Transaction) -> Written:
    """What a coordinator would refuse at any time is refused here, where somebody can be told."""
    if not transaction.branches or transaction.check is not None:
        raise NotSent("a message needs branches, and is not open")
    seen = set()
    for i, branch in enumerate(transaction.branches):
        place = f"branches[{i}]"
        try:
            check_name(branch.id, f"{place}.id")
        except InvalidRequest as error:
            raise NotSent(str(error)) from None
        if branch.id in seen:
            raise NotSent(f"{place}.id: {branch.id} is the id of an earlier branch")
        seen.add(branch.id)
        legs = [branch.try_url, branch.confirm_url, branch.cancel_url]
        if branch.endpoint is None and not any(legs):
            raise NotSent(f"{place}: a branch needs at least one URL")
        if branch.endpoint is not None and any(legs):
            raise NotSent(f"{place}: endpoint stands for all three URLs")
        if branch.after is not None and not transaction.saga:
            raise NotSent(f"{place}.after: only a saga has an order")
    try:
        written = transaction.written()
    except InvalidRequest as error:
        raise NotSent(str(error)) from error
    if len(written.traceparent or "") > 255:
        raise NotSent("traceparent: has more than 255 characters")
    length = len(written.body.encode("utf-8"))
    if length > REQUEST_BYTES:
        raise NotSent(f"a message of {length} bytes is larger than a request may be")
    return written


# ---- What becomes of a message after what the coordinator said of it.


@dataclass(frozen=True)
class _Claimed:
    gid: str
    request: str
    traceparent: Optional[str]
    attempts: int


@dataclass(frozen=True)
class Told:
    """What a coordinator says of a message: `has` (with its status), `refused`, `unknown`, `odd` (something is wrong
    with this one alone) or `away` (it cannot be asked now, whoever asks)."""

    kind: str
    what: str = ""
    asked_ms: Optional[int] = None


@dataclass(frozen=True)
class Next:
    """What becomes of a row."""

    state: str
    due_in_ms: int
    attempts: str
    """As SQL: what becomes of the count."""
    reason: Optional[str]


def told_of(came: Union[Reply, str]) -> Told:
    """Reads an answer; a text says why there was none."""
    if isinstance(came, str):
        return Told("away", came)
    words = f"answered {came.status}: {came.excerpt()}"
    try:
        value = _json.loads(came.body)
    except _json.NotJson:
        value = None
    if 200 <= came.status <= 299:
        status = value.get("status") if isinstance(value, dict) else None
        return Told("has", status) if isinstance(status, str) else Told("odd", words)
    asked = parse_retry_after(came.retry_after, time.time())
    if came.asks_again():
        return Told("away", words, asked)
    code = value.get("code") if isinstance(value, dict) else None
    if not isinstance(code, str):
        # Whoever has no code to give is no coordinator, but something before it.
        return Told("away", words)
    why = f"{code}: {value.get('detail')}"
    if came.status in (400, 409, 413, 415, 422):
        return Told("refused", why)
    if came.status == 404 and code == "transaction-not-found":
        return Told("unknown")
    # Of these the next message would be told the same: who we are, where we ask.
    return Told("away" if came.status in (401, 403, 404, 405, 421) else "odd", why)


def next_of(state: str, attempts: int, told: Told) -> Next:
    """What becomes of a row in this state whose `attempts`-th attempt was told this."""

    def later(pause: Tuple[float, float], reason: Optional[str]) -> Next:
        return Next(state, _at_least_half_ms(attempts, pause), "attempts", reason)

    if told.kind == "has":
        if told.what in ("confirmed", "cancelled"):
            return Next(told.what, 0, "attempts", None)
        if state == "sent":
            return later(_FOLLOW_PAUSE_S, None)
        return Next("sent", int(_FOLLOW_PAUSE_S[0] * 1000), "0", None)
    if told.kind == "refused":
        return Next("dead", 0, "attempts", _cut(told.what))
    if told.kind == "unknown":
        if state == "sent":
            # To begin it anew may do twice what it did once: the participants' guards forget as well.
            return Next("dead", 0, "attempts", _FORGOTTEN)
        return later(_ODD_PAUSE_S, "not found")
    return later(_AWAY_PAUSE_S if told.kind == "away" else _ODD_PAUSE_S, _cut(told.what))


def _at_least_half_ms(attempts: int, pause: Tuple[float, float]) -> int:
    """Rows that fell due together are not to come back together, nor at once."""
    least = min(pause[0] * 2 ** min(attempts - 1, 16), pause[1]) / 2
    return int((least + backoff_s(attempts, *pause) / 2) * 1000)


def _cut(why: str) -> str:
    # U+0000 is in no text of PostgreSQL.
    return why.replace("\0", "\ufffd")[:_REASON_CHARS]


class Relay:
    """Hands messages over to a coordinator, and follows them to their end. Any number of relays may work on one table,
    in one process or in many, in any of Tercet's languages; the program `tercet-relay` is one.

    `lease_ms`: how long claimed messages are this relay's own: so long they wait when it dies. `batch`: how many it
    takes at once.
    """

    def __init__(
        self,
        outbox: Outbox[Any],
        client: Client,
        *,
        lease_ms: int = 8000,
        batch: int = 100,
        purge_after_ms: Optional[int] = OUTBOX_PURGE_AFTER_MS,
    ) -> None:
        self._outbox, self._client = outbox, client
        self._lease_ms = max(1000, lease_ms)
        self._batch = max(1, min(batch, 500))
        self._purge_after_ms = purge_after_ms

    def once(self) -> bool:
        """Hands over and follows what is due now, a batch of each; whether anything was."""
        handed_over = self._round("pending", self._batch)
        followed = self._round("sent", self._batch)
        return (handed_over, followed) != (None, None)

    def spawn(self) -> Callable[[], None]:
        """Sets it to work in threads of its own; what it gives ends it, once what is under way has ended."""
        stop = threading.Event()
        works: List[Callable[[], None]] = [
            lambda: self._work_on("pending", stop),
            lambda: self._work_on("sent", stop),
            lambda: self._tidy(stop),
        ]
        threads = [threading.Thread(target=work, name="tercet-relay", daemon=True) for work in works]
        for thread in threads:
            thread.start()

        def end() -> None:
            stop.set()
            for thread in threads:
                thread.join()

        return end

    def _work_on(self, state: str, stop: threading.Event) -> None:
        idle, away, failed = 0.01, 0, 0
        while not stop.is_set():
            try:
                # While the coordinator is away one message asks for all.
                round_ = self._round(state, self._batch if away == 0 else 1)
                failed = 0
            except Exception:
                failed += 1
                _log.warning("the outbox cannot be read or written", exc_info=True)
                stop.wait(backoff_s(failed, 0.2, 2.0) + 0.01)
                continue
            if round_ is None:
                stop.wait(idle)
                idle = min(idle * 2, 0.2)
            elif round_.kind == "away":
                away += 1
                asked = min((round_.asked_ms or 0) / 1000, _AWAY_PAUSE_S[1])
                stop.wait(max(_at_least_half_ms(away, _AWAY_PAUSE_S) / 1000, asked))
            else:
                idle, away = 0.01, 0

    def _tidy(self, stop: threading.Event) -> None:
        while self._purge_after_ms is not None:
            try:
                self._outbox.purge(self._purge_after_ms)
            except Exception:
                _log.warning("the outbox cannot be tidied", exc_info=True)
            if stop.wait(3600):
                return

    def _round(self, state: str, limit: int) -> Optional[Told]:
        """One claim, from taking it to writing down what became of it. None: nothing was due."""
        # Before the claim, so that the lease ends later than is reckoned here.
        began = time.monotonic()
        owner, rows = self._outbox._claim(state, limit, self._lease_ms)
        if not rows:
            return None
        away: List[Told] = []

        def call(row: _Claimed) -> Next:
            # What is begun now is answered before the lease ends. The rest goes back to whoever comes.
            if away or time.monotonic() - began > self._lease_ms / 2000:
                return Next(state, 0, "attempts - 1", None)
            told = self._ask(state, row)
            if told.kind == "away":
                if not away:
                    _log.warning("the coordinator is away (%s): %s", row.gid, told.what)
                away.append(told)
            next_ = next_of(state, row.attempts, told)
            if next_.state == "dead":
                _log.error("message %s is dead: %s", row.gid, next_.reason)
            return next_

        ends: Dict[Next, List[str]] = {}
        if len(rows) == 1:
            nexts = [call(rows[0])]
        else:
            with ThreadPoolExecutor(min(_AT_ONCE, len(rows)), "tercet-relay") as threads:
                nexts = list(threads.map(call, rows))
        for row, next_ in zip(rows, nexts):
            ends.setdefault(next_, []).append(row.gid)
        self._outbox._settle(owner, state, ends)
        return away[0] if away else Told("has")

    def _ask(self, state: str, row: _Claimed) -> Told:
        if state == "sent":
            request = Request("GET", f"/v1/transactions/{row.gid}", row.gid)
        else:
            path = "/v1/transactions?wait=accepted&wait_ms=0"
            body = row.request.encode("utf-8")
            request = Request("POST", path, row.gid, 0, body, row.traceparent)
        try:
            return told_of(self._client.once(request, self._lease_ms * 3 / 8000))
        except httpx.RequestError as error:
            return told_of(f"{type(error).__name__}: {error}")
        except Exception as error:
            return Told("odd", f"{type(error).__name__}: {error}")
