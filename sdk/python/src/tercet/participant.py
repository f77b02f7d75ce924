"""What a service implements to take part."""

from __future__ import annotations

import abc
import asyncio
import inspect
import sys
import threading
import typing
from typing import Any, Awaitable, Generic, TypeVar, Union

from . import _typed
from ._context import Context

T = TypeVar("T")
P = TypeVar("P")
Called = Union[None, Awaitable[None]]

_loops = threading.local()


class Participant(abc.ABC, Generic[T, P]):
    """A service that takes part in global transactions with one kind of branch.

    `T` is what its database hands over (`sqlite3.Cursor`, `psycopg.Cursor[Any]`, `sqlalchemy.orm.Session`),
    `P` its payload: a dataclass, a TypedDict, a pydantic model, or `Any`.

    Each method runs inside one SQL transaction of the service's own database, in which the guard has already
    written that this call was done. Do all writing through `db`, and leave its end to the guard. Then the
    change and the guard's row are durable together or not at all, and each method is run to its end at most
    once for a branch, however often, late or out of order calls arrive. It may be run again after it failed,
    so what cannot be rolled back (a mail, a call to another service) does not belong in it.

    A method that is a coroutine (`async def`) is run in a thread and a loop of its own, since the drivers block.
    """

    CANCELS_EMPTY = False
    """Whether `cancel` is run also where no Try was recorded, with `call.empty` set. Say True if `try_` has effects
    outside of this database (a hold on a card): it may have had them and then failed before it was recorded."""

    @abc.abstractmethod
    def try_(self, db: T, call: Context, payload: P) -> Called:
        """Reserves, so that `confirm` cannot fail for want of anything. `Refused` if it cannot be."""

    @abc.abstractmethod
    def confirm(self, db: T, call: Context, payload: P) -> Called:
        """Takes what was reserved."""

    @abc.abstractmethod
    def cancel(self, db: T, call: Context, payload: P) -> Called:
        """Releases what was reserved. It is run only if `try_` was, unless `CANCELS_EMPTY`."""

    def read_payload(self, text: bytes) -> P:
        """The payload of a body, as it came to the byte; a `ValueError` where it is none (400)."""
        return _typed.read(payload_type(type(self)), text)  # type: ignore[no-any-return]


def payload_type(of: type) -> Any:
    """The `P` that a class was made with."""
    known = of.__dict__.get("_tercet_payload")
    if known is None:
        known = _find_payload_type(of)
        of._tercet_payload = known  # type: ignore[attr-defined]
    return known


def _find_payload_type(of: type) -> Any:
    for kind in of.__mro__:
        for base in getattr(kind, "__orig_bases__", ()):
            origin, arguments = typing.get_origin(base), typing.get_args(base)
            if isinstance(origin, type) and issubclass(origin, Participant) and arguments:
                found = arguments[-1]
                if isinstance(found, (str, typing.ForwardRef)):
                    found = _named(found if isinstance(found, str) else found.__forward_arg__, kind)
                if not isinstance(found, TypeVar):
                    return found
    return Any


def _named(name: str, of: type) -> Any:
    """The type that a class names by a text."""
    module = sys.modules.get(of.__module__)
    try:
        return eval(name, dict(vars(module)) if module else {})
    except Exception as error:
        raise TypeError(f"{of.__name__}: its payload {name!r} is not to be found: {error}") from error


def run_method(participant: Participant[T, P], op: str, db: T, call: Context, payload: P) -> None:
    """Runs a method to its end."""
    method = {"try": participant.try_, "confirm": participant.confirm, "cancel": participant.cancel}
    called = method[op](db, call, payload)
    if inspect.isawaitable(called):
        loop = getattr(_loops, "loop", None)
        if loop is None or loop.is_closed():
            loop = _loops.loop = asyncio.new_event_loop()
        loop.run_until_complete(_awaited(called))


async def _awaited(called: Awaitable[None]) -> None:
    await called
