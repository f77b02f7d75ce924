"""What the clients for threads and for asyncio have in common."""

from __future__ import annotations

import logging
import time
from typing import (
    Any,
    Dict,
    Optional,
    Tuple,
    Union,
)

import httpx

from ._context import Context
from ._exchange import CONNECT_S, Request, Settings, Waits, reason_of
from ._signature import SigningKey
from ._verdict import Verdict, verdict
from .errors import Unexpected
from .outcome import Outcome, TransactionView
from .transactions import Branch

UNDECIDED = "left without a decision"
"""The reason of an open transaction that was left without confirm or cancel."""

log = logging.getLogger("tercet")


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


class Common:
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


def too_long(status: int) -> Unexpected:
    return Unexpected(status, "a body without end")


def why_of(error: Exception) -> str:
    """httpx names the kind, and its cause what people look for."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def leaving_ms(error: Optional[BaseException]) -> Optional[int]:
    """Whoever is interrupted does not try for long: the deadline cancels anyhow."""
    return None if error is None or isinstance(error, Exception) else 5000


class OpenCommon:
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
