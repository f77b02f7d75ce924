"""What a database is to the guard, the outbox and checks."""

from __future__ import annotations

import abc
import contextlib
import functools
import re
import time
from typing import (
    Any,
    ContextManager,
    Generic,
    Iterator,
    List,
    Mapping,
    Optional,
    Protocol,
    Tuple,
    TypeVar,
)

from ._failure import TercetError
from ._line import WriteLine

T = TypeVar("T")
Values = Mapping[str, Any]
Rows = List[Tuple[Any, ...]]

BUSY_TIMEOUT_MS = 500
PATIENCE_S = 30.0


class Cursor(Protocol):
    """What every DB-API cursor has (PEP 249); the handle of `MySQL`, whichever driver it is."""

    @property
    def rowcount(self) -> int: ...
    @property
    def lastrowid(self) -> Any: ...
    def execute(self, query: str, args: Any = ..., /) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...


class EndedInside(TercetError):
    """Business code has committed or rolled back the guard's transaction by itself, or gone on after an error
    that ended it."""


ENDED = "the guard's transaction was ended inside"
LOST = "the guard's transaction was ended inside, or lost by a deadlock that was caught: let the error through"
FAILED = "a statement failed, and with it the whole transaction: let the error through"


class SqlTransaction(abc.ABC, Generic[T]):
    """One SQL transaction that has begun."""

    handle: T
    """What business code writes through."""

    @abc.abstractmethod
    def execute(self, sql: str, values: Optional[Values] = None) -> int:
        """Runs a statement whose values are named (`:gid`); the number of rows it wrote."""

    @abc.abstractmethod
    def fetch(self, sql: str, values: Values) -> Rows:
        """The rows of a query."""

    def mark(self) -> None:
        """Told before code of others runs in it, so that `check_open` can tell whether it is still the same one."""

    def check_open(self) -> None:
        """Raises `EndedInside` where the driver can tell that the transaction has ended."""

    @abc.abstractmethod
    def commit(self) -> None:
        """Commits."""


class Database(abc.ABC, Generic[T]):
    """Where a guard, an outbox or a check keeps its rows. `T` is what business code writes through."""

    dialect: str
    """`sqlite`, `postgres` or `mysql`."""
    line: Optional[WriteLine] = None
    """Where this process's calls wait for the right to write; None where many may write at once."""
    connections: int = 10
    """How many transactions can be under way at once."""

    @abc.abstractmethod
    def begin(self, patience_s: float = PATIENCE_S) -> ContextManager[SqlTransaction[T]]:
        """Begins, with the right to write. What is not committed when it is left is rolled back.
        Raises `Busy` where no connection is to be had in time."""

    @contextlib.contextmanager
    def transaction(self) -> Iterator[T]:
        """A SQL transaction for work of your own, with an outbox, say: committed at the end of the
        block, rolled back when it is left by an exception."""
        with self.writing(patient=True) as tx:
            tx.mark()
            yield tx.handle
            tx.check_open()
            tx.commit()

    @contextlib.contextmanager
    def writing(self, patient: bool = False) -> Iterator[SqlTransaction[T]]:
        """The same, for the library itself: rolled back unless it is committed."""
        with contextlib.ExitStack() as stack:
            if self.line is not None:
                stack.enter_context(self.line.hold())
            yield stack.enter_context(self.begin_patient() if patient else self.begin())

    def begin_patient(self) -> ContextManager[SqlTransaction[T]]:
        """The same as `begin` for work of the caller's own: how long that waits for locks is for them to say."""
        return self.begin()

    def read(self) -> ContextManager[SqlTransaction[T]]:
        """A transaction that only reads."""
        return self.begin()

    def wrap(self, handle: T) -> SqlTransaction[T]:
        """The transaction that this handle belongs to, and that somebody else ends."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes the connections that nobody uses."""


@functools.lru_cache(maxsize=256)
def pyformat(sql: str) -> str:
    """`:gid` as `%(gid)s`."""
    return re.sub(r":([a-z_]+)", r"%(\1)s", sql)


def quick_pause(round_: int, first_s: float, cap_s: float) -> None:
    """Sleeps a random while that grows with the rounds."""
    time.sleep(backoff_s(round_, first_s, cap_s))


def backoff_s(failures: int, first_s: float, cap_s: float) -> float:
    """Exponential, with full jitter."""
    import random

    step: float = min(first_s * 2 ** min(failures - 1, 31), cap_s)
    return random.uniform(0, step)
