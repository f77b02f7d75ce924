package dev.tercet.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;

/** A participant for PostgreSQL as one writes it by hand from docs/guard-sql.md: what the library is measured against. */
final class HandWritten implements HttpHandler {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<String, String> AFTER = Map.of("try", "tried", "confirm", "confirmed", "cancel", "cancelled");

    private final DataSource source;

    HandWritten(DataSource source) {
        this.source = source;
    }

    private static final class RefusedException extends Exception {
        private static final long serialVersionUID = 1;
        private final int status;

        RefusedException(int status, String code) {
            super(code);
            this.status = status;
        }
    }

    @Override
    public void handle(HttpExchange exchange) throws IOException {
        try (exchange) {
            String path = exchange.getRequestURI().getPath();
            String op = path.substring(path.lastIndexOf('/') + 1);
            byte[] body = exchange.getRequestBody().readAllBytes();
            int status = 200;
            String answer;
            for (int round = 1; ; round++) {
                try {
                    answer = "{\"state\":\"" + guarded(op, exchange.getRequestHeaders(), body) + "\"}";
                    break;
                } catch (RefusedException refused) {
                    status = refused.status;
                    answer = "{\"code\":\"" + refused.getMessage() + "\"}";
                    break;
                } catch (SQLException error) {
                    String state = String.valueOf(error.getSQLState());
                    if (state.equals("55P03") || round == 6) {
                        status = 202;
                        answer = "{\"code\":\"in-progress\"}";
                        exchange.getResponseHeaders().set("Retry-After", "1");
                        break;
                    }
                    if (!List.of("40001", "40P01").contains(state)) {
                        status = 503;
                        answer = "{\"code\":\"failed\"}";
                        break;
                    }
                }
            }
            byte[] bytes = answer.getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(status, bytes.length);
            exchange.getResponseBody().write(bytes);
        }
    }

    private String guarded(String op, Headers call, byte[] body) throws SQLException, IOException, RefusedException {
        String gid = call.getFirst("tercet-gid");
        String branch = call.getFirst("tercet-branch");
        String instance = call.getFirst("tercet-instance");
        String legs = call.getFirst("tercet-legs");
        String state = AFTER.get(op);
        try (Connection db = source.getConnection()) {
            db.setAutoCommit(false);
            try {
                String told = run(db, op, state, gid, branch, instance, legs, body);
                db.commit();
                return told;
            } finally {
                db.rollback();
                db.setAutoCommit(true);
            }
        }
    }

    private static String run(
            Connection db, String op, String state, String gid, String branch, String instance, String legs, byte[] body)
            throws SQLException, IOException, RefusedException {
        try (Statement patience = db.createStatement()) {
            patience.execute("SET LOCAL lock_timeout = '500ms'");
        }
        int inserted = update(
                db,
                "INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at)"
                        + " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (gid, branch_id) DO NOTHING",
                gid, branch, instance, legs, state, System.currentTimeMillis());
        String recorded = null;
        if (inserted == 0) {
            try (PreparedStatement find = db.prepareStatement("SELECT instance, state, updated_at FROM tercet_guard"
                    + " WHERE gid = ? AND branch_id = ? FOR UPDATE")) {
                find.setString(1, gid);
                find.setString(2, branch);
                try (ResultSet row = find.executeQuery()) {
                    row.next();
                    if (!row.getString(1).equals(instance)) {
                        throw new RefusedException(op.equals("try") ? 409 : 410, "another-instance");
                    }
                    recorded = row.getString(2);
                }
            }
            if (recorded.equals(state) || op.equals("try") && recorded.equals("confirmed")) {
                return recorded;
            }
            if (!recorded.equals("tried")) {
                throw new RefusedException(op.equals("confirm") ? 410 : 409, "branch-" + recorded);
            }
        } else if (op.equals("confirm") && legs.contains("try")) {
            throw new RefusedException(410, "branch-not-tried");
        }
        if (recorded != null || !op.equals("cancel")) {
            business(db, op, body);
        }
        if (recorded != null) {
            update(
                    db,
                    "UPDATE tercet_guard SET state = ?, updated_at = ? WHERE gid = ? AND branch_id = ? AND state = ?",
                    state, System.currentTimeMillis(), gid, branch, recorded);
        }
        return state;
    }

    private static void business(Connection db, String op, byte[] body) throws SQLException, IOException, RefusedException {
        JsonNode debit = JSON.readTree(body);
        int changed = Bench.change(db, op, debit.get("account").asText(), debit.get("amount").asLong());
        if (changed == 0) {
            throw new RefusedException(409, "insufficient-funds");
        }
    }

    private static int update(Connection db, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = db.prepareStatement(sql)) {
            for (int at = 0; at < values.length; at++) {
                statement.setObject(at + 1, values[at]);
            }
            return statement.executeUpdate();
        }
    }
}
