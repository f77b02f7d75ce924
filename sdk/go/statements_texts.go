package tercet

// The statements of docs/guard-sql.md, word for word; a test compares them.

var sqliteSQL = map[string]string{
	"create": `CREATE TABLE IF NOT EXISTS tercet_guard (
  gid VARCHAR(128) NOT NULL,
  branch_id VARCHAR(64) NOT NULL,
  instance CHAR(36) NOT NULL,
  legs VARCHAR(18) NOT NULL,
  state VARCHAR(9) NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (gid, branch_id));`,
	"create the index": `CREATE INDEX IF NOT EXISTS tercet_guard_updated_at ON tercet_guard (updated_at);`,
	"create the results": `CREATE TABLE IF NOT EXISTS tercet_guard_results (
  gid VARCHAR(128) NOT NULL,
  branch_id VARCHAR(64) NOT NULL,
  instance CHAR(36) NOT NULL,
  result TEXT NOT NULL,
  PRIMARY KEY (gid, branch_id));`,
	"insert": `INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at)
VALUES (:gid, :branch_id, :instance, :legs, :state, :now) ON CONFLICT (gid, branch_id) DO NOTHING;`,
	"find": `SELECT instance, state, updated_at FROM tercet_guard WHERE gid = :gid AND branch_id = :branch_id;`,
	"replace": `UPDATE tercet_guard SET state = :state, updated_at = :now
WHERE gid = :gid AND branch_id = :branch_id AND state = :state_before;`,
	"touch": `UPDATE tercet_guard SET updated_at = :now WHERE gid = :gid AND branch_id = :branch_id;`,
	"expired": `SELECT gid, branch_id FROM tercet_guard WHERE updated_at < :before
AND (state <> 'tried' OR legs <> 'try,confirm,cancel') ORDER BY updated_at LIMIT 500;`,
	"delete": `DELETE FROM tercet_guard WHERE gid = :gid AND branch_id = :branch_id AND updated_at < :before;`,
	"keep the result": `INSERT INTO tercet_guard_results (gid, branch_id, instance, result)
VALUES (:gid, :branch_id, :instance, :result) ON CONFLICT (gid, branch_id)
DO UPDATE SET instance = excluded.instance, result = excluded.result;`,
	"find the result": `SELECT result FROM tercet_guard_results
WHERE gid = :gid AND branch_id = :branch_id AND instance = :instance;`,
	"delete the result": `DELETE FROM tercet_guard_results WHERE gid = :gid AND branch_id = :branch_id;`,
}

var postgresSQL = map[string]string{
	"create": `CREATE TABLE IF NOT EXISTS tercet_guard (
  gid VARCHAR(128) COLLATE "C" NOT NULL,
  branch_id VARCHAR(64) COLLATE "C" NOT NULL,
  instance VARCHAR(36) COLLATE "C" NOT NULL,
  legs VARCHAR(18) COLLATE "C" NOT NULL,
  state VARCHAR(9) COLLATE "C" NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (gid, branch_id));`,
	"create the index": `CREATE INDEX IF NOT EXISTS tercet_guard_updated_at ON tercet_guard (updated_at);`,
	"create the results": `CREATE TABLE IF NOT EXISTS tercet_guard_results (
  gid VARCHAR(128) COLLATE "C" NOT NULL,
  branch_id VARCHAR(64) COLLATE "C" NOT NULL,
  instance VARCHAR(36) COLLATE "C" NOT NULL,
  result TEXT NOT NULL,
  PRIMARY KEY (gid, branch_id));`,
	"patience": `SET LOCAL lock_timeout = '500ms';`,
	"insert": `INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at)
VALUES (:gid, :branch_id, :instance, :legs, :state, :now) ON CONFLICT (gid, branch_id) DO NOTHING;`,
	"find": `SELECT instance, state, updated_at FROM tercet_guard
WHERE gid = :gid AND branch_id = :branch_id FOR UPDATE;`,
	"replace": `UPDATE tercet_guard SET state = :state, updated_at = :now
WHERE gid = :gid AND branch_id = :branch_id AND state = :state_before;`,
	"touch": `UPDATE tercet_guard SET updated_at = :now WHERE gid = :gid AND branch_id = :branch_id;`,
	"expired": `SELECT gid, branch_id FROM tercet_guard WHERE updated_at < :before
AND (state <> 'tried' OR legs <> 'try,confirm,cancel') ORDER BY updated_at LIMIT 500;`,
	"delete": `DELETE FROM tercet_guard WHERE gid = :gid AND branch_id = :branch_id AND updated_at < :before;`,
	"keep the result": `INSERT INTO tercet_guard_results (gid, branch_id, instance, result)
VALUES (:gid, :branch_id, :instance, :result) ON CONFLICT (gid, branch_id)
DO UPDATE SET instance = excluded.instance, result = excluded.result;`,
	"find the result": `SELECT result FROM tercet_guard_results
WHERE gid = :gid AND branch_id = :branch_id AND instance = :instance;`,
	"delete the result": `DELETE FROM tercet_guard_results WHERE gid = :gid AND branch_id = :branch_id;`,
}

var mysqlSQL = map[string]string{
	"create": `CREATE TABLE IF NOT EXISTS tercet_guard (
  gid VARCHAR(128) NOT NULL,
  branch_id VARCHAR(64) NOT NULL,
  instance CHAR(36) NOT NULL,
  legs VARCHAR(18) NOT NULL,
  state VARCHAR(9) NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (gid, branch_id),
  KEY tercet_guard_updated_at (updated_at))
ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;`,
	"create the results": `CREATE TABLE IF NOT EXISTS tercet_guard_results (
  gid VARCHAR(128) NOT NULL,
  branch_id VARCHAR(64) NOT NULL,
  instance CHAR(36) NOT NULL,
  result MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL,
  PRIMARY KEY (gid, branch_id))
ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;`,
	"patience": `SET @tercet_lock_wait = @@SESSION.innodb_lock_wait_timeout, SESSION innodb_lock_wait_timeout = 1;`,
	"insert": `INSERT IGNORE INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at)
VALUES (:gid, :branch_id, :instance, :legs, :state, :now);`,
	"find": `SELECT instance, state, updated_at FROM tercet_guard
WHERE gid = :gid AND branch_id = :branch_id FOR UPDATE;`,
	"patience ends": `SET SESSION innodb_lock_wait_timeout = @tercet_lock_wait;`,
	"replace": `UPDATE tercet_guard SET state = :state, updated_at = :now
WHERE gid = :gid AND branch_id = :branch_id AND state = :state_before;`,
	"touch": `UPDATE tercet_guard SET updated_at = :now WHERE gid = :gid AND branch_id = :branch_id;`,
	"expired": `SELECT gid, branch_id FROM tercet_guard WHERE updated_at < :before
AND (state <> 'tried' OR legs <> 'try,confirm,cancel') ORDER BY updated_at LIMIT 500;`,
	"delete": `DELETE FROM tercet_guard WHERE gid = :gid AND branch_id = :branch_id AND updated_at < :before;`,
	"keep the result": `INSERT INTO tercet_guard_results (gid, branch_id, instance, result)
VALUES (:gid, :branch_id, :instance, :result)
ON DUPLICATE KEY UPDATE instance = VALUES(instance), result = VALUES(result);`,
	"find the result": `SELECT result FROM tercet_guard_results
WHERE gid = :gid AND branch_id = :branch_id AND instance = :instance;`,
	"delete the result": `DELETE FROM tercet_guard_results WHERE gid = :gid AND branch_id = :branch_id;`,
}
