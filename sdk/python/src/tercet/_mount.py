"""Mounting into WSGI and ASGI servers: what an `Endpoint` and a `Checked` have in common."""

from __future__ import annotations

import abc
import asyncio
import contextvars
import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Awaitable, Callable, Dict, Iterable, List, Mapping, MutableMapping, Optional, Union

from ._answer import Answer, problem
from ._line import WAITING_AT_MOST

BODY_BYTES = 2 * 1024 * 1024
"""More than the coordinator sends as a payload with results, and less than would hurt."""
_THREADS = 64

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Asgi = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


def too_large() -> Answer:
    """The body is over the bound."""
    return problem(413, "payload-too-large", f"the body is over {BODY_BYTES} bytes")


class Mounted(abc.ABC):
    """Something that answers requests below the path under which it is mounted."""

    body_bytes = BODY_BYTES

    def __init__(self) -> None:
        self._threads = _Threads()

    @abc.abstractmethod
    def before_body(self, method: str, leg: str, headers: Mapping[str, str]) -> Optional[Answer]:
        """What can be said before a byte of the body is read; None to go on."""

    @abc.abstractmethod
    def answer(self, method: str, leg: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answers a request to `{endpoint}/{leg}`. Names of headers are in lower case. It blocks."""

    # ---- WSGI

    def wsgi(self, environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """This as a WSGI application, to be mounted under the path that branches give as their endpoint."""
        given = self._wsgi_answer(environ)
        start_response(given.status_line(), given.headers())
        return [given.body]

    def _wsgi_answer(self, environ: Dict[str, Any]) -> Answer:
        method, leg = environ["REQUEST_METHOD"], leg_of(environ.get("PATH_INFO", ""))
        headers = {
            name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")
        }
        refusal = self.before_body(method, leg, headers)
        if refusal is not None:
            return refusal
        body = self._wsgi_body(environ)
        if isinstance(body, Answer):
            return body
        return self.answer(method, leg, environ.get("QUERY_STRING", ""), headers, body)

    def _wsgi_body(self, environ: Dict[str, Any]) -> Union[bytes, Answer]:
        length = environ.get("CONTENT_LENGTH") or ""
        if length.isdigit():
            wanted = int(length)
        elif environ.get("wsgi.input_terminated"):
            wanted = self.body_bytes + 1  # A chunked body ends by itself.
        else:
            wanted = 0
        if length and wanted > self.body_bytes:
            return too_large()
        stream, parts, had = environ["wsgi.input"], [], 0
        while had < wanted:
            part = stream.read(min(65_536, wanted - had))
            if not part:
                break
            parts.append(part)
            had += len(part)
        if had > self.body_bytes:
            return too_large()
        if length and had < wanted:
            # What is cut off might be read as something else.
            return problem(408, "incomplete-body", "the body broke off")
        return b"".join(parts)

    # ---- ASGI

    @functools.cached_property
    def asgi(self) -> Asgi:
        """This as an ASGI application. Calls run in threads, since drivers block; one whose caller hangs up
        goes on to its end, so that the next one finds it done."""

        # A function of its own: uvicorn takes a method for an application of ASGI 2, and calls it as such.
        async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            await self._asgi(scope, receive, send)

        return app

    async def _asgi(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        if scope["type"] != "http":
            return
        given = await self._asgi_answer(scope, receive)
        if given is None:
            return
        headers = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in given.headers()]
        await send({"type": "http.response.start", "status": given.status, "headers": headers})
        await send({"type": "http.response.body", "body": given.body})

    async def _asgi_answer(self, scope: MutableMapping[str, Any], receive: Receive) -> Optional[Answer]:
        method, path, root = scope["method"], scope["path"], scope.get("root_path", "")
        # By the specification the path has the root in it; some leave it out.
        leg = leg_of(path[len(root) :] if root and path.startswith(root + "/") else path)
        headers: Dict[str, str] = {}
        for name, value in scope["headers"]:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            # One that is there twice is one with a comma in it, as it is in WSGI: no id has any.
            headers[key] = f"{headers[key]},{text}" if key in headers else text
        refusal = self.before_body(method, leg, headers)
        if refusal is not None:
            return refusal
        parts: List[bytes] = []
        had, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            had += len(part)
            if had > self.body_bytes:
                return too_large()
            parts.append(part)
            more = message.get("more_body", False)
        query = scope.get("query_string", b"").decode("latin-1")
        work = functools.partial(self.answer, method, leg, query, headers, b"".join(parts))
        running = self._threads.run(work)
        if running is None:
            return problem(503, "busy", "too many calls are waiting", 1)
        return await running


class _Threads:
    """Threads for blocking calls, of this process's own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._waiting = 0

    def run(self, work: Callable[[], Answer]) -> Optional[asyncio.Future[Answer]]:
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._waiting = os.getpid(), 0
                self._executor = ThreadPoolExecutor(_THREADS, "tercet")
            if self._waiting >= WAITING_AT_MOST:
                return None
            self._waiting += 1
        context = contextvars.copy_context()

        def counted() -> Answer:
            try:
                return context.run(work)
            finally:
                with self._lock:
                    self._waiting -= 1

        # Shielded: a call that has come is done, whoever stops waiting for it.
        return asyncio.shield(asyncio.get_running_loop().run_in_executor(self._executor, counted))


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


def leg_of(path: str) -> str:
    """`try` of `/try`; nothing of what has more parts."""
    name = path[1:] if path.startswith("/") else path
    return "" if "/" in name else name
