package dev.tercet;

import java.lang.System.Logger.Level;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * Deletes rows of the guard that nobody will ask for again. A branch that was tried and has both Confirm and Cancel hears
 * every decision: until it has, its row is kept. Any other row goes a month after the last call of its branch.
 */
final class Purge {
    /** How long a row is kept after the last call of its branch. */
    static final Duration AFTER = Duration.ofDays(30);
    /** How old the note of the last call may become before another call writes it anew. */
    static final Duration TOUCH_AFTER = Duration.ofDays(1);

    private static final System.Logger LOG = System.getLogger("dev.tercet");
    private static final Duration EVERY = Duration.ofHours(1);

    private Purge() {}

    private record Key(String gid, String branch) {}

    static Guard.Purged run(Database database, Clock clock, Duration after) throws SQLException {
        GuardSql sql = GuardSql.of(database.dialect());
        // The note of the last call may be this much older than the call.
        Map<String, Object> before = Map.of("before", clock.millis() - after.plus(TOUCH_AFTER).toMillis());
        long deleted = 0;
        while (true) {
            List<Key> keys = database.read(db ->
                    sql.expired.query(db, before, row -> new Key(row.getString(1), row.getString(2))));
            if (keys.isEmpty()) {
                break;
            }
            deleted += database.inTransaction(db -> {
                long gone = 0;
                // One by one, so that no range of the index is locked.
                for (Key key : keys) {
                    Map<String, Object> values =
                            Map.of("gid", key.gid(), "branch_id", key.branch(), "before", before.get("before"));
                    if (sql.delete.update(db, values) > 0) {
                        gone++;
                        sql.deleteResult.update(db, values);
                    }
                }
                return gone;
            });
        }
        long undecided = database.read(db -> sql.undecided.query(db, before, row -> row.getLong(1)).get(0));
        return new Guard.Purged(deleted, undecided);
    }

    static Closing hourly(Guard guard) {
        return Background.start("tercet-purge", EVERY, background -> {
            try {
                Guard.Purged purged = guard.purge();
                Level level = purged.undecided() > 0 ? Level.WARNING : Level.DEBUG;
                LOG.log(
                        level,
                        "old rows of the guard: {0} deleted, {1} reservations have waited for a decision for a month",
                        purged.deleted(),
                        purged.undecided());
            } catch (SQLException error) {
                LOG.log(Level.WARNING, "the guard's old rows could not be purged", error);
            }
            return EVERY;
        });
    }
}
