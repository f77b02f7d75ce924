"""The participant without a framework, served by uvicorn: `python examples/plain.py sqlite:///FILE PORT`."""

import json
import socket
from typing import Any

import uvicorn

import payment

accounts, port = payment.arguments()


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http" or scope["path"] != "/accounts":
        await accounts.endpoint.asgi({**scope, "root_path": "/payment"}, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(accounts.all(), separators=(",", ":")).encode()})


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", port))
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off")).run(sockets=[listener])
