"""What goes back over the wire. The status line is what counts; bodies are for people and for `answer`."""

from __future__ import annotations

import http
import json
from dataclasses import dataclass, field
from typing import Any, List, Optional, Tuple

from .guard import Done

IN_PROGRESS_S = 1


@dataclass(frozen=True)
class Answer:
    """An answer, ready to be sent in one piece."""

    status: int
    body: bytes
    media_type: str = "application/json"
    more_headers: Tuple[Tuple[str, str], ...] = field(default=())

    def headers(self) -> List[Tuple[str, str]]:
        """All headers, the length among them."""
        return [
            ("Content-Type", self.media_type),
            ("Content-Length", str(len(self.body))),
            *self.more_headers,
        ]

    def status_line(self) -> str:
        """`409 Conflict`."""
        return f"{self.status} {title_of(self.status)}"


def title_of(status: int) -> str:
    """The words of a status."""
    return http.HTTPStatus(status).phrase


def value(content: Any) -> Answer:
    """A success with this value."""
    return Answer(200, json.dumps(content, separators=(",", ":")).encode("utf-8"))


def done(how: Done) -> Answer:
    """The call was done, now or before."""
    if how.result is not None:
        return Answer(200, how.result.encode("utf-8"))
    return value({"state": how.state, "repeated": how.repeated})


def problem(status: int, code: str, detail: str, retry_after_s: Optional[int] = None) -> Answer:
    """Something was not done: RFC 9457, with a code for programs."""
    content = {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "code": code,
        "detail": detail,
    }
    # Text of business code may be anything; it is never a reason to break off.
    body = json.dumps(content, separators=(",", ":")).encode("utf-8")
    more = () if retry_after_s is None else (("Retry-After", str(retry_after_s)),)
    return Answer(status, body, "application/problem+json", more)


def in_progress() -> Answer:
    """Another call of the same branch is being worked on."""
    return problem(202, "in-progress", "another call of this branch is being worked on", IN_PROGRESS_S)


def failed(after_ms: Optional[int] = None) -> Answer:
    """The cause stays here: it may name tables, hosts or worse. A pause is never shortened."""
    seconds = None if after_ms is None else -(-after_ms // 1000)
    return problem(503, "failed", "the call failed here; call again", seconds)
