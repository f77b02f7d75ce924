// The guard on a database: calls answered one by one, each atomically; its table, what may be deleted, and its books.

import { contention } from "../database/contention.js";
import { InProgress, type Database } from "../database/database.js";
import { again, make, ROUND_PAUSE, ROUNDS } from "../database/rounds.js";
import { numberOf, sql, valuesOf, type Program } from "../database/statement.js";
import { carefully, toStderr, type Log } from "../log.js";
import type { Context } from "../participant/context.js";
import { Retry } from "../participant/failure.js";
import { Participant, type Handler, type ParticipantOptions } from "../participant/participant.js";
import { pauseAfter, sleep } from "../wire/pause.js";
import { clockIsDoubted } from "./clock.js";
import { TURN_MS } from "./turns.js";
import { guardedCall, type Business, type Called } from "./call.js";
import { GUARD_SQL, statementsOf, type GuardStatements } from "./statements.js";

/** How long a Try or Confirm waits for a connection: less than the coordinator waits for its answer by default (3 s). */
const CONNECTION_MS = 2000;
/** How long rows are kept after the last call of their branch. */
export const PURGE_AFTER_MS = 31 * 24 * 60 * 60 * 1000;
const HOUR_MS = 60 * 60 * 1000;

/** What a purge did. */
export interface Purged {
  /** Rows deleted. */
  readonly deleted: number;
  /**
   * Old rows that were kept, since their branches were tried and have heard no decision. They are reservations that still
   * hold something: more than none is worth a look at the coordinator.
   */
  readonly undecided: number;
}

/** A row of the books: what is written down of a branch. */
export interface BookEntry {
  readonly gid: string;
  readonly branch: string;
  readonly instance: string;
  readonly state: string;
  readonly at: string;
}

/** Something that goes on until it is stopped. */
export interface Running {
  /** Ends it, once what is under way has ended. */
  stop(): Promise<void>;
}

/**
 * The guard's place in a participant's own database. `Tx` is what business code is handed, `Returned` what it may return.
 * Take the one of your driver: `tercet/better-sqlite3`, `tercet/pg`, `tercet/mysql2`.
 */
export class GuardOf<Tx, Returned> {
  readonly #database: Database<Tx>;
  readonly #of: GuardStatements;

  /** @internal */
  constructor(database: Database<Tx>) {
    this.#database = database;
    this.#of = statementsOf(database.dialect);
  }

  /**
   * Creates the guard's tables where they are missing. Safe to repeat, and for several processes at once; call it at every
   * start, or take the statements of docs/guard-sql.md into your own migrations.
   */
  async migrate(): Promise<void> {
    await make(this.#database, GUARD_SQL[this.#database.dialect].create);
  }

  /** A participant, whose calls this guards: mount it into a server. */
  participant<Payload>(handler: Handler<Payload, Tx, Returned>, options: ParticipantOptions = {}): Participant {
    const business = (tx: Tx, context: Context): Business => ({
      cancelsEmpty: handler.cancelsEmpty ?? false,
      read: () => {
        const raw = context.rawPayload;
        return handler.parse ? handler.parse(raw) : JSON.parse(raw);
      },
      run: (payload) => handler[context.op]?.(tx, payload as Payload, context),
    });
    return new Participant(
      {
        has: (op) => handler[op] !== undefined,
        hasLine: this.#database.hasOneWriter,
        run: (context, onBegun) => this.#run(context, (tx) => business(tx, context), onBegun),
        books: (afterGid, afterBranch, limit) => this.#books(afterGid, afterBranch, limit),
      },
      options,
    );
  }

  /**
   * Deletes the rows of branches that were last called longer ago than `olderThanMs` (31 days unless said otherwise), in
   * batches. Several processes may do it at once. It must be a day longer than the service may be cut off from the
   * coordinator, and than the coordinator keeps a gid: the note of the last call may be a day older than the call. While the
   * wall clock is in doubt nothing is deleted.
   */
  async purge(olderThanMs: number = PURGE_AFTER_MS): Promise<Purged> {
    if (clockIsDoubted()) return { deleted: 0, undecided: 0 };
    const before = Date.now() - olderThanMs;
    let deleted = 0;
    for (;;) {
      // Read without a lock: each is asked again when it goes.
      const { rows } = await this.#database.query(this.#of.expired, valuesOf(this.#of.expired, { before }));
      if (rows.length === 0) break;
      const keys = rows.map((row) => ({ gid: String(row["gid"]), branch_id: String(row["branch_id"]) }));
      deleted += await again(() =>
        this.#database.transaction({ connectionMs: CONNECTION_MS, patience: true }, () => this.#delete(keys, before)),
      );
    }
    const [kept] = (await this.#database.query(this.#of.undecided, valuesOf(this.#of.undecided, { before }))).rows;
    return { deleted, undecided: numberOf(kept?.["kept"] ?? 0) };
  }

  /**
   * Purges once an hour, in the background, an hour from now for the first time: a machine that came up with a wrong clock
   * has been set right by then. What goes wrong is logged and tried again an hour later. It keeps no process alive.
   */
  purgeHourly(told: Log = toStderr): Running {
    const log = carefully(told);
    let running = Promise.resolve();
    const timer = setInterval(() => {
      running = this.purge().then(
        (purged) => log(purged.undecided > 0 ? "warn" : "debug", "the guard's old rows were purged", { ...purged }),
        (error: unknown) => log("warn", "the guard's old rows could not be purged", { error }),
      );
    }, HOUR_MS);
    timer.unref();
    return {
      async stop() {
        clearInterval(timer);
        await running;
      },
    };
  }

  /** Answers one call: as the guard's table says, and atomically. */
  async #run(context: Context, business: (tx: Tx) => Business, onBegun: () => void): Promise<Called> {
    const isCancel = context.op === "cancel";
    const begin = {
      connectionMs: isCancel ? TURN_MS : CONNECTION_MS,
      patience: true,
      // The first Try or Confirm of a branch meets nobody, and is not to stand behind those that may have to wait.
      mayWait: isCancel || context.attempt > 1,
      hasBusiness: true,
      onBegun,
    };
    for (let round = 1; ; ) {
      try {
        return await this.#database.transaction(begin, (tx) =>
          guardedCall(this.#of, context, business(tx), Date.now()),
        );
      } catch (error) {
        const asksForTime = error instanceof Retry && error.afterMs !== undefined;
        const what = asksForTime || error instanceof InProgress ? undefined : contention(error);
        if (what === undefined) throw error;
        // One that waited has cost its time already.
        round += what === "waited" ? 2 : 1;
        if (round > ROUNDS) throw new InProgress({ cause: error });
        await sleep(pauseAfter(round, ROUND_PAUSE));
      }
    }
  }

  /** Deletes them by key, one by one, so that no range of the index is locked. */
  *#delete(keys: readonly { readonly gid: string; readonly branch_id: string }[], before: number): Program<number> {
    let deleted = 0;
    for (const key of keys) {
      if ((yield* sql(this.#of.delete, { ...key, before })).changed === 0) continue;
      deleted += 1;
      yield* sql(this.#of.deleteResult, key);
    }
    return { commit: true, value: deleted };
  }

  /** The rows behind a key, in the order of their keys. */
  async #books(afterGid: string, afterBranch: string, limit: number): Promise<BookEntry[]> {
    const page = this.#of.page(limit);
    const { rows } = await this.#database.query(page, valuesOf(page, { gid: afterGid, branch_id: afterBranch }));
    return rows.map((row) => ({
      gid: String(row["gid"]),
      branch: String(row["branch_id"]),
      instance: String(row["instance"]).trim(),
      state: String(row["state"]),
      at: new Date(numberOf(row["updated_at"])).toISOString(),
    }));
  }
}
