package dev.tercet;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.lang.System.Logger.Level;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The guard's rows in the order of their keys, page by page, so that books can be compared. */
final class Books {
    private static final System.Logger LOG = System.getLogger("dev.tercet");
    private static final int ROWS = 50;
    private static final int MOST_ROWS = 500;
    /** Behind every branch id: ids are of letters, digits and {@code ._:-}, which all come before it. */
    private static final String BEHIND_ALL = "~";

    private Books() {}

    /** Which rows a page has. */
    record Range(String afterGid, String afterBranch, int limit) {}

    private record Entry(String gid, String branch, String instance, String state, long at) {}

    static Answer answer(Guard guard, String query) {
        Range range;
        try {
            range = range(parameters(query));
        } catch (IllegalArgumentException error) {
            return Answer.problem(400, "invalid-request", error.getMessage());
        }
        try {
            return Answer.json(page(guard.database(), range));
        } catch (SQLException error) {
            LOG.log(Level.WARNING, "the guard's rows cannot be read", error);
            return Answer.failed();
        }
    }

    private static String page(Database database, Range range) throws SQLException {
        // One more says whether there are more.
        Map<String, Object> values = Map.of(
                "gid", range.afterGid(), "branch_id", range.afterBranch(), "limit", (long) range.limit() + 1);
        List<Entry> found = database.read(db -> GuardSql.of(database.dialect())
                .page
                .query(db, values, row -> new Entry(
                        row.getString(1), row.getString(2), row.getString(3), row.getString(4), row.getLong(5))));
        boolean isMore = found.size() > range.limit();
        List<Entry> shown = isMore ? found.subList(0, range.limit()) : found;
        ObjectNode page = Json.MAPPER.createObjectNode();
        ArrayNode items = page.putArray("items");
        for (Entry entry : shown) {
            ObjectNode item = items.addObject();
            item.put("gid", entry.gid());
            item.put("branch", entry.branch());
            item.put("instance", entry.instance());
            item.put("state", entry.state());
            item.put("at", Times.text(Instant.ofEpochMilli(entry.at())));
        }
        if (isMore) {
            Entry last = shown.get(shown.size() - 1);
            page.put("next_cursor", last.gid() + "/" + last.branch());
        } else {
            page.putNull("next_cursor");
        }
        return page.toString();
    }

    /**
     * {@code after} is {@code {gid}/{branch}} of the last row that is known. Without a branch the page begins behind all of
     * this gid, with an empty one before them.
     */
    static Range range(Map<String, String> asked) {
        String given = asked.get("limit");
        int limit = ROWS;
        if (given != null) {
            limit = given.matches("[0-9]{1,3}") ? Integer.parseInt(given) : 0;
        }
        if (limit < 1 || limit > MOST_ROWS) {
            throw new IllegalArgumentException("limit: must be 1 to " + MOST_ROWS);
        }
        String after = asked.getOrDefault("after", "/");
        int slash = after.indexOf('/');
        String gid = slash < 0 ? after : after.substring(0, slash);
        String branch = slash < 0 ? BEHIND_ALL : after.substring(slash + 1);
        boolean isOfIds = after.length() <= 256 && after.chars().allMatch(c -> c > ' ' && c <= '~');
        if (!isOfIds) {
            throw new IllegalArgumentException("after: must be {gid}/{branch}, as next_cursor gives it");
        }
        return new Range(gid, branch, limit);
    }

    private static Map<String, String> parameters(String query) {
        Map<String, String> parameters = new HashMap<>();
        if (query == null || query.isEmpty()) {
            return parameters;
        }
        for (String part : query.split("&")) {
            int is = part.indexOf('=');
            String name = decoded(is < 0 ? part : part.substring(0, is));
            if (!Set.of("after", "limit").contains(name)) {
                throw new IllegalArgumentException(name + ": there are after and limit");
            }
            if (parameters.put(name, is < 0 ? "" : decoded(part.substring(is + 1))) != null) {
                throw new IllegalArgumentException(name + ": is given twice");
            }
        }
        return parameters;
    }

    private static String decoded(String text) {
        return URLDecoder.decode(text, StandardCharsets.UTF_8);
    }
}
