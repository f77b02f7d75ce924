"""Take part in Tercet's transactions: implement `Participant`, mount an `Endpoint`, begin with a `Client`."""

from __future__ import annotations

from ._client import OwnTry
from ._context import RESULT_BYTES, BadHeader, Context
from ._failure import Refused, ResultError, RetryLater, TercetError
from ._pool import Busy
from ._signature import SigningKey
from ._verdict import Verdict, verdict
from .async_client import AsyncClient, AsyncOpenTransaction
from .checked import Checked, NotRecorded
from .client import Client, OpenTransaction
from .databases import Database, MySQL, Postgres, SQLAlchemy, SQLite
from .endpoint import Endpoint
from .errors import ClientError, InvalidRequest, RequestRefused, Unanswered, Unexpected
from .guard import Guard, Purged
from .outbox import NotSent, Outbox, OutboxEntry, Relay
from .outcome import (
    BranchView,
    Cancelled,
    Confirmed,
    NotConfirmed,
    NotTried,
    Outcome,
    Pending,
    Registered,
    TransactionView,
)
from .participant import Participant
from .transactions import ABSENT, Branch, JsonText, Transaction

__version__ = "0.1.0"

__all__ = [
    "ABSENT",
    "RESULT_BYTES",
    "AsyncClient",
    "AsyncOpenTransaction",
    "BadHeader",
    "Branch",
    "BranchView",
    "Busy",
    "Cancelled",
    "Checked",
    "Client",
    "ClientError",
    "Confirmed",
    "Context",
    "Database",
    "Endpoint",
    "Guard",
    "InvalidRequest",
    "JsonText",
    "MySQL",
    "NotConfirmed",
    "NotRecorded",
    "NotSent",
    "NotTried",
    "OpenTransaction",
    "Outbox",
    "OutboxEntry",
    "Outcome",
    "OwnTry",
    "Participant",
    "Pending",
    "Postgres",
    "Purged",
    "Refused",
    "Registered",
    "Relay",
    "RequestRefused",
    "ResultError",
    "RetryLater",
    "SQLAlchemy",
    "SQLite",
    "SigningKey",
    "TercetError",
    "Transaction",
    "TransactionView",
    "Unanswered",
    "Unexpected",
    "Verdict",
    "verdict",
]
