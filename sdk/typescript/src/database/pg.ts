// PostgreSQL by pg.

import type { Pool, PoolClient, QueryResult } from "pg";

import { Busy, type Begin, type Database } from "./database.js";
import { Line } from "./line.js";
import { drive, type Ended, type Program, type SqlResult, type Statement, type Step, type Value } from "./statement.js";

/** SQL transactions at another level than the database's default. */
export type Isolation = "read committed" | "repeatable read" | "serializable";

/** A pool of pg. */
export class PgDatabase implements Database<PoolClient> {
  readonly dialect = "postgres";
  readonly hasOneWriter = false;
  readonly #pool: Pool;
  readonly #isolation: Isolation | undefined;
  /** As many as there are connections: who waits beyond waits here, and can leave. */
  readonly #connections: Line;
  /** One for each call that may be waiting for its row in the database. */
  readonly #seats: Line;

  constructor(pool: Pool, isolation?: Isolation) {
    this.#pool = pool;
    this.#isolation = isolation;
    const most = pool.options.max ?? 10;
    this.#connections = new Line(Math.max(most, 1));
    this.#seats = new Line(Math.max(Math.floor(most / 2), 1));
    // A connection that breaks while nobody uses it would else end the process.
    pool.on("error", () => undefined);
  }

  async transaction<T>(begin: Begin, program: (tx: PoolClient) => Program<T>): Promise<T> {
    const until = performance.now() + begin.connectionMs;
    const leaveSeat = begin.mayWait ? await this.#seats.take(begin.connectionMs) : undefined;
    if (begin.mayWait && !leaveSeat) throw new Busy();
    try {
      const client = await this.#connect(until - performance.now());
      return await this.#run(client, begin, program(client), leaveSeat);
    } finally {
      leaveSeat?.();
    }
  }

  async query(statement: Statement, values: readonly Value[]): Promise<SqlResult> {
    return resultOf(await this.#pool.query(statement.text, [...values]));
  }

  async execute(text: string): Promise<void> {
    await this.#pool.query(text);
  }

  async inTransaction(tx: PoolClient, statement: Statement, values: readonly Value[]): Promise<SqlResult> {
    return resultOf(await tx.query(statement.text, [...values]));
  }

  /** A connection, if one is to be had in time. One that comes too late goes back at once. */
  async #connect(patienceMs: number): Promise<PoolClient> {
    const leave = await this.#connections.take(Math.max(patienceMs, 1));
    if (!leave) throw new Busy();
    return new Promise((resolve, reject) => {
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        reject(new Busy());
      }, Math.max(patienceMs, 1));
      this.#pool.connect().then(
        (client) => {
          clearTimeout(timer);
          if (isLate) client.release();
          else resolve(client);
          // From here on the pool counts it.
          leave();
        },
        (error: unknown) => {
          clearTimeout(timer);
          leave();
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }

  async #run<T>(
    client: PoolClient,
    { patience, readCommitted }: Begin,
    program: Program<T>,
    leaveSeat: (() => void) | undefined,
  ): Promise<T> {
    // A connection that breaks says so to whoever waits for an answer; besides, it would end the process.
    const ignore = (): void => undefined;
    client.on("error", ignore);
    let broken: Error | undefined;
    const level = readCommitted ? "read committed" : this.#isolation;
    let beginning = level ? `BEGIN ISOLATION LEVEL ${level.toUpperCase()};` : "BEGIN;";
    if (patience) beginning += " SET LOCAL lock_timeout = '500ms';";
    const perform = (step: Step): unknown => {
      switch (step.do) {
        case "sql":
          if (beginning === "") return this.inTransaction(client, step.statement, step.values);
          return begun(step);
        case "business":
          return step.run();
        case "patience":
          // It goes with the begin, and ends with the SQL transaction.
          return undefined;
        case "patience ends":
          leaveSeat?.();
          return undefined;
      }
    };
    // Every program begins with a statement, which goes with the begin where it can: that saves a way there and back.
    const begun = async ({ statement, values }: Extract<Step, { do: "sql" }>): Promise<SqlResult> => {
      const first = inOneText(statement, values);
      const text = `${beginning} ${first ?? ""}`;
      beginning = "";
      const came = (await client.query(text)) as unknown as QueryResult[] | QueryResult;
      if (first === undefined) return this.inTransaction(client, statement, values);
      const last = [came].flat().at(-1);
      if (!last) throw new Error("PostgreSQL has answered nothing");
      return resultOf(last);
    };
    try {
      return await this.#end(client, await drive(program, perform));
    } catch (error) {
      await client.query("ROLLBACK").catch((cause: unknown) => {
        broken = cause instanceof Error ? cause : new Error(String(cause));
      });
      throw error;
    } finally {
      client.off("error", ignore);
      client.release(broken);
    }
  }

  async #end<T>(client: PoolClient, { commit, value }: Ended<T>): Promise<T> {
    const { command } = await client.query(commit ? "COMMIT" : "ROLLBACK");
    // Where business code has passed over an error PostgreSQL rolls back, and says so in no other way.
    if (commit && command !== "COMMIT") {
      throw new Error("the SQL transaction was rolled back: business code passed over an error of the database");
    }
    return value;
  }
}

/** Texts that are safe to be put between quotes as they are: ids, and what the guard makes up itself. */
const PLAIN = /^[\w.:,-]*$/;

/** A statement with its values in it, if they are all plain. */
function inOneText({ text }: Statement, values: readonly Value[]): string | undefined {
  const isPlain = values.every((value) => (typeof value === "number" ? Number.isSafeInteger(value) : value !== null && PLAIN.test(value)));
  if (!isPlain) return undefined;
  return text.replaceAll(/\$(\d+)/g, (_, at: string) => {
    const value = values[Number(at) - 1];
    return typeof value === "number" ? String(value) : `'${value}'`;
  });
}

function resultOf({ rows, rowCount }: { readonly rows: unknown[]; readonly rowCount: number | null }): SqlResult {
  return { rows: rows as SqlResult["rows"], changed: rowCount ?? 0 };
}
