#!/usr/bin/env python3
"""Keeps a coordinator up with something to see: participants that answer, refuse, fail and are away, and
initiators that go on beginning transactions. Ends with the process that started it, or by Ctrl-C.

    tests/console/stage.py [--with-tokens] [--seconds N]

prints the coordinator's URL once it is ready; with tokens the operator's is the word "operator" repeated.
"""

import argparse
import hashlib
import http.server
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROLES = ("viewer", "client", "operator")


def token(role):
    return "-".join([role] * 4)


class Participant(http.server.BaseHTTPRequestHandler):
    """One that answers what its server says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        op = self.headers.get("tercet-op", "")
        status, words, pause = self.server.answers(op, self.headers.get("tercet-gid", ""), body)
        time.sleep(pause)
        answer = json.dumps(words).encode()
        try:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except OSError:
            pass

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_):
        pass


def serve(name, port, answers):
    """A participant at this port, or where it is taken at another."""
    try:
        server = Server(("127.0.0.1", port), Participant)
    except OSError:
        server = Server(("127.0.0.1", 0), Participant)
    server.answers = answers
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"{name}.localhost:{server.server_address[1]}"


def soon(low, high):
    return random.uniform(low, high) / 1000


def well(op, gid, body):
    return 200, {"ok": True}, soon(2, 12)


def payment(op, gid, body):
    # Some accounts were frozen between Try and Confirm, which no call mends.
    if op == "confirm" and int(hashlib.sha256(gid.encode()).hexdigest(), 16) % 60 == 0:
        return 422, {"error": "account 4711 is frozen since the reservation", "ask": "risk desk"}, soon(4, 20)
    if op == "try" and random.random() < 0.04:
        return 409, {"error": "insufficient funds"}, soon(4, 20)
    return 200, {"ok": True}, soon(4, 25)


class Shipping:
    """One that puts off its Confirms, and then is gone: what it has tried waits for it."""

    is_ending = False

    def __call__(self, op, gid, body):
        if op == "confirm" and self.is_ending:
            return 503, {"error": "shutting down for maintenance"}, soon(2, 8)
        return well(op, gid, body)


def loyalty(op, gid, body):
    if random.random() < 0.12:
        return 503, {"error": "too busy, shed by the gateway"}, soon(1, 5)
    return 200, {"points": 12}, soon(2, 30)


class Begins(threading.Thread):
    """An initiator."""

    def __init__(self, url, participants, headers):
        super().__init__(daemon=True)
        self.url, self.participants, self.headers = url, participants, headers
        self.per_second = 12
        self.count = 1000

    def run(self):
        while True:
            time.sleep(random.expovariate(self.per_second))
            self.count += 1
            try:
                self.begin()
            except OSError:
                pass

    def begin(self):
        kind = random.random()
        names = ["inventory", "payment"]
        pattern = "tcc"
        if kind < 0.15:
            names.append("loyalty")
        elif kind < 0.30:
            names.append("shipping")
        elif kind < 0.40:
            pattern, names = "saga", ["flight", "hotel", "payment"]
        branches = [
            {
                "id": name,
                "endpoint": f"http://{self.participants[name]}/{name}",
                "payload": {"order": self.count, "sku": random.choice(["A1", "B7", "C3"]), "amount": 4200},
            }
            for name in names
        ]
        body = {
            "gid": f"order-{self.count}" if pattern == "tcc" else f"trip-{self.count}",
            "pattern": pattern,
            "branches": branches,
            "timeout_ms": 20000,
            "metadata": {
                "channel": random.choice(["web", "app", "shop"]),
                "customer": f"c-{random.randint(100, 999)}",
            },
        }
        send(self.url + "/v1/transactions?wait=accepted", body, self.headers)


def send(url, body, headers, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **headers}, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read() or b"null")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--with-tokens", action="store_true")
    options.add_argument("--seconds", type=float, default=0)
    options.add_argument("--port", type=int, default=0)
    options = options.parse_args()
    random.seed(7)
    binary = os.environ.get("BIN_DIR", "target/debug") + "/tercet"
    servers, participants, shipping = {}, {}, Shipping()
    places = [
        ("inventory", 7301, well), ("payment", 7302, payment), ("loyalty", 7303, loyalty),
        ("shipping", 7304, shipping), ("flight", 7305, well), ("hotel", 7306, well),
    ]
    for name, port, answers in places:
        servers[name], participants[name] = serve(name, port, answers)
    directory = tempfile.TemporaryDirectory()
    port = options.port or free_port()
    url = f"http://127.0.0.1:{port}"
    environment = dict(os.environ, TERCET_NODE__ID="node-a", TERCET_RETRY__PARK_AFTER_MS="20000")
    headers = {}
    if options.with_tokens:
        tokens = [
            {"name": name, "role": role, "sha256": hashlib.sha256(token(role).encode()).hexdigest()}
            for name, role in zip(("grace", "orders", "ada"), ROLES)
        ]
        environment["TERCET_AUTH__TOKENS"] = json.dumps(tokens)
        headers = {"authorization": f"Bearer {token('operator')}"}
    daemon = subprocess.Popen(
        [binary, "serve", "--listen", f"127.0.0.1:{port}", "--database-url", f"sqlite://{directory.name}/tercet.db"],
        env=environment, stderr=subprocess.DEVNULL if options.seconds else open("/tmp/stage.log", "w"),
    )

    def over(*_):
        # Whoever waits for it holds what it would take to wait here.
        daemon.kill()
        os._exit(0)

    signal.signal(signal.SIGTERM, over)
    signal.signal(signal.SIGINT, over)
    for _ in range(600):
        try:
            urllib.request.urlopen(url + "/readyz", timeout=2)
            break
        except OSError:
            time.sleep(0.1)
    saga = {"steps": [{"id": name, "endpoint": f"http://{participants[name]}/{name}"} for name in ("flight", "hotel", "payment")]}
    send(url + "/v1/sagas/trip", saga, headers, "PUT")
    Begins(url, participants, headers).start()
    # Shipping goes away once there is something that waits for it.
    time.sleep(8)
    shipping.is_ending = True
    time.sleep(8)
    servers["shipping"].shutdown()
    servers["shipping"].server_close()
    time.sleep(6)
    print(url, flush=True)
    if options.seconds:
        time.sleep(options.seconds)
        over()
    daemon.wait()


if __name__ == "__main__":
    sys.exit(main())
