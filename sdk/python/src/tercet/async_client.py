"""The client for asyncio: what `client` has, awaited."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import (
    Any,
    Awaitable,
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
from ._client import Common, OpenCommon, OwnTry, leaving_ms, log, too_long, why_of
from ._exchange import Operation, Reply, Request, Tries
from .errors import RequestRefused
from .outcome import Outcome, Registered, TransactionView
from .transactions import ABSENT, Branch, Transaction, check_gid, run_written, with_own_try

R = TypeVar("R")


class AsyncClient(Common):
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
                came = why_of(error)
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
                    raise too_long(response.status_code)
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


class AsyncOpenTransaction(OpenCommon):
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
            await self.cancel(reason, wait="decided", deadline_ms=leaving_ms(error))
        except Exception as failed:
            if error is None:
                raise
            log.warning("%s could not be cancelled: %s", self.gid, failed)
