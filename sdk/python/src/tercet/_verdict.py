"""What a participant's answer means to whoever calls it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Optional

from ._words import parse_retry_after


@dataclass(frozen=True)
class Verdict:
    """What to do after an answer."""

    kind: str
    """`done`, `refused`, `in-progress` (call again; it uses up no attempt) or `again`."""
    pause_ms: Optional[int] = None
    """The least pause before the next call, where the answer asks for one."""


def verdict(
    op: str, status: Optional[int], retry_after: Optional[str] = None, now_s: Optional[float] = None
) -> Verdict:
    """Reads an answer to a call: its status (None: none came) and its `Retry-After`."""
    asked = parse_retry_after(retry_after, time.time() if now_s is None else now_s)
    pause = None if asked is None else max(100, min(asked, 60_000))
    if status is None:
        return Verdict("again")
    if status == 202:
        return Verdict("in-progress", 1000 if pause is None else pause)
    if 200 <= status <= 299:
        return Verdict("done")
    if status == 409 and pause is not None:
        return Verdict("in-progress", pause)
    if status == 410 and op == "cancel":
        return Verdict("done")
    if status in (429, 503):
        return Verdict("again", pause)
    if 400 <= status <= 499 and status not in (408, 425) and op == "try":
        return Verdict("refused")
    return Verdict("again")
