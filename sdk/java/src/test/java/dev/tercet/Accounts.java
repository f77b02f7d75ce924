package dev.tercet;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import javax.sql.DataSource;

/** Accounts of which money is frozen, and then taken or given back: the participant of these tests. */
class Accounts implements Participant<Accounts.Debit> {
    /** What is to be paid. */
    record Debit(String account, long amount) {}

    static void create(DataSource source, long balance, String... names) throws SQLException {
        try (Connection db = source.getConnection();
                Statement statement = db.createStatement()) {
            statement.execute("CREATE TABLE IF NOT EXISTS accounts (name VARCHAR(64) PRIMARY KEY,"
                    + " balance BIGINT NOT NULL, frozen BIGINT NOT NULL, paid BIGINT NOT NULL)");
            for (String name : names) {
                statement.execute("INSERT INTO accounts VALUES ('" + name + "', " + balance + ", 0, 0)");
            }
        }
    }

    @Override
    public Class<Debit> payloadType() {
        return Debit.class;
    }

    @Override
    public void onTry(Connection db, Context call, Debit debit) throws Exception {
        int frozen = update(
                db,
                "UPDATE accounts SET balance = balance - ?, frozen = frozen + ? WHERE name = ? AND balance >= ?",
                debit.amount(),
                debit.amount(),
                debit.account(),
                debit.amount());
        if (frozen == 0) {
            throw new RefusedException("insufficient-funds", "there is not enough");
        }
    }

    @Override
    public void onConfirm(Connection db, Context call, Debit debit) throws Exception {
        update(
                db,
                "UPDATE accounts SET frozen = frozen - ?, paid = paid + ? WHERE name = ?",
                debit.amount(),
                debit.amount(),
                debit.account());
    }

    @Override
    public void onCancel(Connection db, Context call, Debit debit) throws Exception {
        update(
                db,
                "UPDATE accounts SET frozen = frozen - ?, balance = balance + ? WHERE name = ?",
                debit.amount(),
                debit.amount(),
                debit.account());
    }

    static int update(Connection db, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = db.prepareStatement(sql)) {
            for (int at = 0; at < values.length; at++) {
                statement.setObject(at + 1, values[at]);
            }
            return statement.executeUpdate();
        }
    }

    /** All that there is, as check-participant reads it. */
    static String balances(DataSource source) throws SQLException {
        ObjectNode all = Json.MAPPER.createObjectNode();
        try (Connection db = source.getConnection();
                Statement statement = db.createStatement();
                ResultSet row = statement.executeQuery("SELECT name, balance, frozen, paid FROM accounts")) {
            while (row.next()) {
                ObjectNode account = all.putObject(row.getString(1));
                account.put("balance", row.getLong(2));
                account.put("frozen", row.getLong(3));
                account.put("paid", row.getLong(4));
            }
            if (!db.getAutoCommit()) {
                db.rollback();
            }
        }
        return all.toString();
    }

    /** {@code balance/frozen/paid} of one. */
    static String of(DataSource source, String name) throws Exception {
        var account = Json.MAPPER.readTree(balances(source)).get(name);
        return account.get("balance") + "/" + account.get("frozen") + "/" + account.get("paid");
    }
}
