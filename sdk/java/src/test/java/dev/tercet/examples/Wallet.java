package dev.tercet.examples;

import dev.tercet.Context;
import dev.tercet.Endpoint;
import dev.tercet.Guard;
import dev.tercet.HttpServers;
import dev.tercet.Participant;
import dev.tercet.RefusedException;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.sqlite.SQLiteDataSource;

/** Accounts on SQLite that take part in transactions, on the JDK's own server: {@code Wallet FILE PORT}. */
public final class Wallet implements Participant<Wallet.Debit> {
    /** What is to be paid. */
    public record Debit(String account, long amount) {}

    private Wallet() {}

    public static void main(String[] given) throws Exception {
        var source = new SQLiteDataSource();
        source.setUrl("jdbc:sqlite:" + given[0] + "?journal_mode=WAL");
        try (var db = source.getConnection();
                var sql = db.createStatement()) {
            sql.execute("CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, balance BIGINT, frozen BIGINT)");
            sql.execute("INSERT OR IGNORE INTO accounts VALUES ('alice', 100000, 0)");
        }
        var server = HttpServers.create(Integer.parseInt(given[1]));
        server.createContext(
                "/payment",
                HttpServers.handler(Endpoint.of(new Wallet(), Guard.on(source).migrate())));
        server.createContext("/accounts", exchange -> {
            byte[] all = shown(source).getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, all.length);
            try (var body = exchange.getResponseBody()) {
                body.write(all);
            }
        });
        server.start();
        System.out.println("listening on http://127.0.0.1:" + server.getAddress().getPort());
    }

    @Override
    public Class<Debit> payloadType() {
        return Debit.class;
    }

    @Override
    public void onTry(Connection db, Context call, Debit debit) throws Exception {
        int frozen = change(
                db,
                "UPDATE accounts SET balance = balance - ?1, frozen = frozen + ?1 WHERE name = ?2 AND balance >= ?1",
                debit);
        if (frozen == 0) {
            throw new RefusedException("insufficient-funds", "there is not enough on the account");
        }
    }

    @Override
    public void onConfirm(Connection db, Context call, Debit debit) throws Exception {
        change(db, "UPDATE accounts SET frozen = frozen - ?1 WHERE name = ?2", debit);
    }

    @Override
    public void onCancel(Connection db, Context call, Debit debit) throws Exception {
        change(db, "UPDATE accounts SET balance = balance + ?1, frozen = frozen - ?1 WHERE name = ?2", debit);
    }

    private static int change(Connection db, String sql, Debit debit) throws SQLException {
        try (var statement = db.prepareStatement(sql)) {
            statement.setLong(1, debit.amount());
            statement.setString(2, debit.account());
            return statement.executeUpdate();
        }
    }

    private static String shown(SQLiteDataSource source) {
        List<String> all = new ArrayList<>();
        try (var db = source.getConnection();
                var sql = db.createStatement();
                var row = sql.executeQuery("SELECT name, balance, frozen FROM accounts")) {
            while (row.next()) {
                all.add("{\"name\":\"%s\",\"balance\":%d,\"frozen\":%d}"
                        .formatted(row.getString(1), row.getLong(2), row.getLong(3)));
            }
        } catch (SQLException error) {
            throw new IllegalStateException(error);
        }
        return "[" + String.join(",", all) + "]";
    }
}
