"""What a call says about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple, Type, TypeVar, overload

from . import _json, _typed
from ._failure import ResultError, TercetError
from ._words import (
    BRANCH_MAX_LENGTH,
    GID_MAX_LENGTH,
    OPS,
    format_time,
    id_fault,
    parse_instance,
    parse_time,
)

RESULT_BYTES = 16 * 1024
R = TypeVar("R")


class BadHeader(TercetError):
    """A header that every call carries is missing or cannot be read."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"header {name}: {what}")
        self.name = name


@dataclass(frozen=True)
class Context:
    """What business code and the guard know of the call they answer."""

    gid: str
    """The global transaction."""
    branch: str
    """This participant's part of it."""
    instance: str
    """Which life of the gid: one that is used again long after is another transaction."""
    op: str
    """`try`, `confirm` or `cancel`."""
    legs: Tuple[str, ...]
    """Which of the three this branch has."""
    attempt: int = 1
    """A hint for people: it may repeat."""
    deadline_ms: Optional[int] = None
    """On a Try: when it is given up unanswered, in UTC epoch milliseconds."""
    traceparent: Optional[str] = None
    """W3C trace context, to be passed on to whatever is called from here."""
    empty: bool = False
    """Whether this is a Cancel whose Try was never recorded: see `Participant.CANCELS_EMPTY`."""
    results: Optional[Mapping[str, str]] = None
    """What the Tries before were answered with, by branch, as JSON texts; None: the call brings none."""
    _answer: List[str] = field(default_factory=list, compare=False, repr=False)

    @property
    def deadline(self) -> Optional[str]:
        """`deadline_ms` as RFC 3339."""
        return None if self.deadline_ms is None else format_time(self.deadline_ms)

    @overload
    def result(self, branch: str) -> Any: ...
    @overload
    def result(self, branch: str, of: Type[R]) -> R: ...
    def result(self, branch: str, of: Any = Any) -> Any:
        """What the Try of this branch was answered with: of those before this one, and in Confirm and
        Cancel this one's own, where the branch is registered with `results=True`."""
        text = (self.results or {}).get(branch)
        if text is None:
            raise ResultError("result-missing", f"the call brings no result of {branch}")
        try:
            return _typed.read(of, text)
        except _typed.Unreadable as error:
            raise ResultError("result-unreadable", f"the result of {branch} cannot be read: {error}") from error

    def answer(self, value: Any) -> None:
        """Has a Try, once it is done, answered with this, for the branches after it. The guard keeps it
        with its row, so that a Try that is repeated is answered with the same. The last one counts."""
        try:
            text = _json.dumps(value)
        except _json.NotJson as error:
            raise ResultError("result-unreadable", f"the result cannot be written: {error}") from error
        length = len(text.encode("utf-8"))
        if length > RESULT_BYTES:
            detail = f"the result has {length} bytes, and may have {RESULT_BYTES}"
            raise ResultError("result-too-large", detail)
        self._answer[:] = [text]

    def _take_answer(self) -> Optional[str]:
        """What business code wants it answered with; a call that is run again begins without."""
        return self._answer.pop() if self._answer else None

    def headers(self) -> Dict[str, str]:
        """The headers of this call, for whoever makes it."""
        headers = {
            "Tercet-Gid": self.gid,
            "Tercet-Branch": self.branch,
            "Tercet-Instance": self.instance,
            "Tercet-Op": self.op,
            "Tercet-Legs": ",".join(self.legs),
            "Tercet-Attempt": str(self.attempt),
            "Idempotency-Key": f'"{self.gid}/{self.branch}/{self.op}"',
        }
        if self.deadline is not None:
            headers["Tercet-Deadline"] = self.deadline
        if self.traceparent is not None:
            headers["traceparent"] = self.traceparent
        return headers


def read_call(op: str, headers: Mapping[str, str], body: bytes) -> Tuple[Context, bytes]:
    """A call to `op`'s URL, and its payload. Names of headers are in lower case."""

    def optional(name: str) -> Optional[str]:
        value = headers.get(name)
        if value is not None and not (value.isascii() and value.isprintable()):
            raise BadHeader(name, "is not printable ASCII")
        return value

    def required(name: str) -> str:
        value = optional(name)
        if value is None:
            raise BadHeader(name, "is missing")
        return value

    def an_id(name: str, longest: int) -> str:
        value = required(name)
        fault = id_fault(value, longest)
        if fault:
            raise BadHeader(name, fault)
        return value

    gid = an_id("tercet-gid", GID_MAX_LENGTH)
    branch = an_id("tercet-branch", BRANCH_MAX_LENGTH)
    instance = parse_instance(required("tercet-instance"))
    if instance is None:
        raise BadHeader("tercet-instance", "must be a UUID")
    said = required("tercet-op")
    if said not in OPS:
        raise BadHeader("tercet-op", "must be try, confirm or cancel")
    words = [word.strip() for word in required("tercet-legs").split(",")]
    if any(word not in OPS for word in words):
        raise BadHeader("tercet-legs", "must be try, confirm or cancel")
    attempt = optional("tercet-attempt") or "1"
    if not attempt.isdigit() or int(attempt[:11]) > 0xFFFF_FFFF:
        raise BadHeader("tercet-attempt", "must be a number")
    deadline = optional("tercet-deadline")
    deadline_ms = None if deadline is None else parse_time(deadline)
    if deadline is not None and deadline_ms is None:
        raise BadHeader("tercet-deadline", "must be an RFC 3339 time")
    traceparent = optional("traceparent")
    if said != op:
        raise BadHeader("tercet-op", f"says {said}, but this is the URL of {op}")
    results, payload = _results(optional("tercet-results"), body)
    legs = tuple(leg for leg in OPS if leg in words)
    context = Context(gid, branch, instance, op, legs, int(attempt), deadline_ms, traceparent, results=results)
    return context, payload


def _results(said: Optional[str], body: bytes) -> Tuple[Optional[Mapping[str, str]], bytes]:
    if said is None:
        return None, body
    name = "tercet-results"
    if said != "true":
        raise BadHeader(name, "may be true alone")
    try:
        parts = _json.members(body)
        return _json.members(parts["results"]), parts["payload"].encode("utf-8")
    except KeyError as error:
        raise BadHeader(name, f"the body has no {error.args[0]}") from None
    except ValueError as error:
        raise BadHeader(name, f"the body has no payload with results: {error}") from None
