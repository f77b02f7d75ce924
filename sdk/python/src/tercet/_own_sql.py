"""SQL of the outbox and of checks, which differs between databases in little but the word for now.

The tables are those of all of Tercet's libraries: `tercet-relay` hands over what is written by this one. What several
processes compare is dated by the one clock that they share, the database's.
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

NOW = {
    "sqlite": "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)",
    "postgres": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
    # Not in the session's time zone, where an hour may come twice. The colons of a time would be taken for values.
    "mysql": "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)",
}

OUTBOX: Dict[str, List[str]] = {
    "mysql": [
        """\
CREATE TABLE IF NOT EXISTS tercet_outbox (
  gid VARCHAR(128) NOT NULL PRIMARY KEY,
  request LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  traceparent VARCHAR(255),
  state VARCHAR(9) NOT NULL, owner BIGINT NOT NULL, due_at BIGINT NOT NULL,
  attempts INT NOT NULL, written_at BIGINT NOT NULL,
  reason TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  KEY tercet_outbox_due (state, due_at))
ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin"""
    ],
    "postgres": [
        """\
CREATE TABLE IF NOT EXISTS tercet_outbox (
  gid VARCHAR(128) COLLATE "C" NOT NULL PRIMARY KEY,
  request TEXT NOT NULL, traceparent VARCHAR(255),
  state VARCHAR(9) COLLATE "C" NOT NULL, owner BIGINT NOT NULL,
  due_at BIGINT NOT NULL, attempts INT NOT NULL, written_at BIGINT NOT NULL,
  reason TEXT)""",
        "CREATE INDEX IF NOT EXISTS tercet_outbox_due ON tercet_outbox (state, due_at)",
    ],
    "sqlite": [
        """\
CREATE TABLE IF NOT EXISTS tercet_outbox (
  gid VARCHAR(128) NOT NULL PRIMARY KEY,
  request TEXT NOT NULL, traceparent VARCHAR(255),
  state VARCHAR(9) NOT NULL, owner BIGINT NOT NULL,
  due_at BIGINT NOT NULL, attempts INT NOT NULL, written_at BIGINT NOT NULL,
  reason TEXT)""",
        "CREATE INDEX IF NOT EXISTS tercet_outbox_due ON tercet_outbox (state, due_at)",
    ],
}

CHECKED: Dict[str, List[str]] = {
    "mysql": [
        """\
CREATE TABLE IF NOT EXISTS tercet_checked (
  gid VARCHAR(128) NOT NULL PRIMARY KEY, state VARCHAR(5) NOT NULL,
  asked_at BIGINT NOT NULL, KEY tercet_checked_asked_at (asked_at))
ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin"""
    ],
    "postgres": [
        """\
CREATE TABLE IF NOT EXISTS tercet_checked (
  gid VARCHAR(128) COLLATE "C" NOT NULL PRIMARY KEY,
  state VARCHAR(5) COLLATE "C" NOT NULL, asked_at BIGINT NOT NULL)""",
        "CREATE INDEX IF NOT EXISTS tercet_checked_asked_at ON tercet_checked (asked_at)",
    ],
    "sqlite": [
        """\
CREATE TABLE IF NOT EXISTS tercet_checked (
  gid VARCHAR(128) NOT NULL PRIMARY KEY, state VARCHAR(5) NOT NULL,
  asked_at BIGINT NOT NULL)""",
        "CREATE INDEX IF NOT EXISTS tercet_checked_asked_at ON tercet_checked (asked_at)",
    ],
}


def in_words_of(dialect: str, text: str) -> str:
    """`{now}` in the words of a database."""
    return text.replace("{now}", NOW[dialect])


def insert_once(dialect: str, table: str, columns: str, values: str) -> str:
    """An insert that writes nothing where the key is there."""
    if dialect == "mysql":
        return f"INSERT IGNORE INTO {table} ({columns}) VALUES ({values})"
    return f"INSERT INTO {table} ({columns}) VALUES ({values}) ON CONFLICT (gid) DO NOTHING"


def in_list(gids: Sequence[str]) -> Tuple[str, Dict[str, Any]]:
    """`:gid_a, :gid_b`: a mark for each of these, and the values."""
    names = [f"gid_{_letters(i)}" for i in range(len(gids))]
    return ", ".join(":" + name for name in names), dict(zip(names, gids))


def _letters(number: int) -> str:
    text = ""
    while True:
        text = chr(ord("a") + number % 26) + text
        number //= 26
        if number == 0:
            return text
