#!/usr/bin/env python3
"""Loyalty points: pending while their transaction is undecided, then earned.

A participant in Tercet's transactions on Python's standard library alone: POST /loyalty/try,
/loyalty/confirm, /loyalty/cancel, and GET /points to read. Calls may come twice, late, at once and
after their opposite, so each goes by one row per branch, which is written in the same SQL
transaction as the points. Python 3.8 or later.
"""

import argparse
import base64
import concurrent.futures
import contextlib
import datetime
import hashlib
import hmac
import json
import os
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCHEMA = """
CREATE TABLE IF NOT EXISTS points (
    account TEXT PRIMARY KEY,
    pending INTEGER NOT NULL CHECK (pending >= 0),
    earned  INTEGER NOT NULL CHECK (earned >= 0));
CREATE TABLE IF NOT EXISTS tercet_guard (
    gid VARCHAR(128) NOT NULL, branch_id VARCHAR(64) NOT NULL, instance CHAR(36) NOT NULL,
    legs VARCHAR(18) NOT NULL, state VARCHAR(9) NOT NULL, updated_at BIGINT NOT NULL,
    PRIMARY KEY (gid, branch_id));
"""
STATE_AFTER = {"try": "tried", "confirm": "confirmed", "cancel": "cancelled"}
# A Try that comes so long after its deadline is refused even if nothing is recorded: the row of its
# Cancel may have been deleted since. Generous, since the clocks of two machines are compared.
LATE_TRY_MARGIN_S = 3600
BODY_LIMIT_BYTES = 1024 * 1024
# How long a caller waits for those before it until it is told to come again. Its call keeps its
# place, and is found done.
PATIENCE_S = 1


# A signature is good for so long before and after its timestamp.
SIGNATURE_GOOD_FOR_S = 300


class Refused(Exception):
    """The call is not done; whatever it wrote is rolled back."""

    def __init__(self, status, code, detail):
        super().__init__(detail)
        self.status, self.code = status, code


def connect(file):
    """A connection that begins and commits when told to, and waits for others to finish writing."""
    db = sqlite3.connect(file, timeout=2, isolation_level=None)
    db.execute("PRAGMA synchronous = FULL")
    return db


# ---- The business: what a call does when it is to be done.


def do_try(db, account, points):
    db.execute("INSERT OR IGNORE INTO points VALUES (?, 0, 0)", (account,))
    db.execute("UPDATE points SET pending = pending + ? WHERE account = ?", (points, account))


def do_confirm(db, account, points):
    db.execute(
        "UPDATE points SET pending = pending - ?, earned = earned + ? WHERE account = ?",
        (points, points, account),
    )


def do_cancel(db, account, points):
    db.execute("UPDATE points SET pending = pending - ? WHERE account = ?", (points, account))


BUSINESS = {"try": do_try, "confirm": do_confirm, "cancel": do_cancel}


def run(db, op, body):
    """Runs the business for a payload {"account": "...", "points": N}."""
    try:
        payload = json.loads(body)
        account, points = payload["account"], payload["points"]
        if type(account) is not str or type(points) is not int or points <= 0:
            raise ValueError("account is a text, points a positive number")
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(400, "invalid-payload", "the payload cannot be read: %s" % error)
    BUSINESS[op](db, account, points)


# ---- The guard: whether it is to be done.


def guarded(db, op, call, body):
    """Does a call at most once for its branch, and never after its opposite."""
    gid, branch, instance = call["tercet-gid"], call["tercet-branch"], call["tercet-instance"]
    state = STATE_AFTER[op]
    # Insert first, then read: the row is ours, or it is there to be read.
    inserted = db.execute(
        "INSERT OR IGNORE INTO tercet_guard VALUES (?, ?, ?, ?, ?, ?)",
        (gid, branch, instance, call["tercet-legs"], state, int(time.time() * 1000)),
    ).rowcount
    if inserted:
        if op == "try" and is_long_past(call.get("tercet-deadline")):
            raise Refused(409, "deadline-passed", "the Try comes long after its deadline")
        if op == "confirm" and "try" in call["tercet-legs"].split(","):
            raise Refused(410, "branch-not-tried", "this branch was never tried here")
        if op != "cancel":
            run(db, op, body)
        # A Cancel without a Try gives nothing back. Its row keeps the Try out that may still come.
        return
    of, recorded = db.execute(
        "SELECT instance, state FROM tercet_guard WHERE gid = ? AND branch_id = ?", (gid, branch)
    ).fetchone()
    if of != instance:
        status = 409 if op == "try" else 410
        raise Refused(status, "another-instance", "another transaction used this gid before")
    if recorded == state or (op, recorded) == ("try", "confirmed"):
        return  # It was done before.
    if recorded == "tried":
        run(db, op, body)
        db.execute(
            "UPDATE tercet_guard SET state = ?, updated_at = ? WHERE gid = ? AND branch_id = ?",
            (state, int(time.time() * 1000), gid, branch),
        )
        return
    status = 410 if op == "confirm" else 409
    raise Refused(status, "branch-" + recorded, "this branch is %s already" % recorded)


def is_long_past(deadline):
    if deadline is None:
        return False
    at = datetime.datetime.strptime(deadline, "%Y-%m-%dT%H:%M:%S.%fZ")
    at = at.replace(tzinfo=datetime.timezone.utc)
    return time.time() - at.timestamp() > LATE_TRY_MARGIN_S


# ---- The signature: whether the coordinator sent it (Standard Webhooks).


def verify(key, op, call, body):
    """Refuses a call that is not signed by this key around now, or is signed for another call."""
    try:
        identity, at = call["webhook-id"], call["webhook-timestamp"]
        signatures = call["webhook-signature"].split(" ")
    except KeyError as missing:
        raise Refused(401, "unsigned", "header %s is missing" % missing.args[0])
    if not at.isdigit() or abs(time.time() - int(at)) > SIGNATURE_GOOD_FOR_S:
        raise Refused(401, "unsigned", "webhook-timestamp is more than five minutes off")
    # The op is that of the address it was sent to: a signed Try is no Confirm.
    parts = [call.get("tercet-" + name, "") for name in ("gid", "branch", "instance")]
    parts = [part.replace("%", "%25").replace(".", "%2E") for part in parts]
    parts.insert(2, op)
    if identity != "/".join(parts):
        raise Refused(401, "unsigned", "webhook-id is that of another call")
    signed = b".".join((identity.encode(), at.encode(), body))
    expected = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    if not any(hmac.compare_digest(expected, signature.encode()) for signature in signatures):
        raise Refused(401, "unsigned", "webhook-signature is by no secret that is known here")


# ---- HTTP.


class Service(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, file, guard, key):
        super().__init__(address, Handler)
        self.file, self.guard, self.key = file, guard, key
        # SQLite would keep writers apart by itself, but they would race for its lock; here they queue,
        # one call of a branch at a time.
        self.writer = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self.lock, self.branches = threading.Lock(), set()
        # Held open, so that the write-ahead log is not tidied up after each request.
        self.kept = connect(file)
        self.kept.execute("PRAGMA journal_mode = WAL")
        self.kept.executescript(SCHEMA)

    def done_in_time(self, op, call, body):
        """Queues a call and waits for it; False if it is still in progress when patience ends."""
        branch = call["tercet-gid"], call["tercet-branch"]

        def its_turn():
            try:
                self.call(op, call, body)
            finally:
                with self.lock:
                    self.branches.remove(branch)

        with self.lock:
            if branch in self.branches:
                return False
            self.branches.add(branch)
            done = self.writer.submit(its_turn)
        try:
            done.result(PATIENCE_S)
        except concurrent.futures.TimeoutError:
            return False
        return True

    def call(self, op, call, body):
        """One call, in one SQL transaction on a connection of its own."""
        with contextlib.closing(connect(self.file)) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                if self.guard:
                    guarded(db, op, call, body)
                else:
                    run(db, op, body)
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def points(self):
        with contextlib.closing(connect(self.file)) as db:
            rows = db.execute("SELECT account, pending, earned FROM points ORDER BY account")
            return [dict(zip(("account", "pending", "earned"), row)) for row in rows]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # Head and body leave together.

    def do_GET(self):
        if self.path == "/points":
            self.answer(200, self.server.points())
        else:
            self.problem(404, "not-found", "there is GET /points")

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > BODY_LIMIT_BYTES:
            self.close_connection = True
            return self.problem(413, "too-large", "a body needs a length, at most 1 MiB")
        body = self.rfile.read(int(length))
        prefix, _, op = self.path.rpartition("/")
        if prefix != "/loyalty" or op not in STATE_AFTER:
            return self.problem(404, "not-found", "there are /loyalty/try, confirm and cancel")
        call = {name.lower(): value for name, value in self.headers.items()}
        try:
            if self.server.key is not None:
                verify(self.server.key, op, call, body)
        except Refused as why:
            return self.problem(why.status, why.code, str(why))
        for name in ("tercet-gid", "tercet-branch", "tercet-instance", "tercet-legs"):
            if name not in call:
                return self.problem(400, "invalid-call", "header %s: is missing" % name)
        try:
            done = self.server.done_in_time(op, call, body)
        except Refused as why:
            self.problem(why.status, why.code, str(why))
        except sqlite3.Error as error:
            # Locked, full, or against a CHECK: the transaction is rolled back; call again.
            self.log_error("%s of %s: %s", op, call["tercet-gid"], error)
            self.problem(503, "failed", "the call failed here; call again")
        else:
            if done:
                self.answer(200, {"state": STATE_AFTER[op]})
            else:
                detail = "this call, or another one of its branch, is being worked on"
                self.problem(202, "in-progress", detail, {"Retry-After": "1"})

    def problem(self, status, code, detail, headers=None):
        self.answer(status, {"code": code, "status": status, "detail": detail}, headers)

    def answer(self, status, body, headers=None):
        text = json.dumps(body, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_request(self, code="-", size="-"):
        """A line for each call would drown what matters."""


def main():
    arguments = argparse.ArgumentParser(description="Loyalty points, as a participant.")
    arguments.add_argument("--listen", default="127.0.0.1:0", help="port 0 takes a free one")
    arguments.add_argument("--db", required=True, help="its SQLite file")
    arguments.add_argument("--without-guard", action="store_true", help="wrong on purpose")
    given = arguments.parse_args()
    host, _, port = given.listen.rpartition(":")
    secret = os.environ.get("TERCET_DEMO_SECRET")
    key = base64.b64decode(secret[len("whsec_") :]) if secret else None
    service = Service((host, int(port)), given.db, not given.without_guard, key)
    print("listening on http://%s:%d" % service.server_address, flush=True)
    service.serve_forever()


if __name__ == "__main__":
    main()
