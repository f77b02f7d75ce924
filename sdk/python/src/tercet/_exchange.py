"""Requests that are repeated until they are answered: the same for both clients.

An operation is a generator: it yields requests and is sent their replies, so that it is written once.
"""

from __future__ import annotations

import json
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Dict, Generator, List, Optional, Sequence, TypeVar, Union
from urllib.parse import urlsplit

from . import _json
from ._database import backoff_s
from ._words import parse_retry_after
from .errors import InvalidRequest, RequestRefused, Unanswered, Unexpected
from .outcome import Outcome, Registered, TransactionView, outcome_of
from .transactions import Branch, Written, check_gid, check_name

ATTEMPTS = 10
BACKOFF_S = (0.1, 3.0)
RETRY_AFTER_MAX_MS = 10_000
CONNECT_S = 2.0
ANSWER_MARGIN_S = 5.0
BODY_MAX_BYTES = 8 * 1024 * 1024
WAITS = ("finished", "decided", "accepted")

R = TypeVar("R")


@dataclass(frozen=True)
class Request:
    """The same to the byte each time it is made."""

    method: str
    path: str
    gid: str
    wait_ms: int = 0
    body: Optional[bytes] = None
    traceparent: Optional[str] = None

    def headers(self) -> Dict[str, str]:
        """Those of this request alone."""
        headers = {}
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        if self.traceparent is not None:
            headers["traceparent"] = self.traceparent
        return headers


@dataclass(frozen=True)
class Reply:
    """An answer that came whole."""

    status: int
    body: bytes
    retry_after: Optional[str] = None

    def asks_again(self) -> bool:
        """Whether the same is to be sent again."""
        return self.status in (429, 502, 503, 504)

    def excerpt(self) -> str:
        """The beginning of its body."""
        return self.body[:800].decode("utf-8", "replace")[:200]

    def read(self) -> Any:
        """The value of a success; else the error that it is."""
        try:
            value = _json.loads(self.body)
        except _json.NotJson:
            value = None
        if isinstance(value, dict):
            if 200 <= self.status <= 299:
                return value
            code, detail = value.get("code"), value.get("detail")
            if isinstance(code, str) and isinstance(detail, str):
                raise RequestRefused(self.status, code, detail, value.get("pointer"))
        raise Unexpected(self.status, self.excerpt())


Operation = Generator[Request, Reply, R]


class Tries:
    """The attempts of one request: how long each may take, and what comes after it."""

    def __init__(self, request: Request, until: Optional[float]) -> None:
        self._request, self._until = request, until
        self.made = 0

    def patience_s(self) -> float:
        """How long the attempt that begins now may take: longer than it asks the coordinator to wait."""
        self.made += 1
        patience = self._request.wait_ms / 1000 + ANSWER_MARGIN_S
        if self._until is not None:
            patience = min(patience, max(0.001, self._until - time.monotonic()))
        return patience

    def pause_s(self, came: Union[Reply, str]) -> Optional[float]:
        """The pause before the next attempt; None where this is an answer. Raises when it is given up."""
        asked = 0
        if isinstance(came, Reply):
            if not came.asks_again():
                return None
            asked = parse_retry_after(came.retry_after, time.time()) or 0
            came = f"answered {came.status}: {came.excerpt()}"
        pause = max(backoff_s(self.made, *BACKOFF_S), min(asked, RETRY_AFTER_MAX_MS) / 1000)
        is_late = self._until is not None and time.monotonic() + pause >= self._until
        if self.made >= ATTEMPTS or is_late:
            raise Unanswered(self._request.gid, self.made, came)
        return pause


@dataclass(frozen=True)
class Waits:
    """What begin, confirm and cancel wait for, and how long."""

    wait: str = "finished"
    wait_ms: int = 10_000

    def __post_init__(self) -> None:
        if self.wait not in WAITS:
            raise InvalidRequest("wait", f"must be one of {', '.join(WAITS)}")
        if not 0 <= self.wait_ms <= 60_000:
            raise InvalidRequest("wait_ms", "must be 0 to 60000")

    def but(self, wait: Optional[str], wait_ms: Optional[int]) -> Waits:
        """The same, as one request wants it."""
        return Waits(self.wait if wait is None else wait, self.wait_ms if wait_ms is None else wait_ms)

    def query(self) -> str:
        """As it is sent."""
        return f"wait={self.wait}&wait_ms={self.wait_ms}"


@dataclass(frozen=True)
class Settings:
    """Where a coordinator is, and how it is spoken to. Nothing prints the token."""

    base: str
    token: Optional[str] = field(repr=False)
    tls: Optional[ssl.SSLContext] = field(repr=False)

    @staticmethod
    def of(url: str, token: Optional[str], ca: Union[str, bytes, None], identity: Optional[str]) -> Settings:
        """Checked, before anything is sent."""
        try:
            parts = urlsplit(url)
            _ = parts.port  # It is checked when it is read.
        except ValueError:
            raise InvalidRequest("url", "is not the URL of a coordinator") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidRequest("url", f"{parts.scheme!r} is no http or https URL")
        if parts.username is not None or parts.query or parts.fragment:
            raise InvalidRequest("url", "has a user, a query or a fragment")
        if token is not None:
            token = token.strip()
            if not token or not all("!" <= c <= "~" for c in token):
                raise InvalidRequest("token", "must be one word of printable ASCII")
        tls = _tls(ca, identity) if parts.scheme == "https" else None
        return Settings(url.rstrip("/"), token, tls)

    def headers(self) -> Dict[str, str]:
        """Those of every request."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers


def _tls(ca: Union[str, bytes, None], identity: Optional[str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        if ca is not None:
            text = ca.decode("ascii") if isinstance(ca, bytes) else ca
            context.load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise InvalidRequest("ca", "there must be certificates in it, in PEM") from None
    try:
        if identity is not None:
            context.load_cert_chain(identity)
    except (ssl.SSLError, OSError):
        what = "must be a file with a certificate and its key, in PEM"
        raise InvalidRequest("identity", what) from None
    return context


def _post(path: str, gid: str, waits_ms: int, body: Optional[str], trace: Optional[str]) -> Request:
    data = None if body is None else body.encode("utf-8")
    return Request("POST", path, gid, waits_ms, data, trace)


def view_of(value: Any) -> TransactionView:
    """A transaction, of a value that says it is one."""
    try:
        return TransactionView.of(value)
    except (KeyError, TypeError, AttributeError):
        raise Unexpected(200, json.dumps(value)) from None


def begin(written: Written, waits: Waits) -> Operation[Outcome]:
    path = f"/v1/transactions?{waits.query()}"
    reply = yield _post(path, written.gid, waits.wait_ms, written.body, written.traceparent)
    return outcome_of(view_of(reply.read()))


def open_(written: Written) -> Operation[TransactionView]:
    reply = yield _post("/v1/transactions", written.gid, 10_000, written.body, written.traceparent)
    return view_of(reply.read())


def run_saga(name: str, written: Written, waits: Waits) -> Operation[Outcome]:
    check_name(name, "name")
    path = f"/v1/sagas/{name}/runs?{waits.query()}"
    reply = yield _post(path, written.gid, waits.wait_ms, written.body, written.traceparent)
    return outcome_of(view_of(reply.read()))


def get(gid: str) -> Operation[TransactionView]:
    check_gid(gid)
    reply = yield Request("GET", f"/v1/transactions/{gid}", gid)
    return view_of(reply.read())


def outcome(gid: str, waits: Waits) -> Operation[Outcome]:
    check_gid(gid)
    # A read waits for a decision or an end; that it is logged, it shows at once.
    query, wait_ms = f"?{waits.query()}", waits.wait_ms
    if waits.wait == "accepted":
        query, wait_ms = "", 0
    reply = yield Request("GET", f"/v1/transactions/{gid}{query}", gid, wait_ms)
    return outcome_of(view_of(reply.read()))


def decide(gid: str, decision: str, body: Optional[str], waits: Waits) -> Operation[Outcome]:
    """Asks for a decision. That the other one had won is an outcome like any other."""
    path = f"/v1/transactions/{gid}/{decision}?{waits.query()}"
    reply = yield _post(path, gid, waits.wait_ms, body, None)
    try:
        return outcome_of(view_of(reply.read()))
    except RequestRefused as error:
        if error.code not in ("already-confirmed", "already-cancelled"):
            raise
    return (yield from outcome(gid, waits))


def cancel(gid: str, reason: Optional[str], waits: Waits) -> Operation[Outcome]:
    body = "{}"
    if reason is not None:
        # At most 1 KiB, cut between characters; what cannot be sent is replaced.
        cut = reason.encode("utf-8", "replace")[:1024].decode("utf-8", "ignore")
        body = _json.dumps({"reason": cut})
    return (yield from decide(gid, "cancel", body, waits))


def _branches_path(gid: str, wait: str, waits: Waits) -> str:
    return f"/v1/transactions/{gid}/branches?wait={wait}&wait_ms={waits.wait_ms}"


def register(gid: str, body: str, wait: str, waits: Waits) -> Operation[Registered]:
    reply = yield _post(_branches_path(gid, wait, waits), gid, waits.wait_ms, body, None)
    value = reply.read()
    return _registered(value)


def register_all(gid: str, branches: Sequence[Branch], waits: Waits) -> Operation[List[Registered]]:
    bodies = [one.to_json(f"[{i}]") for i, one in enumerate(branches)]
    body = f"[{','.join(bodies)}]"
    reply = yield _post(_branches_path(gid, "tried", waits), gid, waits.wait_ms, body, None)
    value = reply.read()
    found = value.get("branches")
    if not isinstance(found, list):
        raise Unexpected(reply.status, reply.excerpt())
    return [_registered(one) for one in found]


def _registered(value: Any) -> Registered:
    from .outcome import BranchView

    try:
        return Registered(BranchView.of(value))
    except (KeyError, TypeError, AttributeError):
        raise Unexpected(200, json.dumps(value)) from None


def reason_of(error: BaseException) -> str:
    """What an exception that leaves an open transaction is told as."""
    text = str(error)
    name = type(error).__name__
    return f"{name}: {text}" if text else name
