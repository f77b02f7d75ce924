package dev.tercet;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.tercet.Dialect.Contention;
import dev.tercet.Guarding.Action;
import dev.tercet.Guarding.Recorded;
import dev.tercet.Guarding.State;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import javax.sql.DataSource;

/**
 * The guard's place in a participant's own database: SQLite, PostgreSQL, MySQL or MariaDB. One row for each branch, in
 * {@code tercet_guard}, written in the SQL transaction of the business change, makes calls right that repeat, come late or
 * come after their opposite. Services in other languages may share the table: see docs/guard-sql.md.
 *
 * <p>A call that meets another call of its branch still running waits half a second (a second on MySQL and MariaDB), then
 * answers 202 with {@code Retry-After: 1}. Deadlocks, serialization failures and locks are tried again inside, within a
 * bound. On SQLite, where one transaction writes at a time, the calls of this process queue for it, on one thread and in the
 * order in which they came; who has waited for a second is answered 202 and keeps the place.
 */
public final class Guard {
    private static final System.Logger LOG = System.getLogger("dev.tercet");

    /** How long a Try or Confirm waits for a connection: less than the coordinator waits for its answer (3 s). */
    private static final Duration BEGIN_PATIENCE = Duration.ofSeconds(2);

    private final DataSource source;
    private final Database database;
    private final String isolation;
    private final Clock clock;

    private Guard(DataSource source, OptionalInt connections, String isolation, Clock clock) {
        this(source, new Database(source, connections), isolation, clock);
    }

    private Guard(DataSource source, Database database, String isolation, Clock clock) {
        this.source = source;
        this.database = database;
        this.isolation = isolation;
        this.clock = clock;
    }

    /**
     * The guard in this database, which must be the one that the business code writes to.
     *
     * @param source its connections: a pool, say
     * @return the guard
     */
    public static Guard on(DataSource source) {
        return new Guard(source, OptionalInt.empty(), null, Clock.systemUTC());
    }

    /**
     * How many connections calls may use at once, at most half of them waiting for another call. Without it the pool is asked
     * (HikariCP, DBCP and Tomcat's say it), and what is no pool has no bound.
     *
     * @param most what the pool has, or less
     * @return the guard with that bound
     */
    public Guard connections(int most) {
        return new Guard(source, OptionalInt.of(most), isolation, clock);
    }

    /**
     * Runs calls at this isolation level instead of the database's default. The guard is right from READ COMMITTED upwards;
     * what the business code needs is for its author to say. SQLite has but one.
     *
     * @param level one of {@link Connection}'s {@code TRANSACTION_READ_COMMITTED}, {@code TRANSACTION_REPEATABLE_READ} and
     *     {@code TRANSACTION_SERIALIZABLE}
     * @return the guard at that level
     */
    public Guard isolation(int level) {
        String words = switch (level) {
            case Connection.TRANSACTION_READ_COMMITTED -> "READ COMMITTED";
            case Connection.TRANSACTION_REPEATABLE_READ -> "REPEATABLE READ";
            case Connection.TRANSACTION_SERIALIZABLE -> "SERIALIZABLE";
            default -> throw new IllegalArgumentException("the guard needs READ COMMITTED or stronger");
        };
        return new Guard(source, database, words, clock);
    }

    Guard clock(Clock other) {
        return new Guard(source, database, isolation, other);
    }

    /**
     * Creates the guard's tables where they are missing. Safe to repeat, and for several processes at once; call it at every
     * start, or take the statements of docs/guard-sql.md into your own migrations.
     *
     * @return this guard
     * @throws SQLException the database's
     */
    public Guard migrate() throws SQLException {
        database.make(GuardSql.of(database.dialect()).create);
        return this;
    }

    /**
     * What a purge did.
     *
     * @param deleted rows deleted
     * @param undecided old rows that were kept, since their branches were tried and have heard no decision: reservations
     *     that still hold something. More than none is worth a look at the coordinator
     */
    public record Purged(long deleted, long undecided) {}

    /**
     * Deletes the rows of branches that were last called longer ago than 30 days (and the day by which that note may be
     * late). A branch that was tried and waits for its decision is kept, whatever its age.
     *
     * @return what was deleted and kept
     * @throws SQLException the database's; what was deleted before stays deleted
     */
    public Purged purge() throws SQLException {
        return purge(Purge.AFTER);
    }

    /**
     * The same after another time. It must be longer than the service may be cut off from the coordinator, and longer than
     * the coordinator keeps a gid.
     *
     * @param after how long a row is kept after the last call of its branch
     * @return what was deleted and kept
     * @throws SQLException the database's; what was deleted before stays deleted
     */
    public Purged purge(Duration after) throws SQLException {
        return Purge.run(database, clock, after);
    }

    /**
     * Purges once an hour on a daemon thread, the first time in an hour: a machine that came up with a wrong clock has been
     * set right by then.
     *
     * @return stops it when it is closed
     */
    public Closing purgeHourly() {
        return Purge.hourly(this);
    }

    Database database() {
        return database;
    }

    Clock clock() {
        return clock;
    }

    /** Answers one call, as the guard's table says, and atomically. */
    <P> Answer answer(Participant<P> participant, Context.Call call, ObjectMapper mapper, Runnable begins) {
        int round = 1;
        while (true) {
            Throwable error;
            try {
                return once(participant, call, mapper, begins);
            } catch (Database.BusyException busy) {
                LOG.log(Level.WARNING, "{0}/{1} {2}: no connection was to be had", call.gid(), call.branch(), call.op());
                return Answer.busy(call.op());
            } catch (InProgressException meanwhile) {
                return Answer.inProgress();
            } catch (RefusedException refused) {
                LOG.log(
                        Level.INFO,
                        "{0}/{1} {2} is refused: {3}: {4}",
                        call.gid(),
                        call.branch(),
                        call.op(),
                        refused.code(),
                        refused.getMessage());
                return Answer.problem(409, refused.code(), String.valueOf(refused.getMessage()));
            } catch (Throwable failure) {
                if (failure instanceof InterruptedException) {
                    Thread.currentThread().interrupt();
                }
                error = failure;
            }
            Contention contention = contention(error);
            if (contention == null) {
                return failed(call, error);
            }
            round += contention == Contention.LOST ? 1 : 2;
            if (round > Database.ROUNDS) {
                return Answer.inProgress();
            }
            try {
                Database.pause(round);
            } catch (SQLException interrupted) {
                return failed(call, error);
            }
        }
    }

    private Contention contention(Throwable error) {
        if (error instanceof CallAgainException again && again.after().isPresent()) {
            return null;
        }
        try {
            return database.dialect().contention(error);
        } catch (SQLException unknown) {
            return null;
        }
    }

    private static Answer failed(Context.Call call, Throwable error) {
        String what = call.gid() + "/" + call.branch() + " " + call.op() + " failed, to be called again";
        LOG.log(error instanceof Error ? Level.ERROR : Level.WARNING, what, error);
        Answer answer = Answer.failed();
        return error instanceof CallAgainException again ? again.after().map(answer::retryAfter).orElse(answer) : answer;
    }

    /** Another call of the branch is being worked on elsewhere. */
    private static final class InProgressException extends Exception {
        private static final long serialVersionUID = 1;
    }

    /** What stands in a branch's row. */
    private record Row(Recorded recorded, long updatedAt) {}

    /** One SQL transaction. Whoever leaves before the commit rolls it back. */
    private <P> Answer once(Participant<P> participant, Context.Call call, ObjectMapper mapper, Runnable begins)
            throws Exception {
        Dialect dialect = database.dialect();
        boolean queued = dialect == Dialect.SQLITE;
        // A Cancel, whose Try may still run in another process, or a repeat. The first call meets nobody.
        boolean mayWait = !queued && (call.op() == Op.CANCEL || call.attempt() > 1);
        Duration patience = call.op() == Op.CANCEL ? Turns.PATIENCE : BEGIN_PATIENCE;
        try (Database.Held held = database.hold(mayWait, patience);
                SqlTransaction tx = SqlTransaction.begin(database, connect(), isolation)) {
            begins.run();
            return answer(participant, call, mapper, tx, held);
        }
    }

    private Connection connect() throws SQLException, Database.BusyException {
        try {
            return database.connect();
        } catch (SQLException error) {
            if (Database.isExhausted(error)) {
                throw new Database.BusyException(error);
            }
            throw error;
        }
    }

    private <P> Answer answer(
            Participant<P> participant, Context.Call call, ObjectMapper mapper, SqlTransaction tx, Database.Held held)
            throws Exception {
        Connection db = tx.connection();
        GuardSql sql = GuardSql.of(database.dialect());
        long now = clock.millis();
        State wanted = State.after(call.op());
        Map<String, Object> values = new HashMap<>();
        values.put("gid", call.gid());
        values.put("branch_id", call.branch());
        values.put("instance", call.instance());
        values.put("legs", call.legsText());
        values.put("state", wanted.word());
        values.put("now", now);
        Row row = record(db, sql, values);
        held.leaveSeat();
        Recorded recorded = row == null ? null : row.recorded();
        boolean longPast = Guarding.isLongPast(call.deadline(), clock.instant());
        Action action = Guarding.decide(recorded, call.op(), call.legs(), call.instance(), longPast);
        switch (action) {
            case RUN -> {
                return run(participant, new Context(call, mapper, false), tx, sql, values, recorded);
            }
            case RECORD -> {
                if (participant.cancelsEmpty()) {
                    cancelEmpty(participant, new Context(call, mapper, true), tx);
                }
                tx.commit();
                return Answer.done(wanted.word(), false);
            }
            case REPEAT -> {
                // The coordinator may have lost the answer before it was durable, and others build on it: it is the same again.
                List<String> result = call.op() == Op.TRY
                        ? sql.findResult.query(db, values, found -> found.getString(1))
                        : List.of();
                noteCall(tx, sql, values, row, call, now);
                return result.isEmpty() ? Answer.done(recorded.state().word(), true) : Answer.json(result.get(0));
            }
            default -> {
                noteCall(tx, sql, values, row, call, now);
                Level level = action.isAlarming() ? Level.ERROR : Level.INFO;
                LOG.log(level, "the guard stopped {0} {1}/{2}: {3}", call.op(), call.gid(), call.branch(), action.detail);
                return Answer.problem(action.status, action.code, action.detail);
            }
        }
    }

    private <P> Answer run(
            Participant<P> participant,
            Context context,
            SqlTransaction tx,
            GuardSql sql,
            Map<String, Object> values,
            Recorded recorded)
            throws Exception {
        P payload;
        try {
            payload = context.read(participant.payloadType());
        } catch (IOException error) {
            // Neither told nor logged: what stands in it.
            String fault = Payloads.fault(error);
            LOG.log(Level.WARNING, "{0}: {1}", context, fault);
            return Answer.problem(400, "invalid-payload", fault);
        }
        Connection lent = tx.lent();
        switch (context.op()) {
            case TRY -> participant.onTry(lent, context, payload);
            case CONFIRM -> participant.onConfirm(lent, context, payload);
            case CANCEL -> participant.onCancel(lent, context, payload);
        }
        Connection db = tx.connection();
        if (recorded != null) {
            values.put("state_before", recorded.state().word());
            // The row is locked, so it can have moved only where the lock is not honoured; then this call must not have run.
            if (sql.replace.update(db, values) != 1) {
                throw new InProgressException();
            }
        }
        String result = context.op() == Op.TRY ? context.answered() : null;
        if (result != null) {
            values.put("result", result);
            sql.keepResult.update(db, values);
        }
        tx.commit();
        return result != null ? Answer.json(result) : Answer.done(State.after(context.op()).word(), false);
    }

    /** Runs Cancel where no Try was recorded. A payload that cannot be read now could not be read by a Try either. */
    private static <P> void cancelEmpty(Participant<P> participant, Context context, SqlTransaction tx) throws Exception {
        P payload;
        try {
            payload = context.read(participant.payloadType());
        } catch (IOException error) {
            LOG.log(Level.INFO, "{0}: the payload cannot be read, so no Try can have had effects", context);
            return;
        }
        participant.onCancel(tx.lent(), context, payload);
    }

    /** Records the call as done, unless something is recorded of its branch: then gives that. Waits a bounded time. */
    private Row record(Connection db, GuardSql sql, Map<String, Object> values)
            throws SQLException, InProgressException {
        Dialect dialect = database.dialect();
        dialect.beginPatience(db);
        Row row;
        try {
            row = sql.insert.update(db, values) > 0 ? null : find(db, sql, values);
        } catch (SQLException error) {
            endQuietly(dialect, db);
            if (dialect.contention(error) == Contention.WAITED) {
                // Whoever holds the row is at work on this very branch.
                throw new InProgressException();
            }
            throw error;
        } catch (InProgressException gone) {
            endQuietly(dialect, db);
            throw gone;
        }
        dialect.endPatience(db);
        return row;
    }

    private static void endQuietly(Dialect dialect, Connection db) {
        try {
            dialect.endPatience(db);
        } catch (SQLException error) {
            LOG.log(Level.DEBUG, "the session's lock wait could not be put back", error);
        }
    }

    private static Row find(Connection db, GuardSql sql, Map<String, Object> values)
            throws SQLException, InProgressException {
        List<Row> found = sql.find.query(db, values, row -> {
            State state = State.of(row.getString(2));
            if (state == null) {
                throw new SQLException("tercet_guard: a state is " + row.getString(2));
            }
            return new Row(new Recorded(row.getString(1), state), row.getLong(3));
        });
        if (found.isEmpty()) {
            // Purged between the two statements.
            throw new InProgressException();
        }
        return found.get(0);
    }

    /** Ends a transaction in which nothing was run. The note of the last call is written anew once a day. */
    private static void noteCall(
            SqlTransaction tx, GuardSql sql, Map<String, Object> values, Row row, Context.Call call, long now)
            throws SQLException {
        boolean isOurs = row != null && row.recorded().instance().equals(call.instance());
        if (isOurs && now - row.updatedAt() >= Purge.TOUCH_AFTER.toMillis()) {
            sql.touch.update(tx.connection(), values);
            tx.commit();
        }
    }
}
