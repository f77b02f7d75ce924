// The guard, the outbox and checks on SQLite, by better-sqlite3.

import type BetterSqlite3 from "better-sqlite3";

import { CheckedOf } from "./checked/checked.js";
import type { NewTransaction } from "./client/request.js";
import { SqliteDatabase } from "./database/sqlite.js";
import { GuardOf } from "./guard/guard.js";
import { OutboxOf } from "./outbox/outbox.js";
import type { EndpointOptions } from "./participant/endpoint.js";

/**
 * What business code may return: anything but a promise. better-sqlite3 answers at once, and what is done after an `await`
 * would be outside of the SQL transaction.
 */
export type NoPromise = void | undefined | null | boolean | number | bigint | string | (object & { readonly then?: never });

/**
 * The guard on a database of better-sqlite3. Business code is handed the database itself, within `BEGIN IMMEDIATE`. Calls of a
 * process wait in a line to write; another process that writes is waited for, for half a second.
 *
 * Use WAL (`db.pragma("journal_mode = WAL")`). The connection is set to `synchronous = FULL`: what was answered stays done.
 */
export class Guard extends GuardOf<BetterSqlite3.Database, NoPromise> {
  constructor(db: BetterSqlite3.Database) {
    super(new SqliteDatabase(db));
  }
}

/** The outbox on a database of better-sqlite3. */
export class Outbox extends OutboxOf<BetterSqlite3.Database> {
  constructor(db: BetterSqlite3.Database) {
    super(new SqliteDatabase(db));
  }

  /**
   * Sends a transaction, if the SQL transaction commits that is open on `db`; its gid. Without a gid of its own it gets one; with
   * one that belongs to the deed, a repeat of the deed fails here.
   *
   * @throws SentBefore, InvalidRequest: roll back
   */
  send(db: BetterSqlite3.Database, transaction: NewTransaction): string {
    insist(db);
    return this.sendIn(db, transaction) as string;
  }
}

/** The initiator's side of `check`, on a database of better-sqlite3. */
export class Checked extends CheckedOf<BetterSqlite3.Database> {
  constructor(db: BetterSqlite3.Database, options: EndpointOptions = {}) {
    super(new SqliteDatabase(db), options);
  }

  /**
   * Writes, in the SQL transaction that is open on `db` and does the initiator's own work, that it was done. Call it last.
   *
   * @throws TooLate, DoneBefore: roll back
   */
  record(db: BetterSqlite3.Database, gid: string): void {
    insist(db);
    void this.recordIn(db, gid);
  }
}

/** What is written outside of an SQL transaction would stand, whatever becomes of the rest. */
function insist(db: BetterSqlite3.Database): void {
  if (!db.inTransaction) throw new Error("no SQL transaction is open on this database: see db.transaction(…).immediate()");
}
