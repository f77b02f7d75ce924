package dev.tercet;

import java.sql.SQLException;
import java.sql.SQLSyntaxErrorException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;

/**
 * What relays do with rows: take some for the time of a lease, and say what became of each. A claim is three statements in
 * one SQL transaction: the rows that are due, passing over those that others hold; an update that asks again whether they
 * are; and a read of those that bear this claim's number.
 */
final class Claims {
    private final Database database;
    /** Whether rows that others hold can be passed over; some servers do not have the words. */
    private volatile boolean skipsLocked = true;

    Claims(Database database) {
        this.database = database;
    }

    /** A row that is ours until its lease runs out. */
    record Claimed(String gid, String request, String traceparent, int attempts) {}

    /** The rows of one claim; by the number they are ours. */
    record Claim(long owner, List<Claimed> rows) {}

    /** Takes at most so many rows of this state that are due. */
    Claim take(Outbox.State state, int limit, Duration lease) throws SQLException {
        // Looked at without the right to write, which on SQLite would keep others from writing for nothing.
        Sql any = OutboxSql.of(
                database.dialect(), "SELECT gid FROM tercet_outbox WHERE state = :state AND due_at <= {now} LIMIT 1");
        Map<String, Object> which = Map.of("state", state.word());
        if (database.read(db -> any.query(db, which, row -> row.getString(1))).isEmpty()) {
            return new Claim(0, List.of());
        }
        try {
            return takeDue(state, limit, lease);
        } catch (SQLSyntaxErrorException error) {
            // MySQL before 8, and MariaDB before 10.6.
            if (!skipsLocked || database.dialect() != Dialect.MYSQL) {
                throw error;
            }
            skipsLocked = false;
            return takeDue(state, limit, lease);
        }
    }

    private Claim takeDue(Outbox.State state, int limit, Duration lease) throws SQLException {
        Dialect dialect = database.dialect();
        // Positive, so that no row has it that was never claimed.
        long owner = ThreadLocalRandom.current().nextLong(1, Long.MAX_VALUE);
        boolean skip = skipsLocked && dialect != Dialect.SQLITE;
        Sql due = OutboxSql.of(
                dialect,
                "SELECT gid FROM tercet_outbox WHERE state = :state AND due_at <= {now} ORDER BY due_at LIMIT :limit"
                        + (skip ? " FOR UPDATE SKIP LOCKED" : ""));
        return database.inTransaction(db -> {
            Map<String, Object> values = new HashMap<>();
            values.put("state", state.word());
            values.put("limit", (long) limit);
            values.put("owner", owner);
            values.put("lease", lease.toMillis());
            List<String> gids = due.query(db, values, row -> row.getString(1));
            if (gids.isEmpty()) {
                return new Claim(owner, List.of());
            }
            String marks = OutboxSql.marks(gids.size());
            name(values, gids);
            OutboxSql.of(
                            dialect,
                            "UPDATE tercet_outbox SET owner = :owner, due_at = {now} + :lease, attempts = attempts + 1"
                                    + " WHERE gid IN (" + marks + ") AND state = :state AND due_at <= {now}")
                    .update(db, values);
            List<Claimed> rows = Sql.of("SELECT gid, request, traceparent, attempts FROM tercet_outbox WHERE gid IN ("
                            + marks + ") AND owner = :owner")
                    .query(
                            db,
                            values,
                            row -> new Claimed(row.getString(1), row.getString(2), row.getString(3), row.getInt(4)));
            return new Claim(owner, rows);
        });
    }

    /** Writes what became of the rows of a claim, of those that are still its own. */
    void settle(Claim claim, Outbox.State from, Map<Told.Next, List<String>> ended) throws SQLException {
        if (ended.isEmpty()) {
            return;
        }
        Dialect dialect = database.dialect();
        database.inTransaction(db -> {
            for (Map.Entry<Told.Next, List<String>> alike : ended.entrySet()) {
                Told.Next next = alike.getKey();
                Map<String, Object> values = new HashMap<>();
                values.put("state", next.state().word());
                values.put("due_in", next.dueInMs());
                values.put("reason", next.reason());
                values.put("owner", claim.owner());
                values.put("from", from.word());
                name(values, alike.getValue());
                OutboxSql.of(
                                dialect,
                                "UPDATE tercet_outbox SET state = :state, owner = 0, due_at = {now} + :due_in, attempts = "
                                        + next.attempts().sql + ", reason = :reason"
                                        + " WHERE owner = :owner AND state = :from AND gid IN ("
                                        + OutboxSql.marks(alike.getValue().size()) + ")")
                        .update(db, values);
            }
            return null;
        });
    }

    private static void name(Map<String, Object> values, List<String> gids) {
        for (int at = 0; at < gids.size(); at++) {
            values.put(OutboxSql.name(at), gids.get(at));
        }
    }
}
