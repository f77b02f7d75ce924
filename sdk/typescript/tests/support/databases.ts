// The databases that tests run on: SQLite always, the others where their URLs are.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import Sqlite from "better-sqlite3";
import { createConnection, createPool } from "mysql2/promise";
import { Client as PgClient, Pool } from "pg";
import type { GuardOf, Listener, NewTransaction, OutboxOf } from "tercet";
import * as sqlite from "tercet/better-sqlite3";
import * as mysql from "tercet/mysql2";
import * as postgres from "tercet/pg";

/** Something that runs SQL: `?` is a value on all of them. */
export interface Sql {
  run(text: string, values?: readonly (string | number)[]): Promise<{ rows: Record<string, unknown>[]; changed: number }>;
}

/** One database, made for a test. Business code that is to be the same on all is handed to {@link participant}. */
export interface TestDatabase extends Sql {
  readonly guard: GuardOf<never, unknown>;
  readonly outbox: OutboxOf<never> & { send(tx: never, transaction: NewTransaction): unknown };
  readonly checked: { migrate(): Promise<void>; record(tx: never, gid: string): unknown; listener(path: string): Listener; purge(olderThanMs?: number): Promise<number> };
  /** Runs it in an SQL transaction of the service's own, which is rolled back by an error. */
  transact<T>(run: (tx: never) => Promise<T>): Promise<T>;
  /** In an SQL transaction of business code. */
  within(tx: unknown): Sql;
  /** Other connections to the same, for another process's part. */
  another(): TestDatabase;
  /** Where another process finds it. */
  readonly address: string;
  close(): Promise<void>;
}

/** The kinds of databases that there are here. */
export type Kind = "sqlite" | "postgres" | "mysql";

const postgresUrl = process.env["TERCET_TEST_POSTGRES_URL"];
const mysqlUrl = process.env["TERCET_TEST_MYSQL_URL"];

/** Those that tests run on. What is left out sdk/typescript/test says loudly. */
export const KINDS: readonly Kind[] = [
  "sqlite",
  ...(postgresUrl ? (["postgres"] as const) : []),
  ...(mysqlUrl ? (["mysql"] as const) : []),
];

const log = (): void => undefined;

/** Ends an SQL transaction as its work ends. */
async function ending<T>(work: Promise<T>, say: (word: "COMMIT" | "ROLLBACK") => Promise<unknown>): Promise<T> {
  try {
    const came = await work;
    await say("COMMIT");
    return came;
  } catch (error) {
    await say("ROLLBACK");
    throw error;
  }
}

let made = 0;
const fresh = (): string => `ts_${process.pid}_${Date.now()}_${(made += 1)}`;

/** Makes one that nobody else uses. */
export async function make(kind: Kind, connections = 10): Promise<TestDatabase> {
  switch (kind) {
    case "sqlite": {
      const folder = mkdtempSync(join(tmpdir(), "tercet-ts-"));
      return openSqlite(join(folder, "test.db"), folder);
    }
    case "postgres": {
      const name = fresh();
      const admin = new PgClient({ connectionString: postgresUrl });
      await admin.connect();
      await admin.query(`CREATE DATABASE ${name}`);
      await admin.end();
      return openPostgres(withDatabase(postgresUrl ?? "", name), connections, name);
    }
    case "mysql": {
      const name = fresh();
      const admin = await createConnection(mysqlUrl ?? "");
      await admin.query(`CREATE DATABASE ${name}`);
      await admin.end();
      return openMysql(withDatabase(mysqlUrl ?? "", name), connections, name);
    }
  }
}

function withDatabase(url: string, name: string): string {
  const parsed = new URL(url);
  parsed.pathname = `/${name}`;
  return parsed.href;
}

export function openSqlite(file: string, folder?: string): TestDatabase {
  const db = new Sqlite(file);
  db.pragma("journal_mode = WAL");
  const sql: Sql = {
    async run(text, values = []) {
      const prepared = db.prepare<(string | number)[], Record<string, unknown>>(text);
      if (prepared.reader) return { rows: prepared.all(...values), changed: 0 };
      return { rows: [], changed: prepared.run(...values).changes };
    },
  };
  return {
    ...sql,
    guard: new sqlite.Guard(db) as unknown as GuardOf<never, unknown>,
    outbox: new sqlite.Outbox(db) as unknown as TestDatabase["outbox"],
    checked: new sqlite.Checked(db, { log }) as unknown as TestDatabase["checked"],
    async transact(run) {
      db.exec("BEGIN IMMEDIATE");
      return ending(run(db as never), async (word) => db.exec(word));
    },
    within: () => sql,
    another: () => openSqlite(file),
    address: file,
    async close() {
      db.close();
      if (folder) rmSync(folder, { recursive: true });
    },
  };
}

const numbered = (text: string): string => {
  let mark = 0;
  return text.replaceAll("?", () => `$${(mark += 1)}`);
};

export function openPostgres(url: string, connections: number, made?: string): TestDatabase {
  const pool = new Pool({ connectionString: url, max: connections });
  const by = (asked: Pick<Pool, "query">): Sql => ({
    async run(text, values = []) {
      const { rows, rowCount } = await asked.query(numbered(text), [...values]);
      return { rows: rows as Record<string, unknown>[], changed: rowCount ?? 0 };
    },
  });
  return {
    ...by(pool),
    guard: new postgres.Guard(pool) as unknown as GuardOf<never, unknown>,
    outbox: new postgres.Outbox(pool) as unknown as TestDatabase["outbox"],
    checked: new postgres.Checked(pool, { log }) as unknown as TestDatabase["checked"],
    async transact(run) {
      const client = await pool.connect();
      await client.query("BEGIN");
      return ending(run(client as never), async (word) => client.query(word)).finally(() => client.release());
    },
    within: (tx) => by(tx as Pool),
    another: () => openPostgres(url, connections),
    address: url,
    async close() {
      await pool.end();
      if (!made) return;
      const admin = new PgClient({ connectionString: postgresUrl });
      await admin.connect();
      await admin.query(`DROP DATABASE IF EXISTS ${made} WITH (FORCE)`);
      await admin.end();
    },
  };
}

export function openMysql(url: string, connections: number, made?: string): TestDatabase {
  const pool = createPool({ uri: url, connectionLimit: connections });
  const by = (asked: Pick<typeof pool, "query">): Sql => ({
    async run(text, values = []) {
      const [came] = await asked.query(text, [...values]);
      if (Array.isArray(came)) return { rows: came as Record<string, unknown>[], changed: 0 };
      return { rows: [], changed: came.affectedRows };
    },
  });
  return {
    ...by(pool),
    guard: new mysql.Guard(pool) as unknown as GuardOf<never, unknown>,
    outbox: new mysql.Outbox(pool) as unknown as TestDatabase["outbox"],
    checked: new mysql.Checked(pool, { log }) as unknown as TestDatabase["checked"],
    async transact(run) {
      const connection = await pool.getConnection();
      await connection.query("START TRANSACTION");
      return ending(run(connection as never), async (word) => connection.query(word)).finally(() => connection.release());
    },
    within: (tx) => by(tx as typeof pool),
    another: () => openMysql(url, connections),
    address: url,
    async close() {
      await pool.end();
      if (!made) return;
      const admin = await createConnection(mysqlUrl ?? "");
      await admin.query(`DROP DATABASE IF EXISTS ${made}`);
      await admin.end();
    },
  };
}
