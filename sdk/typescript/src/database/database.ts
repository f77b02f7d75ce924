// What the guard, the outbox and checks need of a database, whichever driver leads to it.

import type { Dialect, Program, SqlResult, Statement, Value } from "./statement.js";

/** How an SQL transaction is begun. */
export interface Begin {
  /** How long to wait for a connection, in milliseconds. */
  readonly connectionMs: number;
  /** Whether waits for locks are bounded by half a second from the begin on. */
  readonly patience: boolean;
  /** Whether it may have to wait for another one with a connection in its hand: of those there are half as many. */
  readonly mayWait?: boolean;
  /** Read committed, whatever the database's default is: each statement sees what is committed by then. */
  readonly readCommitted?: boolean;
  /**
   * Whether business code runs in it. That may pass over an error with which the database has given the SQL transaction up; what it
   * does from then on must not be committed by itself.
   */
  readonly hasBusiness?: boolean;
  /** Told, where one writes at a time, when it need not wait any more to begin. */
  readonly onBegun?: () => void;
}

/** A participant's or an initiator's own database. `Tx` is what business code is handed. */
export interface Database<Tx> {
  readonly dialect: Dialect;
  /** Whether one writes at a time, so that there is a queue. */
  readonly hasOneWriter: boolean;
  /**
   * One SQL transaction; once, without a second attempt.
   *
   * @throws Busy where it could not begin, and whatever the program throws
   */
  transaction<T>(begin: Begin, program: (tx: Tx) => Program<T>): Promise<T>;
  /** A statement by itself. */
  query(statement: Statement, values: readonly Value[]): Promise<SqlResult>;
  /** A statement without values, by itself. */
  execute(text: string): Promise<void>;
  /** Runs a statement in an SQL transaction of the caller's, at once or in time. */
  inTransaction(tx: Tx, statement: Statement, values: readonly Value[]): SqlResult | Promise<SqlResult>;
}

/** No connection, or on SQLite no place in the queue of writers, was to be had. */
export class Busy extends Error {
  override readonly name = "Busy";

  constructor() {
    super("others were using the database for as long as a call may wait");
  }
}

/** Another call of the branch is being worked on elsewhere, or others kept getting in the way. */
export class InProgress extends Error {
  override readonly name = "InProgress";

  constructor(options?: ErrorOptions) {
    super("others were writing for as long as a call may wait", options);
  }
}
