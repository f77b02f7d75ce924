// The guard, the outbox and checks on PostgreSQL (and CockroachDB, YugabyteDB), by pg.

import type { Pool, PoolClient } from "pg";

import { CheckedOf } from "./checked/checked.js";
import type { NewTransaction } from "./client/request.js";
import { PgDatabase, type Isolation } from "./database/pg.js";
import { GuardOf } from "./guard/guard.js";
import { OutboxOf } from "./outbox/outbox.js";
import type { EndpointOptions } from "./participant/endpoint.js";

export type { Isolation } from "./database/pg.js";

/** The guard on a pool of pg. Business code is handed a connection, within an SQL transaction that the guard ends. */
export class Guard extends GuardOf<PoolClient, unknown> {
  /**
   * @param options `isolation`: run calls at this level instead of the database's default. The guard is right from read
   * committed upwards; what the business code needs is for its author to say.
   */
  constructor(pool: Pool, options: { readonly isolation?: Isolation } = {}) {
    super(new PgDatabase(pool, options.isolation));
  }
}

/** The outbox on a pool of pg. */
export class Outbox extends OutboxOf<PoolClient> {
  constructor(pool: Pool) {
    super(new PgDatabase(pool));
  }

  /**
   * Sends a transaction, if the SQL transaction commits that is open on this connection; its gid. Without a gid of its own it gets
   * one; with one that belongs to the deed, a repeat of the deed fails here.
   *
   * @throws SentBefore, InvalidRequest: roll back
   */
  async send(tx: PoolClient, transaction: NewTransaction): Promise<string> {
    return this.sendIn(tx, transaction);
  }
}

/** The initiator's side of `check`, on a pool of pg. */
export class Checked extends CheckedOf<PoolClient> {
  constructor(pool: Pool, options: EndpointOptions = {}) {
    super(new PgDatabase(pool), options);
  }

  /**
   * Writes, in the SQL transaction that is open on this connection and does the initiator's own work, that it was done. Call it
   * last: whoever asks meanwhile waits for this row until the SQL transaction has ended.
   *
   * @throws TooLate, DoneBefore: roll back
   */
  async record(tx: PoolClient, gid: string): Promise<void> {
    await this.recordIn(tx, gid);
  }
}
