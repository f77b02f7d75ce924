package dev.tercet;

import java.lang.System.Logger.Level;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/**
 * One SQL transaction on a connection of its own, which goes back as it came. It is rolled back unless it was committed.
 *
 * <p>On SQLite it is begun by a statement, {@code BEGIN IMMEDIATE}, with the driver's autocommit on: a transaction that reads
 * first and writes later can lose the right to write for good, and {@code setAutoCommit(false)} begins such a one, unless
 * the DataSource was told otherwise, and the next one right after each commit.
 */
final class SqlTransaction implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger("dev.tercet");
    private static final int SQLITE_PATIENCE_MS = 500;
    private static final int NO_SUCH_SAVEPOINT = 1305;

    private final Connection db;
    private final Dialect dialect;
    private final boolean sqlite;
    private boolean wasAutoCommit;
    private int busyTimeoutBefore = SQLITE_PATIENCE_MS;
    private boolean begun;
    private boolean marked;

    private SqlTransaction(Connection db, Dialect dialect) {
        this.db = db;
        this.dialect = dialect;
        this.sqlite = dialect == Dialect.SQLITE;
    }

    /** Begins, with the right to write. Whatever comes of it, the connection is given back. */
    static SqlTransaction begin(Database database, Connection db, String isolation) throws SQLException {
        SqlTransaction tx = new SqlTransaction(db, database.dialect());
        try {
            tx.begin(isolation);
            return tx;
        } catch (SQLException | RuntimeException error) {
            tx.close();
            throw error;
        }
    }

    private void begin(String isolation) throws SQLException {
        wasAutoCommit = db.getAutoCommit();
        if (!sqlite) {
            begun = true;
            if (wasAutoCommit) {
                db.setAutoCommit(false);
            }
            if (isolation != null) {
                Sql.execute(db, "SET TRANSACTION ISOLATION LEVEL " + isolation);
            }
            return;
        }
        if (!wasAutoCommit) {
            db.setAutoCommit(true);
        }
        try (Statement pragma = db.createStatement();
                ResultSet found = pragma.executeQuery("PRAGMA busy_timeout")) {
            busyTimeoutBefore = found.next() ? found.getInt(1) : SQLITE_PATIENCE_MS;
        }
        if (busyTimeoutBefore != SQLITE_PATIENCE_MS) {
            Sql.execute(db, "PRAGMA busy_timeout = " + SQLITE_PATIENCE_MS);
        }
        Sql.execute(db, "BEGIN IMMEDIATE");
        begun = true;
    }

    Connection connection() {
        return db;
    }

    /**
     * The connection as business code gets it: it cannot end the transaction, nor close it.
     *
     * <p>InnoDB answers a deadlock by a rollback of the whole transaction, and goes on with the next statement in another
     * one. A savepoint ends with its own transaction, and its release tells.
     */
    Connection lent() throws SQLException {
        if (dialect == Dialect.MYSQL) {
            Sql.execute(db, "SAVEPOINT tercet");
            marked = true;
        }
        return (Connection) Proxy.newProxyInstance(
                SqlTransaction.class.getClassLoader(), new Class<?>[] {Connection.class}, lender(db));
    }

    private static InvocationHandler lender(Connection db) {
        return (proxy, method, arguments) -> {
            switch (method.getName()) {
                case "close":
                    return null;
                case "commit", "setAutoCommit", "abort":
                    throw new SQLException("the guard commits, after it has run this call");
                case "rollback":
                    if (arguments == null) {
                        throw new SQLException("the guard rolls back where an exception is thrown");
                    }
                    break;
                case "equals":
                    return proxy == arguments[0];
                case "hashCode":
                    return System.identityHashCode(proxy);
                default:
                    break;
            }
            try {
                return method.invoke(db, arguments);
            } catch (InvocationTargetException error) {
                throw error.getCause();
            }
        };
    }

    void commit() throws SQLException {
        if (sqlite) {
            Sql.execute(db, "COMMIT");
        } else {
            if (dialect == Dialect.POSTGRES) {
                checkAlive();
            }
            if (marked) {
                checkMark();
            }
            db.commit();
        }
        begun = false;
    }

    /**
     * PostgreSQL gives a transaction up at the first error, and rolls it back when it is committed: without a word, and its
     * driver says none either. An error that business code has swallowed would be answered 200.
     */
    private void checkAlive() throws SQLException {
        Boolean failed = driverSaysFailed(db.unwrap(Connection.class));
        if (failed == null) {
            // Not the usual driver: the server is asked, and throws if it has given up.
            Sql.execute(db, "SELECT 1");
        } else if (failed) {
            throw new SQLException("the transaction was lost by an error that was caught: let it out", "25P02");
        }
    }

    private void checkMark() throws SQLException {
        try {
            Sql.execute(db, "RELEASE SAVEPOINT tercet");
        } catch (SQLException error) {
            if (error.getErrorCode() == NO_SUCH_SAVEPOINT) {
                throw new SQLException(
                        "the transaction was ended inside, or lost by a deadlock that was caught: let it out", error);
            }
            throw error;
        }
    }

    /** What the usual driver knows without asking; null: it is another one. */
    private static Boolean driverSaysFailed(Connection driver) {
        try {
            Method state = driver.getClass().getMethod("getTransactionState");
            return "FAILED".equals(String.valueOf(state.invoke(driver)));
        } catch (ReflectiveOperationException | RuntimeException unknown) {
            return null;
        }
    }

    @Override
    public void close() {
        boolean whole = true;
        try {
            if (begun) {
                begun = false;
                if (sqlite) {
                    Sql.execute(db, "ROLLBACK");
                } else {
                    db.rollback();
                }
            }
        } catch (SQLException error) {
            // SQLite has rolled back by itself where it says that there is nothing to roll back.
            whole = sqlite && String.valueOf(error.getMessage()).contains("no transaction is active");
            if (!whole) {
                LOG.log(Level.WARNING, "a transaction could not be rolled back: its connection is given up", error);
            }
        }
        try (db) {
            if (whole) {
                restore();
            } else {
                // Nobody else may get a connection in whose transaction something was left.
                db.abort(Runnable::run);
            }
        } catch (SQLException error) {
            LOG.log(Level.DEBUG, "a connection could not be given back", error);
        }
    }

    private void restore() throws SQLException {
        if (sqlite) {
            if (busyTimeoutBefore != SQLITE_PATIENCE_MS) {
                Sql.execute(db, "PRAGMA busy_timeout = " + busyTimeoutBefore);
            }
        }
        if (db.getAutoCommit() != wasAutoCommit) {
            db.setAutoCommit(wasAutoCommit);
        }
    }
}
