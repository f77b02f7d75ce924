package dev.tercet;

import java.util.List;

/** The guard's SQL, one text per database: the statements of docs/guard-sql.md, word for word. A test compares them. */
enum GuardSql {
    SQLITE(
            List.of(
                    """
                    CREATE TABLE IF NOT EXISTS tercet_guard (
                      gid VARCHAR(128) NOT NULL,
                      branch_id VARCHAR(64) NOT NULL,
                      instance CHAR(36) NOT NULL,
                      legs VARCHAR(18) NOT NULL,
                      state VARCHAR(9) NOT NULL,
                      updated_at BIGINT NOT NULL,
                      PRIMARY KEY (gid, branch_id))""",
                    "CREATE INDEX IF NOT EXISTS tercet_guard_updated_at ON tercet_guard (updated_at)",
                    """
                    CREATE TABLE IF NOT EXISTS tercet_guard_results (
                      gid VARCHAR(128) NOT NULL,
                      branch_id VARCHAR(64) NOT NULL,
                      instance CHAR(36) NOT NULL,
                      result TEXT NOT NULL,
                      PRIMARY KEY (gid, branch_id))"""),
            Text.INSERT,
            "SELECT instance, state, updated_at FROM tercet_guard WHERE gid = :gid AND branch_id = :branch_id",
            Text.KEEP_RESULT),
    POSTGRES(
            List.of(
                    """
                    CREATE TABLE IF NOT EXISTS tercet_guard (
                      gid VARCHAR(128) COLLATE "C" NOT NULL,
                      branch_id VARCHAR(64) COLLATE "C" NOT NULL,
                      instance VARCHAR(36) COLLATE "C" NOT NULL,
                      legs VARCHAR(18) COLLATE "C" NOT NULL,
                      state VARCHAR(9) COLLATE "C" NOT NULL,
                      updated_at BIGINT NOT NULL,
                      PRIMARY KEY (gid, branch_id))""",
                    "CREATE INDEX IF NOT EXISTS tercet_guard_updated_at ON tercet_guard (updated_at)",
                    """
                    CREATE TABLE IF NOT EXISTS tercet_guard_results (
                      gid VARCHAR(128) COLLATE "C" NOT NULL,
                      branch_id VARCHAR(64) COLLATE "C" NOT NULL,
                      instance VARCHAR(36) COLLATE "C" NOT NULL,
                      result TEXT NOT NULL,
                      PRIMARY KEY (gid, branch_id))"""),
            Text.INSERT,
            Text.FIND_LOCKED,
            Text.KEEP_RESULT),
    // The engine is named because one without transactions would guard nothing.
    MYSQL(
            List.of(
                    """
                    CREATE TABLE IF NOT EXISTS tercet_guard (
                      gid VARCHAR(128) NOT NULL,
                      branch_id VARCHAR(64) NOT NULL,
                      instance CHAR(36) NOT NULL,
                      legs VARCHAR(18) NOT NULL,
                      state VARCHAR(9) NOT NULL,
                      updated_at BIGINT NOT NULL,
                      PRIMARY KEY (gid, branch_id),
                      KEY tercet_guard_updated_at (updated_at))
                    ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin""",
                    """
                    CREATE TABLE IF NOT EXISTS tercet_guard_results (
                      gid VARCHAR(128) NOT NULL,
                      branch_id VARCHAR(64) NOT NULL,
                      instance CHAR(36) NOT NULL,
                      result MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL,
                      PRIMARY KEY (gid, branch_id))
                    ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin"""),
            """
            INSERT IGNORE INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at)
            VALUES (:gid, :branch_id, :instance, :legs, :state, :now)""",
            Text.FIND_LOCKED,
            """
            INSERT INTO tercet_guard_results (gid, branch_id, instance, result)
            VALUES (:gid, :branch_id, :instance, :result)
            ON DUPLICATE KEY UPDATE instance = VALUES(instance), result = VALUES(result)""");

    /** Make the tables and the index where they are missing. */
    final List<String> create;
    /** The row, unless there is one. */
    final Sql insert;
    /** The row, locked. */
    final Sql find;
    /** The next state. */
    final Sql replace = Sql.of("""
            UPDATE tercet_guard SET state = :state, updated_at = :now
            WHERE gid = :gid AND branch_id = :branch_id AND state = :state_before""");
    /** The row was called again. */
    final Sql touch = Sql.of("UPDATE tercet_guard SET updated_at = :now WHERE gid = :gid AND branch_id = :branch_id");
    /** Keys of rows that may go. */
    final Sql expired = Sql.of("""
            SELECT gid, branch_id FROM tercet_guard WHERE updated_at < :before
            AND (state <> 'tried' OR legs <> 'try,confirm,cancel') ORDER BY updated_at LIMIT 500""");
    /** One of them, if it was not called meanwhile. */
    final Sql delete =
            Sql.of("DELETE FROM tercet_guard WHERE gid = :gid AND branch_id = :branch_id AND updated_at < :before");
    /** What its Try is answered with. */
    final Sql keepResult;
    /** The same, if there is any. */
    final Sql findResult = Sql.of("""
            SELECT result FROM tercet_guard_results
            WHERE gid = :gid AND branch_id = :branch_id AND instance = :instance""");
    /** It goes with its row. */
    final Sql deleteResult =
            Sql.of("DELETE FROM tercet_guard_results WHERE gid = :gid AND branch_id = :branch_id");
    /** How many old rows are kept, because their transactions are not decided. */
    final Sql undecided = Sql.of("""
            SELECT COUNT(*) FROM tercet_guard WHERE updated_at < :before
            AND state = 'tried' AND legs = 'try,confirm,cancel'""");
    /** Rows that come after a key, in the order of their keys. */
    final Sql page = Sql.of("""
            SELECT gid, branch_id, instance, state, updated_at FROM tercet_guard
            WHERE gid >= :gid AND (gid > :gid OR branch_id > :branch_id) ORDER BY gid, branch_id LIMIT :limit""");

    GuardSql(List<String> create, String insert, String find, String keepResult) {
        this.create = create;
        this.insert = Sql.of(insert);
        this.find = Sql.of(find);
        this.keepResult = Sql.of(keepResult);
    }

    static GuardSql of(Dialect dialect) {
        return valueOf(dialect.name());
    }

    private static final class Text {
        static final String INSERT = """
                INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at)
                VALUES (:gid, :branch_id, :instance, :legs, :state, :now) ON CONFLICT (gid, branch_id) DO NOTHING""";
        static final String FIND_LOCKED = """
                SELECT instance, state, updated_at FROM tercet_guard
                WHERE gid = :gid AND branch_id = :branch_id FOR UPDATE""";
        static final String KEEP_RESULT = """
                INSERT INTO tercet_guard_results (gid, branch_id, instance, result)
                VALUES (:gid, :branch_id, :instance, :result) ON CONFLICT (gid, branch_id)
                DO UPDATE SET instance = excluded.instance, result = excluded.result""";
    }
}
