// Telling "someone else was there first" from every other failure of a database.

/**
 * What another transaction did to this one; the same again may go through. `lost`: it was sacrificed, at once (a deadlock,
 * a serialization failure, a file that is locked). `waited`: it waited for a lock for as long as it may.
 */
export type Contention = "lost" | "waited";

/** SQLSTATEs of PostgreSQL, and error numbers of MySQL, MariaDB and TiDB. */
const OF_CODE: Readonly<Record<string, Contention>> = {
  "40001": "lost", // serialization failure
  "40P01": "lost", // deadlock
  "55P03": "waited", // lock not available
};
const OF_NUMBER: Readonly<Record<number, Contention>> = {
  1020: "lost", // MariaDB with innodb_snapshot_isolation: the row changed since the snapshot
  1205: "waited", // lock wait timeout
  1213: "lost", // deadlock
  3572: "lost", // NOWAIT, if business code uses it
  9007: "lost", // TiDB: another transaction wrote first
};
/** Whether a table or index could not be made because another session has just made it. */
const MADE_MEANWHILE = ["23505", "42P07", "42710"];

/** How many errors are looked at that lie in one another. */
const DEPTH = 8;

/** Whether it failed only because of another transaction, also where business code has wrapped the database's error. */
export function contention(error: unknown): Contention | undefined {
  let link: unknown = error;
  for (let depth = 0; depth < DEPTH && typeof link === "object" && link !== null; depth += 1) {
    const { code, errno, cause, driverError, original } = link as Record<string, unknown>;
    if (typeof code === "string") {
      if (/^SQLITE_(?:BUSY|LOCKED)/.test(code)) return "lost";
      const found = OF_CODE[code];
      if (found) return found;
    }
    if (typeof errno === "number") {
      const found = OF_NUMBER[errno];
      if (found) return found;
    }
    link = cause ?? driverError ?? original;
  }
  return undefined;
}

/** Whether a schema's statement failed only because somebody else was at the same. */
export function isMadeMeanwhile(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && MADE_MEANWHILE.includes(code);
}
