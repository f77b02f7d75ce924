"""The participant's own database, by the driver that its business code uses.

Each of these begins a SQL transaction the way the guard needs it, and hands business code the very
cursor or session of it: what that writes and the guard's row are durable together, or not at all.
"""

from __future__ import annotations

from ._database import Cursor, Database, EndedInside, SqlTransaction
from ._mysql import MySQL
from ._postgres import Postgres
from ._sqlalchemy import SQLAlchemy
from ._sqlite import SQLite

__all__ = ["Cursor", "Database", "EndedInside", "MySQL", "Postgres", "SQLAlchemy", "SQLite", "SqlTransaction"]
