"""The vectors that every library and the Rust crates run."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any, Dict, List, Optional

import pytest

import tercet
from conftest import cases
from tercet import _exchange, _signature, _table, _words
from tercet._context import BadHeader, read_call

INSTANCE = "0193b6a0-0000-7000-8000-000000000001"


@pytest.mark.parametrize("case", cases("guard"))
def test_guard(case: Dict[str, Any]) -> None:
    recorded = case["recorded"] and _table.Recorded(**case["recorded"])
    deadline = case["deadline"] and _words.parse_time(case["deadline"])
    now = _words.parse_time(case["now"])
    assert now is not None
    legs = tuple(case["legs"].split(","))
    long_past = case["op"] == "try" and _table.is_long_past(deadline, now)
    do, why = _table.decide(recorded, case["op"], legs, case["instance"], long_past)
    then = {"do": do.value, "status": 200}
    if why is not None:
        then.update(status=why.status, code=why.code)
    assert then == case["then"]
    leaves = case["recorded"]
    if do in (_table.Do.RUN, _table.Do.RECORD):
        leaves = {"instance": case["instance"], "state": _table.STATE_AFTER[case["op"]]}
    assert leaves == case["leaves"]


@pytest.mark.parametrize("case", cases("guard"))
def test_guard_in_sql(case: Dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same by a guard on SQLite, down to the row that is left."""
    now = _words.parse_time(case["now"])
    monkeypatch.setattr(tercet.guard, "now_ms", lambda: now)
    database = tercet.SQLite(":memory:")
    guard = tercet.Guard(database)
    guard.migrate()
    if case["recorded"]:
        with database.transaction() as db:
            row = (case["recorded"]["instance"], case["recorded"]["state"], now)
            db.execute("INSERT INTO tercet_guard VALUES ('g', 'b', ?, 'try,confirm,cancel', ?, ?)", row)
    ran: List[str] = []

    class Note(tercet.Participant[sqlite3.Cursor, Any]):
        def try_(self, db: sqlite3.Cursor, call: tercet.Context, payload: Any) -> None:
            ran.append("try")

        def confirm(self, db: sqlite3.Cursor, call: tercet.Context, payload: Any) -> None:
            ran.append("confirm")

        def cancel(self, db: sqlite3.Cursor, call: tercet.Context, payload: Any) -> None:
            ran.append("cancel")

    headers = {
        "tercet-gid": "g",
        "tercet-branch": "b",
        "tercet-instance": case["instance"],
        "tercet-op": case["op"],
        "tercet-legs": case["legs"],
    }
    if case["deadline"]:
        headers["tercet-deadline"] = case["deadline"]
    answer = tercet.Endpoint(Note(), guard).answer("POST", case["op"], "", headers, b"{}")
    assert answer.status == case["then"]["status"]
    body = json.loads(answer.body)
    assert body.get("code") == case["then"].get("code")
    assert ran == ([case["op"]] if case["then"]["do"] == "run" else [])
    with database.read() as tx:
        rows = tx.fetch("SELECT instance, state FROM tercet_guard", {})
    leaves = [dict(zip(("instance", "state"), row)) for row in rows]
    assert leaves == ([case["leaves"]] if case["leaves"] else [])


@pytest.mark.parametrize("case", cases("verdicts"))
def test_verdicts(case: Dict[str, Any]) -> None:
    found = tercet.verdict(case["op"], case["status"], case["retry_after"])
    assert (found.kind, found.pause_ms) == (case["verdict"], case["pause_ms"])


@pytest.mark.parametrize("case", cases("headers"))
def test_headers(case: Dict[str, Any]) -> None:
    body = case["body"].encode()
    if "bad_header" in case:
        with pytest.raises(BadHeader) as error:
            read_call(case["url"], case["headers"], body)
        assert str(error.value).startswith(f"header {case['bad_header']}")
        return
    call, payload = read_call(case["url"], case["headers"], body)
    expected = dict(case["context"])
    assert payload.decode() == expected.pop("payload")
    results = expected.pop("results")
    assert (call.results is None) == (results is None)
    assert {branch: call.result(branch) for branch in call.results or ()} == (results or {})
    assert {**{name: getattr(call, name) for name in expected}, "legs": list(call.legs)} == expected


@pytest.mark.parametrize("case", cases("headers"))
def test_headers_over_http(case: Dict[str, Any]) -> None:
    """Bad ones are 400, whatever the case of the names."""
    database = tercet.SQLite(":memory:")
    guard = tercet.Guard(database)
    guard.migrate()
    endpoint = tercet.Endpoint(_Right(), guard)
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/" + case["url"],
        "CONTENT_LENGTH": str(len(case["body"].encode())),
        "wsgi.input": __import__("io").BytesIO(case["body"].encode()),
        **{"HTTP_" + k.upper().replace("-", "_"): v for k, v in case["headers"].items()},
    }
    seen: List[str] = []
    body = b"".join(endpoint.wsgi(environ, lambda status, headers: seen.append(status)))
    if "bad_header" in case:
        told = json.loads(body)
        assert (seen[0][:3], told["code"]) == ("400", "invalid-call")
        assert told["detail"].startswith(f"header {case['bad_header']}")
    else:
        assert json.loads(body).get("code") != "invalid-call"


@pytest.mark.parametrize("case", cases("signatures"), ids=lambda case: case["why"])
def test_signatures(case: Dict[str, Any]) -> None:
    keys = [_signature.SigningKey(one) for one in case["secrets"]]

    def check() -> None:
        signed = _signature.Signed(case["headers"], case["url"], case["now"])
        signed.check(keys, case["body"].encode())

    if case["valid"]:
        check()
    else:
        with pytest.raises(_signature.Unsigned):
            check()


@pytest.mark.parametrize("case", cases("signatures"), ids=lambda case: case["why"])
def test_signatures_by_an_endpoint(case: Dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: case["now"])
    guard = tercet.Guard(tercet.SQLite(":memory:"))
    guard.migrate()
    endpoint = tercet.Endpoint(_Right(), guard, secrets=case["secrets"])
    headers = {"tercet-legs": "try,confirm,cancel", **case["headers"]}
    method = "GET" if case["url"] == "branches" else "POST"
    answer = endpoint.answer(method, case["url"], "", headers, case["body"].encode())
    assert answer.status == (200 if case["valid"] else 401)
    assert case["valid"] or json.loads(answer.body)["code"] == "unsigned"


@pytest.mark.parametrize("case", cases("begins"))
def test_begins(case: Dict[str, Any]) -> None:
    given = dict(case["given"])
    branches = []
    for one in given.pop("branches", []):
        fields = {
            {"try": "try_url", "confirm": "confirm_url", "cancel": "cancel_url"}.get(k, k): v for k, v in one.items()
        }
        branches.append(tercet.Branch(**fields))
    transaction = tercet.Transaction(branches, **given)
    if "error" in case:
        with pytest.raises(tercet.InvalidRequest) as error:
            transaction.written(case["open"])
        assert error.value.field == case["error"]
        return
    written = transaction.written(case["open"])
    assert json.loads(written.body) == case["body"]
    assert transaction.written(case["open"]).body == written.body


@pytest.mark.parametrize("case", cases("answers"))
def test_answers(case: Dict[str, Any]) -> None:
    request = case["request"]
    waits = _exchange.Waits()
    if request == "begin":
        operation = _exchange.begin(tercet.Transaction(gid="order-1").written(), waits)
    else:
        operation = _exchange.decide("order-1", request, None, waits)
    reply = _exchange.Reply(case["status"], case["body"].encode(), case["headers"].get("retry-after"))
    tries = _exchange.Tries(next(operation), None)
    tries.patience_s()
    pause = tries.pause_s(reply)
    if case["outcome"] == "again":
        assert pause is not None
        assert pause >= case.get("pause_ms", 0) / 1000
        assert "pause_ms" in case or pause <= 0.1
        return
    assert pause is None
    outcome: Optional[tercet.Outcome] = None
    try:
        asked = operation.send(reply)
    except StopIteration as end:
        outcome = end.value
    except tercet.RequestRefused as error:
        assert ("refused", error.code) == (case["outcome"], case["code"])
        return
    except tercet.Unexpected:
        assert case["outcome"] == "unexpected"
        return
    else:
        assert case["outcome"] == "ask"
        assert asked.method == "GET"
        return
    assert type(outcome).__name__.lower() == case["outcome"]
    if isinstance(outcome, tercet.Cancelled):
        assert (outcome.why(), outcome.reason) == (case["why"], case["reason"])


class _Right(tercet.Participant[sqlite3.Cursor, Any]):
    def try_(self, db: sqlite3.Cursor, call: tercet.Context, payload: Any) -> None:
        pass

    def confirm(self, db: sqlite3.Cursor, call: tercet.Context, payload: Any) -> None:
        pass

    def cancel(self, db: sqlite3.Cursor, call: tercet.Context, payload: Any) -> None:
        pass
