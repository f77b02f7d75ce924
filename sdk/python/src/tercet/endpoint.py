"""The URLs of an endpoint: three that are called, and its books."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from typing import Any, Callable, Iterable, Mapping, Optional, Tuple, TypeVar
from urllib.parse import parse_qsl

from ._answer import Answer, done, failed, in_progress, problem, value
from ._context import BadHeader, Context, read_call
from ._failure import Refused, RetryLater
from ._line import TURN_PATIENCE_S, Turns
from ._mount import Mounted
from ._pool import Busy
from ._signature import Signed, SigningKey, Unsigned
from ._typed import Unreadable
from ._words import OPS
from .guard import Contradicted, Done, Guard, InProgress
from .participant import Participant, payload_type

T = TypeVar("T")
P = TypeVar("P")

QUEUE_PATIENCE_S = 1.0
"""How long a call may wait for its turn to write before its caller is told that it is in progress."""
_ROWS, _MOST_ROWS = 50, 500
_BEHIND_ALL = "~"

_log = logging.getLogger("tercet")


class Endpoint(Mounted):
    """A participant, guarded, under the path that branches give as their `endpoint`: `POST` to its `try`, `confirm`
    and `cancel`, and `GET` of its `branches` (the books). Mount `endpoint.wsgi` or `endpoint.asgi`:

        app.mount("/payment", Endpoint(Payment(), guard).asgi)                               # Starlette, FastAPI
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/payment": endpoint.wsgi})       # Flask

    With `secrets` (`whsec_…`, any of them: so they can be changed without a gap) only calls that are signed by one
    are let through.
    """

    def __init__(
        self,
        participant: Participant[T, P],
        guard: Guard[T],
        *,
        secrets: Optional[Iterable[str]] = None,
    ) -> None:
        super().__init__()
        if isinstance(secrets, str):
            raise TypeError("secrets: a list of texts")
        payload_type(type(participant))  # What cannot be found is told now, not at the first call.
        self._participant: Participant[Any, Any] = participant
        self._guard: Guard[Any] = guard
        self._keys = None if secrets is None else tuple(SigningKey(one) for one in secrets)
        self._turns = Turns()

    def __repr__(self) -> str:
        return f"Endpoint({type(self._participant).__name__}, {self._guard!r})"

    def before_body(self, method: str, leg: str, headers: Mapping[str, str]) -> Optional[Answer]:
        if leg not in OPS and leg != "branches":
            return problem(404, "not-found", "there are try, confirm, cancel and branches")
        wanted = "GET" if leg == "branches" else "POST"
        if method != wanted:
            return problem(405, "method-not-allowed", f"it is asked by {wanted}")
        if self._keys is None:
            return None
        try:
            Signed(headers, leg, time.time())
        except Unsigned as why:
            return _unsigned(why)
        return None

    def answer(self, method: str, leg: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answers a request, whoever brings it: `headers` have their names in lower case, `body` is as it
        came. Everything that mounts this uses it; it blocks."""
        refusal = self.before_body(method, leg, headers)
        if refusal is not None:
            return refusal
        if self._keys is not None:
            try:
                Signed(headers, leg, time.time()).check(self._keys, body)
            except Unsigned as why:
                return _unsigned(why)
        if leg == "branches":
            return self._books(query)
        return self._call(leg, headers, body)

    def _call(self, op: str, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            call, payload = read_call(op, headers, body)
        except BadHeader as error:
            _log.warning("a call of %s cannot be read: %s", op, error)
            return problem(400, "invalid-call", str(error))
        leave = self._turns.take((call.gid, call.branch), TURN_PATIENCE_S)
        if leave is None:
            return in_progress()
        line = self._guard.database.line
        if line is None:
            try:
                return self._work(call, payload, lambda: None)
            finally:
                leave()
        context = contextvars.copy_context()
        begun, ended, answers = threading.Event(), threading.Event(), []

        def job() -> None:
            answer = failed()
            try:
                answer = context.run(self._work, call, payload, begun.set)
            except BaseException:
                _log.exception("%s of %s/%s broke off", op, call.gid, call.branch)
            finally:
                answers.append(answer)
                leave()
                ended.set()
                begun.set()

        if not line.submit(job):
            leave()
            return _busy(call)
        # Who waits for too long is told so, and the call keeps its place: the next one finds it done.
        if not begun.wait(QUEUE_PATIENCE_S):
            return in_progress()
        ended.wait()
        return answers[0]

    def _work(self, call: Context, payload: bytes, begins: Callable[[], None]) -> Answer:
        try:
            how = self._guard.run(self._participant, call, payload, begins)
        except Exception as error:
            return _not_done(call, error)
        return done(how)

    # ---- The books hold no payload, but all gids: they belong under the same protection as the calls.

    def _books(self, query: str) -> Answer:
        try:
            after, limit = _range(query)
        except ValueError as error:
            return problem(400, "invalid-request", str(error))
        try:
            items, more = self._guard.page(*after, limit)
        except Exception:
            _log.warning("the guard's rows cannot be read", exc_info=True)
            return failed()
        last = "{gid}/{branch}".format(**items[-1]) if more else None
        return value({"items": items, "next_cursor": last})


def _range(query: str) -> Tuple[Tuple[str, str], int]:
    """Which rows are asked for: behind a row, behind all of a gid, or before them."""
    after, limit = "/", _ROWS
    seen = set()
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in seen or name not in ("after", "limit"):
            raise ValueError(f"{name}: is no parameter, or there twice")
        seen.add(name)
        if name == "after":
            after = text
        elif not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= _MOST_ROWS):
            raise ValueError(f"limit: must be 1 to {_MOST_ROWS}")
        else:
            limit = int(text)
    if len(after) > 256 or not all("!" <= c <= "~" for c in after):
        raise ValueError("after: must be {gid}/{branch}, as next_cursor gives it")
    gid, slash, branch = after.partition("/")
    return (gid, branch if slash else _BEHIND_ALL), limit


def _unsigned(why: Unsigned) -> Answer:
    _log.warning("a call that is not signed as it must be: %s", why)
    return problem(401, "unsigned", str(why))


def _busy(call: Context) -> Answer:
    if call.op == "cancel":
        return in_progress()
    detail = "others were using the database for as long as a call may wait"
    return problem(503, "busy", detail, 1)


def _not_done(call: Context, error: Exception) -> Answer:
    """The call was not done. This is where its cause is logged."""
    about = (call.op, call.gid, call.branch, call.attempt)
    if isinstance(error, Contradicted):
        why = error.why
        level = logging.ERROR if why.alarming else logging.INFO
        _log.log(level, "%s of %s/%s (%d) was stopped: %s", *about, why.detail)
        return problem(why.status, why.code, why.detail)
    if isinstance(error, Unreadable):
        _log.warning("%s of %s/%s (%d): its payload cannot be read: %s", *about, error)
        return problem(400, "invalid-payload", f"the payload cannot be read: {error}")
    if isinstance(error, InProgress):
        _log.debug("%s of %s/%s (%d): %s", *about, error)
        return in_progress()
    if isinstance(error, Busy):
        _log.warning("%s of %s/%s (%d): %s", *about, error)
        return _busy(call)
    if isinstance(error, Refused):
        _log.info("%s of %s/%s (%d) was refused: %s", *about, error)
        return problem(409, error.code, error.detail)
    _log.warning("%s of %s/%s (%d) failed; to be called again", *about, exc_info=error)
    return failed(error.after_ms if isinstance(error, RetryLater) else None)


__all__ = ["Done", "Endpoint"]
