// Messages that are sent exactly when a local SQL transaction commits.
//
//   initiator's SQL transaction            relay, in any number of processes
//     business change                        claim: a few rows that are due, for the time of a lease
//     insert (gid, request, pending)         begin with the row's gid, for each: safe to repeat
//     commit                                 mark: sent; later, once asked: confirmed or cancelled
//
//   pending ──▶ sent ──▶ confirmed | cancelled
//      └──────────┴────▶ dead (with the reason; `again` brings it back)

import { randomInt } from "node:crypto";

import type { NewTransaction } from "../client/request.js";
import type { Database } from "../database/database.js";
import { again, make } from "../database/rounds.js";
import { numberOf, sql, statement, valuesOf, type Program, type SqlResult, type Value } from "../database/statement.js";
import { writeMessage } from "./message.js";
import type { Next } from "./rules.js";
import { CREATE_OUTBOX, insertSql, type OutboxState } from "./row.js";

/** How long a relay waits for a connection. */
const CONNECTION_MS = 5000;
/** How long messages are kept after their end. */
const PURGE_AFTER_MS = 7 * 24 * 60 * 60 * 1000;
/** Rows of one statement. */
const BATCH = 500;
/** MySQL before 8, and MariaDB before 10.6, do not have the words to pass over rows that others hold. */
const SYNTAX_ERROR = 1064;

/** There is a message of this gid already: what is to be done once must not be done again. Roll back. */
export class SentBefore extends Error {
  override readonly name = "SentBefore";

  constructor(readonly gid: string) {
    super(`${gid} was sent before`);
  }
}

/** A message as it stands. */
export interface OutboxEntry {
  readonly gid: string;
  readonly state: OutboxState;
  /** What went wrong the last time; of a dead one, why it is. */
  readonly reason: string | undefined;
  /** How often it was tried to be handed over, or asked for, since it came into this state. */
  readonly attempts: number;
}

/** A row that is a relay's own until its lease runs out. @internal */
export interface Claimed {
  readonly gid: string;
  readonly request: string;
  readonly traceparent: string | undefined;
  /** This attempt counted. */
  readonly attempts: number;
}

/** The rows of one claim, and the number by which they are its own. @internal */
export interface Claim {
  readonly owner: number;
  readonly rows: readonly Claimed[];
}

/** What became of each row of a claim, by gid. @internal */
export type Outcomes = ReadonlyMap<string, Next>;

/**
 * The local message table: a transaction is begun exactly if the SQL transaction commits in which it was sent. A message is a
 * transaction whose branches have Confirm alone (it is accepted, and then delivered until everybody has acknowledged), or any
 * other that begins with its branches: TCC, or a saga. No order is promised.
 *
 * Take the one of your driver: `tercet/better-sqlite3`, `tercet/pg`, `tercet/mysql2`.
 */
export class OutboxOf<Tx> {
  readonly #database: Database<Tx>;
  #skipsLocked: boolean;

  /** @internal */
  constructor(database: Database<Tx>) {
    this.#database = database;
    this.#skipsLocked = database.dialect !== "sqlite";
  }

  /** Creates the table, `tercet_outbox`, where it is missing. Safe to repeat, and for several processes at once. */
  async migrate(): Promise<void> {
    await make(this.#database, CREATE_OUTBOX[this.#database.dialect]);
  }

  /** A message as it stands; nothing if it was never sent, or was purged. */
  async entry(gid: string): Promise<OutboxEntry | undefined> {
    const [found] = await this.#entries("SELECT gid, state, reason, attempts FROM tercet_outbox WHERE gid = :gid", { gid });
    return found;
  }

  /** The dead ones, the oldest first; at most 500. */
  async dead(): Promise<OutboxEntry[]> {
    return this.#entries(
      "SELECT gid, state, reason, attempts FROM tercet_outbox WHERE state = 'dead' ORDER BY due_at LIMIT 500",
      {},
    );
  }

  /** Messages that are committed and not handed over yet; at most 100 000, beyond which there are more. */
  async pending(): Promise<number> {
    const text = `SELECT COUNT(*) AS pending FROM
(SELECT gid FROM tercet_outbox WHERE state = 'pending' LIMIT 100000) AS waiting`;
    const [row] = (await this.#query(text, {})).rows;
    return numberOf(row?.["pending"] ?? 0);
  }

  /** Brings a dead one back, once the reason is gone: it is handed over anew, under its gid. Whether it was dead. */
  async again(gid: string): Promise<boolean> {
    const text = `UPDATE tercet_outbox SET state = 'pending', due_at = {now}, attempts = 0
WHERE gid = :gid AND state = 'dead'`;
    return (await this.#write([[text, { gid }]])) === 1;
  }

  /** Deletes what was confirmed or cancelled longer ago than this, a week by default; the number of rows. Relays do it hourly. */
  async purge(olderThanMs: number = PURGE_AFTER_MS): Promise<number> {
    let deleted = 0;
    for (const state of ["confirmed", "cancelled"]) {
      for (;;) {
        const text = `SELECT gid FROM tercet_outbox WHERE state = :state AND due_at < {now} - :after
ORDER BY due_at LIMIT ${BATCH}`;
        const { rows } = await this.#query(text, { state, after: olderThanMs });
        if (rows.length === 0) break;
        const { marks, values } = listOf(rows.map((row) => String(row["gid"])));
        deleted += await this.#write([
          [`DELETE FROM tercet_outbox WHERE gid IN (${marks}) AND state = :state`, { ...values, state }],
        ]);
      }
    }
    return deleted;
  }

  /** Takes at most `limit` rows of this state that are due; nobody else sees to them until the lease runs out. @internal */
  async claim(state: OutboxState, limit: number, leaseMs: number): Promise<Claim> {
    // Looked at without the right to write, which on SQLite would keep others from writing for nothing.
    const due = "SELECT gid FROM tercet_outbox WHERE state = :state AND due_at <= {now} LIMIT 1";
    if ((await this.#query(due, { state })).rows.length === 0) return { owner: 0, rows: [] };
    const claim = async (): Promise<Claim> => this.#transaction(() => this.#claimIn(state, limit, leaseMs));
    try {
      return await again(claim);
    } catch (error) {
      const isUnknown = this.#database.dialect === "mysql" && (error as { errno?: unknown }).errno === SYNTAX_ERROR;
      if (!this.#skipsLocked || !isUnknown) throw error;
      this.#skipsLocked = false;
      return again(claim);
    }
  }

  /** Writes what became of the rows of a claim, of those that are still its own. @internal */
  async settle({ owner }: Claim, from: OutboxState, outcomes: Outcomes): Promise<void> {
    // Those that are alike are written together.
    const alike = new Map<string, { next: Next; gids: string[] }>();
    for (const [gid, next] of outcomes) {
      const key = JSON.stringify(next);
      const group = alike.get(key) ?? { next, gids: [] };
      group.gids.push(gid);
      alike.set(key, group);
    }
    if (alike.size === 0) return;
    await this.#write(
      [...alike.values()].map(({ next, gids }) => {
        const attempts = { anew: "0", counted: "attempts", "not this one": "attempts - 1" }[next.attempts];
        const { marks, values } = listOf(gids);
        const text = `UPDATE tercet_outbox SET state = :state, owner = 0, due_at = {now} + :due_in,
attempts = ${attempts}, reason = :reason WHERE owner = :owner AND state = :from AND gid IN (${marks})`;
        const { state, dueInMs, reason = null } = next;
        return [text, { state, due_in: dueInMs, reason, owner, from, ...values }];
      }),
    );
  }

  /**
   * Sends a transaction, if `tx` commits: it is only written down here, and a relay hands it over. Without a gid of its own it
   * gets one; with one that belongs to the deed, a repeat of the deed fails here.
   *
   * @internal
   */
  protected sendIn(tx: Tx, transaction: NewTransaction): string | Promise<string> {
    const { gid, body, traceparent = null } = writeMessage(transaction);
    const insert = statement(this.#database.dialect, insertSql(this.#database.dialect));
    const values = valuesOf(insert, { gid, request: body, traceparent });
    const sent = ({ changed }: SqlResult): string => {
      if (changed === 0) throw new SentBefore(gid);
      return gid;
    };
    const written = this.#database.inTransaction(tx, insert, values);
    return written instanceof Promise ? written.then(sent) : sent(written);
  }

  /** Three statements: the rows that are due; an update that asks again whether they are; and those that bear the number. */
  *#claimIn(state: OutboxState, limit: number, leaseMs: number): Program<Claim> {
    const { dialect } = this.#database;
    const owner = randomInt(1, 2 ** 47);
    const due = `SELECT gid FROM tercet_outbox WHERE state = :state AND due_at <= {now}
ORDER BY due_at LIMIT ${limit}${this.#skipsLocked ? " FOR UPDATE SKIP LOCKED" : ""}`;
    const found = (yield* sql(statement(dialect, due), { state })).rows;
    if (found.length === 0) return { commit: false, value: { owner, rows: [] } };
    const { marks, values } = listOf(found.map((row) => String(row["gid"])));
    const take = `UPDATE tercet_outbox SET owner = :owner, due_at = {now} + :lease, attempts = attempts + 1
WHERE gid IN (${marks}) AND state = :state AND due_at <= {now}`;
    yield* sql(statement(dialect, take), { ...values, owner, lease: leaseMs, state });
    const mine = `SELECT gid, request, traceparent, attempts FROM tercet_outbox WHERE gid IN (${marks}) AND owner = :owner`;
    const { rows } = yield* sql(statement(dialect, mine), { ...values, owner });
    return { commit: true, value: { owner, rows: rows.map(claimedOf) } };
  }

  async #transaction<T>(program: () => Program<T>): Promise<T> {
    return this.#database.transaction({ connectionMs: CONNECTION_MS, patience: false, readCommitted: true }, program);
  }

  /** Statements in one SQL transaction; the number of rows they wrote. */
  async #write(statements: readonly [string, Readonly<Record<string, Value>>][]): Promise<number> {
    const { dialect } = this.#database;
    const write = function* (): Program<number> {
      let changed = 0;
      for (const [text, values] of statements) changed += (yield* sql(statement(dialect, text), values)).changed;
      return { commit: true, value: changed };
    };
    return again(async () => this.#transaction(write));
  }

  async #query(text: string, values: Readonly<Record<string, Value>>): Promise<SqlResult> {
    const read = statement(this.#database.dialect, text);
    return this.#database.query(read, valuesOf(read, values));
  }

  async #entries(text: string, values: Readonly<Record<string, Value>>): Promise<OutboxEntry[]> {
    const { rows } = await this.#query(text, values);
    return rows.map((row) => ({
      gid: String(row["gid"]),
      state: String(row["state"]) as OutboxState,
      reason: typeof row["reason"] === "string" ? row["reason"] : undefined,
      attempts: numberOf(row["attempts"]),
    }));
  }
}

function claimedOf(row: Readonly<Record<string, unknown>>): Claimed {
  return {
    gid: String(row["gid"]),
    request: String(row["request"]),
    traceparent: typeof row["traceparent"] === "string" ? row["traceparent"] : undefined,
    attempts: numberOf(row["attempts"]),
  };
}

/** Values of a list, and their names in SQL. */
function listOf(items: readonly string[]): { marks: string; values: Record<string, Value> } {
  return {
    marks: items.map((_, at) => `:item_${at}`).join(", "),
    values: Object.fromEntries(items.map((item, at) => [`item_${at}`, item])),
  };
}
