"""Clients for initiators, for threads and for asyncio.

Every request can be repeated without harm, and is: a lost connection, a 429, 502, 503 or 504 is met with the
same request again, up to ten times with growing pauses. A transaction always has a gid before it is first sent,
so that a repeat is the same transaction.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from types import TracebackType
from typing import (
    Any,
    Awaitable,
    Dict,
    Generator,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
    Type,
    TypeVar,
    Union,
)

import httpx

from . import _exchange
from ._context import Context
from ._exchange import CONNECT_S, Operation, Reply, Request, Settings, Tries, Waits, reason_of
from ._signature import SigningKey
from ._verdict import Verdict, verdict
from .errors import RequestRefused, Unexpected
from .outcome import Outcome, Registered, TransactionView
from .transactions import ABSENT, Branch, Transaction, check_gid, run_written, with_own_try

R = TypeVar("R")

UNDECIDED = "left without a decision"
"""The reason of an open transaction that was left without confirm or cancel."""

_log = logging.getLogger("tercet")


class OwnTry:
    """A registered branch whose Try the initiator is to call: what the call says, and how its answer is read."""

    def __init__(self, context: Context, url: Optional[str]) -> None:
        self.context = context
        self.url = url
        """Where it goes, if the branch was registered with an `endpoint` or a `try_url`."""

    def headers(self) -> Dict[str, str]:
        """The headers of the call. The participant cannot tell it from one of the coordinator's."""
        return {"Content-Type": "application/json", **self.context.headers()}

    def signed_headers(self, secret: str, body: bytes) -> Dict[str, str]:
        """The same, signed. `body` is the call's, to the byte; sign each attempt anew."""
        headers = self.headers()
        return {**headers, **SigningKey(secret).headers(headers, body, time.time())}

    def call_again(self) -> None:
        """The next call is another attempt of the same Try. Its body must be the same."""
        fields = {**vars(self.context), "attempt": self.context.attempt + 1}
        self.context = Context(**fields)

    @staticmethod
    def verdict(status: Optional[int], retry_after: Optional[str] = None) -> Verdict:
        """What an answer means, as the coordinator would read it (None: none came). Only `done` allows a
        confirm; after `refused`, or when you give up, ask for cancel."""
        return verdict("try", status, retry_after)


class _Common:
    """What both clients know."""

    def __init__(
        self,
        url: str,
        *,
        token: Optional[str] = None,
        ca: Union[str, bytes, None] = None,
        identity: Optional[str] = None,
        wait: str = "finished",
        wait_ms: int = 10_000,
        deadline_ms: Optional[int] = None,
    ) -> None:
        """`token`: by which the coordinator knows this client. `ca`: certificates (PEM) of authorities that are
        trusted beside the system's. `identity`: a file with this client's certificate and key. `wait`, `wait_ms`:
        what begin, confirm and cancel wait for (`finished`, `decided`, `accepted`), and how long. `deadline_ms`:
        how long a request may take with all its attempts."""
        self._settings = Settings.of(url, token, ca, identity)
        self._waits = Waits(wait, wait_ms)
        self._deadline_ms = deadline_ms

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings.base!r})"

    def _until(self, deadline_ms: Optional[int]) -> Optional[float]:
        within = self._deadline_ms if deadline_ms is None else deadline_ms
        return None if within is None else time.monotonic() + within / 1000

    def _arguments(self) -> Dict[str, Any]:
        return {
            "headers": self._settings.headers(),
            "verify": self._settings.tls or False,  # by http nothing is verified
            "follow_redirects": False,
            "trust_env": False,
            "limits": httpx.Limits(max_connections=None, max_keepalive_connections=32),
        }

    def _request(self, http: Any, request: Request, patience_s: float) -> httpx.Request:
        timeout = httpx.Timeout(patience_s, connect=min(CONNECT_S, patience_s))
        made: httpx.Request = http.build_request(
            request.method,
            self._settings.base + request.path,
            headers=request.headers(),
            content=request.body,
            timeout=timeout,
        )
        return made


def _too_long(status: int) -> Unexpected:
    return Unexpected(status, "a body without end")


def _why(error: Exception) -> str:
    """httpx names the kind, and its cause what people look for."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class Client(_Common):
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
                came = _why(error)
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
                    raise _too_long(response.status_code)
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


def _leaving_ms(error: Optional[BaseException]) -> Optional[int]:
    """Whoever is interrupted does not try for long: the deadline cancels anyhow."""
    return None if error is None or isinstance(error, Exception) else 5000


class _OpenCommon:
    def __init__(self, gid: str, begun: Optional[TransactionView], traceparent: Optional[str]) -> None:
        self.gid = gid
        self.traceparent = traceparent
        self._begun = begun
        self._asked_confirm = False
        self.outcome: Optional[Outcome] = None
        """What a decision came to, once one was asked for."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.gid!r})"

    def _own_try(self, branch: Branch, url: Optional[str], legs: Tuple[str, ...], life: TransactionView) -> OwnTry:
        from ._words import parse_time

        deadline = None if life.deadline_at is None else parse_time(life.deadline_at)
        context = Context(self.gid, branch.id, life.instance, "try", legs, 1, deadline, self.traceparent)
        return OwnTry(context, url)

    def _leaves_by(self, error: Optional[BaseException]) -> Optional[str]:
        """The reason to be told where this is left; None where nothing is to be asked."""
        if self.outcome is not None or self._asked_confirm:
            # Decided; or confirm was asked for and nobody knows: whoever asks again learns it.
            return None
        return UNDECIDED if error is None else reason_of(error)


class OpenTransaction(_OpenCommon):
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
            self.cancel(reason, wait="decided", deadline_ms=_leaving_ms(error))
        except Exception as failed:
            if error is None:
                raise
            # The deadline will cancel it; what is raised is what went wrong first.
            _log.warning("%s could not be cancelled: %s", self.gid, failed)


class AsyncClient(_Common):
    """`Client` for asyncio: the same names, awaited."""

    def __init__(self, url: str, **settings: Any) -> None:
        super().__init__(url, **settings)
        self._http: Optional[httpx.AsyncClient] = None
        self._life: Optional[Tuple[int, asyncio.AbstractEventLoop]] = None

    async def begin(
        self,
        transaction: Transaction,
        *,
        wait: Optional[str] = None,
        wait_ms: Optional[int] = None,
        deadline_ms: Optional[int] = None,
    ) -> Outcome:
        """As `Client.begin`."""
        waits = self._waits.but(wait, wait_ms)
        return await self._run(_exchange.begin(transaction.written(), waits), deadline_ms)

    def open(self, transaction: Optional[Transaction] = None, *, deadline_ms: Optional[int] = None) -> _Opening:
        """As `Client.open`: `async with client.open(…) as ride:`, or awaited."""
        return _Opening(self, transaction or Transaction(), deadline_ms)

    def resume(self, gid: str) -> AsyncOpenTransaction:
        """As `Client.resume`."""
        check_gid(gid)
        return AsyncOpenTransaction(self, gid, None, None)

    async def run_saga(
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
        """As `Client.run_saga`."""
        written = run_written(gid, input, metadata, version, traceparent)
        waits = self._waits.but(wait, wait_ms)
        return await self._run(_exchange.run_saga(name, written, waits), deadline_ms)

    async def get(self, gid: str, *, deadline_ms: Optional[int] = None) -> TransactionView:
        """As `Client.get`."""
        return await self._run(_exchange.get(gid), deadline_ms)

    async def outcome(
        self,
        gid: str,
        *,
        wait: Optional[str] = None,
        wait_ms: Optional[int] = None,
        deadline_ms: Optional[int] = None,
    ) -> Outcome:
        """As `Client.outcome`."""
        waits = self._waits.but(wait, wait_ms)
        return await self._run(_exchange.outcome(gid, waits), deadline_ms)

    async def _run(self, operation: Operation[R], deadline_ms: Optional[int] = None) -> R:
        until = self._until(deadline_ms)
        try:
            request = next(operation)
            while True:
                request = operation.send(await self._send(request, until))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def _send(self, request: Request, until: Optional[float]) -> Reply:
        tries = Tries(request, until)
        while True:
            came: Union[Reply, str]
            try:
                patience = tries.patience_s()
                came = await asyncio.wait_for(self._once(request, patience), patience)
            except httpx.RequestError as error:
                came = _why(error)
            except asyncio.TimeoutError:
                came = "no answer in time"
            pause = tries.pause_s(came)
            if pause is None:
                assert isinstance(came, Reply)  # Only a reply needs no pause
                return came
            await asyncio.sleep(pause)

    async def _once(self, request: Request, patience_s: float) -> Reply:
        # Connections belong to the event loop, and to the process, in which they were made.
        life = (os.getpid(), asyncio.get_running_loop())
        if self._http is None or self._life != life:
            self._life, self._http = life, httpx.AsyncClient(**self._arguments())
        http = self._http
        response = await http.send(self._request(http, request, patience_s), stream=True)
        try:
            body = bytearray()
            async for part in response.aiter_raw():
                body += part
                if len(body) > _exchange.BODY_MAX_BYTES:
                    raise _too_long(response.status_code)
        finally:
            await response.aclose()
        return Reply(response.status_code, bytes(body), response.headers.get("retry-after"))

    async def close(self) -> None:
        """Closes the connections. The client can be used again."""
        http, self._http = self._http, None
        if http is not None and self._life == (os.getpid(), asyncio.get_running_loop()):
            await http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Opening(Awaitable["AsyncOpenTransaction"]):
    """An open transaction that is being begun."""

    def __init__(self, client: AsyncClient, transaction: Transaction, deadline_ms: Optional[int]) -> None:
        self._client = client
        self._written = transaction.written(opened=True)
        self._deadline_ms = deadline_ms
        self._opened: Optional[AsyncOpenTransaction] = None

    async def _begin(self) -> AsyncOpenTransaction:
        written = self._written
        begun = await self._client._run(_exchange.open_(written), self._deadline_ms)
        return AsyncOpenTransaction(self._client, written.gid, begun, written.traceparent)

    def __await__(self) -> Generator[Any, None, AsyncOpenTransaction]:
        return self._begin().__await__()

    async def __aenter__(self) -> AsyncOpenTransaction:
        self._opened = await self._begin()
        return self._opened

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._opened is not None:
            await self._opened.__aexit__(kind, error, trace)


class AsyncOpenTransaction(_OpenCommon):
    """`OpenTransaction` for asyncio."""

    _leaving: Set[asyncio.Task[None]] = set()  # noqa: RUF012

    def __init__(
        self,
        client: AsyncClient,
        gid: str,
        begun: Optional[TransactionView],
        traceparent: Optional[str],
    ) -> None:
        super().__init__(gid, begun, traceparent)
        self._client = client

    async def register(self, branch: Branch, *, wait_ms: Optional[int] = None) -> Registered:
        """As `OpenTransaction.register`."""
        waits = self._client._waits.but(None, wait_ms)
        body = branch.to_json()
        return await self._client._run(_exchange.register(self.gid, body, "tried", waits))

    async def register_all(self, branches: Sequence[Branch], *, wait_ms: Optional[int] = None) -> List[Registered]:
        """As `OpenTransaction.register_all`."""
        waits = self._client._waits.but(None, wait_ms)
        return await self._client._run(_exchange.register_all(self.gid, branches, waits))

    async def register_own_try(self, branch: Branch) -> OwnTry:
        """As `OpenTransaction.register_own_try`."""
        body, url, legs = with_own_try(branch)
        waits = self._client._waits
        await self._client._run(_exchange.register(self.gid, body, "accepted", waits))
        life = self._begun or await self._client.get(self.gid)
        return self._own_try(branch, url, legs, life)

    async def confirm(
        self,
        *,
        wait: Optional[str] = None,
        wait_ms: Optional[int] = None,
        deadline_ms: Optional[int] = None,
    ) -> Outcome:
        """As `OpenTransaction.confirm`."""
        waits = self._client._waits.but(wait, wait_ms)
        self._asked_confirm = True
        try:
            operation = _exchange.decide(self.gid, "confirm", None, waits)
            self.outcome = await self._client._run(operation, deadline_ms)
        except RequestRefused:
            self._asked_confirm = False
            raise
        return self.outcome

    async def cancel(
        self,
        reason: Optional[str] = None,
        *,
        wait: Optional[str] = None,
        wait_ms: Optional[int] = None,
        deadline_ms: Optional[int] = None,
    ) -> Outcome:
        """As `OpenTransaction.cancel`."""
        waits = self._client._waits.but(wait, wait_ms)
        operation = _exchange.cancel(self.gid, reason, waits)
        self.outcome = await self._client._run(operation, deadline_ms)
        return self.outcome

    async def __aenter__(self) -> AsyncOpenTransaction:
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        reason = self._leaves_by(error)
        if reason is None:
            return
        # In a task of its own: whoever is cancelled once more stops waiting for it, and no more.
        leaving = asyncio.ensure_future(self._leave(reason, error))
        AsyncOpenTransaction._leaving.add(leaving)
        leaving.add_done_callback(AsyncOpenTransaction._leaving.discard)
        await asyncio.shield(leaving)

    async def _leave(self, reason: str, error: Optional[BaseException]) -> None:
        try:
            await self.cancel(reason, wait="decided", deadline_ms=_leaving_ms(error))
        except Exception as failed:
            if error is None:
                raise
            _log.warning("%s could not be cancelled: %s", self.gid, failed)
