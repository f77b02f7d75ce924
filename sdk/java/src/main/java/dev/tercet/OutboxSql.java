package dev.tercet;

import java.util.Collections;
import java.util.List;

/** The SQL of the outbox and of checks: one text for all databases but for the word for now, as the Rust library runs it. */
final class OutboxSql {
    private static final String OUTBOX_INDEX =
            "CREATE INDEX IF NOT EXISTS tercet_outbox_due ON tercet_outbox (state, due_at)";
    private static final String CHECKED_INDEX =
            "CREATE INDEX IF NOT EXISTS tercet_checked_asked_at ON tercet_checked (asked_at)";

    private OutboxSql() {}

    /** The table. {@code due_at} is when a relay sees to the row next; {@code owner} is drawn for each claim. */
    static List<String> createOutbox(Dialect dialect) {
        return switch (dialect) {
            case MYSQL -> List.of("""
                    CREATE TABLE IF NOT EXISTS tercet_outbox (
                      gid VARCHAR(128) NOT NULL PRIMARY KEY,
                      request LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
                      traceparent VARCHAR(255),
                      state VARCHAR(9) NOT NULL, owner BIGINT NOT NULL, due_at BIGINT NOT NULL,
                      attempts INT NOT NULL, written_at BIGINT NOT NULL,
                      reason TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
                      KEY tercet_outbox_due (state, due_at))
                    ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin""");
            case POSTGRES -> List.of(
                    """
                    CREATE TABLE IF NOT EXISTS tercet_outbox (
                      gid VARCHAR(128) COLLATE "C" NOT NULL PRIMARY KEY,
                      request TEXT NOT NULL, traceparent VARCHAR(255),
                      state VARCHAR(9) COLLATE "C" NOT NULL, owner BIGINT NOT NULL,
                      due_at BIGINT NOT NULL, attempts INT NOT NULL, written_at BIGINT NOT NULL,
                      reason TEXT)""",
                    OUTBOX_INDEX);
            case SQLITE -> List.of(
                    """
                    CREATE TABLE IF NOT EXISTS tercet_outbox (
                      gid VARCHAR(128) NOT NULL PRIMARY KEY,
                      request TEXT NOT NULL, traceparent VARCHAR(255),
                      state VARCHAR(9) NOT NULL, owner BIGINT NOT NULL,
                      due_at BIGINT NOT NULL, attempts INT NOT NULL, written_at BIGINT NOT NULL,
                      reason TEXT)""",
                    OUTBOX_INDEX);
        };
    }

    static List<String> createChecked(Dialect dialect) {
        return switch (dialect) {
            case MYSQL -> List.of("""
                    CREATE TABLE IF NOT EXISTS tercet_checked (
                      gid VARCHAR(128) NOT NULL PRIMARY KEY, state VARCHAR(5) NOT NULL,
                      asked_at BIGINT NOT NULL, KEY tercet_checked_asked_at (asked_at))
                    ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin""");
            case POSTGRES -> List.of(
                    """
                    CREATE TABLE IF NOT EXISTS tercet_checked (
                      gid VARCHAR(128) COLLATE "C" NOT NULL PRIMARY KEY,
                      state VARCHAR(5) COLLATE "C" NOT NULL, asked_at BIGINT NOT NULL)""",
                    CHECKED_INDEX);
            case SQLITE -> List.of(
                    """
                    CREATE TABLE IF NOT EXISTS tercet_checked (
                      gid VARCHAR(128) NOT NULL PRIMARY KEY, state VARCHAR(5) NOT NULL,
                      asked_at BIGINT NOT NULL)""",
                    CHECKED_INDEX);
        };
    }

    /** The row, unless there is one: {@code (gid, request, traceparent)}. */
    static Sql send(Dialect dialect) {
        return insert(
                dialect,
                "tercet_outbox (gid, request, traceparent, state, owner, due_at, attempts, written_at)"
                        + " VALUES (:gid, :request, :traceparent, 'pending', 0, {now}, 0, {now})");
    }

    /** The row, unless there is one: {@code (gid, state)}. */
    static Sql mark(Dialect dialect) {
        return insert(dialect, "tercet_checked (gid, state, asked_at) VALUES (:gid, :state, {now})");
    }

    static Sql marked(Dialect dialect) {
        String lock = dialect == Dialect.SQLITE ? "" : " FOR UPDATE";
        return of(dialect, "SELECT state, {now} - asked_at FROM tercet_checked WHERE gid = :gid" + lock);
    }

    private static Sql insert(Dialect dialect, String into) {
        return dialect == Dialect.MYSQL
                ? of(dialect, "INSERT IGNORE INTO " + into)
                : of(dialect, "INSERT INTO " + into + " ON CONFLICT (gid) DO NOTHING");
    }

    /** {@code {now}} is the database's own time: what several processes compare is dated by the one clock they share. */
    static Sql of(Dialect dialect, String text) {
        return Sql.of(text.replace("{now}", dialect.now));
    }

    /** {@code :g0, :g1, …}: as many as there are. */
    static String marks(int count) {
        StringBuilder marks = new StringBuilder();
        for (int at = 0; at < count; at++) {
            marks.append(at == 0 ? "" : ", ").append(":g_").append(letters(at));
        }
        return marks.toString();
    }

    static String name(int at) {
        return "g_" + letters(at);
    }

    /** Names of values have letters alone. */
    private static String letters(int number) {
        return String.join("", Collections.nCopies(number / 26, "z")) + (char) ('a' + number % 26);
    }
}
