"""What an endpoint answers, and how it reads what it is sent."""

from __future__ import annotations

import asyncio
import dataclasses
import decimal
import io
import json
import logging
import pathlib
import sqlite3
import threading
from typing import Any, Callable, Dict, List, Literal, Optional, Tuple, TypedDict, Union

import pytest

import tercet
from conftest import call, cases, headers, words
from tercet import _json, _typed


@dataclasses.dataclass
class Debit:
    account: str
    amount: int


class Does(tercet.Participant[sqlite3.Cursor, Any]):
    """Does what it is told."""

    def __init__(self, what: Callable[[tercet.Context], None] = lambda call: None) -> None:
        self.what = what
        self.ran: List[str] = []

    def try_(self, db: sqlite3.Cursor, call: tercet.Context, payload: Any) -> None:
        self.ran.append("try")
        self.what(call)

    def confirm(self, db: sqlite3.Cursor, call: tercet.Context, payload: Any) -> None:
        self.ran.append("confirm")
        self.what(call)

    def cancel(self, db: sqlite3.Cursor, call: tercet.Context, payload: Any) -> None:
        self.ran.append("empty cancel" if call.empty else "cancel")
        self.what(call)


def endpoint_of(participant: Any, file: str = ":memory:", **more: Any) -> tercet.Endpoint:
    guard = tercet.Guard(tercet.SQLite(file))
    guard.migrate()
    return tercet.Endpoint(participant, guard, **more)


@pytest.mark.parametrize("case", cases("participant-answers"), ids=lambda case: f"{case['op']} {case['when']}")
def test_answers(case: Dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    op, when = case["op"], case["when"]
    secret = "host=10.0.0.7 password=hunter2"

    def what(call: tercet.Context) -> None:
        if call.op != op:
            return
        if "result" in case:
            call.answer(case["result"])
        if when == "refused":
            raise tercet.Refused(case["code"], case["detail"])
        if when.startswith("asks to be called again"):
            raise tercet.RetryLater(secret, after_ms=case.get("after_ms"))
        if when == "throws":
            raise RuntimeError(secret)
        if "larger than" in when:
            call.answer("x" * tercet.RESULT_BYTES)

    participant = Does(what)
    endpoint = endpoint_of(participant)
    text = b"{}"
    if op == "confirm" or (op == "cancel" and when == "done") or when.startswith("repeated"):
        assert call(endpoint, "try")[0] == 200
    if when == "repeated after its confirm":
        assert call(endpoint, "confirm")[0] == 200
    if when == "the payload cannot be read":
        text = b"{"
    if when == "another call of the branch is under way":
        monkeypatch.setattr("tercet.endpoint.TURN_PATIENCE_S", 0.0)
        endpoint._turns.take(("g-1", "b"), 0)
    if when == "no connection is to be had":
        monkeypatch.setattr("tercet._line.WAITING_AT_MOST", 0)
    answer = endpoint.answer("POST", op, "", headers(op), text)
    told = dict(answer.headers())
    assert answer.status == case["status"]
    body = json.loads(answer.body)
    assert {name: body[name] for name in case["body"]} == case["body"]
    assert told.get("Retry-After") == case.get("retry_after")
    assert told["Content-Length"] == str(len(answer.body))
    if "code" in body:
        assert told["Content-Type"] == "application/problem+json"
        assert {"type", "title", "status", "code", "detail"} <= set(body)
    assert secret not in answer.body.decode()


def test_cancels_empty_runs_cancel_once() -> None:
    class Hold(Does):
        CANCELS_EMPTY = True

    participant = Hold()
    endpoint = endpoint_of(participant)
    assert words(call(endpoint, "cancel")) == "200 cancelled"
    assert words(call(endpoint, "cancel")) == "200 cancelled"
    assert words(call(endpoint, "try")) == "409 branch-cancelled"
    assert participant.ran == ["empty cancel"]


def test_an_exception_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: tercet.Context) -> None:
        raise RuntimeError("s3cret")

    with caplog.at_level(logging.WARNING, "tercet"):
        status, body = call(endpoint_of(Does(fail)), "try")
    assert (status, body["code"]) == (503, "failed")
    assert "s3cret" not in json.dumps(body)
    assert "s3cret" in caplog.text


def test_a_coroutine_is_run_to_its_end() -> None:
    class Slow(tercet.Participant[sqlite3.Cursor, Debit]):
        async def try_(self, db: sqlite3.Cursor, call: tercet.Context, debit: Debit) -> None:
            await asyncio.sleep(0)
            db.execute("CREATE TABLE seen (account TEXT)")
            db.execute("INSERT INTO seen VALUES (?)", (debit.account,))

        async def confirm(self, db: sqlite3.Cursor, call: tercet.Context, debit: Debit) -> None:
            await asyncio.sleep(0)
            raise tercet.Refused("no", "no")

        async def cancel(self, db: sqlite3.Cursor, call: tercet.Context, debit: Debit) -> None: ...

    endpoint = endpoint_of(Slow())
    assert words(call(endpoint, "try")) == "200 tried"
    assert words(call(endpoint, "confirm")) == "409 no"


def test_ending_the_transaction_inside_is_no_success() -> None:
    class Ends(Does):
        def try_(self, db: sqlite3.Cursor, call: tercet.Context, payload: Any) -> None:
            db.connection.commit()

    assert words(call(endpoint_of(Ends()), "try")) == "503 failed"


def test_the_books_are_paged_by_byte() -> None:
    endpoint = endpoint_of(Does())
    keys = ["A", "a", "a.b", "a:b", "b"]
    for gid in keys:
        call(endpoint, "try", gid)

    def page(query: str) -> Tuple[int, Any]:
        answer = endpoint.answer("GET", "branches", query, {}, b"")
        return answer.status, json.loads(answer.body)

    status, body = page("")
    assert (status, [one["gid"] for one in body["items"]], body["next_cursor"]) == (200, keys, None)
    assert set(body["items"][0]) == {"gid", "branch", "instance", "state", "at"}
    assert page("limit=2")[1]["next_cursor"] == "a/b"
    assert [one["gid"] for one in page("after=a/b&limit=2")[1]["items"]] == ["a.b", "a:b"]
    assert [one["gid"] for one in page("after=a%2F&limit=1")[1]["items"]] == ["a"]
    assert [one["gid"] for one in page("after=a&limit=1")[1]["items"]] == ["a.b"]
    for wrong in ("limit=0", "limit=501", "limit=x", "after=a%20b/c", "before=1", "limit=1&limit=2"):
        assert page(wrong)[0] == 400, wrong


def test_paths_methods_and_bodies_have_bounds() -> None:
    endpoint = endpoint_of(Does())

    def wsgi(method: str, path: str, body: bytes = b"{}", **environ: Any) -> Tuple[str, Dict[str, str]]:
        seen: List[Any] = []
        base = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO(body)}
        base["CONTENT_LENGTH"] = str(len(body))
        base.update({"HTTP_" + k.upper().replace("-", "_"): v for k, v in headers("try").items()})
        out = endpoint.wsgi({**base, **environ}, lambda *given: seen.append(given))
        assert len(list(out)) == 1, "an answer leaves in one piece"
        return seen[0][0], dict(seen[0][1])

    assert wsgi("POST", "/try")[0] == "200 OK"
    assert wsgi("GET", "/try")[0] == "405 Method Not Allowed"
    assert wsgi("POST", "/branches")[0] == "405 Method Not Allowed"
    assert wsgi("POST", "/undo")[0] == "404 Not Found"
    assert wsgi("POST", "/a/try")[0] == "404 Not Found"
    large = b'"' + b"x" * (2 * 1024 * 1024) + b'"'
    assert wsgi("POST", "/try", large)[0].startswith("413")
    chunked = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
    assert wsgi("POST", "/try", large, **chunked)[0].startswith("413")
    assert wsgi("POST", "/try", b"{}", **chunked)[0] == "200 OK"


def asgi(app: Any, path: str, parts: List[bytes], given: Dict[str, str], root: str = "") -> Tuple[int, bytes]:
    """A request in parts."""
    sent: List[Dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": part, "more_body": i + 1 < len(parts)} for i, part in enumerate(parts)]

    async def receive() -> Dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "root_path": root,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    asyncio.run(app(scope, receive, send))
    return (sent[0]["status"], sent[1]["body"]) if sent else (0, b"")


def test_asgi_reads_a_body_in_parts_and_names_in_any_case() -> None:
    endpoint = endpoint_of(Does())
    given = {name.title(): value for name, value in headers("try").items()}
    assert asgi(endpoint.asgi, "/try", [b"{", b"}"], given)[0] == 200
    assert asgi(endpoint.asgi, "/payment/try", [b"{}"], given, "/payment")[0] == 200
    assert asgi(endpoint.asgi, "/payment/try", [b"{}"], given)[0] == 404
    part = b"x" * (1024 * 1024)
    assert asgi(endpoint.asgi, "/try", [part, part, part], given)[0] == 413


def test_uvicorn_knows_it_for_what_it_is() -> None:
    uvicorn = pytest.importorskip("uvicorn")
    config = uvicorn.Config(endpoint_of(Does()).asgi)
    config.load()
    assert config.interface == "asgi3"


def test_a_body_that_breaks_off_is_no_call() -> None:
    participant = Does()
    endpoint = endpoint_of(participant)

    async def receive() -> Dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Dict[str, Any]) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "method": "POST", "path": "/try", "headers": [], "query_string": b""}
    asyncio.run(endpoint.asgi(scope, receive, send))
    assert participant.ran == []


def test_a_header_that_is_there_twice_is_refused() -> None:
    endpoint = endpoint_of(Does())
    sent: List[Dict[str, Any]] = []
    twice = [(k.encode(), v.encode()) for k, v in headers("try").items()] + [(b"tercet-gid", b"g-2")]

    async def receive() -> Dict[str, Any]:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/try", "headers": twice, "query_string": b""}
    asyncio.run(endpoint.asgi(scope, receive, send))
    assert sent[0]["status"] == 400


def test_a_caller_that_hangs_up_leaves_a_call_that_is_done(tmp_path: pathlib.Path) -> None:
    began, go_on = threading.Event(), threading.Event()

    def wait(_: tercet.Context) -> None:
        began.set()
        assert go_on.wait(30)

    participant = Does(wait)
    endpoint = endpoint_of(participant, str(tmp_path / "a.db"))

    async def main() -> None:
        async def receive() -> Dict[str, Any]:
            return {"type": "http.request", "body": b"{}"}

        async def send(message: Dict[str, Any]) -> None: ...

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/try",
            "query_string": b"",
            "headers": [(k.encode(), v.encode()) for k, v in headers("try").items()],
        }
        running = asyncio.ensure_future(endpoint.asgi(scope, receive, send))
        await asyncio.get_running_loop().run_in_executor(None, began.wait)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        go_on.set()

    asyncio.run(main())
    while call(endpoint, "try") != (200, {"state": "tried", "repeated": True}):
        pass
    assert participant.ran == ["try"]


def test_who_waits_too_long_to_write_keeps_its_place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tercet.endpoint.QUEUE_PATIENCE_S", 0.01)
    database = tercet.SQLite(str(tmp_path / "a.db"))
    guard = tercet.Guard(database)
    guard.migrate()
    participant = Does()
    endpoint = tercet.Endpoint(participant, guard)
    with database.transaction():
        assert words(call(endpoint, "try")) == "202 in-progress"
    while words(call(endpoint, "try")) != "200 tried":
        pass
    assert participant.ran == ["try"]


def test_secrets_are_in_no_print_and_no_error() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    endpoint = endpoint_of(Does(), secrets=[secret])
    assert "MfKQ9" not in repr(endpoint) + repr(tercet.SigningKey(secret))
    with pytest.raises(ValueError) as error:
        tercet.SigningKey("whsec_s3cret")
    assert "s3cret" not in str(error.value)
    with pytest.raises(TypeError):
        endpoint_of(Does(), secrets=secret)


# ---- Payloads


class Size(TypedDict):
    width: int


@dataclasses.dataclass
class Parcel:
    name: str
    weight: float
    price: decimal.Decimal
    size: Size
    tags: List[str] = dataclasses.field(default_factory=list)
    kind: Literal["box", "bag"] = "box"
    note: Optional[str] = None
    either: Union[int, str] = 0


PARCEL = '{"name":"Zoë","weight":1,"price":0.10,"size":{"width":3},"unknown":[1.5]}'


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"tags": ["a"], "kind": "bag", "note": "n", "either": "x"}, None),
        ({"name": 1}, "name must be str"),
        ({"size": {"width": "3"}}, "size.width must be int"),
        ({"size": {}}, "size.width is missing"),
        ({"size": {"width": True}}, "size.width must be int"),
        ({"tags": ["a", 2]}, "tags[1] must be str"),
        ({"kind": "cup"}, "kind must be Literal"),
        ({"note": 1}, "note must be"),
        ({"either": 1.5}, "either must be"),
    ],
)
def test_a_payload_is_read_as_its_type(change: Dict[str, Any], fault: Optional[str]) -> None:
    text = json.dumps({**json.loads(PARCEL), **change})
    if fault is None:
        parcel = _typed.read(Parcel, text)
        assert isinstance(parcel, Parcel)
        assert (parcel.name, parcel.weight) == ("Zoë", 1.0)
        return
    with pytest.raises(_typed.Unreadable) as error:
        _typed.read(Parcel, text)
    assert fault in str(error.value)


def test_no_digit_of_a_number_is_lost() -> None:
    assert _typed.read(Parcel, PARCEL).price == decimal.Decimal("0.10")
    large = 12345678901234567890123456789
    assert _typed.read(Any, str(large)) == large
    assert _typed.read(int, "9007199254740993") == 9007199254740993


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", '"\\ud800"', "[" * 100_000, "\ufeff{}", "{} {}", b"\xff"]
)
def test_what_is_no_json_is_refused(text: Any) -> None:
    with pytest.raises(ValueError):
        _typed.read(Any, text)
    with pytest.raises(ValueError):
        _json.members(text)


def test_members_are_cut_out_to_the_byte() -> None:
    text = ' { "a" : { "x" :1.50, "y":"}\\"" } ,"b":[ ] , "\\u0063":"Zoë \\u0000" } '
    found = _json.members(text)
    assert found == {"a": '{ "x" :1.50, "y":"}\\"" }', "b": "[ ]", "c": '"Zoë \\u0000"'}


def test_pydantic_models_are_read() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", amount=(int, ...))
    assert _typed.read(model, '{"amount": 3}').amount == 3
    with pytest.raises(_typed.Unreadable):
        _typed.read(model, '{"amount": "x"}')


def test_the_payload_type_is_found_through_inheritance() -> None:
    class Base(Does): ...

    class Typed(tercet.Participant[sqlite3.Cursor, Debit]):
        def try_(self, db: sqlite3.Cursor, call: tercet.Context, debit: Debit) -> None:
            assert isinstance(debit, Debit)

        def confirm(self, db: sqlite3.Cursor, call: tercet.Context, debit: Debit) -> None: ...

        def cancel(self, db: sqlite3.Cursor, call: tercet.Context, debit: Debit) -> None: ...

    class Child(Typed): ...

    assert Child().read_payload(b'{"account":"a","amount":1}') == Debit("a", 1)
    assert Base().read_payload(b"[1]") == [1]
    assert words(call(endpoint_of(Child()), "try", body={"account": "a"})) == "400 invalid-payload"


def test_results_are_brought_and_kept() -> None:
    def what(call: tercet.Context) -> None:
        if call.op == "try":
            seat = call.result("flight", dict)["seat"]
            call.answer({"seat": seat, "Zoë": 12345678901234567890})

    endpoint = endpoint_of(Does(what))
    body = {"payload": {}, "results": {"flight": {"seat": "12A"}}}
    first = endpoint.answer("POST", "try", "", headers("try", results="true"), json.dumps(body).encode())
    again = endpoint.answer("POST", "try", "", headers("try", results="true"), json.dumps(body).encode())
    assert first.status == again.status == 200
    assert first.body == again.body == '{"seat":"12A","Zoë":12345678901234567890}'.encode()
    assert words(call(endpoint, "try", "g-2")) == "409 result-missing"


def test_a_body_that_is_cut_off_is_no_payload() -> None:
    participant = Does()
    seen: List[str] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/try",
        "CONTENT_LENGTH": "5",
        "wsgi.input": io.BytesIO(b"123"),
        **{"HTTP_" + k.upper().replace("-", "_"): v for k, v in headers("try").items()},
    }
    endpoint_of(participant).wsgi(environ, lambda status, _: seen.append(status))
    assert (seen[0][:3], participant.ran) == ("408", [])


def test_a_thread_does_not_wait_for_itself(tmp_path: pathlib.Path) -> None:
    database = tercet.SQLite(str(tmp_path / "a.db"))
    with database.transaction(), pytest.raises(RuntimeError), database.transaction():
        pass
    with database.transaction():
        pass


def test_a_payload_that_is_not_to_be_found_is_told_at_once() -> None:
    class Wrong(tercet.Participant[sqlite3.Cursor, "Nowhere"]):  # type: ignore[name-defined]
        def try_(self, db: Any, call: Any, payload: Any) -> None: ...

        def confirm(self, db: Any, call: Any, payload: Any) -> None: ...

        def cancel(self, db: Any, call: Any, payload: Any) -> None: ...

    with pytest.raises(TypeError, match="Nowhere"):
        endpoint_of(Wrong())
