// The guard, the outbox and checks on SQLite, by better-sqlite3.

import type BetterSqlite3 from "better-sqlite3";

import { SqliteDatabase } from "./database/sqlite.js";
import { GuardOf } from "./guard/guard.js";

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
