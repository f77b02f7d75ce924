package dev.tercet;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** The databases, where they differ in more than the guard's statements. */
enum Dialect {
    SQLITE(
            "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)",
            List.of(),
            List.of()),
    POSTGRES(
            "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
            List.of("SET LOCAL lock_timeout = '500ms'"),
            List.of()),
    // The session's time zone is not asked, in which an hour may come twice.
    MYSQL(
            "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000)",
            List.of("SET @tercet_lock_wait = @@SESSION.innodb_lock_wait_timeout,"
                    + " SESSION innodb_lock_wait_timeout = 1"),
            List.of("SET SESSION innodb_lock_wait_timeout = @tercet_lock_wait"));

    private static final Set<String> POSTGRES_LOST = Set.of("40001", "40P01");
    /** A record that changed (MariaDB), a deadlock, NOWAIT, a write conflict (TiDB). */
    private static final Set<Integer> MYSQL_LOST = Set.of(1020, 1213, 3572, 9007);

    /** The database's own time, in UTC epoch milliseconds, at the moment of the statement. */
    final String now;
    private final List<String> patience;
    private final List<String> patienceEnds;

    Dialect(String now, List<String> patience, List<String> patienceEnds) {
        this.now = now;
        this.patience = patience;
        this.patienceEnds = patienceEnds;
    }

    static Dialect of(Connection db) throws SQLException {
        String product = db.getMetaData().getDatabaseProductName().toLowerCase(Locale.ROOT);
        if (product.contains("sqlite")) {
            return SQLITE;
        }
        if (product.contains("postgres") || product.contains("cockroach") || product.contains("yugabyte")) {
            return POSTGRES;
        }
        if (product.contains("mysql") || product.contains("mariadb") || product.contains("tidb")) {
            return MYSQL;
        }
        throw new SQLException("the guard knows SQLite, PostgreSQL, MySQL and MariaDB, and not " + product);
    }

    /** Bounds the wait for a row that another call may hold. */
    void beginPatience(Connection db) throws SQLException {
        for (String statement : patience) {
            Sql.execute(db, statement);
        }
    }

    /** Ends what {@link #beginPatience} began, where it does not end by itself. */
    void endPatience(Connection db) throws SQLException {
        for (String statement : patienceEnds) {
            Sql.execute(db, statement);
        }
    }

    List<String> patience() {
        return patience;
    }

    List<String> patienceEnds() {
        return patienceEnds;
    }

    /** What another transaction did to this one. */
    enum Contention {
        /** This one was sacrificed, at once: a deadlock, a serialization failure, a file that is locked. */
        LOST,
        /** It waited for a lock for as long as it may. */
        WAITED
    }

    /** Whether something failed only because of another transaction; null where not. Business code may have wrapped it. */
    Contention contention(Throwable error) {
        Throwable link = error;
        for (int depth = 0; link != null && depth < 20; depth++) {
            if (link instanceof SQLException sql) {
                Contention found = contentionOf(sql);
                if (found != null) {
                    return found;
                }
            }
            link = link.getCause();
        }
        return null;
    }

    private Contention contentionOf(SQLException error) {
        int code = error.getErrorCode();
        return switch (this) {
            case POSTGRES -> {
                String state = String.valueOf(error.getSQLState());
                yield POSTGRES_LOST.contains(state)
                        ? Contention.LOST
                        : state.equals("55P03") ? Contention.WAITED : null;
            }
            case MYSQL -> MYSQL_LOST.contains(code) ? Contention.LOST : code == 1205 ? Contention.WAITED : null;
            // SQLITE_BUSY and SQLITE_LOCKED, whatever the extended code says besides.
            case SQLITE -> (code & 0xff) == 5 || (code & 0xff) == 6 ? Contention.LOST : null;
        };
    }

    /** Whether a table or index could not be made because another session has just made it. */
    boolean isMadeMeanwhile(SQLException error) {
        return this == POSTGRES && Set.of("23505", "42P07", "42710").contains(String.valueOf(error.getSQLState()));
    }
}
