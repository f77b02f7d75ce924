"""The guard on each database: races, deadlocks, killed processes, repeats."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Iterator, List, Optional, Tuple

import pytest

import tercet
from conftest import INSTANCE, MARK, OTHER_INSTANCE, ROOT, Place, call, words
from tercet import _guard_sql
from tercet._contention import contention

DAY_MS = 24 * 60 * 60 * 1000


class Payment(tercet.Participant[Any, Any]):
    """Freezes, takes and thaws an amount of an account, on any database."""

    def __init__(self, place: Place, during: Optional[Callable[[Any, tercet.Context], None]] = None) -> None:
        self._place, self._during = place, during

    def _run(self, db: Any, sql: str, *values: Any) -> int:
        if self._place.kind.startswith("sqlalchemy"):
            from sqlalchemy import text

            names = iter("abcdef")
            sql = re.sub(r"\?", lambda _: ":" + next(names), sql)
            return int(db.execute(text(sql), dict(zip("abcdef", values))).rowcount)
        db.execute(sql.replace("?", MARK[self._place.base]), values)
        return int(db.rowcount)

    def try_(self, db: Any, call: tercet.Context, payload: Any) -> None:
        amount, name = payload["amount"], payload["account"]
        freeze = "UPDATE accounts SET balance = balance - ?, frozen = frozen + ? WHERE name = ? AND balance >= ?"
        if self._run(db, freeze, amount, amount, name, amount) == 0:
            raise tercet.Refused("insufficient-funds", "there is not enough")
        if self._during:
            self._during(db, call)

    def confirm(self, db: Any, call: tercet.Context, payload: Any) -> None:
        take = "UPDATE accounts SET frozen = frozen - ? WHERE name = ?"
        self._run(db, take, payload["amount"], payload["account"])
        if self._during:
            self._during(db, call)

    def cancel(self, db: Any, call: tercet.Context, payload: Any) -> None:
        thaw = "UPDATE accounts SET balance = balance + ?, frozen = frozen - ? WHERE name = ?"
        self._run(db, thaw, payload["amount"], payload["amount"], payload["account"])


def make_accounts(place: Place) -> None:
    tercet.Guard(place.database).migrate()
    place.run("CREATE TABLE accounts (name VARCHAR(64) PRIMARY KEY, balance BIGINT NOT NULL, frozen BIGINT NOT NULL)")
    for name in ("alice", "bob"):
        place.run("INSERT INTO accounts (name, balance, frozen) VALUES (:name, 100, 0)", name=name)


def endpoint(place: Place, connections: int = 10, during: Any = None) -> tercet.Endpoint:
    """One more service on the same database, as another process has it."""
    return tercet.Endpoint(Payment(place, during), tercet.Guard(place.another(connections)))


def at_once(*works: Callable[[], Any]) -> List[Any]:
    """Runs these at once; what they gave, in their order."""
    gave: List[Any] = [None] * len(works)
    barrier = threading.Barrier(len(works))

    def run(i: int, work: Callable[[], Any]) -> None:
        barrier.wait()
        gave[i] = work()

    threads = [threading.Thread(target=run, args=(i, work)) for i, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return gave


def until_settled(answer: Callable[[], Tuple[int, Any]]) -> str:
    """As the coordinator does: calls again what is in progress."""
    while True:
        answered = answer()
        if answered[0] not in (202, 503):
            return words(answered)


def test_repeats_change_nothing(place: Place) -> None:
    make_accounts(place)
    service = endpoint(place)
    for _ in range(2):
        assert words(call(service, "try")) == "200 tried"
    assert place.accounts()["alice"] == (99, 1)
    for _ in range(2):
        assert words(call(service, "confirm")) == "200 confirmed"
    assert words(call(service, "try")) == "200 confirmed"
    assert words(call(service, "cancel")) == "409 branch-confirmed"
    assert place.accounts()["alice"] == (99, 0)


def test_a_refusal_leaves_no_row(place: Place) -> None:
    make_accounts(place)
    service = endpoint(place)
    body = {"account": "alice", "amount": 101}
    assert words(call(service, "try", body=body)) == "409 insufficient-funds"
    assert place.rows("SELECT gid FROM tercet_guard") == []
    assert words(call(service, "cancel", body=body)) == "200 cancelled"
    assert words(call(service, "try", body=body)) == "409 branch-cancelled"
    assert place.accounts()["alice"] == (100, 0)


def test_ids_compare_by_byte(place: Place) -> None:
    make_accounts(place)
    service = endpoint(place)
    for gid in ("A", "a", "a:b"):
        assert words(call(service, "try", gid)) == "200 tried"
    assert words(call(service, "try", "a", branch="b:c")) == "200 tried"
    assert words(call(service, "try", "a:b", branch="c")) == "200 tried"
    assert words(call(service, "try", "a", instance=OTHER_INSTANCE)) == "409 another-instance"
    assert words(call(service, "cancel", "a", instance=OTHER_INSTANCE)) == "410 another-instance"
    assert place.accounts()["alice"] == (95, 5)


def test_the_same_try_at_once_is_run_once(place: Place) -> None:
    make_accounts(place)
    services = [endpoint(place) for _ in range(3)]
    for i in range(10):
        calls = [lambda s=s, gid=f"g-{i}": until_settled(lambda: call(s, "try", gid)) for s in services]
        assert at_once(*calls) == ["200 tried"] * 3
    assert place.accounts()["alice"] == (90, 10)


def test_a_try_and_its_cancel_at_once_end_alike(place: Place) -> None:
    make_accounts(place)
    one, other = endpoint(place), endpoint(place)
    for i in range(20):
        gid = f"g-{i}"
        tried, cancelled = at_once(
            lambda gid=gid: until_settled(lambda: call(one, "try", gid)),
            lambda gid=gid: until_settled(lambda: call(other, "cancel", gid)),
        )
        assert cancelled == "200 cancelled"
        assert tried in ("200 tried", "409 branch-cancelled")
        assert words(call(one, "try", gid)) == "409 branch-cancelled"
    assert place.accounts()["alice"] == (100, 0)


@contextlib.contextmanager
def running_try(place: Place) -> Iterator[threading.Event]:
    """A Try that is at work until it is told to go on."""
    began, go_on = threading.Event(), threading.Event()

    def wait(db: Any, call: tercet.Context) -> None:
        began.set()
        assert go_on.wait(60)

    answered: List[Any] = []
    service = endpoint(place, during=wait)
    thread = threading.Thread(target=lambda: answered.append(call(service, "try")))
    thread.start()
    assert began.wait(60)
    yield go_on
    go_on.set()
    thread.join()
    assert words(answered[0]) == "200 tried"


def test_a_call_that_meets_another_is_in_progress(place: Place) -> None:
    make_accounts(place)
    other = endpoint(place)
    with running_try(place) as go_on:
        assert words(call(other, "cancel")) == "202 in-progress"
        assert words(call(other, "try", attempt="2")) == "202 in-progress"
        go_on.set()
    assert until_settled(lambda: call(other, "cancel")) == "200 cancelled"
    assert place.accounts()["alice"] == (100, 0)


def test_a_session_gets_back_its_patience(place: Place) -> None:
    if place.base != "mysql":
        pytest.skip("only MySQL counts for the session")
    make_accounts(place)
    place.database = place.another(1)
    service = tercet.Endpoint(Payment(place), tercet.Guard(place.database))
    wait = "SELECT @@SESSION.innodb_lock_wait_timeout"
    before = place.rows(wait)
    assert before[0][0] != 1
    with running_try(place):
        assert words(call(service, "cancel")) == "202 in-progress"
    assert words(call(service, "try")) == "200 tried"
    assert place.rows(wait) == before


def test_a_deadlock_is_run_again(place: Place) -> None:
    if place.base == "sqlite":
        pytest.skip("one writes at a time")
    make_accounts(place)
    both = threading.Barrier(2)
    first: List[str] = []
    payment = Payment(place)

    def lock_the_other(db: Any, call: tercet.Context) -> None:
        name = {"g-alice": "bob", "g-bob": "alice"}[call.gid]
        if call.gid not in first:
            first.append(call.gid)
            both.wait(60)
        payment._run(db, "UPDATE accounts SET balance = balance WHERE name = ?", name)
        payment._run(db, "UPDATE accounts SET frozen = frozen + 0 WHERE name = ?", name)

    one, other = endpoint(place, during=lock_the_other), endpoint(place, during=lock_the_other)
    answers = at_once(
        lambda: until_settled(lambda: call(one, "try", "g-alice", {"account": "alice", "amount": 1})),
        lambda: until_settled(lambda: call(other, "try", "g-bob", {"account": "bob", "amount": 1})),
    )
    assert answers == ["200 tried"] * 2
    assert place.accounts() == {"alice": (99, 1), "bob": (99, 1)}


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[3:]
import conftest, test_guard
place = conftest.Place(sys.argv[1], sys.argv[2])
def die(db, call):
    os.kill(os.getpid(), signal.SIGKILL)
conftest.call(test_guard.endpoint(place, during=die), "try")
"""


def test_a_process_that_is_killed_leaves_nothing(place: Place) -> None:
    make_accounts(place)
    died = subprocess.run([sys.executable, "-c", KILLED, place.kind, place.url, *sys.path], check=False)
    assert died.returncode == -signal.SIGKILL
    service = endpoint(place)
    assert until_settled(lambda: call(service, "try")) == "200 tried"
    assert place.accounts()["alice"] == (99, 1)


def test_an_error_that_is_swallowed_is_no_success(place: Place) -> None:
    """PostgreSQL has given up the whole transaction then, and its COMMIT would say nothing of it."""
    make_accounts(place)
    payment = Payment(place)

    def swallow(db: Any, call: tercet.Context) -> None:
        with contextlib.suppress(Exception):
            payment._run(db, "UPDATE nothing_of_this_name SET a = ?", 1)

    service = endpoint(place, during=swallow)
    answered = words(call(service, "try"))
    assert answered == ("503 failed" if place.base == "postgres" else "200 tried")
    rows = place.rows("SELECT state FROM tercet_guard")
    assert (len(rows), place.accounts()["alice"]) == ((0, (100, 0)) if place.base == "postgres" else (1, (99, 1)))


@pytest.mark.parametrize("op", ["try", "confirm"])
def test_a_deadlock_that_is_swallowed_is_no_success(place: Place, op: str) -> None:
    """InnoDB has rolled all of it back by then, and goes on in another transaction, which ends well."""
    if place.base != "mysql":
        pytest.skip("PostgreSQL refuses to go on, and SQLite has no deadlocks")
    make_accounts(place)
    place.run("CREATE TABLE orders (n BIGINT PRIMARY KEY)")
    payment, other, caught = Payment(place), place.another(1), []
    add, own = "UPDATE accounts SET balance = balance + 0 WHERE name = :name", place.another(2)
    if place.kind == "mysql":
        connect = place.another(1)._pool._connect  # type: ignore[attr-defined]

        def autocommitting() -> Any:
            db = connect()
            db.autocommit(True)
            return db

        own = tercet.MySQL(autocommitting)

    def swallow(db: Any, call: tercet.Context) -> None:
        if call.op != op or caught:
            return
        with other.writing() as tx:
            for n in range(50):  # Who has written less is sacrificed.
                tx.execute("INSERT INTO orders (n) VALUES (:n)", {"n": n})
            tx.execute(add, {"name": "bob"})
            waits = threading.Thread(target=lambda: tx.execute(add, {"name": "alice"}))
            waits.start()
            try:
                payment._run(db, "UPDATE accounts SET frozen = 7 WHERE name = ?", "bob")
            except Exception as error:
                caught.append(contention(error))
            waits.join()
        payment._run(db, "UPDATE accounts SET frozen = 7 WHERE name = ?", "bob")

    service = tercet.Endpoint(Payment(place, swallow), tercet.Guard(own))
    if op == "confirm":
        assert words(call(service, "try")) == "200 tried"
    before = place.accounts()
    assert (words(call(service, op)), caught) == ("503 failed", ["lost"])
    assert place.accounts() == before
    assert words(call(service, op)) == ("200 tried" if op == "try" else "200 confirmed")
    assert place.accounts() == {"alice": (99, 1 if op == "try" else 0), "bob": (100, 0)}
    own.close()


def test_ending_the_transaction_inside_is_no_success(place: Place) -> None:
    make_accounts(place)

    def end(db: Any, call: tercet.Context) -> None:
        (db if place.kind.startswith("sqlalchemy") else db.connection).rollback()

    assert words(call(endpoint(place, during=end), "try")) == "503 failed"
    assert place.rows("SELECT state FROM tercet_guard") == []


def test_a_cursor_that_was_closed_inside_harms_nobody(place: Place) -> None:
    if place.kind.startswith("sqlalchemy"):
        pytest.skip("it has no cursor")
    make_accounts(place)
    service = endpoint(place, during=lambda db, call: db.close())
    assert words(call(service, "try")) == "200 tried"
    assert words(call(service, "confirm")) == "200 confirmed"
    assert place.accounts()["alice"] == (99, 0)


def test_work_of_ones_own_waits_as_it_likes(place: Place) -> None:
    if place.base != "postgres":
        pytest.skip("elsewhere the bound is not one of the whole transaction")
    with place.database.transaction() as db:
        run = db.connection().exec_driver_sql if place.kind.startswith("sqlalchemy") else db.execute
        assert run("SHOW lock_timeout").fetchone()[0] == "0"


def test_no_connection_is_busy(place: Place) -> None:
    if place.base == "sqlite":
        pytest.skip("its calls stand in line")
    make_accounts(place)
    database = place.another(1)
    service = tercet.Endpoint(Payment(place), tercet.Guard(database))
    with database.transaction():
        assert words(call(service, "cancel", "g-2")) == "202 in-progress"
        assert words(call(service, "try", "g-2")) == "503 busy"
    assert words(call(service, "try", "g-2")) == "200 tried"


def test_connections_that_died_are_replaced(place: Place) -> None:
    if place.kind not in ("postgres", "mysql", "mysqlclient-mysql"):
        pytest.skip("the pool is another's")
    make_accounts(place)
    database: Any = place.another(3)
    service = tercet.Endpoint(Payment(place), tercet.Guard(database))
    at_once(*(lambda i=i: call(service, "try", f"g-{i}") for i in range(3)))
    for db in list(database._pool._idle):
        if place.base == "postgres":
            place.rows("SELECT pg_terminate_backend(:pid)", pid=db.info.backend_pid)
        else:
            place.run(f"KILL {db.thread_id()}")
    assert words(call(service, "try", "g-9")) == "200 tried"


def test_tables_are_made_by_several_at_once(place: Place) -> None:
    at_once(*(tercet.Guard(place.another(2)).migrate for _ in range(4)))
    at_once(*(tercet.Outbox(place.another(2)).migrate for _ in range(4)))
    assert place.rows("SELECT gid FROM tercet_guard") == []


def test_what_a_try_answers_with_is_kept(place: Place) -> None:
    make_accounts(place)

    class Answers(tercet.Participant[Any, Any]):
        def try_(self, db: Any, call: tercet.Context, payload: Any) -> None:
            call.answer({"n": 12345678901234567890, "Zoë": "\U0001f600\\", "list": [1.5, None]})

        def confirm(self, db: Any, call: tercet.Context, payload: Any) -> None: ...

        def cancel(self, db: Any, call: tercet.Context, payload: Any) -> None: ...

    service = tercet.Endpoint(Answers(), tercet.Guard(place.database))
    first, again = call(service, "try"), call(service, "try")
    assert first == again
    assert first[1]["n"] == 12345678901234567890
    assert call(service, "confirm") == (200, {"state": "confirmed", "repeated": False})
    assert call(service, "try") == first
    kept = place.rows("SELECT result FROM tercet_guard_results")[0][0]
    assert kept == json.dumps(first[1], ensure_ascii=False, separators=(",", ":"))


def test_a_row_that_is_called_is_touched_once_a_day(place: Place) -> None:
    make_accounts(place)
    service = endpoint(place)
    call(service, "try")
    stamp = "SELECT updated_at FROM tercet_guard"
    before = place.rows(stamp)
    call(service, "try")
    assert place.rows(stamp) == before
    place.run("UPDATE tercet_guard SET updated_at = updated_at - :day", day=DAY_MS + 60_000)
    call(service, "try", instance=OTHER_INSTANCE)
    assert place.rows(stamp)[0][0] < before[0][0], "another instance does not count"
    call(service, "try")
    assert place.rows(stamp)[0][0] >= before[0][0]


def test_a_purge_keeps_what_waits_for_its_decision(place: Place) -> None:
    make_accounts(place)
    guard = tercet.Guard(place.database)
    now = int(time.time() * 1000)
    rows = [
        ("old-done", "confirmed", "try,confirm,cancel", 32),
        ("old-undecided", "tried", "try,confirm,cancel", 400),
        ("old-no-confirm", "tried", "try,cancel", 32),
        ("young", "cancelled", "try,confirm,cancel", 30),
    ]
    for gid, state, legs, days in rows:
        place.run(
            "INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at) "
            "VALUES (:gid, 'b', :instance, :legs, :state, :at)",
            gid=gid, instance=INSTANCE, legs=legs, state=state, at=now - days * DAY_MS,
        )  # fmt: skip
        place.run(
            "INSERT INTO tercet_guard_results (gid, branch_id, instance, result) VALUES (:gid, 'b', :instance, '1')",
            gid=gid, instance=INSTANCE,
        )  # fmt: skip
    assert guard.purge() == tercet.Purged(2, 1)
    assert {row[0] for row in place.rows("SELECT gid FROM tercet_guard")} == {"old-undecided", "young"}
    assert {row[0] for row in place.rows("SELECT gid FROM tercet_guard_results")} == {"old-undecided", "young"}


def test_a_jump_of_the_clock_stops_purges(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    guard = tercet.Guard(tercet.SQLite(str(tmp_path / "a.db")))
    guard.migrate()
    assert not guard._clock.is_doubted()
    real = tercet.guard.now_ms
    monkeypatch.setattr(tercet.guard, "now_ms", lambda: real() + 365 * DAY_MS)
    assert guard.purge() == tercet.Purged(0, 0)
    assert guard._clock.is_doubted()
    monkeypatch.setattr(tercet.guard, "now_ms", real)
    assert not guard._clock.is_doubted()


def test_a_cursor_of_dictionaries_does_not_mislead(place: Place) -> None:
    if place.kind != "mysql":
        pytest.skip("it is a way of PyMySQL")
    import pymysql.cursors

    make_accounts(place)
    parts = place.another(1)._pool._connect  # type: ignore[attr-defined]

    def connect() -> Any:
        db = parts()
        db.cursorclass = pymysql.cursors.DictCursor
        return db

    service = tercet.Endpoint(Payment(place), tercet.Guard(tercet.MySQL(connect)))
    assert words(call(service, "try")) == "200 tried"
    assert words(call(service, "confirm")) == "200 confirmed"


def test_a_forked_process_has_connections_of_its_own(place: Place) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    make_accounts(place)
    service = tercet.Endpoint(Payment(place), tercet.Guard(place.database))
    assert words(call(service, "try", "g-1")) == "200 tried"
    if place.kind.startswith("sqlalchemy"):
        pytest.skip("an engine is disposed of by its owner")
    pool: Any = place.database._pool  # type: ignore[attr-defined]
    parents = list(pool._idle)
    child = os.fork()
    if child == 0:
        done = until_settled(lambda: call(service, "try", "g-2")) == "200 tried"
        os._exit(0 if done and not any(db in parents for db in pool._idle) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert words(call(service, "try", "g-3")) == "200 tried"
    assert place.accounts()["alice"] == (97, 3)


def test_the_guards_sql_is_that_of_the_page() -> None:
    page = (ROOT / "docs" / "guard-sql.md").read_text("utf-8")
    for head, known in (("SQLite", "sqlite"), ("PostgreSQL", "postgres"), ("MySQL", "mysql")):
        block = page.split(f"\n## {head}", 1)[1].split("```sql\n", 1)[1].split("```", 1)[0]
        parts = re.split(r"^-- (.*)\n", block, flags=re.M)[1:]
        told = {name: sql.strip().rstrip(";") for name, sql in zip(parts[::2], parts[1::2])}
        assert told == _guard_sql.GUARD[known]
