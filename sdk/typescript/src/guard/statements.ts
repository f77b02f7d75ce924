// The guard's SQL, one text per database. docs/guard-sql.md tells the same to all languages; a test compares the two.
//
// Nothing here needs more than writes of single rows by their key, and a lock on one row that is there. Ids compare by
// byte everywhere, so that `A` and `a` are two transactions.

import { statement, type Dialect, type Statement } from "../database/statement.js";

/** The guard's statements as texts, by the names that they have in docs/guard-sql.md. */
export interface GuardSql {
  /** Make the tables and their index where they are missing. */
  readonly create: readonly string[];
  readonly patience?: string;
  readonly patienceEnds?: string;
  readonly insert: string;
  readonly find: string;
  readonly replace: string;
  readonly touch: string;
  readonly expired: string;
  readonly delete: string;
  readonly keepResult: string;
  readonly findResult: string;
  readonly deleteResult: string;
}

const CREATE_INDEX = "CREATE INDEX IF NOT EXISTS tercet_guard_updated_at ON tercet_guard (updated_at);";

const SQLITE: GuardSql = {
  create: [
    `CREATE TABLE IF NOT EXISTS tercet_guard (
  gid VARCHAR(128) NOT NULL,
  branch_id VARCHAR(64) NOT NULL,
  instance CHAR(36) NOT NULL,
  legs VARCHAR(18) NOT NULL,
  state VARCHAR(9) NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (gid, branch_id));`,
    CREATE_INDEX,
    `CREATE TABLE IF NOT EXISTS tercet_guard_results (
  gid VARCHAR(128) NOT NULL,
  branch_id VARCHAR(64) NOT NULL,
  instance CHAR(36) NOT NULL,
  result TEXT NOT NULL,
  PRIMARY KEY (gid, branch_id));`,
  ],
  insert: `INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at)
VALUES (:gid, :branch_id, :instance, :legs, :state, :now) ON CONFLICT (gid, branch_id) DO NOTHING;`,
  find: `SELECT instance, state, updated_at FROM tercet_guard WHERE gid = :gid AND branch_id = :branch_id;`,
  replace: `UPDATE tercet_guard SET state = :state, updated_at = :now
WHERE gid = :gid AND branch_id = :branch_id AND state = :state_before;`,
  touch: `UPDATE tercet_guard SET updated_at = :now WHERE gid = :gid AND branch_id = :branch_id;`,
  expired: `SELECT gid, branch_id FROM tercet_guard WHERE updated_at < :before
AND (state <> 'tried' OR legs <> 'try,confirm,cancel') ORDER BY updated_at LIMIT 500;`,
  delete: `DELETE FROM tercet_guard WHERE gid = :gid AND branch_id = :branch_id AND updated_at < :before;`,
  keepResult: `INSERT INTO tercet_guard_results (gid, branch_id, instance, result)
VALUES (:gid, :branch_id, :instance, :result) ON CONFLICT (gid, branch_id)
DO UPDATE SET instance = excluded.instance, result = excluded.result;`,
  findResult: `SELECT result FROM tercet_guard_results
WHERE gid = :gid AND branch_id = :branch_id AND instance = :instance;`,
  deleteResult: `DELETE FROM tercet_guard_results WHERE gid = :gid AND branch_id = :branch_id;`,
};

const LOCKING_FIND = `SELECT instance, state, updated_at FROM tercet_guard
WHERE gid = :gid AND branch_id = :branch_id FOR UPDATE;`;

const POSTGRES: GuardSql = {
  ...SQLITE,
  create: [
    `CREATE TABLE IF NOT EXISTS tercet_guard (
  gid VARCHAR(128) COLLATE "C" NOT NULL,
  branch_id VARCHAR(64) COLLATE "C" NOT NULL,
  instance VARCHAR(36) COLLATE "C" NOT NULL,
  legs VARCHAR(18) COLLATE "C" NOT NULL,
  state VARCHAR(9) COLLATE "C" NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (gid, branch_id));`,
    CREATE_INDEX,
    `CREATE TABLE IF NOT EXISTS tercet_guard_results (
  gid VARCHAR(128) COLLATE "C" NOT NULL,
  branch_id VARCHAR(64) COLLATE "C" NOT NULL,
  instance VARCHAR(36) COLLATE "C" NOT NULL,
  result TEXT NOT NULL,
  PRIMARY KEY (gid, branch_id));`,
  ],
  patience: `SET LOCAL lock_timeout = '500ms';`,
  find: LOCKING_FIND,
};

const MYSQL: GuardSql = {
  ...SQLITE,
  // The engine is named because one without transactions would guard nothing.
  create: [
    `CREATE TABLE IF NOT EXISTS tercet_guard (
  gid VARCHAR(128) NOT NULL,
  branch_id VARCHAR(64) NOT NULL,
  instance CHAR(36) NOT NULL,
  legs VARCHAR(18) NOT NULL,
  state VARCHAR(9) NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (gid, branch_id),
  KEY tercet_guard_updated_at (updated_at))
ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;`,
    `CREATE TABLE IF NOT EXISTS tercet_guard_results (
  gid VARCHAR(128) NOT NULL,
  branch_id VARCHAR(64) NOT NULL,
  instance CHAR(36) NOT NULL,
  result MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL,
  PRIMARY KEY (gid, branch_id))
ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;`,
  ],
  patience: `SET @tercet_lock_wait = @@SESSION.innodb_lock_wait_timeout, SESSION innodb_lock_wait_timeout = 1;`,
  patienceEnds: `SET SESSION innodb_lock_wait_timeout = @tercet_lock_wait;`,
  insert: `INSERT IGNORE INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at)
VALUES (:gid, :branch_id, :instance, :legs, :state, :now);`,
  find: LOCKING_FIND,
  keepResult: `INSERT INTO tercet_guard_results (gid, branch_id, instance, result)
VALUES (:gid, :branch_id, :instance, :result)
ON DUPLICATE KEY UPDATE instance = VALUES(instance), result = VALUES(result);`,
};

/** Each database's. */
export const GUARD_SQL: Readonly<Record<Dialect, GuardSql>> = { sqlite: SQLITE, postgres: POSTGRES, mysql: MYSQL };

/** What is shown, counted and made sure of; not of the page, since no other language has to. */
const UNDECIDED = `SELECT COUNT(*) AS kept FROM tercet_guard WHERE updated_at < :before
AND state = 'tried' AND legs = 'try,confirm,cancel';`;
const PAGE = `SELECT gid, branch_id, instance, state, updated_at FROM tercet_guard
WHERE gid >= :gid AND (gid > :gid OR branch_id > :branch_id) ORDER BY gid, branch_id LIMIT `;

/** Whether the row is there as a call has written it, which on MySQL tells whether its SQL transaction is still the same. */
const STANDS = `SELECT 1 AS stands FROM tercet_guard WHERE gid = :gid AND branch_id = :branch_id
AND instance = :instance AND state = :state AND updated_at = :now;`;

/** The statements as a driver takes them. */
export function statementsOf(dialect: Dialect) {
  const texts = GUARD_SQL[dialect];
  const of = (text: string): Statement => statement(dialect, text);
  return {
    insert: of(texts.insert),
    find: of(texts.find),
    replace: of(texts.replace),
    touch: of(texts.touch),
    expired: of(texts.expired),
    delete: of(texts.delete),
    keepResult: of(texts.keepResult),
    findResult: of(texts.findResult),
    deleteResult: of(texts.deleteResult),
    undecided: of(UNDECIDED),
    /** Where a database tells of it in no other way. */
    stands: dialect === "mysql" ? of(STANDS) : undefined,
    /** The limit is part of the text: not every database takes one as a value. */
    page: (rows: number): Statement => of(`${PAGE}${rows};`),
  };
}

/** What {@link statementsOf} gives. */
export type GuardStatements = ReturnType<typeof statementsOf>;
