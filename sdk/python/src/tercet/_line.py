"""Waiting in order: for a branch's turn, and for SQLite's one writer."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import weakref
from typing import Callable, ClassVar, Dict, Iterator, List, Optional, Tuple

WAITING_AT_MOST = 1024
TURN_PATIENCE_S = 0.5


class Turns:
    """One call of a branch at a time, within this process: waiting here costs no connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # A branch's lock, and how many hold it or wait for it.
        self._branches: Dict[Tuple[str, str], List[object]] = {}

    def take(self, key: Tuple[str, str], patience_s: float) -> Optional[Callable[[], None]]:
        """Waits for the turn; what gives it back, from whichever thread, or None if it did not come."""
        with self._lock:
            place = self._branches.setdefault(key, [threading.Lock(), 0])
            place[1] += 1  # type: ignore[operator]
        lock: threading.Lock = place[0]  # type: ignore[assignment]
        if lock.acquire(timeout=patience_s):
            return lambda: self._leave(key, place, lock)
        self._leave(key, place, None)
        return None

    def _leave(self, key: Tuple[str, str], place: List[object], lock: Optional[threading.Lock]) -> None:
        if lock is not None:
            lock.release()
        with self._lock:
            place[1] -= 1  # type: ignore[operator]
            if place[1] == 0:
                del self._branches[key]


class WriteLine:
    """The line of those who want to write to one SQLite file.

    SQLite lets one transaction write at a time, and those who meet at its lock do not queue. Here the
    calls of a process wait in the order in which they came, and only the first of them asks SQLite.
    """

    _lines: ClassVar[weakref.WeakValueDictionary[str, WriteLine]] = weakref.WeakValueDictionary()
    _lines_lock = threading.Lock()

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._waiting = 0
        self._holder: Optional[int] = None

    @classmethod
    def before(cls, file: str) -> WriteLine:
        """The line before this file; the same for all who write to it."""
        if file in ("", ":memory:"):
            return cls()
        with cls._lines_lock:
            key = os.path.realpath(file)
            line = cls._lines.get(key)
            if line is None:
                line = cls._lines[key] = cls()
            return line

    def submit(self, job: Callable[[], None], *, surely: bool = False) -> bool:
        """Has a job done when its turn comes, in a thread of the line's own. It must not raise.
        False where too many wait already, unless it is let in `surely`."""
        with self._lock:
            self._own_thread()
            if self._waiting >= WAITING_AT_MOST and not surely:
                return False
            self._waiting += 1
        self._jobs.put(job)
        return True

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """The right to write, in the caller's own thread."""
        if threading.current_thread() is getattr(self, "_thread", None):
            yield  # It is ours already.
            return
        if self._holder == threading.get_ident():
            raise RuntimeError("this thread is writing to the file already: it would wait for itself")
        granted, released = threading.Event(), threading.Event()

        def job() -> None:
            granted.set()
            released.wait()

        self.submit(job, surely=True)
        try:
            granted.wait()
            self._holder = threading.get_ident()
            yield
        finally:
            self._holder = None
            released.set()

    def _own_thread(self) -> None:
        # A process that was forked has none of its parent's threads.
        if self._pid == os.getpid():
            return
        self._pid, self._waiting, self._holder = os.getpid(), 0, None
        self._jobs = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._work,
            args=(weakref.ref(self), self._jobs),
            name="tercet-writer",
            daemon=True,
        )
        self._thread.start()

    @staticmethod
    def _work(
        line: weakref.ReferenceType[WriteLine],
        jobs: queue.SimpleQueue[Callable[[], None]],
    ) -> None:
        while True:
            try:
                job = jobs.get(timeout=60)
            except queue.Empty:
                if line() is None:
                    return
                continue
            job()
            one = line()
            if one is not None:
                with one._lock:
                    one._waiting -= 1
            del job, one
