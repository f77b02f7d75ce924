package dev.tercet;

import java.lang.reflect.InvocationTargetException;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;

/** A DataSource, what kind of database it leads to, and how many of its connections may be in use. */
final class Database {
    /** How often a transaction is run that lost against another one. */
    static final int ROUNDS = 6;
    /** The pauses between rounds: others need milliseconds to finish. */
    static final Duration ROUND_PAUSE = Duration.ofMillis(10);
    static final Duration ROUND_PAUSE_CAP = Duration.ofMillis(100);

    private static final int SCHEMA_ROUNDS = 10;
    /** Names by which pools say how many connections they have at most. */
    private static final List<String> SIZES =
            List.of("getMaximumPoolSize", "getMaxTotal", "getMaxActive", "getMaxPoolSize");
    private static final int WITHOUT_A_POOL = 1_000;

    private final DataSource source;
    private final Semaphore connections;
    /** One for each call that may be waiting for its row in the database: half of the connections. */
    private final Semaphore seats;
    private final WriteQueue queue;
    private volatile Dialect dialect;

    Database(DataSource source, OptionalInt size) {
        this.source = source;
        int connectionCount = size.orElseGet(() -> poolSize(source));
        this.connections = new Semaphore(Math.max(connectionCount, 1), true);
        this.seats = new Semaphore(Math.max(connectionCount / 2, 1), true);
        this.queue = WriteQueue.before(source);
    }

    DataSource source() {
        return source;
    }

    WriteQueue queue() {
        return queue;
    }

    /** Asked once, of the first connection. */
    Dialect dialect() throws SQLException {
        Dialect known = dialect;
        if (known == null) {
            try (Connection db = connect()) {
                known = Dialect.of(db);
                dialect = known;
            }
        }
        return known;
    }

    boolean isForOneWriter() throws SQLException {
        return dialect() == Dialect.SQLITE;
    }

    /** No connection was to be had for as long as a call may wait. */
    static final class BusyException extends Exception {
        private static final long serialVersionUID = 1;

        BusyException(Throwable cause) {
            super("no connection was to be had", cause);
        }
    }

    /** A connection without a bound on those in use: for what is not a call. */
    Connection connect() throws SQLException {
        return source.getConnection();
    }

    /** Holds a permit for a connection and, where it may have to wait for a row, a seat. */
    Held hold(boolean mayWait, Duration patience) throws BusyException, InterruptedException {
        long until = System.nanoTime() + patience.toNanos();
        if (mayWait && !seats.tryAcquire(patience.toNanos(), TimeUnit.NANOSECONDS)) {
            throw new BusyException(null);
        }
        Held held = new Held(mayWait);
        try {
            held.connection = connections.tryAcquire(until - System.nanoTime(), TimeUnit.NANOSECONDS);
        } finally {
            if (!held.connection) {
                held.leaveSeat();
            }
        }
        if (!held.connection) {
            throw new BusyException(null);
        }
        return held;
    }

    /** What {@link #hold} gave. */
    final class Held implements AutoCloseable {
        private boolean seat;
        private boolean connection;

        private Held(boolean seat) {
            this.seat = seat;
        }

        void leaveSeat() {
            if (seat) {
                seat = false;
                seats.release();
            }
        }

        @Override
        public void close() {
            leaveSeat();
            if (connection) {
                connection = false;
                connections.release();
            }
        }
    }

    /** Whether a pool gave up since all its connections were in use, and not because its database is away. */
    static boolean isExhausted(SQLException error) {
        return error instanceof SQLTransientConnectionException && error.getCause() == null;
    }

    /**
     * Work in a SQL transaction.
     *
     * @param <T> what comes of it
     */
    @FunctionalInterface
    interface Work<T> {
        T run(Connection db) throws SQLException;
    }

    /** Runs work in a SQL transaction at READ COMMITTED, again where it only lost against another one, and in its turn. */
    <T> T inTransaction(Work<T> work) throws SQLException {
        return queued(() -> again(() -> once(work)));
    }

    /** The same, without a second round. */
    <T> T inTransactionOnce(Work<T> work) throws SQLException {
        return queued(() -> once(work));
    }

    private <T> T once(Work<T> work) throws SQLException {
        try (SqlTransaction tx = SqlTransaction.begin(this, connect(), "READ COMMITTED")) {
            T done = work.run(tx.connection());
            tx.commit();
            return done;
        }
    }

    /** Whoever writes with their own work must be in a SQL transaction. SQLite's is begun with autocommit on, too. */
    void checkInTransaction(Connection db) throws SQLException {
        if (db.getAutoCommit() && !isForOneWriter()) {
            throw new IllegalStateException("autocommit is on: what is written here would not be one with your own work");
        }
    }

    /** Runs what reads alone, without a transaction. */
    <T> T read(Work<T> work) throws SQLException {
        try (Connection db = connect()) {
            boolean autoCommit = db.getAutoCommit();
            if (!autoCommit) {
                db.setAutoCommit(true);
            }
            try {
                return work.run(db);
            } finally {
                if (!autoCommit) {
                    db.setAutoCommit(false);
                }
            }
        }
    }

    /** Makes tables where they are missing. Services start several at a time: who lost finds everything there. */
    void make(List<String> statements) throws SQLException {
        Dialect kind = dialect();
        queued(() -> {
            for (String statement : statements) {
                make(kind, statement);
            }
            return null;
        });
    }

    private void make(Dialect kind, String statement) throws SQLException {
        for (int round = 1; ; round++) {
            try {
                read(db -> {
                    Sql.execute(db, statement);
                    return null;
                });
                return;
            } catch (SQLException error) {
                boolean passing = kind.contention(error) != null || kind.isMadeMeanwhile(error);
                if (!passing || round == SCHEMA_ROUNDS) {
                    throw error;
                }
                pause(round);
            }
        }
    }

    private <T> T again(Callable<T> run) throws Exception {
        for (int round = 1; ; round++) {
            try {
                return run.call();
            } catch (SQLException error) {
                if (dialect().contention(error) == null || round == ROUNDS) {
                    throw error;
                }
                pause(round);
            }
        }
    }

    private <T> T queued(Callable<T> work) throws SQLException {
        try {
            return isForOneWriter() ? queue.run(work) : work.call();
        } catch (SQLException | RuntimeException error) {
            throw error;
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new SQLException("interrupted", error);
        } catch (Exception error) {
            throw new SQLException(error);
        }
    }

    static void pause(int round) throws SQLException {
        try {
            Thread.sleep(Times.backoff(ROUND_PAUSE, ROUND_PAUSE_CAP, round).toMillis());
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new SQLException("interrupted", error);
        }
    }

    private static int poolSize(DataSource source) {
        for (String name : SIZES) {
            try {
                if (source.getClass().getMethod(name).invoke(source) instanceof Integer size && size > 0) {
                    return size;
                }
            } catch (NoSuchMethodException | IllegalAccessException | InvocationTargetException error) {
                // Not this pool's word for it.
                continue;
            }
        }
        return WITHOUT_A_POOL;
    }
}
