package dev.tercet;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import javax.sql.DataSource;

/**
 * The local message table: a transaction is begun exactly if the SQL transaction commits in which it was sent. A
 * {@link Relay} hands it over, in this process, in others, or in both; the program {@code tercet-relay} does the same.
 *
 * <p>A message is a transaction whose branches have Confirm alone (it is accepted, and then delivered until everybody has
 * acknowledged), or any other that begins with its branches: TCC, or a saga. No order is promised.
 *
 * <pre>{@code
 * db.setAutoCommit(false);
 * // … your own work, on db
 * outbox.send(db, Transaction.of("order-17")
 *         .branch(Branch.of("invoice").confirmUrl("http://billing.internal:7305/invoice").payload(order)));
 * db.commit();
 * }</pre>
 */
public final class Outbox {
    private static final int REQUEST_BYTES = 1024 * 1024;
    private static final Duration PURGE_AFTER = Duration.ofDays(7);
    private static final String COLUMNS = "SELECT gid, state, reason, attempts FROM tercet_outbox WHERE ";

    private final Database database;

    private Outbox(Database database) {
        this.database = database;
    }

    /** Where a message stands. */
    public enum State {
        /** It is committed, and the coordinator may not have it yet. */
        PENDING,
        /** The coordinator has it, and sees to it. */
        SENT,
        /** Everybody has confirmed. */
        CONFIRMED,
        /** It was cancelled: a Try was refused, say. */
        CANCELLED,
        /** The coordinator will never take it; why stands beside it. */
        DEAD;

        private final String word = name().toLowerCase(Locale.ROOT);

        String word() {
            return word;
        }
    }

    /**
     * A message as it stands.
     *
     * @param gid the transaction's gid
     * @param state where it stands
     * @param reason what went wrong the last time; of a dead one, why it is; else null
     * @param attempts how often it was tried to be handed over, or asked for, since it came into this state
     */
    public record Entry(String gid, State state, String reason, int attempts) {}

    /** There is a message of this gid already: what is to be done once must not be done again. */
    public static final class SentBeforeException extends SQLException {
        private static final long serialVersionUID = 1;

        SentBeforeException(String gid) {
            super(gid + " was sent before");
        }
    }

    /**
     * An outbox in this database, which must be the one that the business change is in.
     *
     * @param source its connections
     * @return the outbox
     */
    public static Outbox on(DataSource source) {
        return new Outbox(new Database(source, OptionalInt.empty()));
    }

    /**
     * Creates the table, {@code tercet_outbox}, where it is missing. Safe to repeat, and for several processes at once.
     *
     * @return this outbox
     * @throws SQLException the database's
     */
    public Outbox migrate() throws SQLException {
        database.make(OutboxSql.createOutbox(database.dialect()));
        return this;
    }

    /**
     * Sends a transaction, if the SQL transaction commits: it is only written down here, and a relay hands it over. With a
     * gid that belongs to the deed, a repeat of the deed fails here.
     *
     * @param db in whose SQL transaction your own work is; autocommit is off, or {@code BEGIN} was said
     * @param transaction with its branches
     * @return its gid
     * @throws SentBeforeException there is one of this gid; roll back
     * @throws SQLException the database's
     * @throws IllegalArgumentException no coordinator would take it; nothing was written
     * @throws IllegalStateException autocommit is on
     */
    public String send(Connection db, Transaction transaction) throws SQLException {
        String fault = fault(transaction);
        if (fault != null) {
            throw new IllegalArgumentException(fault);
        }
        String body = transaction.body(false);
        if (body.getBytes(java.nio.charset.StandardCharsets.UTF_8).length > REQUEST_BYTES) {
            throw new IllegalArgumentException("a message is larger than a request may be (" + REQUEST_BYTES + ")");
        }
        database.checkInTransaction(db);
        Map<String, Object> values = new HashMap<>();
        values.put("gid", transaction.gid());
        values.put("request", body);
        values.put("traceparent", transaction.traceparent());
        if (OutboxSql.send(database.dialect()).update(db, values) == 0) {
            throw new SentBeforeException(transaction.gid());
        }
        return transaction.gid();
    }

    /** What a coordinator would refuse at any time; null where nothing is. The rest it says later, and the message is dead. */
    private static String fault(Transaction transaction) {
        if (transaction.branches().isEmpty() || transaction.hasCheck()) {
            return "a message needs branches, and is not open";
        }
        Set<String> ids = new HashSet<>();
        for (int at = 0; at < transaction.branches().size(); at++) {
            Branch branch = transaction.branches().get(at);
            if (!ids.add(branch.id())) {
                return "branches[" + at + "].id: " + branch.id() + " is the id of an earlier branch";
            }
            if (branch.fault() != null) {
                return "branches[" + at + "]: " + branch.fault();
            }
        }
        return null;
    }

    /**
     * A message as it stands.
     *
     * @param gid which one
     * @return empty if it was never sent, or was purged
     * @throws SQLException the database's
     */
    public Optional<Entry> entry(String gid) throws SQLException {
        Sql find = Sql.of(COLUMNS + "gid = :gid");
        return database.read(db -> find.query(db, Map.of("gid", gid), Outbox::read)).stream().findFirst();
    }

    /**
     * The dead ones, the oldest first; at most 500.
     *
     * @return as they stand
     * @throws SQLException the database's
     */
    public List<Entry> dead() throws SQLException {
        Sql find = Sql.of(COLUMNS + "state = :state ORDER BY due_at LIMIT 500");
        return database.read(db -> find.query(db, Map.of("state", State.DEAD.word()), Outbox::read));
    }

    /**
     * Brings a dead one back, once the reason is gone: it is handed over anew, under its gid.
     *
     * @param gid which one
     * @return whether it was dead
     * @throws SQLException the database's
     */
    public boolean again(String gid) throws SQLException {
        Sql bring = OutboxSql.of(
                database.dialect(),
                "UPDATE tercet_outbox SET state = 'pending', due_at = {now}, attempts = 0"
                        + " WHERE gid = :gid AND state = 'dead'");
        return database.inTransaction(db -> bring.update(db, Map.of("gid", gid))) == 1;
    }

    /**
     * Deletes what was confirmed or cancelled more than a week ago, by the database's clock. What is pending, sent or dead is
     * never deleted. Relays do it once an hour.
     *
     * @return the number of messages
     * @throws SQLException the database's
     */
    public long purge() throws SQLException {
        return purge(PURGE_AFTER);
    }

    /**
     * The same after another time.
     *
     * @param after how long a message is kept after its end
     * @return the number of messages
     * @throws SQLException the database's
     */
    public long purge(Duration after) throws SQLException {
        Dialect dialect = database.dialect();
        Sql old = OutboxSql.of(
                dialect,
                "SELECT gid FROM tercet_outbox WHERE state = :state AND due_at < {now} - :after"
                        + " ORDER BY due_at LIMIT 500");
        Sql delete = Sql.of("DELETE FROM tercet_outbox WHERE gid = :gid AND state = :state");
        long deleted = 0;
        for (State state : List.of(State.CONFIRMED, State.CANCELLED)) {
            Map<String, Object> which = Map.of("state", state.word(), "after", after.toMillis());
            List<String> gids = database.read(db -> old.query(db, which, row -> row.getString(1)));
            while (!gids.isEmpty()) {
                List<String> batch = gids;
                deleted += database.inTransaction(db -> {
                    int gone = 0;
                    for (String gid : batch) {
                        gone += delete.update(db, Map.of("gid", gid, "state", state.word()));
                    }
                    return gone;
                });
                gids = database.read(db -> old.query(db, which, row -> row.getString(1)));
            }
        }
        return deleted;
    }

    Database database() {
        return database;
    }

    private static Entry read(ResultSet row) throws SQLException {
        State state = State.valueOf(row.getString(2).toUpperCase(Locale.ROOT));
        return new Entry(row.getString(1), state, row.getString(3), row.getInt(4));
    }
}
