// The guard, the outbox and checks on MySQL and MariaDB (and TiDB), by mysql2's promises.

import type { Pool, PoolConnection } from "mysql2/promise";

import { MysqlDatabase } from "./database/mysql.js";
import type { Isolation } from "./database/pg.js";
import { GuardOf } from "./guard/guard.js";

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
