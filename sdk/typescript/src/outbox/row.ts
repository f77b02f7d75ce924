// The table of the outbox, the same for every language and for the program `tercet-relay`. `due_at` is when a relay is to see
// to the row next, and of what has ended, when that was; `owner` is a number that a relay draws for each claim. Times are the
// database's own.

import type { Dialect } from "../database/statement.js";

const INDEX = "CREATE INDEX IF NOT EXISTS tercet_outbox_due ON tercet_outbox (state, due_at)";

/** What makes it where it is missing. */
export const CREATE_OUTBOX: Readonly<Record<Dialect, readonly string[]>> = {
  sqlite: [
    `CREATE TABLE IF NOT EXISTS tercet_outbox (
  gid VARCHAR(128) NOT NULL PRIMARY KEY,
  request TEXT NOT NULL, traceparent VARCHAR(255),
  state VARCHAR(9) NOT NULL, owner BIGINT NOT NULL,
  due_at BIGINT NOT NULL, attempts INT NOT NULL, written_at BIGINT NOT NULL,
  reason TEXT)`,
    INDEX,
  ],
  postgres: [
    `CREATE TABLE IF NOT EXISTS tercet_outbox (
  gid VARCHAR(128) COLLATE "C" NOT NULL PRIMARY KEY,
  request TEXT NOT NULL, traceparent VARCHAR(255),
  state VARCHAR(9) COLLATE "C" NOT NULL, owner BIGINT NOT NULL,
  due_at BIGINT NOT NULL, attempts INT NOT NULL, written_at BIGINT NOT NULL,
  reason TEXT)`,
    INDEX,
  ],
  mysql: [
    `CREATE TABLE IF NOT EXISTS tercet_outbox (
  gid VARCHAR(128) NOT NULL PRIMARY KEY,
  request LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  traceparent VARCHAR(255),
  state VARCHAR(9) NOT NULL, owner BIGINT NOT NULL, due_at BIGINT NOT NULL,
  attempts INT NOT NULL, written_at BIGINT NOT NULL,
  reason TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  KEY tercet_outbox_due (state, due_at))
ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin`,
  ],
};

/** What writes a message, unless there is one of its gid. */
export function insertSql(dialect: Dialect): string {
  const row = `INTO tercet_outbox (gid, request, traceparent, state, owner, due_at, attempts, written_at)
VALUES (:gid, :request, :traceparent, 'pending', 0, {now}, 0, {now})`;
  return dialect === "mysql" ? `INSERT IGNORE ${row}` : `INSERT ${row} ON CONFLICT (gid) DO NOTHING`;
}

/** Where a message stands. */
export type OutboxState = "pending" | "sent" | "confirmed" | "cancelled" | "dead";
