"""The guard's rule made atomic: one SQL transaction holds the guard's row and the business change."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, Generic, List, Optional, Tuple, TypeVar

from ._contention import LOST, WAITED, contention, is_made_meanwhile
from ._context import Context
from ._database import Database, SqlTransaction, quick_pause
from ._failure import Refused, RetryLater, TercetError
from ._guard_sql import GUARD, PAGE, UNDECIDED
from ._line import TURN_PATIENCE_S
from ._pool import Busy, Seats, left
from ._table import STATE_AFTER, Contradiction, Do, Recorded, decide, is_long_past
from ._typed import Unreadable
from ._words import format_time, now_ms, parse_instance
from .participant import Participant, run_method

T = TypeVar("T")
P = TypeVar("P")

ROUNDS = 6
"""How often a call is run whose SQL transaction lost against another one."""
ROUND_PAUSE_S = (0.010, 0.100)
_BEGIN_PATIENCE_S = 2.0
DAY_MS = 24 * 60 * 60 * 1000
TOUCH_AFTER_MS = DAY_MS
"""How old the note of the last call may become before another call writes it anew."""
PURGE_AFTER_MS = 30 * DAY_MS
"""How long a row is kept after the last call of its branch."""

_log = logging.getLogger("tercet")


class Contradicted(TercetError):
    """The guard forbids it."""

    def __init__(self, why: Contradiction) -> None:
        super().__init__(why.detail)
        self.why = why


class InProgress(TercetError):
    """Another call of the branch is being worked on elsewhere, or others kept getting in the way."""


@dataclass(frozen=True)
class Done:
    """How a call ended that was done, now or before."""

    state: str
    repeated: bool
    result: Optional[str] = None


@dataclass(frozen=True)
class Purged:
    """What a purge did."""

    deleted: int
    undecided: int
    """Old rows that were kept since their branches were tried and have heard no decision: reservations
    that still hold something. More than none is worth a look at the coordinator."""


class Guard(Generic[T]):
    """The guard on the database that the business code writes to: `Guard(SQLite("accounts.db"))`.

    Its table, `tercet_guard`, is the same in all of Tercet's libraries, so that services in several languages
    may share it.
    """

    def __init__(self, database: Database[T]) -> None:
        self.database = database
        self._sql = GUARD[database.dialect]
        self._seats = Seats(database.connections)
        self._clock = _Clock()

    def __repr__(self) -> str:
        return f"Guard({self.database!r})"

    def migrate(self) -> None:
        """Makes the guard's tables where they are missing. Safe to repeat, and for several processes at
        once; call it at every start, or take the statements of docs/guard-sql.md into your migrations."""
        make(self.database, [sql for name, sql in self._sql.items() if name.startswith("create")])

    # ---- A call.

    def run(
        self,
        participant: Participant[T, P],
        call: Context,
        payload: bytes,
        begins: Callable[[], None] = lambda: None,
    ) -> Done:
        """Answers one call as the guard's table says, and atomically. `begins` is told once it need not
        wait for its turn to write any more."""
        round_ = 1
        while True:
            try:
                return self._run_once(participant, call, payload, begins)
            except (Contradicted, Unreadable, InProgress, Busy, Refused):
                raise
            except Exception as error:
                if isinstance(error, RetryLater) and error.after_ms is not None:
                    raise
                kind = contention(error)
                if kind is None:
                    raise
                # One that waited has cost its time already.
                round_ += 1 if kind == LOST else 2
                if round_ > ROUNDS:
                    raise InProgress("others were writing for as long as a call may wait") from error
            quick_pause(round_, *ROUND_PAUSE_S)

    def _run_once(
        self,
        participant: Participant[T, P],
        call: Context,
        payload: bytes,
        begins: Callable[[], None],
    ) -> Done:
        since, is_cancel = time.monotonic(), call.op == "cancel" and self.database.line is None
        patience = TURN_PATIENCE_S if is_cancel else _BEGIN_PATIENCE_S
        leave_seat = self._seat(call, patience)
        try:
            with self.database.begin(left(since, patience)) as tx:
                begins()
                now, wanted = now_ms(), STATE_AFTER[call.op]
                row = self._record(tx, call, wanted, now)
                leave_seat()
                leave_seat = _nothing
                return self._decided(tx, participant, call, payload, row, wanted, now)
        finally:
            leave_seat()

    def _seat(self, call: Context, patience_s: float) -> Callable[[], None]:
        """For a call that may have to wait for its row: a Cancel, whose Try may still be running in
        another process, or a repeat. The first call of a branch meets nobody."""
        if self.database.line is not None or not (call.op == "cancel" or call.attempt > 1):
            return _nothing
        return self._seats.take(patience_s)

    def _record(self, tx: SqlTransaction[T], call: Context, wanted: str, now: int) -> Optional[Tuple[Recorded, int]]:
        """Records the call as done, unless something is recorded of its branch: then gives that. Waits
        for another call of the branch, a bounded time."""
        if "patience" in self._sql:
            tx.execute(self._sql["patience"])
        try:
            try:
                row = self._inserted_or_found(tx, call, wanted, now)
            except Exception as error:
                if contention(error) == WAITED:
                    # Whoever holds the row is at work on this very branch.
                    raise InProgress("another call of this branch is being worked on") from error
                raise
        finally:
            if "patience ends" in self._sql:
                tx.execute(self._sql["patience ends"])
        return row

    def _inserted_or_found(
        self, tx: SqlTransaction[T], call: Context, wanted: str, now: int
    ) -> Optional[Tuple[Recorded, int]]:
        key = {"gid": call.gid, "branch_id": call.branch}
        values = {
            **key,
            "instance": call.instance,
            "legs": ",".join(call.legs),
            "state": wanted,
            "now": now,
        }
        if tx.execute(self._sql["insert"], values) > 0:
            return None
        rows = tx.fetch(self._sql["find"], key)
        if not rows:
            raise InProgress("the branch's row was purged just now")
        instance, state, updated_at = rows[0]
        read = parse_instance(text(instance))
        if read is None or text(state) not in STATE_AFTER.values():
            raise TercetError(f"tercet_guard {call.gid}/{call.branch}: {instance!r} {state!r}")
        return Recorded(read, text(state)), int(updated_at)

    def _decided(
        self,
        tx: SqlTransaction[T],
        participant: Participant[T, P],
        call: Context,
        payload: bytes,
        row: Optional[Tuple[Recorded, int]],
        wanted: str,
        now: int,
    ) -> Done:
        recorded = row[0] if row else None
        # What a round before this one wanted to answer was rolled back with it.
        call._take_answer()
        long_past = is_long_past(call.deadline_ms, now)
        do, why = decide(recorded, call.op, call.legs, call.instance, long_past)
        result = None
        if do is Do.REFUSE:
            self._note_call(tx, call, row, now)
            assert why is not None  # The table gives one with each refusal
            raise Contradicted(why)
        if do is Do.REPEAT:
            # The coordinator may have lost the answer before it was durable, and others build on what
            # it says: it is the same again.
            result = self._found_result(tx, call) if call.op == "try" else None
            self._note_call(tx, call, row, now)
            return Done(recorded.state if recorded else wanted, True, result)
        if do is Do.RECORD:
            if participant.CANCELS_EMPTY:
                self._cancel_empty(tx, participant, call, payload)
        else:
            self._run_business(tx, participant, call, payload)
            if call.op == "try":
                result = call._take_answer()
            if recorded is not None:
                moved = {
                    "gid": call.gid,
                    "branch_id": call.branch,
                    "state": wanted,
                    "state_before": recorded.state,
                    "now": now,
                }
                # The row is locked, so it can have moved only where the lock is not honoured.
                if tx.execute(self._sql["replace"], moved) != 1:
                    raise InProgress("the branch's row has moved on")
        if result is not None:
            tx.execute(self._sql["keep the result"], {**_key(call), "result": result})
        tx.commit()
        return Done(wanted, False, result)

    @staticmethod
    def _run_business(tx: SqlTransaction[T], participant: Participant[T, P], call: Context, payload: bytes) -> None:
        try:
            read = participant.read_payload(payload)
        except ValueError as error:
            raise Unreadable(str(error)) from error
        tx.mark()
        run_method(participant, call.op, tx.handle, call, read)
        tx.check_open()

    @staticmethod
    def _cancel_empty(tx: SqlTransaction[T], participant: Participant[T, P], call: Context, payload: bytes) -> None:
        try:
            read = participant.read_payload(payload)
        except ValueError:
            return  # What cannot be read now could not be read by a Try either.
        empty = dataclasses.replace(call, empty=True)
        tx.mark()
        run_method(participant, "cancel", tx.handle, empty, read)
        tx.check_open()

    def _found_result(self, tx: SqlTransaction[T], call: Context) -> Optional[str]:
        rows = tx.fetch(self._sql["find the result"], _key(call))
        return text(rows[0][0]) if rows else None

    def _note_call(
        self,
        tx: SqlTransaction[T],
        call: Context,
        row: Optional[Tuple[Recorded, int]],
        now: int,
    ) -> None:
        """Ends a transaction in which nothing was run. A row is kept for as long as its branch is called,
        which is written down now and then; else all is rolled back, an insert of a refused call, too."""
        if row and row[0].instance == call.instance and now - row[1] >= TOUCH_AFTER_MS:
            values = {"gid": call.gid, "branch_id": call.branch, "now": now}
            tx.execute(self._sql["touch"], values)
            tx.commit()

    # ---- Its rows.

    def page(self, gid: str, branch: str, limit: int) -> Tuple[List[Dict[str, str]], bool]:
        """Rows behind this key, in the order of their keys, and whether there are more."""
        values = {"gid": gid, "branch_id": branch, "limit": limit + 1}
        with self._reading() as tx:
            rows = tx.fetch(PAGE, values)
        items = [
            {
                "gid": text(row[0]),
                "branch": text(row[1]),
                "instance": text(row[2]),
                "state": text(row[3]),
                "at": format_time(int(row[4])),
            }
            for row in rows[:limit]
        ]
        return items, len(rows) > limit

    def _reading(self) -> Any:
        return self.database.read()

    def purge(self, after_ms: int = PURGE_AFTER_MS) -> Purged:
        """Deletes rows of branches that were last called so long ago, in batches; never one of a branch that
        was tried and waits for its decision. Several processes may do it at once.

        It must be longer than the service may be cut off from the coordinator, and than the coordinator keeps
        a gid. While this machine's clock has parted from its own progress, nothing is deleted.
        """
        if self._clock.is_doubted():
            _log.warning("the wall clock has jumped: nothing is deleted for its age")
            return Purged(0, 0)
        # The note of the last call may be a day older than the call.
        before = now_ms() - after_ms - TOUCH_AFTER_MS
        deleted = 0
        while True:
            with self._reading() as tx:
                keys = tx.fetch(self._sql["expired"], {"before": before})
            if not keys:
                break
            deleted += again(lambda keys=keys: self._delete(keys, before))  # type: ignore[misc]
        with self._reading() as tx:
            undecided = int(tx.fetch(UNDECIDED, {"before": before})[0][0])
        return Purged(deleted, undecided)

    def _delete(self, keys: List[Tuple[Any, ...]], before: int) -> int:
        """Deletes them by key, each only if it was not called meanwhile."""
        deleted = 0
        with self.database.writing() as tx:
            for gid, branch in keys:
                key = {"gid": text(gid), "branch_id": text(branch)}
                if tx.execute(self._sql["delete"], {**key, "before": before}) > 0:
                    deleted += 1
                    tx.execute(self._sql["delete the result"], key)
            tx.commit()
        return deleted

    def keep_purging(self, every_s: float = 3600.0) -> Callable[[], None]:
        """Purges once an hour in a thread of its own, for the first time an hour from now: a machine that
        came up with a wrong clock has been set right by then. What it gives ends it."""
        ended = threading.Event()

        def work() -> None:
            while not ended.wait(every_s):
                try:
                    purged = self.purge()
                except Exception:
                    _log.warning("the guard's old rows could not be purged", exc_info=True)
                    continue
                if purged.undecided:
                    _log.warning("%d reservations have waited for a decision for a month", purged.undecided)

        threading.Thread(target=work, name="tercet-purge", daemon=True).start()
        return ended.set


class _Clock:
    """Whether the wall clock goes as the monotonic one does; after a jump it is believed again when it has
    come back, or has kept in step for a day."""

    _PARTED_MS = 60_000

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._base = now_ms() - _mono_ms()
        self._parted: Optional[Tuple[int, int]] = None

    def is_doubted(self) -> bool:
        off, mono = now_ms() - _mono_ms() - self._base, _mono_ms()
        if abs(off) <= self._PARTED_MS:
            self._parted = None
            return False
        if self._parted is None or abs(off - self._parted[0]) > self._PARTED_MS:
            self._parted = (off, mono)
        if mono - self._parted[1] < DAY_MS:
            return True
        self._begin()
        return False


def _mono_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _nothing() -> None:
    pass


def _key(call: Context) -> Dict[str, str]:
    return {"gid": call.gid, "branch_id": call.branch, "instance": call.instance}


def text(value: Any) -> str:
    """A column of text; some drivers give bytes for binary collations."""
    return value.decode("utf-8") if isinstance(value, (bytes, bytearray)) else str(value)


R = TypeVar("R")


def again(run: Callable[[], R]) -> R:
    """Runs something again for as long as it only lost against another transaction, within a bound."""
    for round_ in range(1, ROUNDS):
        try:
            return run()
        except Exception as error:
            if contention(error) is None:
                raise
        quick_pause(round_, *ROUND_PAUSE_S)
    return run()


def make(database: Database[Any], statements: List[str]) -> None:
    """Makes tables where they are missing. Services start several at a time, and hardly a database makes
    IF NOT EXISTS wait for another session that is making the same."""
    for statement in statements:
        for round_ in range(1, 11):
            try:
                with database.writing() as tx:
                    tx.execute(statement)
                    tx.commit()
                break
            except Exception as error:
                passing = contention(error) is not None or is_made_meanwhile(error)
                if not passing or round_ == 10:
                    raise
            quick_pause(round_, *ROUND_PAUSE_S)
