"""How business code says that a call was not done."""

from __future__ import annotations

from typing import Optional


class TercetError(Exception):
    """What this library raises."""


class Refused(TercetError):
    """A Try that will never succeed: no stock, no money, no such account.

    The transaction is cancelled, and the reason reaches its initiator (409). A Confirm or Cancel has
    no right to refuse: it is called again, and people are told.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = str(code)
        """Why, for programs: a short word such as `out-of-stock`."""
        self.detail = str(detail)
        """Why, for people."""


class RetryLater(TercetError):
    """It may work the next time: call again (503), after this many milliseconds at the earliest.

    Raise it `from` what went wrong, which is logged and never told to the caller.
    """

    def __init__(self, why: str = "called again", after_ms: Optional[int] = None) -> None:
        super().__init__(why)
        self.after_ms = after_ms


class ResultError(Refused):
    """A result cannot be read, or answered with. Called again it would be no other, so a Try that
    lets it through is refused."""
