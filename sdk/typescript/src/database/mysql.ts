// MySQL and MariaDB (and TiDB) by mysql2's promises.

import type { Pool, PoolConnection, ResultSetHeader } from "mysql2/promise";

import { GUARD_SQL } from "../guard/statements.js";
import { Busy, type Begin, type Database } from "./database.js";
import { Line } from "./line.js";
import type { Isolation } from "./pg.js";
import { drive, type Program, type SqlResult, type Statement, type Step, type Value } from "./statement.js";

const { patience: PATIENCE = "", patienceEnds: PATIENCE_ENDS = "" } = GUARD_SQL.mysql;
/**
 * A deadlock ends the whole SQL transaction, and what business code that has passed over it does next would be committed statement by
 * statement. So the session is told to commit nothing by itself until the call has ended. It goes with what is said anyway.
 */
const PATIENCE_ENDS_AND_HOLD = PATIENCE_ENDS.replace(/;$/, ", @tercet_autocommit = @@SESSION.autocommit, SESSION autocommit = 0;");
const LET_GO = "SET SESSION autocommit = @tercet_autocommit";

/** What a pool may be set to that would change how rows come back. */
const PLAIN = { rowsAsArray: false, nestTables: false, namedPlaceholders: false, typeCast: true } as const;

/** What can be asked: a pool and a connection. */
interface Asked {
  // `any`, since mysql2's own signature has more cases than are needed here.
  execute(options: any, values: any): Promise<[unknown, unknown]>;
}

/** A pool of mysql2. */
export class MysqlDatabase implements Database<PoolConnection> {
  readonly dialect = "mysql";
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
    const { config } = pool.pool as unknown as { config?: { connectionLimit?: number } };
    const most = config?.connectionLimit ?? 10;
    this.#connections = new Line(Math.max(most, 1));
    this.#seats = new Line(Math.max(Math.floor(most / 2), 1));
  }

  async transaction<T>(begin: Begin, program: (tx: PoolConnection) => Program<T>): Promise<T> {
    const until = performance.now() + begin.connectionMs;
    const leaveSeat = begin.mayWait ? await this.#seats.take(begin.connectionMs) : undefined;
    if (begin.mayWait && !leaveSeat) throw new Busy();
    try {
      const connection = await this.#connect(until - performance.now());
      return await this.#run(connection, begin, program(connection), leaveSeat);
    } finally {
      leaveSeat?.();
    }
  }

  async query(statement: Statement, values: readonly Value[]): Promise<SqlResult> {
    return ask(this.#pool, statement, values);
  }

  async execute(text: string): Promise<void> {
    await this.#pool.query(text);
  }

  async inTransaction(tx: PoolConnection, statement: Statement, values: readonly Value[]): Promise<SqlResult> {
    return ask(tx, statement, values);
  }

  /** A connection, if one is to be had in time. One that comes too late goes back at once. */
  async #connect(patienceMs: number): Promise<PoolConnection> {
    const leave = await this.#connections.take(Math.max(patienceMs, 1));
    if (!leave) throw new Busy();
    return new Promise((resolve, reject) => {
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        reject(new Busy());
      }, Math.max(patienceMs, 1));
      this.#pool.getConnection().then(
        (connection) => {
          clearTimeout(timer);
          if (isLate) connection.release();
          else resolve(connection);
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
    connection: PoolConnection,
    { readCommitted, hasBusiness }: Begin,
    program: Program<T>,
    leaveSeat: (() => void) | undefined,
  ): Promise<T> {
    let isBroken = false;
    let isHeld = false;
    const perform = (step: Step): unknown => {
      switch (step.do) {
        case "sql":
          return ask(connection, step.statement, step.values);
        case "business":
          return step.run();
        case "patience":
          return connection.query(PATIENCE);
        case "patience ends":
          leaveSeat?.();
          isHeld = hasBusiness ?? false;
          return connection.query(isHeld ? PATIENCE_ENDS_AND_HOLD : PATIENCE_ENDS);
      }
    };
    try {
      const level = readCommitted ? "read committed" : this.#isolation;
      if (level) await connection.query(`SET TRANSACTION ISOLATION LEVEL ${level.toUpperCase()}`);
      await connection.query("START TRANSACTION");
      const { commit, value } = await drive(program, perform);
      await connection.query(commit ? "COMMIT" : "ROLLBACK");
      return value;
    } catch (error) {
      await connection.query("ROLLBACK").catch(() => {
        isBroken = true;
      });
      throw error;
    } finally {
      if (isHeld && !isBroken) {
        await connection.query(LET_GO).catch(() => {
          isBroken = true;
        });
      }
      if (isBroken) connection.destroy();
      else connection.release();
    }
  }
}

/** As prepared statements: their values need no escaping, whatever the session's `sql_mode`. */
async function ask(asked: Asked, { text }: Statement, values: readonly Value[]): Promise<SqlResult> {
  const [came] = await asked.execute({ sql: text, ...PLAIN }, [...values]);
  if (Array.isArray(came)) return { rows: came as SqlResult["rows"], changed: 0 };
  return { rows: [], changed: (came as ResultSetHeader).affectedRows };
}
