"""Coordinators to speak with: a mischievous one, and the real one."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest

from conftest import BIN_DIR, INSTANCE

Mischief = Callable[["Fake", Any, Dict[str, Any]], None]


def transaction(gid: str, status: str = "confirmed", **more: Any) -> Dict[str, Any]:
    """A transaction as a coordinator shows it."""
    return {
        "gid": gid,
        "instance": INSTANCE,
        "pattern": "tcc",
        "status": status,
        "open": False,
        "reason": None,
        "reason_detail": None,
        "deadline_at": "2026-11-20T12:00:30.000Z",
        "branches": [],
        "a_field_of_tomorrow": {"x": 1},
        **more,
    }


class Fake:
    """Notes each request, and does to it what it is told, in turn; at the end it answers well."""

    def __init__(self, *mischief: Any) -> None:
        self.mischief = list(mischief)
        self.requests: List[Dict[str, Any]] = []
        self.known: Dict[str, str] = {}
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_POST(self) -> None:
                fake._take(self)

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _take(self, handler: Any) -> None:
        length = int(handler.headers.get("content-length", 0))
        body = handler.rfile.read(length)
        request = {
            "method": handler.command,
            "path": handler.path,
            "body": body,
            "from": handler.client_address,
            "headers": {name.lower(): value for name, value in handler.headers.items()},
        }
        with self._lock:
            self.requests.append(request)
            act = self.mischief.pop(0) if self.mischief else right
        if not callable(act):
            act = says(*act) if isinstance(act, tuple) else says(act)
        act(self, handler, request)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Fake:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def reply(handler: Any, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


def says(status: int, body: Any = b"", **headers: str) -> Mischief:
    """Answers so."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _, handler, __: reply(handler, status, text, **headers)


def problem(status: int, code: str, **headers: str) -> Mischief:
    """Answers a problem."""
    return says(status, {"type": f"/problems/{code}", "status": status, "code": code, "detail": "d"}, **headers)


def right(fake: Fake, handler: Any, request: Dict[str, Any]) -> None:
    """Answers as a coordinator does."""
    parts = request["path"].partition("?")[0].split("/")
    if request["path"].startswith("/v1/transactions?") or parts[-1] in ("transactions", "runs"):
        gid = json.loads(request["body"])["gid"]
        status = "trying" if json.loads(request["body"]).get("open") else "confirmed"
        fake.known.setdefault(gid, status)
        return reply(handler, 201, json.dumps(transaction(gid, fake.known[gid])).encode())
    gid = parts[3]
    if parts[-1] == "branches":
        asked = json.loads(request["body"])
        views = [{"id": one["id"], "status": "tried"} for one in (asked if isinstance(asked, list) else [asked])]
        return reply(handler, 201, json.dumps({"branches": views} if isinstance(asked, list) else views[0]).encode())
    if parts[-1] in ("confirm", "cancel"):
        fake.known[gid] = parts[-1] + ("ed" if parts[-1] == "confirm" else "led")
    if gid not in fake.known:
        return problem(404, "transaction-not-found")(fake, handler, request)
    return reply(handler, 200, json.dumps(transaction(gid, fake.known[gid])).encode())


def loses_the_answer(fake: Fake, handler: Any, request: Dict[str, Any]) -> None:
    """Does it, and says nothing."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def breaks_off(fake: Fake, handler: Any, request: Dict[str, Any]) -> None:
    """Half of an answer."""
    text = json.dumps(transaction("x")).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(text)))
    handler.end_headers()
    handler.wfile.write(text[: len(text) // 2])
    handler.wfile.flush()
    loses_the_answer(fake, handler, request)


def garbage(fake: Fake, handler: Any, request: Dict[str, Any]) -> None:
    """Something that is no HTTP."""
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    handler.wfile.flush()
    loses_the_answer(fake, handler, request)


# ---- The real one


class Coordinator:
    """A tercet of a test's own."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process, self.url = process, url


@contextlib.contextmanager
def coordinator(*arguments: str, env: Optional[Dict[str, str]] = None) -> Iterator[Coordinator]:
    """Runs tercet on a free port with a database that goes away."""
    program = BIN_DIR / "tercet"
    if not program.exists():
        pytest.fail(f"{program} is missing: build it, or set BIN_DIR")
    with tempfile.TemporaryDirectory() as place, open(pathlib.Path(place) / "log", "wb") as log:
        command = [str(program), "serve", "--listen", "127.0.0.1:0", "--log-format", "json", *arguments]
        command += ["--database-url", f"sqlite://{place}/tercet.db"]
        import os

        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=log, env={**os.environ, **(env or {})})
        try:
            yield Coordinator(process, _url(process))
        finally:
            process.kill()
            process.wait()


def _url(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        found: Tuple[bytes, bytes, bytes] = line.partition(b'"listen":"')
        if found[1]:
            # What it says from now on is not of interest, but must go somewhere.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return found[2].partition(b'"')[0].decode()
    pytest.fail(b"".join(seen).decode())
