"""How a transaction stands, as a type that cannot be mistaken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List, Mapping, NoReturn, Optional, Union

from . import _json
from ._failure import TercetError


@dataclass(frozen=True)
class BranchView:
    """A branch as the coordinator shows it. `raw` has all that it said, also what this library does not know."""

    id: str
    status: str
    """`registered`, `tried`, `refused`, `confirmed`, `cancelled`, `skipped`, or one of a newer coordinator's."""
    answer_status: Optional[int] = None
    """What its Try was answered with, where it was refused or failed."""
    answer_body: Optional[str] = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(raw: Mapping[str, Any]) -> BranchView:
        """Of what the coordinator sent."""
        answer = raw.get("answer") or {}
        return BranchView(raw["id"], raw["status"], answer.get("status"), answer.get("body"), raw)

    @property
    def result(self) -> Any:
        """What its Try was answered with, where that is kept."""
        return self.raw.get("result")

    def said(self) -> Optional[str]:
        """What it said of its refusal: the `detail` of a problem, else the body."""
        body = self.answer_body
        if not body:
            return None
        try:
            detail = _json.loads(body).get("detail")
        except (ValueError, AttributeError):
            detail = None
        said = detail if isinstance(detail, str) else body
        return f"{self.id}: {said}" if said else None


@dataclass(frozen=True)
class TransactionView:
    """A transaction as the coordinator shows it. `raw` has all that it said."""

    gid: str
    instance: str
    status: str
    """`trying`, `confirming`, `cancelling`, `confirmed` or `cancelled`."""
    reason: Optional[str]
    reason_detail: Optional[str]
    deadline_at: Optional[str]
    branches: List[BranchView]
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(raw: Mapping[str, Any]) -> TransactionView:
        """Of what the coordinator sent."""
        branches = [BranchView.of(one) for one in raw.get("branches") or []]
        return TransactionView(
            raw["gid"],
            raw["instance"],
            raw["status"],
            raw.get("reason"),
            raw.get("reason_detail"),
            raw.get("deadline_at"),
            branches,
            raw,
        )


class NotConfirmed(TercetError):
    """A transaction is not confirmed: it was cancelled, or is still going on."""

    def __init__(self, outcome: Outcome, why: str) -> None:
        super().__init__(why)
        self.outcome = outcome


class _Outcome:
    def __bool__(self) -> NoReturn:
        raise TypeError("an outcome is neither true nor false: call confirmed(), or ask isinstance")


@dataclass(frozen=True)
class Confirmed(_Outcome):
    """Every branch was confirmed."""

    transaction: TransactionView

    def confirmed(self) -> TransactionView:
        """The transaction."""
        return self.transaction


@dataclass(frozen=True)
class Cancelled(_Outcome):
    """Every branch was cancelled: nothing has happened."""

    transaction: TransactionView

    @property
    def reason(self) -> Optional[str]:
        """Of which kind: `try-refused`, `try-failed`, `deadline`, `requested`, `operator`, `check`."""
        return self.transaction.reason

    def why(self) -> str:
        """In words: what a participant said, else what the caller gave as reason, else the kind."""
        said = next(filter(None, (one.said() for one in self.transaction.branches)), None)
        return said or self.transaction.reason_detail or self.reason or "no reason was given"

    def confirmed(self) -> NoReturn:
        """Raises `NotConfirmed`."""
        raise NotConfirmed(self, f"{self.transaction.gid} was cancelled: {self.why()}")


@dataclass(frozen=True)
class Pending(_Outcome):
    """It is still going on. `trying` can end either way; `confirming` will be confirmed and `cancelling`
    cancelled, whatever fails. Ask again: `client.outcome(gid)`."""

    transaction: TransactionView

    def confirmed(self) -> NoReturn:
        """Raises `NotConfirmed`."""
        raise NotConfirmed(self, f"{self.transaction.gid} is still {self.transaction.status}")


Outcome = Union[Confirmed, Cancelled, Pending]
"""How a transaction stands after a request. An answer is not a success: look which one it is, or call
`confirmed()`, which goes on only then."""


def outcome_of(transaction: TransactionView) -> Outcome:
    """By its status."""
    if transaction.status == "confirmed":
        return Confirmed(transaction)
    if transaction.status == "cancelled":
        return Cancelled(transaction)
    return Pending(transaction)


@dataclass(frozen=True)
class Registered:
    """How the registration of a branch ended."""

    branch: BranchView

    @property
    def is_tried(self) -> bool:
        """Its Try was done, or it has none."""
        return self.branch.status in ("tried", "confirmed")

    @property
    def is_refused(self) -> bool:
        """Its Try was refused, and with it the transaction: it is being cancelled."""
        return self.branch.status in ("refused", "cancelled", "skipped")

    def tried(self) -> BranchView:
        """The branch if it is tried; else raises `NotTried`, which, raised inside of `with client.open(…)`, cancels."""
        if not self.is_tried:
            said = self.branch.said() or f"{self.branch.id}: {self.branch.status}"
            raise NotTried(self, said)
        return self.branch

    def __bool__(self) -> NoReturn:
        raise TypeError("a registration is neither true nor false: call tried(), or ask is_tried")


class NotTried(TercetError):
    """A branch that was registered is refused, or its Try is not answered yet."""

    def __init__(self, registered: Registered, why: str) -> None:
        super().__init__(why)
        self.registered = registered
