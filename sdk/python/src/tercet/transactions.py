"""What an initiator asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from . import _json
from ._words import BRANCH_MAX_LENGTH, GID_MAX_LENGTH, id_fault, new_gid
from .errors import InvalidRequest


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Any = _Absent()
"""No payload: it is sent as `{}`."""


@dataclass(frozen=True)
class JsonText:
    """JSON that is sent as it stands, to the byte."""

    text: str


@dataclass(frozen=True)
class Branch:
    """One participant's part in a transaction: `Branch("payment", "http://…/payment", {"amount": 42})`."""

    id: str
    """Unique in its transaction: 1 to 64 of `[A-Za-z0-9._:-]`."""
    endpoint: Optional[str] = None
    """All three legs: `{endpoint}/try`, `/confirm`, `/cancel`."""
    payload: Any = ABSENT
    """The body of each of its calls: what JSON is made of, a dataclass, a pydantic model, `JsonText`."""
    try_url: Optional[str] = None
    """The URL of Try alone; of a saga's step, its action."""
    confirm_url: Optional[str] = None
    cancel_url: Optional[str] = None
    """The URL of Cancel alone; of a saga's step, what compensates it."""
    headers: Optional[Mapping[str, str]] = field(default=None, repr=False)
    """Headers of each of its calls. The coordinator treats their values as secrets."""
    timeout_ms: Optional[int] = None
    """How long one call may take: 10 ms to 10 min, by default 3 s."""
    try_attempts: Optional[int] = None
    """How often its Try may fail before the transaction is cancelled, 0 to 1000; 0: until the deadline."""
    after: Optional[Sequence[str]] = None
    """In a saga: the branches that come before it; with none it is called at once. By default the one before it."""
    results: Optional[bool] = None
    """Its calls bring what the Tries before it were answered with, and in Confirm and Cancel its own."""
    confirm_after_ms: Optional[int] = None
    """A delayed message: its Confirm is not called before this long after the decision; at most 30 days."""

    def to_json(self, place: str = "branch") -> str:
        """Its object, in the order of the fields."""
        parts: Dict[str, Any] = {
            "id": self.id,
            "endpoint": self.endpoint,
            "try": self.try_url,
            "confirm": self.confirm_url,
            "cancel": self.cancel_url,
            "payload": None if self.payload is ABSENT else _raw(self.payload, f"{place}.payload"),
            "headers": None if self.headers is None else dict(self.headers),
            "timeout_ms": self.timeout_ms,
            "try_attempts": self.try_attempts,
            "after": _ids(self.after, f"{place}.after"),
            "results": self.results,
            "confirm_after_ms": self.confirm_after_ms,
        }
        return _object(parts, place)


@dataclass(frozen=True)
class Transaction:
    """A transaction to be begun."""

    branches: Sequence[Branch] = ()
    gid: Optional[str] = None
    """1 to 128 of `[A-Za-z0-9._:-]`. Take one that belongs to the business deed (`order-1001`), and a repeat
    of the deed is the same transaction even after this process has died. By default a new UUID."""
    saga: bool = False
    """Its branches are steps, each tried once those before it are, and cancelled once those after it are."""
    timeout_ms: Optional[int] = None
    """How long it may stay undecided; by default 30 s, of a saga an hour."""
    metadata: Optional[Mapping[str, Any]] = None
    """Your own data, shown with the transaction: at most 4 KiB."""
    check: Optional[str] = None
    """For an open transaction: the URL that is asked at its deadline what became of it."""
    traceparent: Optional[str] = None
    """The W3C trace context that it continues; in a participant `call.traceparent`."""

    def written(self, opened: bool = False) -> Written:
        """The gid, and what is sent, once and for all: repeats are the same to the byte."""
        gid = new_gid() if self.gid is None else self.gid
        check_gid(gid)
        branches = [one.to_json(f"branches[{i}]") for i, one in enumerate(self.branches)]
        parts: Dict[str, Any] = {
            "gid": gid,
            "pattern": "saga" if self.saga else None,
            "branches": JsonText(f"[{','.join(branches)}]") if branches else None,
            "open": True if opened else None,
            "timeout_ms": self.timeout_ms,
            "metadata": None if self.metadata is None else _raw(self.metadata, "metadata"),
            "check": self.check,
        }
        return Written(gid, _object(parts, "transaction"), check_traceparent(self.traceparent))


@dataclass(frozen=True)
class Written:
    """What begins a transaction, the same whenever it is sent."""

    gid: str
    body: str
    traceparent: Optional[str]


def check_gid(gid: str) -> None:
    """Raises what is wrong with it."""
    fault = id_fault(gid, GID_MAX_LENGTH)
    if fault:
        raise InvalidRequest("gid", fault)


def check_name(name: str, what: str) -> None:
    """Raises what is wrong with the id of a branch, or the name of a definition."""
    fault = id_fault(name, BRANCH_MAX_LENGTH)
    if fault:
        raise InvalidRequest(what, fault)


def check_traceparent(given: Optional[str]) -> Optional[str]:
    """Raises if it cannot be a header."""
    if given is not None and not all(" " <= c <= "~" for c in given):
        raise InvalidRequest("traceparent", "cannot be sent as a header")
    return given


def run_written(
    gid: Optional[str],
    input_: Any,
    metadata: Optional[Mapping[str, Any]],
    version: Optional[int],
    traceparent: Optional[str],
) -> Written:
    """A run of a definition."""
    gid = new_gid() if gid is None else gid
    check_gid(gid)
    parts = {
        "gid": gid,
        "input": None if input_ is ABSENT else _raw(input_, "input"),
        "metadata": None if metadata is None else _raw(metadata, "metadata"),
        "version": version,
    }
    return Written(gid, _object(parts, "run"), check_traceparent(traceparent))


def with_own_try(branch: Branch) -> Tuple[str, Optional[str], Tuple[str, ...]]:
    """The registration of a branch whose Try the initiator calls, the URL of that, and its legs."""
    try_, confirm, cancel = branch.try_url, branch.confirm_url, branch.cancel_url
    if branch.endpoint is not None:
        base = branch.endpoint[:-1] if branch.endpoint.endswith("/") else branch.endpoint
        try_, confirm, cancel = (f"{base}/{op}" for op in ("try", "confirm", "cancel"))
    if confirm is None and cancel is None:
        raise InvalidRequest("branch", "one whose Try you call yourself needs a Confirm or a Cancel")
    kept = Branch(
        **{
            **vars(branch),
            "endpoint": None,
            "try_url": None,
            "confirm_url": confirm,
            "cancel_url": cancel,
        }
    )
    body = kept.to_json()[:-1] + ',"try_by":"initiator"}'
    has = (("try", True), ("confirm", confirm is not None), ("cancel", cancel is not None))
    return body, try_, tuple(leg for leg, there in has if there)


def _ids(ids: Optional[Sequence[str]], place: str) -> Optional[Sequence[str]]:
    if isinstance(ids, str):
        raise InvalidRequest(place, "must be a list of ids")
    return None if ids is None else list(ids)


def _raw(value: Any, place: str) -> JsonText:
    if isinstance(value, JsonText):
        try:
            _json.loads(value.text)
        except _json.NotJson as error:
            raise InvalidRequest(place, f"is no JSON: {error}") from None
        return value
    try:
        return JsonText(_json.dumps(value))
    except _json.NotJson as error:
        raise InvalidRequest(place, f"cannot be written as JSON: {error}") from error


def _object(parts: Mapping[str, Any], place: str) -> str:
    """Those that are given; texts of JSON as they stand."""
    members = []
    for name, value in parts.items():
        if value is None:
            continue
        text = value.text if isinstance(value, JsonText) else _raw(value, f"{place}.{name}").text
        members.append(f'"{name}":{text}')
    return "{" + ",".join(members) + "}"
