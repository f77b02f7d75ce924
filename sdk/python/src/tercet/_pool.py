"""Connections that are kept open between calls."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Callable, Generic, List, Tuple, TypeVar

from ._failure import TercetError

C = TypeVar("C")

_inherited: List[Any] = []
"""Connections of a process before it was forked. They are not ours, and to close them would end them
for the parent, too; so they are kept."""


class Busy(TercetError):
    """No connection, or no place in a queue, was to be had in time."""


class Pool(Generic[C]):
    """At most `size` connections, the one that was used last first."""

    def __init__(self, connect: Callable[[], C], close: Callable[[C], object], size: int) -> None:
        self._connect, self._close, self.size = connect, close, size
        self._lock = threading.Lock()
        self._anew()

    def _anew(self) -> None:
        self._pid = os.getpid()
        self._places = threading.BoundedSemaphore(self.size)
        self._idle: List[C] = []

    def take(self, patience_s: float) -> Tuple[C, bool]:
        """A connection, and whether it is fresh."""
        with self._lock:
            if self._pid != os.getpid():
                _inherited.extend(self._idle)
                self._anew()
            places = self._places
        if not places.acquire(timeout=patience_s):
            raise Busy("others were using the database for as long as a call may wait")
        with self._lock:
            if self._idle:
                return self._idle.pop(), False
        try:
            return self._connect(), True
        except BaseException:
            places.release()
            raise

    def fresh(self, instead_of: C) -> C:
        """Another connection for one that turned out to be dead; those that are as old go, too."""
        with self._lock:
            old, self._idle = [*self._idle, instead_of], []
        for one in old:
            self._end(one)
        try:
            return self._connect()
        except BaseException:
            self._places.release()
            raise

    def give(self, connection: C, broken: bool) -> None:
        """Gives it back."""
        if broken:
            self._end(connection)
        else:
            with self._lock:
                self._idle.append(connection)
        self._places.release()

    def close(self) -> None:
        """Closes those that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for one in idle:
            self._end(one)

    def _end(self, connection: C) -> None:
        try:
            self._close(connection)
        except Exception:  # It is dead already
            pass


class Seats:
    """For those that may have to wait in the database, each with a connection in its hand: half of the
    pool, so that the others are left to calls that meet nobody."""

    def __init__(self, connections: int) -> None:
        self._places = threading.BoundedSemaphore(max(1, connections // 2))

    def take(self, patience_s: float) -> Callable[[], None]:
        """Waits for one; what gives it back."""
        if not self._places.acquire(timeout=patience_s):
            raise Busy("others were waiting for as long as a call may wait")
        return self._places.release


def left(since: float, patience_s: float) -> float:
    """What is left of a patience that began at this moment of the monotonic clock."""
    return max(0.0, patience_s - (time.monotonic() - since))
