"""The outbox, its relay, and checks, on each database."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import Any, Iterator, List

import pytest

import tercet
from conftest import BIN_DIR, Place, words
from coordinators import Fake, coordinator, loses_the_answer, problem, says, transaction
from tercet import Branch, Transaction
from tercet.outbox import Told, next_of
from test_guard import at_once, until_settled

INVOICE = Branch("invoice", confirm_url="http://127.0.0.1:1/invoice", payload={"order": 17, "Zoë": "\U0001f600"})


LEASE_MS = 600_000
"""Longer than anything takes on a machine that is busy."""


def relay_of(outbox: tercet.Outbox[Any], url: str, batch: int = 100) -> tercet.Relay:
    return tercet.Relay(outbox, tercet.Client(url), lease_ms=LEASE_MS, batch=batch)


def execute(place: Place, db: Any, sql: str) -> None:
    if place.kind.startswith("sqlalchemy"):
        from sqlalchemy import text

        db.execute(text(sql))
    else:
        db.execute(sql)


def outbox_of(place: Place) -> tercet.Outbox[Any]:
    outbox = tercet.Outbox(place.database)
    outbox.migrate()
    place.run("CREATE TABLE orders (number INT PRIMARY KEY)")
    return outbox


def send(place: Place, gid: str, number: int, outbox: tercet.Outbox[Any]) -> None:
    with place.database.transaction() as db:
        execute(place, db, f"INSERT INTO orders VALUES ({number})")
        outbox.send(db, Transaction([INVOICE], gid=gid, traceparent="00-a"))


def due_now(place: Place) -> None:
    """Leases and pauses are over."""
    place.run("UPDATE tercet_outbox SET due_at = 0 WHERE state IN ('pending', 'sent')")


def test_a_message_is_sent_exactly_if_its_transaction_commits(place: Place) -> None:
    outbox = outbox_of(place)
    with pytest.raises(ZeroDivisionError), place.database.transaction() as db:
        execute(place, db, "INSERT INTO orders VALUES (1)")
        outbox.send(db, Transaction([INVOICE], gid="order-1"))
        raise ZeroDivisionError
    with Fake() as fake:
        relay = relay_of(outbox, fake.url)
        assert relay.once() is False
        send(place, "order-2", 2, outbox)
        assert outbox.pending() == 1
        assert relay.once() is True
        assert outbox.pending() == 0
        [request] = fake.requests
        assert request["path"] == "/v1/transactions?wait=accepted&wait_ms=0"
        assert request["headers"]["traceparent"] == "00-a"
        assert request["body"].decode() == Transaction([INVOICE], gid="order-2").written().body
    assert outbox.entry("order-1") is None
    assert outbox.entry("order-2") == tercet.OutboxEntry("order-2", "confirmed", None, 1)
    assert place.rows("SELECT number FROM orders") == [(2,)]


def test_a_deed_that_was_sent_is_not_sent_again(place: Place) -> None:
    outbox = outbox_of(place)
    send(place, "order-1", 1, outbox)
    with pytest.raises(tercet.NotSent) as error:
        send(place, "order-1", 2, outbox)
    assert error.value.before
    assert place.rows("SELECT number FROM orders") == [(1,)]


def test_a_relay_that_dies_before_its_mark_is_followed_by_another(place: Place) -> None:
    outbox = outbox_of(place)
    send(place, "order-1", 1, outbox)
    with Fake() as fake:
        dying = relay_of(tercet.Outbox(place.another()), fake.url)
        _, rows = dying._outbox._claim("pending", 10, LEASE_MS)
        dying._ask("pending", rows[0])
        other = relay_of(outbox, fake.url)
        assert other.once() is False, "the lease is not over"
        due_now(place)
        assert other.once() is True
        assert len({request["body"] for request in fake.requests}) == 1
        assert len(fake.requests) == 2
        entry = outbox.entry("order-1")
        assert entry is not None and entry.state == "confirmed"
        # What the dead one would still write is not taken.
        dying._outbox._settle(_, "pending", {next_of("pending", 1, Told("refused", "x")): ["order-1"]})
        entry = outbox.entry("order-1")
        assert entry is not None and entry.state == "confirmed"


def test_relays_at_once_share_and_do_not_double(place: Place) -> None:
    outbox = outbox_of(place)
    for i in range(30):
        send(place, f"order-{i}", i, outbox)
    with Fake() as fake:
        relays = [relay_of(tercet.Outbox(place.another()), fake.url, batch=5) for _ in range(3)]

        def work(relay: tercet.Relay) -> None:
            while outbox.pending():
                relay.once()

        at_once(*(lambda r=r: work(r) for r in relays))
        assert sorted(json.loads(r["body"])["gid"] for r in fake.requests) == sorted(f"order-{i}" for i in range(30))


def test_a_coordinator_that_is_away_only_delays(place: Place) -> None:
    outbox = outbox_of(place)
    for i in range(3):
        send(place, f"order-{i}", i, outbox)
    with Fake(
        loses_the_answer, problem(503, "not-accepted"), says(502, b"<html>"), problem(401, "unauthorized")
    ) as fake:
        relay = relay_of(outbox, fake.url)
        while len(fake.requests) < 4:
            relay.once()
            due_now(place)
        assert outbox.pending() > 0
        while outbox.pending():
            relay.once()
            due_now(place)
        assert outbox.dead() == []


def test_a_message_that_is_refused_is_dead_until_it_is_brought_back(place: Place) -> None:
    outbox = outbox_of(place)
    send(place, "order-1", 1, outbox)
    with Fake(problem(409, "gid-reused")) as fake:
        relay = relay_of(outbox, fake.url)
        relay.once()
        assert outbox.dead() == [tercet.OutboxEntry("order-1", "dead", "gid-reused: d", 1)]
        assert relay.once() is False
        assert outbox.again("order-1") is True
        assert outbox.again("order-1") is False
        relay.once()
        entry = outbox.entry("order-1")
        assert entry is not None and entry.state == "confirmed"


def test_a_message_is_followed_to_its_end_and_purged(place: Place) -> None:
    outbox = outbox_of(place)
    send(place, "order-1", 1, outbox)
    send(place, "order-2", 2, outbox)
    unfinished = transaction("order-1", "confirming")
    with Fake(says(202, unfinished), problem(400, "invalid-request")) as fake:
        relay = relay_of(outbox, fake.url, batch=1)
        relay._round("pending", 1)
        relay._round("pending", 1)
        states = {e.state for gid in ("order-1", "order-2") if (e := outbox.entry(gid))}
        assert states == {"sent", "dead"}
        due_now(place)
        [sent] = [gid for gid in ("order-1", "order-2") if outbox.entry(gid).state == "sent"]  # type: ignore[union-attr]
        fake.known[sent] = "cancelled"
        relay.once()
        assert fake.requests[-1]["path"] == f"/v1/transactions/{sent}"
        entry = outbox.entry(sent)
        assert entry is not None and entry.state == "cancelled"
    assert outbox.purge() == 0
    place.run("UPDATE tercet_outbox SET due_at = due_at - :after", after=8 * 24 * 3600 * 1000)
    assert outbox.purge() == 1
    assert [entry.state for entry in outbox.dead()] == ["dead"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (Transaction(), "needs branches"),
        (Transaction([INVOICE], check="http://x/"), "not open"),
        (Transaction([INVOICE, INVOICE]), "branches[1].id"),
        (Transaction([Branch("a")]), "branches[0]: a branch needs"),
        (Transaction([Branch("a", "http://x", confirm_url="http://x")]), "endpoint stands"),
        (Transaction([Branch("a/b", "http://x")]), "branches[0].id"),
        (Transaction([INVOICE], gid="a/b"), "gid"),
        (Transaction([Branch("a", "http://x", after=[])]), "only a saga"),
        (Transaction([Branch("a", "http://x", "x" * 2**20)]), "larger than"),
        (Transaction([Branch("a", "http://x", float("nan"))]), "cannot be written"),
    ],
)
def test_what_no_coordinator_would_take_is_refused(wrong: Transaction, why: str) -> None:
    with pytest.raises(tercet.NotSent) as error:
        tercet.Outbox(tercet.SQLite(":memory:")).send(None, wrong)  # type: ignore[arg-type]
    assert why in str(error.value)


def test_every_word_of_a_coordinator_leads_to_one_state() -> None:
    table = [
        ("pending", Told("has", "confirming"), "sent"),
        ("pending", Told("has", "trying"), "sent"),
        ("pending", Told("has", "confirmed"), "confirmed"),
        ("pending", Told("has", "cancelled"), "cancelled"),
        ("pending", Told("refused", "no"), "dead"),
        ("pending", Told("unknown"), "pending"),
        ("pending", Told("odd", "odd"), "pending"),
        ("pending", Told("away", "away"), "pending"),
        ("sent", Told("has", "confirming"), "sent"),
        ("sent", Told("has", "confirmed"), "confirmed"),
        ("sent", Told("unknown"), "dead"),
        ("sent", Told("odd", "odd"), "sent"),
        ("sent", Told("away", "away"), "sent"),
    ]
    for state, told, expected in table:
        next_ = next_of(state, 1, told)
        assert next_.state == expected, (state, told)
        assert next_.due_in_ms > 0 or expected in ("confirmed", "cancelled", "dead")
    reason = next_of("pending", 1, Told("refused", "a\0" + "é" * 2000)).reason
    assert reason is not None and reason.startswith("a\ufffdé") and len(reason) == 1000


@pytest.mark.coordinator
def test_a_relay_in_a_thread_and_the_program_do_it_alike(tmp_path: Any) -> None:
    place = Place("sqlite", f"sqlite:///{tmp_path / 'orders.db'}")
    outbox = outbox_of(place)
    done = Transaction([Branch("none", confirm_url="http://127.0.0.1:1/c", confirm_after_ms=3_600_000)], gid="x")
    with coordinator() as running:
        stop = tercet.Relay(outbox, tercet.Client(running.url)).spawn()
        with place.database.transaction() as db:
            outbox.send(db, Transaction(done.branches, gid="by-thread"))
        wait_for(lambda: outbox.pending() == 0)
        stop()
        with place.database.transaction() as db:
            outbox.send(db, Transaction(done.branches, gid="by-program"))
        program = [str(BIN_DIR / "tercet-relay"), "--database-url", f"sqlite://{tmp_path / 'orders.db'}"]
        process = subprocess.Popen([*program, "--coordinator", running.url], stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: outbox.pending() == 0)
        finally:
            process.terminate()
            process.wait()
        for gid in ("by-thread", "by-program"):
            assert tercet.Client(running.url).get(gid).status == "confirming"


def wait_for(ready: Any) -> None:
    """Waits for something that stays."""
    for _ in range(3000):
        if ready():
            return
        threading.Event().wait(0.02)
    pytest.fail("it did not come")


# ---- Checks


@pytest.fixture
def checked(place: Place) -> Iterator[tercet.Checked[Any]]:
    one = tercet.Checked(place.database)
    one.migrate()
    yield one


def asked(checked: tercet.Checked[Any], gid: str, op: str = "check") -> str:
    answer = checked.answer("POST", "", "", {"tercet-gid": gid, "tercet-op": op}, b"{}")
    return str(answer.status) if not answer.body else words((answer.status, json.loads(answer.body)))


def test_a_check_tells_what_was_recorded(place: Place, checked: tercet.Checked[Any]) -> None:
    with place.database.transaction() as db:
        checked.record(db, "order-1")
    with pytest.raises(tercet.NotRecorded) as before, place.database.transaction() as db:
        checked.record(db, "order-1")
    assert not before.value.too_late
    assert [asked(checked, "order-1"), asked(checked, "order-1")] == ["200", "200"]
    assert [asked(checked, "order-2"), asked(checked, "order-2")] == ["410 never", "410 never"]
    with pytest.raises(tercet.NotRecorded) as late, place.database.transaction() as db:
        checked.record(db, "order-2")
    assert late.value.too_late
    assert asked(checked, "order-3", "try") == "400 invalid-call"
    assert asked(checked, "a/b") == "400 invalid-call"
    place.run("UPDATE tercet_checked SET asked_at = asked_at - :after", after=91 * 24 * 3600 * 1000)
    assert asked(checked, "order-1") == "200"
    assert checked.purge() == 1


def test_a_check_waits_for_who_is_writing(place: Place, checked: tercet.Checked[Any]) -> None:
    if place.base == "sqlite":
        pytest.skip("who asks stands in line")
    other = tercet.Checked(place.another())
    with place.database.transaction() as db:
        checked.record(db, "order-1")
        assert asked(other, "order-1") == "202 not-known-yet"
    assert asked(other, "order-1") == "200"


def test_a_record_and_a_check_at_once_agree(place: Place, checked: tercet.Checked[Any]) -> None:
    other = tercet.Checked(place.another())
    for i in range(10):
        gid = f"order-{i}"
        recorded: List[bool] = []

        def record(gid: str = gid, recorded: List[bool] = recorded) -> None:
            try:
                with place.database.transaction() as db:
                    checked.record(db, gid)
                recorded.append(True)
            except tercet.NotRecorded:
                recorded.append(False)

        def ask(gid: str = gid) -> str:
            return until_settled(lambda: _pair(asked(other, gid)))

        _, told = at_once(record, ask)
        assert (recorded[0], told[:3]) in ((True, "200"), (False, "410"))


def _pair(told: str) -> Any:
    status, _, code = told.partition(" ")
    return int(status), {"code": code}
