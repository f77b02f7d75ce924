"""The clients, against a mischievous coordinator and the real one."""

from __future__ import annotations

import asyncio
import http.server
import json
import logging
import os
import socket
import threading
import time
from typing import Any, Callable, Dict, Iterator, List

import pytest

import tercet
from conftest import INSTANCE
from coordinators import Fake, breaks_off, coordinator, garbage, loses_the_answer, problem, says, transaction
from tercet import Branch, Transaction

TOKEN = "t0ken-that-nobody-reads"
DINNER = Transaction([Branch("a", "http://127.0.0.1:1/a", {"n": 1, "Zoë": "\u0000\U0001f600"})], gid="order-1")

Ask = Callable[..., Any]


def asked_sync(url: str, work: Callable[[Any], Any], **settings: Any) -> Any:
    with tercet.Client(url, **settings) as client:
        return work(client)


def asked_async(url: str, work: Callable[[Any], Any], **settings: Any) -> Any:
    async def main() -> Any:
        async with tercet.AsyncClient(url, **settings) as client:
            return await work(client)

    return asyncio.run(main())


@pytest.fixture(params=[asked_sync, asked_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are asked for, and not slept."""
    monkeypatch.setattr("tercet._exchange.backoff_s", lambda *_: 0.0)


MISCHIEF = [
    loses_the_answer,
    breaks_off,
    garbage,
    says(502, b"<html>"),
    problem(503, "not-accepted"),
    problem(429, "too-many-requests"),
    says(504),
]


def test_what_is_lost_is_sent_again_to_the_byte(ask: Ask) -> None:
    with Fake(*MISCHIEF) as fake:
        outcome = ask(fake.url, lambda client: client.begin(DINNER), token=TOKEN)
        assert outcome.confirmed().gid == "order-1"
        assert len({(r["method"], r["path"], r["body"]) for r in fake.requests}) == 1
        assert len(fake.requests) == len(MISCHIEF) + 1
        assert all(r["headers"]["authorization"] == f"Bearer {TOKEN}" for r in fake.requests)
        assert json.loads(fake.requests[0]["body"])["branches"][0]["payload"] == DINNER.branches[0].payload


def test_a_gid_that_was_made_is_kept(ask: Ask) -> None:
    with Fake(loses_the_answer, loses_the_answer) as fake:
        outcome = ask(fake.url, lambda client: client.begin(Transaction(DINNER.branches)))
        assert {json.loads(r["body"])["gid"] for r in fake.requests} == {outcome.transaction.gid}


def test_ten_attempts_are_made_and_no_more(ask: Ask) -> None:
    with Fake(*[loses_the_answer] * 12) as fake:
        with pytest.raises(tercet.Unanswered) as error:
            ask(fake.url, lambda client: client.begin(DINNER), token=TOKEN)
        assert len(fake.requests) == error.value.attempts == 10
        assert error.value.gid == "order-1"
        assert TOKEN not in str(error.value) + repr(error.value)


def test_nobody_there_is_unanswered(ask: Ask) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(tercet.Unanswered) as error:
            ask(url, lambda client: client.get("order-1"))
    assert "ConnectError" in error.value.last


def test_a_deadline_ends_it(ask: Ask) -> None:
    with Fake(*[says(503, b"", Retry_After="10")] * 9) as fake:
        with pytest.raises(tercet.Unanswered) as error:
            ask(fake.url, lambda client: client.begin(DINNER, deadline_ms=3000))
        assert error.value.attempts == 1, "a pause beyond the deadline is not slept"


def test_an_answer_that_does_not_end_is_given_up(ask: Ask) -> None:
    go_on = threading.Event()

    def drips(fake: Fake, handler: Any, request: Dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while not go_on.wait(0.01):
            try:
                handler.wfile.write(b"1\r\n \r\n")
                handler.wfile.flush()
            except OSError:
                break

    with Fake(drips, drips, drips) as fake:
        try:
            with pytest.raises(tercet.Unanswered):
                ask(fake.url, lambda client: client.begin(DINNER, deadline_ms=500))
        finally:
            go_on.set()


def test_a_body_without_end_is_refused(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tercet._exchange.BODY_MAX_BYTES", 1000)
    with Fake(says(200, b"x" * 2000)) as fake, pytest.raises(tercet.Unexpected):
        ask(fake.url, lambda client: client.begin(DINNER))


def test_redirects_and_proxies_are_not_followed(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    with Fake() as elsewhere, Fake(says(307, b"", Location=elsewhere.url + "/v1/transactions?")) as fake:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, elsewhere.url)
        with pytest.raises(tercet.Unexpected):
            ask(fake.url, lambda client: client.begin(DINNER), token=TOKEN)
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"null", b'{"gid":1}', b"\xff", b'{"gid":"x","status":"confirmed"}']
)
def test_what_is_no_transaction_is_no_success(ask: Ask, body: bytes) -> None:
    with Fake(says(201, body)) as fake, pytest.raises(tercet.Unexpected):
        ask(fake.url, lambda client: client.begin(DINNER))


def test_the_token_is_in_no_print_and_no_log(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Fake(loses_the_answer, problem(403, "forbidden")) as fake:
        with pytest.raises(tercet.RequestRefused) as error:
            ask(fake.url, lambda client: client.begin(DINNER), token=TOKEN)
        client = tercet.Client(fake.url, token=TOKEN)
        said = f"{client!r} {vars(client)!r} {client._settings!r} {error.value!r} {error.value} {caplog.text}"
        assert TOKEN not in said
    with pytest.raises(tercet.InvalidRequest) as invalid:
        tercet.Client("http://127.0.0.1:1", token=f"{TOKEN}\n{TOKEN}")
    assert TOKEN not in str(invalid.value)


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://u:s3cret@h", "http://h/?a=1", "http://h:x"])
def test_a_url_of_no_use_is_refused(url: str) -> None:
    with pytest.raises(tercet.InvalidRequest) as error:
        tercet.Client(url)
    assert "s3cret" not in str(error.value)


def test_waits_and_traces_are_sent(ask: Ask) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    deed = Transaction(DINNER.branches, gid="order-1", traceparent=trace)
    with Fake() as fake:
        ask(fake.url, lambda client: client.begin(deed, wait="decided", wait_ms=7))
        ask(fake.url, lambda client: client.outcome("order-1"), wait="accepted")
        ask(fake.url, lambda client: client.outcome("order-1"), wait_ms=5)
        first, second, third = fake.requests
        assert first["path"] == "/v1/transactions?wait=decided&wait_ms=7"
        assert first["headers"]["traceparent"] == trace
        assert second["path"] == "/v1/transactions/order-1"
        assert third["path"] == "/v1/transactions/order-1?wait=finished&wait_ms=5"
    for wrong in ({"wait": "never"}, {"wait_ms": 60_001}, {"wait_ms": -1}):
        with pytest.raises(tercet.InvalidRequest):
            tercet.Client("http://127.0.0.1:1", **wrong)  # type: ignore[arg-type]
    with pytest.raises(tercet.InvalidRequest):
        Transaction(traceparent="a\nb").written()


def test_words_of_a_newer_coordinator_are_tolerated(ask: Ask) -> None:
    newer = transaction("order-1", "pondering", reason="a-whim", branches=[{"id": "a", "status": "dreaming"}])
    with Fake(says(200, newer)) as fake:
        outcome = ask(fake.url, lambda client: client.begin(DINNER))
        assert isinstance(outcome, tercet.Pending)
        with pytest.raises(tercet.NotConfirmed, match="still pondering"):
            outcome.confirmed()


def test_an_outcome_is_neither_true_nor_false() -> None:
    view = tercet.TransactionView.of(transaction("order-1", "cancelled"))
    for outcome in (tercet.Cancelled(view), tercet.Confirmed(view), tercet.Pending(view)):
        with pytest.raises(TypeError):
            bool(outcome)


def test_a_saga_is_run_by_name(ask: Ask) -> None:
    with Fake(loses_the_answer) as fake:
        ask(fake.url, lambda client: client.run_saga("trip", {"seats": 2}, gid="t-1", version=3)).confirmed()
        assert [r["path"] for r in fake.requests] == ["/v1/sagas/trip/runs?wait=finished&wait_ms=10000"] * 2
        assert json.loads(fake.requests[1]["body"]) == {"gid": "t-1", "input": {"seats": 2}, "version": 3}
        with pytest.raises(tercet.InvalidRequest):
            ask(fake.url, lambda client: client.run_saga("a/b"))


# ---- Open transactions


def paths(fake: Fake) -> List[str]:
    return [r["path"].partition("?")[0].replace("/v1/transactions", "") for r in fake.requests]


def test_leaving_by_an_exception_cancels_with_that_as_reason() -> None:
    with Fake() as fake:
        client = tercet.Client(fake.url)
        with pytest.raises(ValueError), client.open(Transaction(gid="r-1")) as ride:
            ride.register(Branch("seat", "http://127.0.0.1:1/seat"))
            raise ValueError("no umbrella")
        assert paths(fake) == ["", "/r-1/branches", "/r-1/cancel"]
        assert json.loads(fake.requests[2]["body"]) == {"reason": "ValueError: no umbrella"}


def test_leaving_an_async_one_by_an_exception_cancels() -> None:
    async def main(url: str) -> None:
        async with tercet.AsyncClient(url) as client, client.open(Transaction(gid="r-1")) as ride:
            await ride.register(Branch("seat", "http://127.0.0.1:1/seat"))
            raise ValueError("no umbrella")

    with Fake() as fake:
        with pytest.raises(ValueError):
            asyncio.run(main(fake.url))
        assert paths(fake) == ["", "/r-1/branches", "/r-1/cancel"]
        assert json.loads(fake.requests[2]["body"]) == {"reason": "ValueError: no umbrella"}


def test_a_task_that_is_cancelled_cancels_its_transaction() -> None:
    async def main(url: str) -> None:
        opened = asyncio.Event()

        async def ride_() -> None:
            async with client.open(Transaction(gid="r-1")):
                opened.set()
                await asyncio.Event().wait()

        async with tercet.AsyncClient(url) as client:
            task = asyncio.ensure_future(ride_())
            await opened.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with Fake() as fake:
        asyncio.run(main(fake.url))
        assert paths(fake) == ["", "/r-1/cancel"]


def test_leaving_without_a_decision_cancels(ask: Ask) -> None:
    with Fake() as fake:

        def sync(client: tercet.Client) -> None:
            with client.open(Transaction(gid="r-1")):
                pass

        async def asynchronous(client: tercet.AsyncClient) -> None:
            async with client.open(Transaction(gid="r-1")):
                pass

        ask(fake.url, sync if ask is asked_sync else asynchronous)
        assert json.loads(fake.requests[-1]["body"]) == {"reason": "left without a decision"}


def test_a_decision_is_not_asked_for_twice() -> None:
    with Fake() as fake:
        client = tercet.Client(fake.url)
        with client.open(Transaction(gid="r-1")) as ride:
            ride.confirm().confirmed()
        with client.open(Transaction(gid="r-2")) as ride:
            ride.cancel("rain")
        with pytest.raises(ValueError), client.open(Transaction(gid="r-3")) as ride:
            ride.confirm()
            raise ValueError
        assert paths(fake) == ["", "/r-1/confirm", "", "/r-2/cancel", "", "/r-3/confirm"]


def test_a_confirm_of_which_nobody_knows_is_not_contradicted() -> None:
    with Fake(says(201, transaction("r-1", "trying")), *[loses_the_answer] * 10) as fake:
        client = tercet.Client(fake.url)
        with pytest.raises(tercet.Unanswered), client.open(Transaction(gid="r-1")) as ride:
            ride.confirm()
        assert "/r-1/cancel" not in paths(fake)


def test_a_refused_confirm_leads_to_cancel() -> None:
    with Fake(says(201, transaction("r-1", "trying")), problem(409, "tries-outstanding")) as fake:
        client = tercet.Client(fake.url)
        with pytest.raises(tercet.RequestRefused), client.open(Transaction(gid="r-1")) as ride:
            ride.confirm()
        assert paths(fake)[-1] == "/r-1/cancel"


def test_the_first_error_is_raised_where_cancel_fails_too() -> None:
    with Fake(says(201, transaction("r-1", "trying")), problem(500, "internal")) as fake:
        client = tercet.Client(fake.url)
        with pytest.raises(ValueError), client.open(Transaction(gid="r-1")):
            raise ValueError


def test_a_reason_is_cut_between_characters() -> None:
    with Fake() as fake:
        tercet.Client(fake.url).resume("r-1").cancel("é" * 2000 + "\ud800")
        assert json.loads(fake.requests[0]["body"])["reason"] == "é" * 512


def test_a_refused_branch_raises_what_it_said() -> None:
    refused = {"id": "a", "status": "refused", "answer": {"status": 409, "body": '{"detail":"sold out"}'}}
    with Fake(says(201, transaction("r-1", "trying")), says(201, refused)) as fake:
        client = tercet.Client(fake.url)
        with pytest.raises(tercet.NotTried, match="a: sold out"), client.open(Transaction(gid="r-1")) as ride:
            ride.register(Branch("a", "http://127.0.0.1:1/a")).tried()


def test_an_own_try_says_what_the_coordinator_would(ask: Ask) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    with Fake() as fake:

        def sync(client: tercet.Client) -> tercet.OwnTry:
            ride = client.open(Transaction(gid="r.1", traceparent="00-a"))
            return ride.register_own_try(Branch("seat", "http://127.0.0.1:1/seat/", "7A"))

        async def asynchronous(client: tercet.AsyncClient) -> tercet.OwnTry:
            ride = await client.open(Transaction(gid="r.1", traceparent="00-a"))
            return await ride.register_own_try(Branch("seat", "http://127.0.0.1:1/seat/", "7A"))

        own = ask(fake.url, sync if ask is asked_sync else asynchronous)
        assert json.loads(fake.requests[1]["body"]) == {
            "id": "seat",
            "confirm": "http://127.0.0.1:1/seat/confirm",
            "cancel": "http://127.0.0.1:1/seat/cancel",
            "payload": "7A",
            "try_by": "initiator",
        }
    own.call_again()
    assert own.url == "http://127.0.0.1:1/seat/try"
    assert own.headers() == {
        "Content-Type": "application/json",
        "Tercet-Gid": "r.1",
        "Tercet-Branch": "seat",
        "Tercet-Instance": INSTANCE,
        "Tercet-Op": "try",
        "Tercet-Legs": "try,confirm,cancel",
        "Tercet-Attempt": "2",
        "Tercet-Deadline": "2026-11-20T12:00:30.000Z",
        "Idempotency-Key": '"r.1/seat/try"',
        "traceparent": "00-a",
    }
    signed = {name.lower(): value for name, value in own.signed_headers(secret, b'"7A"').items()}
    from tercet._signature import Signed, SigningKey

    Signed(signed, "try", time.time()).check([SigningKey(secret)], b'"7A"')
    assert own.verdict(409, "2") == tercet.Verdict("in-progress", 2000)
    with pytest.raises(tercet.InvalidRequest):
        tercet.Client("http://127.0.0.1:1").resume("r-1").register_own_try(Branch("a", try_url="http://x/"))


def test_a_forked_process_asks_by_itself() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    with Fake() as fake:
        client = tercet.Client(fake.url)
        client.begin(DINNER).confirmed()
        child = os.fork()
        if child == 0:
            os._exit(0 if isinstance(client.begin(DINNER), tercet.Confirmed) else 1)
        assert os.waitpid(child, 0)[1] == 0
        client.begin(DINNER).confirmed()
        first, second, third = (request["from"] for request in fake.requests)
        assert first == third != second


# ---- The real one


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    with coordinator() as running:
        yield running.url


@pytest.fixture(scope="module")
def participant() -> Iterator[str]:
    """Answers 200, or 409 where the payload says no."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = 409 if b"no" in body and self.path.endswith("/try") else 200
            text = b'{"detail":"it said no"}' if status == 409 else b'{"seat":"12A"}'
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.mark.coordinator
def test_the_real_one_confirms_and_cancels(ask: Ask, real: str, participant: str) -> None:
    yes, no = Branch("yes", participant, {"a": 1}), Branch("no", participant, {"a": "no"})
    name = ask.__name__
    deed = Transaction([yes], gid=f"{name}-1", metadata={"channel": "web"}, timeout_ms=5000)
    assert ask(real, lambda client: client.begin(deed)).confirmed().branches[0].status == "confirmed"
    assert ask(real, lambda client: client.begin(deed)).confirmed().raw["metadata"] == {"channel": "web"}
    outcome = ask(real, lambda client: client.begin(Transaction([yes, no], gid=f"{name}-2")))
    assert isinstance(outcome, tercet.Cancelled)
    assert (outcome.reason, outcome.why()) == ("try-refused", "no: it said no")
    with pytest.raises(tercet.RequestRefused) as error:
        ask(real, lambda client: client.begin(Transaction([no], gid=f"{name}-1")))
    assert error.value.code == "gid-reused"
    with pytest.raises(tercet.RequestRefused) as error:
        ask(real, lambda client: client.get("nobody"))
    assert error.value.code == "transaction-not-found"


@pytest.mark.coordinator
def test_the_real_one_runs_sagas_with_results(ask: Ask, real: str, participant: str) -> None:
    name = ask.__name__
    steps = [
        Branch("flight", try_url=f"{participant}/try", cancel_url=f"{participant}/cancel", after=[]),
        Branch("pay", participant, {"a": 1}, after=["flight"], results=True, try_attempts=3, timeout_ms=2000),
        Branch("mail", confirm_url=f"{participant}/confirm", confirm_after_ms=0, headers={"x-tenant": "eu"}),
    ]
    view = ask(real, lambda client: client.begin(Transaction(steps, gid=f"{name}-s", saga=True))).confirmed()
    assert view.branches[0].result == {"seat": "12A"}


@pytest.mark.coordinator
def test_the_real_one_takes_branches_while_open(real: str, participant: str) -> None:
    client = tercet.Client(real)
    with client.open(Transaction(gid="open-1", timeout_ms=60_000)) as ride:
        assert ride.register(Branch("a", participant)).tried().status == "tried"
        assert [one.is_tried for one in ride.register_all([Branch("b", participant), Branch("c", participant)])] == [
            True,
            True,
        ]
        own = ride.register_own_try(Branch("d", participant, {"x": 1}))
        assert own.context.instance == client.get("open-1").instance
        ride.confirm().confirmed()
    outcome = client.resume("open-1").cancel("too late")
    assert isinstance(outcome, tercet.Confirmed), "the other decision had won"
    with pytest.raises(tercet.NotTried), client.open(Transaction(gid="open-2")) as ride:
        ride.register(Branch("a", participant, "no")).tried()
    assert isinstance(client.outcome("open-2"), tercet.Cancelled)


@pytest.mark.coordinator
def test_the_real_one_lets_a_token_in() -> None:
    import hashlib

    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    tokens = json.dumps([{"name": "test", "sha256": digest, "role": "client"}])
    with coordinator(env={"TERCET_AUTH__TOKENS": tokens}) as running:
        with tercet.Client(running.url, token=TOKEN).open(Transaction(gid="t-1")) as opened:
            assert opened.gid == "t-1"
        with pytest.raises(tercet.RequestRefused) as error:
            tercet.Client(running.url).get("t-1")
        assert error.value.code == "unauthorized"
