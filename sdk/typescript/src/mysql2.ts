// The guard, the outbox and checks on MySQL and MariaDB (and TiDB), by mysql2's promises.

import type { Pool, PoolConnection } from "mysql2/promise";

import { CheckedOf } from "./checked/checked.js";
import type { NewTransaction } from "./client/request.js";
import { MysqlDatabase } from "./database/mysql.js";
import type { Isolation } from "./database/pg.js";
import { GuardOf } from "./guard/guard.js";
import { OutboxOf } from "./outbox/outbox.js";
import type { EndpointOptions } from "./participant/endpoint.js";

/** SQL transactions at another level than the database's default. */
export type { Isolation } from "./database/pg.js";

/**
 * The guard on a pool of `mysql2/promise`. Business code is handed a connection, within an SQL transaction that the guard
 * ends. Keep `innodb_lock_wait_timeout` low (2, say): it is how long business code may wait for a lock.
 */
export class Guard extends GuardOf<PoolConnection, unknown> {
  /**
   * @param options `isolation`: run calls at this level instead of the database's default. The guard is right from read
   * committed upwards; what the business code needs is for its author to say.
   */
  constructor(pool: Pool, options: { readonly isolation?: Isolation } = {}) {
    super(new MysqlDatabase(pool, options.isolation));
  }
}

/** The outbox on a pool of mysql2/promise. */
export class Outbox extends OutboxOf<PoolConnection> {
  constructor(pool: Pool) {
    super(new MysqlDatabase(pool));
  }

  /**
   * Sends a transaction, if the SQL transaction commits that is open on this connection; its gid. Without a gid of its own it gets
   * one; with one that belongs to the deed, a repeat of the deed fails here.
   *
   * @throws SentBefore, InvalidRequest: roll back
   */
  async send(tx: PoolConnection, transaction: NewTransaction): Promise<string> {
    return this.sendIn(tx, transaction);
  }
}

/** The initiator's side of `check`, on a pool of mysql2/promise. */
export class Checked extends CheckedOf<PoolConnection> {
  constructor(pool: Pool, options: EndpointOptions = {}) {
    super(new MysqlDatabase(pool), options);
  }

  /**
   * Writes, in the SQL transaction that is open on this connection and does the initiator's own work, that it was done. Call it
   * last: whoever asks meanwhile waits for this row until the SQL transaction has ended.
   *
   * @throws TooLate, DoneBefore: roll back
   */
  async record(tx: PoolConnection, gid: string): Promise<void> {
    await this.recordIn(tx, gid);
  }
}
