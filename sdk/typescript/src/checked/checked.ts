// An initiator's answer when it is asked, at the deadline, what became of its own work.
//
//   initiator's SQL transaction              coordinator asks: POST {check}
//     business change                          │
//     insert (gid, done) ── there: fails       insert (gid, never) ── there: read it
//     commit                                   commit
//                                              ▼
//                                              200 done · 410 never · 202 not known yet
//
// Both insert the same key, so one of the two comes first. Who asks writes "never" *before* it is answered: a commit that comes
// late fails then, and what was told stays true.

import { contention } from "../database/contention.js";
import { Busy, InProgress, type Database } from "../database/database.js";
import { again, make } from "../database/rounds.js";
import { numberOf, sql, statement, valuesOf, type Dialect, type Program, type SqlResult } from "../database/statement.js";
import { carefully, toStderr, type Log } from "../log.js";
import { endpointOf, type EndpointOptions } from "../participant/endpoint.js";
import { pluginOf, type FastifyPlugin } from "../participant/fastify.js";
import { listener, mount, type Endpoint, type Listener, type Middleware } from "../participant/mount.js";
import { json, type Answer } from "../wire/answer.js";
import { headerOf, type Headers } from "../wire/headers.js";
import { wrongGid } from "../wire/ids.js";
import { failed, problem } from "../wire/problem.js";

/** How long a question waits for a connection, and how long it is worked on, before it is answered 202. */
const CONNECTION_MS = 1000;
const PATIENCE_MS = 1500;
/** How old the note of the last question may become before another one writes it anew. */
const TOUCH_AFTER_MS = 24 * 60 * 60 * 1000;
/** The longest that a transaction may be open before it is asked for, and twice as long again for whoever is cut off. */
const PURGE_AFTER_MS = 90 * 24 * 60 * 60 * 1000;

/** The initiator's SQL transaction must be rolled back: the coordinator has asked, was told that it had not happened, and cancels. */
export class TooLate extends Error {
  override readonly name = "TooLate";

  constructor(readonly gid: string) {
    super(`${gid} was asked for before this came, and is being cancelled`);
  }
}

/** The initiator's SQL transaction must be rolled back: another one has done it before. */
export class DoneBefore extends Error {
  override readonly name = "DoneBefore";

  constructor(readonly gid: string) {
    super(`${gid} was done before`);
  }
}

type Mark = "done" | "never";

/**
 * The initiator's side of `check`: whether its own SQL transaction has committed, told truly to the coordinator that asks for it
 * at the deadline of an open transaction. Begin that with `check` set to where this is served, do your own work, and call
 * `record` last in the same SQL transaction. A gid stands for one deed and is not used again.
 *
 * Take the one of your driver: `tercet/better-sqlite3`, `tercet/pg`, `tercet/mysql2`.
 */
export class CheckedOf<Tx> {
  readonly #database: Database<Tx>;
  readonly #log: Log;
  readonly #endpoint: Endpoint<"check">;

  /** @internal */
  constructor(database: Database<Tx>, options: EndpointOptions = {}) {
    this.#database = database;
    this.#log = carefully(options.log ?? toStderr);
    const routes = new Map([["", { route: "check", method: "POST" } as const]]);
    this.#endpoint = endpointOf(routes, options, async (_, headers) => this.#answer(headers));
  }

  /** Creates the table, `tercet_checked`, where it is missing. Safe to repeat, and for several processes at once. */
  async migrate(): Promise<void> {
    await make(this.#database, CREATE[this.#database.dialect]);
  }

  /** For `node:http`: `POST {path}`, and the rest by `otherwise`. */
  listener(path: string, otherwise?: Listener): Listener {
    return listener(this.#endpoint, path, otherwise);
  }

  /** For Express and its like: `app.use("/check", checked.middleware())`, before any body parser. */
  middleware(): Middleware {
    return mount(this.#endpoint, "");
  }

  /** For Fastify: `app.register(checked.plugin(), { prefix: "/check" })`. */
  plugin(): FastifyPlugin {
    return pluginOf(this.#endpoint);
  }

  /**
   * Deletes what was written, and last asked for, longer ago than this, 90 days by default; the number of rows. It must be longer
   * than any transaction of this initiator is open.
   */
  async purge(olderThanMs: number = PURGE_AFTER_MS): Promise<number> {
    const { dialect } = this.#database;
    const old = statement(dialect, "SELECT gid FROM tercet_checked WHERE asked_at < {now} - :after ORDER BY asked_at LIMIT 500");
    const gone = statement(dialect, "DELETE FROM tercet_checked WHERE gid = :gid AND asked_at < {now} - :after");
    let deleted = 0;
    for (;;) {
      const { rows } = await this.#database.query(old, valuesOf(old, { after: olderThanMs }));
      if (rows.length === 0) return deleted;
      deleted += await again(async () =>
        this.#database.transaction({ connectionMs: CONNECTION_MS, patience: false }, function* (): Program<number> {
          let changed = 0;
          for (const row of rows) changed += (yield* sql(gone, { gid: String(row["gid"]), after: olderThanMs })).changed;
          return { commit: true, value: changed };
        }),
      );
    }
  }

  /** Writes, in the SQL transaction that does the initiator's own work, that it was done. @internal */
  protected recordIn(tx: Tx, gid: string): void | Promise<void> {
    const { dialect } = this.#database;
    const insert = statement(dialect, insertSql(dialect));
    const find = statement(dialect, findSql(dialect));
    const run = (which: typeof insert, values: Record<string, string>) =>
      this.#database.inTransaction(tx, which, valuesOf(which, values));
    const look = ({ rows: [row] }: SqlResult): never => {
      throw row?.["state"] === "done" ? new DoneBefore(gid) : new TooLate(gid);
    };
    const written = run(insert, { gid, state: "done" });
    if (written instanceof Promise) {
      return written.then(async ({ changed }) => {
        if (changed === 0) look(await run(find, { gid }));
      });
    }
    if (written.changed === 0) look(run(find, { gid }) as SqlResult);
    return undefined;
  }

  async #answer(headers: Headers): Promise<Answer> {
    const op = headerOf(headers, "tercet-op");
    if (op !== "check") return problem(400, "invalid-call", `header tercet-op: must be check, is ${op ?? "missing"}`);
    const gid = headerOf(headers, "tercet-gid");
    const wrong = gid === undefined ? "is missing" : wrongGid(gid);
    if (gid === undefined || wrong !== undefined) return problem(400, "invalid-call", `header tercet-gid: ${wrong}`);
    return new Promise((resolve) => {
      // What it writes it writes whether or not somebody still waits.
      const timer = setTimeout(() => resolve(notKnownYet()), PATIENCE_MS);
      void this.#markOf(gid).then((answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
    });
  }

  /** What is written of this gid. Where nothing was, "never" is written by the time this says so. */
  async #markOf(gid: string): Promise<Answer> {
    const begin = { connectionMs: CONNECTION_MS, patience: true, mayWait: true, readCommitted: true };
    try {
      const mark = await again(async () => this.#database.transaction(begin, () => this.#look(gid)));
      if (mark === "done") return json(200, '{"state":"done"}');
      if (mark === undefined) return notKnownYet();
      this.#log("info", "was asked for and had not happened: now it never will", { gid });
      return problem(410, "never", "it has not happened, and never will");
    } catch (error) {
      const isWaiting = error instanceof Busy || error instanceof InProgress || contention(error) !== undefined;
      if (isWaiting) return notKnownYet();
      this.#log("warn", "a question cannot be answered", { gid, error });
      return failed();
    }
  }

  *#look(gid: string): Program<Mark | undefined> {
    const { dialect } = this.#database;
    const of = (text: string) => statement(dialect, text);
    yield { do: "patience" };
    let written: number;
    try {
      written = (yield* sql(of(insertSql(dialect)), { gid, state: "never" })).changed;
    } catch (error) {
      if (contention(error) === "waited") throw new InProgress({ cause: error });
      throw error;
    } finally {
      yield { do: "patience ends" };
    }
    if (written > 0) return { commit: true, value: "never" };
    const [row] = (yield* sql(of(findSql(dialect)), { gid })).rows;
    // Purged between the two statements.
    if (!row) return { commit: false, value: undefined };
    const isDue = numberOf(row["ago"]) >= TOUCH_AFTER_MS;
    if (isDue) yield* sql(of("UPDATE tercet_checked SET asked_at = {now} WHERE gid = :gid"), { gid });
    return { commit: isDue, value: row["state"] === "done" ? "done" : "never" };
  }
}

const notKnownYet = (): Answer =>
  problem(202, "not-known-yet", "the transaction that would do it has not ended", 1);

function insertSql(dialect: Dialect): string {
  const row = "INTO tercet_checked (gid, state, asked_at) VALUES (:gid, :state, {now})";
  return dialect === "mysql" ? `INSERT IGNORE ${row}` : `INSERT ${row} ON CONFLICT (gid) DO NOTHING`;
}

/** A locking read, which finds what is committed by now, whatever this transaction has seen before. */
function findSql(dialect: Dialect): string {
  const find = "SELECT state, {now} - asked_at AS ago FROM tercet_checked WHERE gid = :gid";
  return dialect === "sqlite" ? find : `${find} FOR UPDATE`;
}

const INDEX = "CREATE INDEX IF NOT EXISTS tercet_checked_asked_at ON tercet_checked (asked_at)";
const CREATE: Readonly<Record<Dialect, readonly string[]>> = {
  sqlite: [
    `CREATE TABLE IF NOT EXISTS tercet_checked (
  gid VARCHAR(128) NOT NULL PRIMARY KEY, state VARCHAR(5) NOT NULL, asked_at BIGINT NOT NULL)`,
    INDEX,
  ],
  postgres: [
    `CREATE TABLE IF NOT EXISTS tercet_checked (
  gid VARCHAR(128) COLLATE "C" NOT NULL PRIMARY KEY,
  state VARCHAR(5) COLLATE "C" NOT NULL, asked_at BIGINT NOT NULL)`,
    INDEX,
  ],
  mysql: [
    `CREATE TABLE IF NOT EXISTS tercet_checked (
  gid VARCHAR(128) NOT NULL PRIMARY KEY, state VARCHAR(5) NOT NULL,
  asked_at BIGINT NOT NULL, KEY tercet_checked_asked_at (asked_at))
ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin`,
  ],
};
