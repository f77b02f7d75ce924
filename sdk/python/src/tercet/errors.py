"""How a request to the coordinator can fail. A transaction that was cancelled is not among these."""

from __future__ import annotations

from typing import Optional

from ._failure import TercetError


class ClientError(TercetError):
    """A request to the coordinator failed."""


class InvalidRequest(ClientError, ValueError):
    """It is of no use, and was not sent."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"{field}: {what}")
        self.field = field


class Unanswered(ClientError):
    """No answer came, however often it was asked. The transaction may exist and may go on: ask again with
    the same gid."""

    def __init__(self, gid: str, attempts: int, last: str) -> None:
        super().__init__(f"no answer about {gid} after {attempts} attempts: {last}")
        self.gid, self.attempts, self.last = gid, attempts, last


class RequestRefused(ClientError):
    """The coordinator says what is wrong with the request."""

    def __init__(self, status: int, code: str, detail: str, pointer: Optional[str] = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.status, self.code, self.detail, self.pointer = status, code, detail, pointer


class Unexpected(ClientError):
    """The answer is none of a coordinator's."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"unexpected answer {status}: {body[:200]}")
        self.status, self.body = status, body[:200]
