// SQLite by better-sqlite3, whose statements are answered at once: an SQL transaction runs in one go, and nothing of this
// process comes between.
//
// SQLite lets one transaction write at a time. The calls of a process wait for that in a line, in order; only the first of
// them asks SQLite, where it may meet another process, and waits for it without blocking the event loop.

import type BetterSqlite3 from "better-sqlite3";

import { sleep } from "../wire/pause.js";
import { contention } from "./contention.js";
import { Busy, InProgress, type Begin, type Database } from "./database.js";
import { Line } from "./line.js";
import { driveNow, type Program, type SqlResult, type Statement, type Step, type Value } from "./statement.js";

/** How many may wait for the right to write: more than the coordinator calls at once. */
const WAITING_AT_MOST = 1024;
/** How long the first in the line waits for another process. */
const PATIENCE_MS = 500;
/** The pauses between looks whether another process has ended. */
const LOOKS_MS = [1, 2, 5, 10, 15, 20, 25];
/** `PRAGMA synchronous = FULL`: what is committed stays, also when the power fails. */
const FULL = 2;

/** The line of those who want to write, one for each connection: the guard and the outbox know nothing of each other. */
const LINES = new WeakMap<BetterSqlite3.Database, Line>();

/** A database of better-sqlite3. */
export class SqliteDatabase implements Database<BetterSqlite3.Database> {
  readonly dialect = "sqlite";
  readonly hasOneWriter = true;
  readonly #db: BetterSqlite3.Database;
  readonly #line: Line;
  readonly #prepared = new Map<string, BetterSqlite3.Statement<Value[], Record<string, unknown>>>();

  constructor(db: BetterSqlite3.Database) {
    this.#db = db;
    const line = LINES.get(db) ?? new Line(1);
    LINES.set(db, line);
    this.#line = line;
    const synchronous = Number(db.pragma("synchronous", { simple: true }));
    if (synchronous < FULL) db.pragma("synchronous = FULL");
  }

  async transaction<T>(begin: Begin, program: (tx: BetterSqlite3.Database) => Program<T>): Promise<T> {
    if (this.#line.length >= WAITING_AT_MOST) throw new Busy();
    const leave = await this.#line.take();
    try {
      return await this.#alone(begin, program);
    } finally {
      leave?.();
    }
  }

  async query(statement: Statement, values: readonly Value[]): Promise<SqlResult> {
    return this.inTransaction(this.#db, statement, values);
  }

  async execute(text: string): Promise<void> {
    this.#db.exec(text);
  }

  inTransaction(_: BetterSqlite3.Database, { text }: Statement, values: readonly Value[]): SqlResult {
    let prepared = this.#prepared.get(text);
    if (!prepared) {
      prepared = this.#db.prepare<Value[], Record<string, unknown>>(text).safeIntegers(false);
      this.#prepared.set(text, prepared);
    }
    if (prepared.reader) return { rows: prepared.all(...values), changed: 0 };
    return { rows: [], changed: prepared.run(...values).changes };
  }

  /** With the first place in the line. */
  async #alone<T>({ onBegun }: Begin, program: (tx: BetterSqlite3.Database) => Program<T>): Promise<T> {
    const timeout = Number(this.#db.pragma("busy_timeout", { simple: true }));
    const until = performance.now() + PATIENCE_MS;
    for (let look = 0; ; look += 1) {
      if (this.#hasBegun(timeout)) break;
      if (performance.now() >= until) throw new InProgress();
      await sleep(LOOKS_MS[Math.min(look, LOOKS_MS.length - 1)] ?? 0);
    }
    onBegun?.();
    return this.#toItsEnd(program(this.#db), timeout);
  }

  /** Begins with the right to write, which a transaction that reads first can lose for good; or says that others have it. */
  #hasBegun(timeout: number): boolean {
    // Somebody of this process is in the middle of an SQL transaction of their own, on the same connection.
    if (this.#db.inTransaction) return false;
    // Waiting is done outside: SQLite would block the event loop for as long.
    this.#db.pragma("busy_timeout = 0");
    try {
      this.#db.exec("BEGIN IMMEDIATE");
      return true;
    } catch (error) {
      if (contention(error) === undefined) throw error;
      return false;
    } finally {
      this.#db.pragma(`busy_timeout = ${timeout}`);
    }
  }

  /** From here on nothing else runs until it has ended. */
  #toItsEnd<T>(program: Program<T>, timeout: number): T {
    // What may still wait are readers at a commit, where there is no write-ahead log.
    if (timeout > PATIENCE_MS) this.#db.pragma(`busy_timeout = ${PATIENCE_MS}`);
    try {
      const { commit, value } = driveNow(program, (step) => this.#perform(step));
      if (commit) this.#commit();
      return value;
    } finally {
      if (this.#db.inTransaction) this.#db.exec("ROLLBACK");
      if (timeout > PATIENCE_MS) this.#db.pragma(`busy_timeout = ${timeout}`);
    }
  }

  #perform(step: Step): unknown {
    switch (step.do) {
      case "sql":
        this.#stillIn();
        return this.inTransaction(this.#db, step.statement, step.values);
      case "business": {
        const returned = step.run();
        if (typeof (returned as { then?: unknown } | null | undefined)?.then !== "function") return undefined;
        // What it fails with later is not lost on those who look for it, and ends no process.
        Promise.resolve(returned).catch(() => undefined);
        throw new TypeError(
          "business code on better-sqlite3 must not be async: what it does after its first await would be outside of the SQL transaction",
        );
      }
      case "patience":
      case "patience ends":
        return undefined;
    }
  }

  #commit(): void {
    this.#stillIn();
    this.#db.exec("COMMIT");
  }

  /** SQLite ends a transaction by itself when the disk is full, say; business code that has passed over that must not go on. */
  #stillIn(): void {
    if (!this.#db.inTransaction) throw new Error("the SQL transaction was rolled back or committed by business code");
  }
}
