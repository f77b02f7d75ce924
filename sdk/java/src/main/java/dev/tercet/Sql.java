package dev.tercet;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A statement whose values have names, as docs/guard-sql.md writes them. */
record Sql(String text, String jdbc, List<String> names) {
    private static final Pattern NAME = Pattern.compile(":([a-z_]+)");

    static Sql of(String text) {
        List<String> names = new ArrayList<>();
        Matcher found = NAME.matcher(text);
        StringBuilder jdbc = new StringBuilder();
        while (found.find()) {
            names.add(found.group(1));
            found.appendReplacement(jdbc, "?");
        }
        return new Sql(text, found.appendTail(jdbc).toString(), List.copyOf(names));
    }

    /** Runs it; the number of rows it wrote. */
    int update(Connection db, Map<String, Object> values) throws SQLException {
        try (PreparedStatement statement = prepare(db, values)) {
            return statement.executeUpdate();
        }
    }

    /** Runs it, and reads each row. */
    <T> List<T> query(Connection db, Map<String, Object> values, Reader<T> reader) throws SQLException {
        try (PreparedStatement statement = prepare(db, values);
                ResultSet found = statement.executeQuery()) {
            List<T> rows = new ArrayList<>();
            while (found.next()) {
                rows.add(reader.read(found));
            }
            return rows;
        }
    }

    private PreparedStatement prepare(Connection db, Map<String, Object> values) throws SQLException {
        PreparedStatement statement = db.prepareStatement(jdbc);
        try {
            for (int at = 0; at < names.size(); at++) {
                Object value = values.get(names.get(at));
                if (value instanceof Long number) {
                    statement.setLong(at + 1, number);
                } else {
                    statement.setString(at + 1, (String) value);
                }
            }
            return statement;
        } catch (SQLException | RuntimeException error) {
            statement.close();
            throw error;
        }
    }

    /** Runs a statement without values. */
    static void execute(Connection db, String text) throws SQLException {
        try (java.sql.Statement statement = db.createStatement()) {
            statement.execute(text);
        }
    }

    /**
     * Reads a row.
     *
     * @param <T> what it is read as
     */
    @FunctionalInterface
    interface Reader<T> {
        T read(ResultSet row) throws SQLException;
    }
}
