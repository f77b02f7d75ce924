"""The guard's rule: what a call does, given what is recorded of its branch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Optional, Tuple

LATE_TRY_MARGIN_MS = 60 * 60 * 1000
"""How long past its deadline a Try is turned away although nothing is recorded: the row of its Cancel
may have been purged. Generous, since the clocks of two machines are compared."""

STATE_AFTER = {"try": "tried", "confirm": "confirmed", "cancel": "cancelled"}


class Do(Enum):
    """What to do with a call."""

    RUN = "run"
    """Run the business code, and record that the call was done."""
    RECORD = "record"
    """Record it without running anything: the empty Cancel."""
    REPEAT = "repeat"
    """It was done before."""
    REFUSE = "refuse"
    """It must not be done."""


@dataclass(frozen=True)
class Contradiction:
    """Why a call must not be done."""

    status: int
    code: str
    detail: str
    alarming: bool = True
    """Whether it can only come from a fault on some side."""


@dataclass(frozen=True)
class Recorded:
    """The guard's row of a branch."""

    instance: str
    state: str


HANGING_TRY = Contradiction(409, "branch-cancelled", "this branch was cancelled before its Try arrived", False)
LATE_TRY = Contradiction(
    409,
    "deadline-passed",
    "by this machine's clock the Try comes more than an hour after its deadline",
    False,
)
NEVER_TRIED = Contradiction(
    410,
    "branch-not-tried",
    "this branch was never tried here, so there is nothing to confirm",
)
CONFIRM_AFTER_CANCEL = Contradiction(
    410, "branch-cancelled", "this branch was cancelled, so there is nothing to confirm"
)
CANCEL_AFTER_CONFIRM = Contradiction(409, "branch-confirmed", "this branch was confirmed and cannot be cancelled")
_ANOTHER = "another transaction has used this gid and branch before"
TRY_OF_ANOTHER = Contradiction(409, "another-instance", _ANOTHER)
DECISION_OF_ANOTHER = Contradiction(410, "another-instance", _ANOTHER)

Decision = Tuple[Do, Optional[Contradiction]]

_RECORDED = {
    ("try", "tried"): (Do.REPEAT, None),
    ("try", "confirmed"): (Do.REPEAT, None),
    ("try", "cancelled"): (Do.REFUSE, HANGING_TRY),
    ("confirm", "tried"): (Do.RUN, None),
    ("confirm", "confirmed"): (Do.REPEAT, None),
    ("confirm", "cancelled"): (Do.REFUSE, CONFIRM_AFTER_CANCEL),
    ("cancel", "tried"): (Do.RUN, None),
    ("cancel", "confirmed"): (Do.REFUSE, CANCEL_AFTER_CONFIRM),
    ("cancel", "cancelled"): (Do.REPEAT, None),
}


def decide(
    recorded: Optional[Recorded],
    op: str,
    legs: Tuple[str, ...],
    instance: str,
    long_past: bool,
) -> Decision:
    """The table. `long_past`: a Try that comes longer than the margin after its deadline."""
    if recorded is None:
        if op == "try":
            return (Do.REFUSE, LATE_TRY) if long_past else (Do.RUN, None)
        if op == "confirm":
            return (Do.REFUSE, NEVER_TRIED) if "try" in legs else (Do.RUN, None)
        return Do.RECORD, None
    if recorded.instance != instance:
        return Do.REFUSE, TRY_OF_ANOTHER if op == "try" else DECISION_OF_ANOTHER
    return _RECORDED[op, recorded.state]


def is_long_past(deadline_ms: Optional[int], now_ms: int) -> bool:
    """Whether an unanswered Try with this deadline was given up long before now."""
    return deadline_ms is not None and now_ms - deadline_ms > LATE_TRY_MARGIN_MS
