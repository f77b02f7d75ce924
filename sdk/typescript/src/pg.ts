// The guard, the outbox and checks on PostgreSQL (and CockroachDB, YugabyteDB), by pg.

import type { Pool, PoolClient } from "pg";

import { PgDatabase, type Isolation } from "./database/pg.js";
import { GuardOf } from "./guard/guard.js";

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
