"""Clients for initiators, for threads and for asyncio.

Every request can be repeated without harm, and is: a lost connection, a 429, 502, 503 or 504 is met with the
same request again, up to ten times with growing pauses. A transaction always has a gid before it is first sent,
so that a repeat is the same transaction.
"""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType
from typing import (
    Any,
    List,
    Mapping,
    Optional,
    Sequence,
    Type,
    TypeVar,
    Union,
)

import httpx

from . import _exchange
from ._client import Common, OpenCommon, OwnTry, leaving_ms, log, too_long, why_of
from ._exchange import Operation, Reply, Request, Tries
from .errors import RequestRefused
from .outcome import Outcome, Registered, TransactionView
from .transactions import ABSENT, Branch, Transaction, check_gid, run_written, with_own_try

R = TypeVar("R")


class Client(Common):
    """Speaks to a coordinator: `Client("http://127.0.0.1:7200")`. May be used by many threads at once."""

    _http: Optional[httpx.Client] = None
    _pid = 0
    _lock = threading.Lock()

    # ---- Transactions

    def begin(
        self,
        transaction: Transaction,
        *,
        wait: Optional[str] = None,
        wait_ms: Optional[int] = None,
        deadline_ms: Optional[int] = None,
    ) -> Outcome:
        """Runs a transaction in one call: Tercet tries every branch, decides and finishes."""
        waits = self._waits.but(wait, wait_ms)
        return self._run(_exchange.begin(transaction.written(), waits), deadline_ms)

    def open(self, transaction: Optional[Transaction] = None, *, deadline_ms: Optional[int] = None) -> OpenTransaction:
        """Begins an open transaction, whose branches are registered later and which is confirmed or cancelled by
        request. Use it in `with`: left by an exception it is cancelled with that as the reason, and likewise
        where it is left without a decision."""
        written = (transaction or Transaction()).written(opened=True)
        begun = self._run(_exchange.open_(written), deadline_ms)
        return OpenTransaction(self, written.gid, begun, written.traceparent)

    def resume(self, gid: str) -> OpenTransaction:
        """Takes up an open transaction that was begun before, here or elsewhere."""
        check_gid(gid)
        return OpenTransaction(self, gid, None, None)

    def run_saga(
        self,
        name: str,
        input: Any = ABSENT,
        *,
        gid: Optional[str] = None,
        version: Optional[int] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        traceparent: Optional[str] = None,
        wait: Optional[str] = None,
        wait_ms: Optional[int] = None,
        deadline_ms: Optional[int] = None,
    ) -> Outcome:
        """Runs the saga that the coordinator knows by this name. `input` is the payload of each of its steps."""
        written = run_written(gid, input, metadata, version, traceparent)
        waits = self._waits.but(wait, wait_ms)
        return self._run(_exchange.run_saga(name, written, waits), deadline_ms)

    def get(self, gid: str, *, deadline_ms: Optional[int] = None) -> TransactionView:
        """A transaction as it is now."""
        return self._run(_exchange.get(gid), deadline_ms)

    def outcome(
        self,
        gid: str,
        *,
        wait: Optional[str] = None,
        wait_ms: Optional[int] = None,
        deadline_ms: Optional[int] = None,
    ) -> Outcome:
        """Waits for the end of a transaction, as long as this client waits."""
        waits = self._waits.but(wait, wait_ms)
        return self._run(_exchange.outcome(gid, waits), deadline_ms)

    # ---- How

    def _run(self, operation: Operation[R], deadline_ms: Optional[int] = None) -> R:
        until = self._until(deadline_ms)
        try:
            request = next(operation)
            while True:
                request = operation.send(self._send(request, until))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _send(self, request: Request, until: Optional[float]) -> Reply:
        tries = Tries(request, until)
        while True:
            came: Union[Reply, str]
            try:
                came = self.once(request, tries.patience_s())
            except httpx.RequestError as error:
                came = why_of(error)
            pause = tries.pause_s(came)
            if pause is None:
                assert isinstance(came, Reply)  # Only a reply needs no pause
                return came
            time.sleep(pause)

    def once(self, request: Request, patience_s: float) -> Reply:
        """Asks once, and waits no longer than that for the answer."""
        until = time.monotonic() + patience_s
        http = self._connected()
        response = http.send(self._request(http, request, patience_s), stream=True)
        try:
            body = bytearray()
            for part in response.iter_raw():
                body += part
                if len(body) > _exchange.BODY_MAX_BYTES:
                    raise too_long(response.status_code)
                if time.monotonic() > until:
                    raise httpx.ReadTimeout("the answer did not end in time")
        finally:
            response.close()
        return Reply(response.status_code, bytes(body), response.headers.get("retry-after"))

    def _connected(self) -> httpx.Client:
        # A process that was forked must not speak on its parent's connections.
        with Client._lock:
            if self._http is None or self._pid != os.getpid():
                self._pid, self._http = os.getpid(), httpx.Client(**self._arguments())
            return self._http

    def close(self) -> None:
        """Closes the connections. The client can be used again."""
        with Client._lock:
            http, self._http = self._http, None
        if http is not None and self._pid == os.getpid():
            http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class OpenTransaction(OpenCommon):
    """An open transaction: branches are registered one by one, and you ask for the decision."""

    def __init__(
        self,
        client: Client,
        gid: str,
        begun: Optional[TransactionView],
        traceparent: Optional[str],
    ) -> None:
        super().__init__(gid, begun, traceparent)
        self._client = client

    def register(self, branch: Branch, *, wait_ms: Optional[int] = None) -> Registered:
        """Adds a branch and waits for its Try, which the coordinator calls."""
        waits = self._client._waits.but(None, wait_ms)
        body = branch.to_json()
        return self._client._run(_exchange.register(self.gid, body, "tried", waits))

    def register_all(self, branches: Sequence[Branch], *, wait_ms: Optional[int] = None) -> List[Registered]:
        """Adds several branches at once, 1 to 64: all or none, in one request."""
        waits = self._client._waits.but(None, wait_ms)
        return self._client._run(_exchange.register_all(self.gid, branches, waits))

    def register_own_try(self, branch: Branch) -> OwnTry:
        """Adds a branch whose Try you call yourself. Once this returns, the branch is on disk: whatever becomes of
        you, it gets its Confirm or Cancel. Whatever it raises, do not call Try: nobody would release it."""
        body, url, legs = with_own_try(branch)
        waits = self._client._waits
        self._client._run(_exchange.register(self.gid, body, "accepted", waits))
        life = self._begun or self._client.get(self.gid)
        return self._own_try(branch, url, legs, life)

    def confirm(
        self,
        *,
        wait: Optional[str] = None,
        wait_ms: Optional[int] = None,
        deadline_ms: Optional[int] = None,
    ) -> Outcome:
        """Asks for confirm. That it was cancelled before is no error but an outcome."""
        waits = self._client._waits.but(wait, wait_ms)
        self._asked_confirm = True
        try:
            operation = _exchange.decide(self.gid, "confirm", None, waits)
            self.outcome = self._client._run(operation, deadline_ms)
        except RequestRefused:
            self._asked_confirm = False  # It was heard, and is not decided.
            raise
        return self.outcome

    def cancel(
        self,
        reason: Optional[str] = None,
        *,
        wait: Optional[str] = None,
        wait_ms: Optional[int] = None,
        deadline_ms: Optional[int] = None,
    ) -> Outcome:
        """Asks for cancel, saying why. That it was confirmed before is no error but an outcome."""
        waits = self._client._waits.but(wait, wait_ms)
        operation = _exchange.cancel(self.gid, reason, waits)
        self.outcome = self._client._run(operation, deadline_ms)
        return self.outcome

    def __enter__(self) -> OpenTransaction:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        reason = self._leaves_by(error)
        if reason is None:
            return
        try:
            # Nobody waits for those who are to hear of it.
            self.cancel(reason, wait="decided", deadline_ms=leaving_ms(error))
        except Exception as failed:
            if error is None:
                raise
            # The deadline will cancel it; what is raised is what went wrong first.
            log.warning("%s could not be cancelled: %s", self.gid, failed)
