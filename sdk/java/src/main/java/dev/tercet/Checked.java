package dev.tercet;

import com.sun.net.httpserver.HttpHandler;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import javax.sql.DataSource;

/**
 * An initiator's answer when it is asked, at the deadline of an open transaction with a
 * {@linkplain Transaction#check check}, whether its own SQL transaction has committed.
 *
 * <p>The initiator begins an open transaction whose check leads to where this answers, does its own work, and calls
 * {@link #record} in the same SQL transaction. Whether it then asks for confirm, or dies before it can, makes no difference:
 * who asks finds the row. Who asks first writes "never" before it is answered, and a commit that comes late fails.
 *
 * <p>A gid stands for one deed and is not used again.
 */
public final class Checked {
    private static final System.Logger LOG = System.getLogger("dev.tercet");
    private static final Duration PURGE_AFTER = Duration.ofDays(90);
    private static final Duration TOUCH_AFTER = Duration.ofDays(1);
    private static final int ROUNDS = 3;

    private static final int BODY_BYTES = 1024;

    private final Database database;
    private final Signatures signatures;

    private Checked(Database database, Signatures signatures) {
        this.database = database;
        this.signatures = signatures;
    }

    /** The initiator's SQL transaction must be rolled back: it comes too late, or another one was before it. */
    public static final class NotRecordedException extends SQLException {
        private static final long serialVersionUID = 1;

        NotRecordedException(String why) {
            super(why);
        }
    }

    /**
     * In this database, which must be the one that the initiator's own work is in.
     *
     * @param source its connections
     * @return what records and answers
     */
    public static Checked on(DataSource source) {
        return new Checked(new Database(source, OptionalInt.empty()), null);
    }

    /**
     * Answers only what is signed by one of these secrets, as {@link Endpoint#signedBy} does.
     *
     * @param secrets {@code whsec_} and base64 each
     * @return what answers signed questions
     */
    public Checked signedBy(String... secrets) {
        return new Checked(database, Signatures.by(List.of(secrets)));
    }

    /**
     * Creates the table, {@code tercet_checked}, where it is missing. Safe to repeat, and for several processes at once.
     *
     * @return this
     * @throws SQLException the database's
     */
    public Checked migrate() throws SQLException {
        database.make(OutboxSql.createChecked(database.dialect()));
        return this;
    }

    /**
     * Writes, in the SQL transaction that does the initiator's own work, that it was done. If that commits, the global
     * transaction will be confirmed; if it does not, cancelled. Call it last: whoever asks meanwhile waits for this row.
     *
     * @param db in whose SQL transaction the work is
     * @param gid the open transaction
     * @throws NotRecordedException roll back: it was asked for before this came and is being cancelled, or was done before
     * @throws SQLException the database's
     * @throws IllegalStateException autocommit is on
     */
    public void record(Connection db, String gid) throws SQLException {
        Ids.checked("gid", gid, Ids.GID_LENGTH);
        database.checkInTransaction(db);
        if (OutboxSql.mark(database.dialect()).update(db, Map.of("gid", gid, "state", "done")) > 0) {
            return;
        }
        List<Found> found = find(db, gid);
        boolean done = !found.isEmpty() && found.get(0).state().equals("done");
        throw new NotRecordedException(
                done ? gid + " was done before" : gid + " was asked for before this came, and is being cancelled");
    }

    /**
     * Answers a question: 200 that it was done, 410 that it was not and never will be, 202 that this cannot be said yet, 503
     * where the database fails.
     *
     * @param headers the request's
     * @param body the request's, which is {@code {}}
     * @return what goes back
     */
    public Answer answer(Headers headers, byte[] body) {
        if (signatures != null) {
            try {
                signatures.checkBody(Signatures.checkHeaders("check", headers, Instant.now()), body);
            } catch (Signatures.UnsignedException why) {
                return Answer.problem(401, "unsigned", why.getMessage());
            }
        }
        String gid = headers.first("tercet-gid");
        if (!"check".equals(headers.first("tercet-op"))) {
            return Answer.problem(400, "invalid-call", "header tercet-op: must be check");
        }
        String fault = gid == null ? "is missing" : Ids.fault(gid, Ids.GID_LENGTH);
        if (fault != null) {
            return Answer.problem(400, "invalid-call", "header tercet-gid: " + fault);
        }
        try {
            String mark = mark(gid);
            if (mark == null) {
                return Answer.problem(202, "not-known-yet", "the transaction that would do it has not ended")
                        .retryAfter(Duration.ofSeconds(1));
            }
            return mark.equals("done")
                    ? Answer.json("{\"state\":\"done\"}")
                    : Answer.problem(410, "never", "it has not happened, and never will");
        } catch (SQLException error) {
            LOG.log(Level.WARNING, gid + ": a question cannot be answered", error);
            return Answer.failed();
        }
    }

    /**
     * Answers on the JDK's own server: {@code server.createContext("/check", checked.handler())}.
     *
     * @return a handler
     */
    public HttpHandler handler() {
        return exchange -> {
            try (exchange) {
                HttpServers.send(exchange, answer(exchange));
            }
        };
    }

    private Answer answer(com.sun.net.httpserver.HttpExchange exchange) throws IOException {
        if (!exchange.getRequestMethod().equals("POST")) {
            return Answer.problem(405, "method-not-allowed", "questions are POST");
        }
        byte[] body = exchange.getRequestBody().readNBytes(BODY_BYTES);
        return answer(
                name -> {
                    List<String> values = exchange.getRequestHeaders().get(name);
                    return values == null ? List.of() : values;
                },
                body);
    }

    private record Found(String state, long agoMs) {}

    /** What is written, if that can be said by now. Where nothing was, "never" is written by the time this says so. */
    private String mark(String gid) throws SQLException {
        for (int round = 1; round <= ROUNDS; round++) {
            try {
                return database.inTransactionOnce(db -> look(db, gid));
            } catch (SQLException error) {
                Dialect.Contention contention = database.dialect().contention(error);
                if (contention == null) {
                    throw error;
                }
                if (contention == Dialect.Contention.WAITED) {
                    // It has cost its time: the coordinator does not wait for long.
                    return null;
                }
            }
        }
        return null;
    }

    private String look(Connection db, String gid) throws SQLException {
        Dialect dialect = database.dialect();
        dialect.beginPatience(db);
        int written;
        try {
            written = OutboxSql.mark(dialect).update(db, Map.of("gid", gid, "state", "never"));
        } catch (SQLException error) {
            try {
                dialect.endPatience(db);
            } catch (SQLException second) {
                error.addSuppressed(second);
            }
            throw error;
        }
        dialect.endPatience(db);
        if (written > 0) {
            LOG.log(Level.INFO, "{0} was asked for and had not happened: now it never will", gid);
            return "never";
        }
        List<Found> found = find(db, gid);
        if (found.isEmpty()) {
            // Purged between the two statements.
            return null;
        }
        if (found.get(0).agoMs() >= TOUCH_AFTER.toMillis()) {
            OutboxSql.of(dialect, "UPDATE tercet_checked SET asked_at = {now} WHERE gid = :gid")
                    .update(db, Map.of("gid", gid));
        }
        return found.get(0).state();
    }

    private List<Found> find(Connection db, String gid) throws SQLException {
        return OutboxSql.marked(database.dialect())
                .query(db, Map.of("gid", gid), row -> new Found(row.getString(1), row.getLong(2)));
    }

    /**
     * Deletes what was written, and last asked for, more than 90 days ago: the longest that a transaction may be open before
     * it is asked for, and twice as long again for whoever is cut off.
     *
     * @return the number of rows
     * @throws SQLException the database's
     */
    public long purge() throws SQLException {
        Dialect dialect = database.dialect();
        String isOld = "asked_at < {now} - " + PURGE_AFTER.toMillis();
        Sql old = OutboxSql.of(dialect, "SELECT gid FROM tercet_checked WHERE " + isOld + " ORDER BY asked_at LIMIT 500");
        Sql delete = OutboxSql.of(dialect, "DELETE FROM tercet_checked WHERE gid = :gid AND " + isOld);
        long deleted = 0;
        while (true) {
            List<String> gids = database.read(db -> old.query(db, Map.of(), row -> row.getString(1)));
            if (gids.isEmpty()) {
                return deleted;
            }
            deleted += database.inTransaction(db -> {
                int gone = 0;
                for (String gid : gids) {
                    gone += delete.update(db, Map.of("gid", gid));
                }
                return gone;
            });
        }
    }
}
