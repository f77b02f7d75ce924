package dev.tercet.bench;

import com.sun.net.httpserver.HttpServer;
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.tercet.Endpoint;
import dev.tercet.Guard;
import dev.tercet.HttpServers;
import dev.tercet.Participant;
import dev.tercet.RefusedException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

/**
 * A participant by the library beside the same one written by hand, on PostgreSQL: same driver, pool, server, statements of
 * business and caller; runs of the two take turns, and the medians are compared.
 */
public final class Bench {
    private static final int CALLERS = 8;
    private static final int ACCOUNTS = 1_000;
    private static final AtomicLong GIDS = new AtomicLong(System.nanoTime());

    private Bench() {}

    /** What is to be paid. */
    record Debit(String account, long amount) {}

    /** The business of both. */
    static int change(Connection db, String op, String account, long amount) throws SQLException {
        String sql = switch (op) {
            case "try" -> "UPDATE bench_accounts SET balance = balance - ?, frozen = frozen + ? WHERE name = ? AND balance >= 1";
            case "confirm" -> "UPDATE bench_accounts SET paid = paid + ?, frozen = frozen - ? WHERE name = ?";
            default -> "UPDATE bench_accounts SET balance = balance + ?, frozen = frozen - ? WHERE name = ?";
        };
        try (PreparedStatement statement = db.prepareStatement(sql)) {
            statement.setLong(1, amount);
            statement.setLong(2, amount);
            statement.setString(3, account);
            return statement.executeUpdate();
        }
    }

    public static void main(String[] given) throws Exception {
        int runs = given.length > 0 ? Integer.parseInt(given[0]) : 9;
        int transactions = given.length > 1 ? Integer.parseInt(given[1]) : 1_000;
        URI url = URI.create(System.getenv("TERCET_TEST_POSTGRES_URL"));
        String[] who = url.getUserInfo().split(":", 2);
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl("jdbc:postgresql://" + url.getHost() + ":" + url.getPort() + url.getPath());
        config.setUsername(who[0]);
        config.setPassword(who[1]);
        config.setMaximumPoolSize(CALLERS);
        try (HikariDataSource pool = new HikariDataSource(config)) {
            prepare(pool);
            HttpServer server = HttpServers.create(0);
            Participant.Leg<Debit> leg = (db, call, debit) -> {
                if (change(db, call.op().word(), debit.account(), debit.amount()) == 0) {
                    throw new RefusedException("insufficient-funds", "there is not enough");
                }
            };
            Guard guard = Guard.on(pool).migrate();
            Endpoint library = Endpoint.of(Participant.of(Debit.class, leg, leg, leg), guard);
            server.createContext("/library", HttpServers.handler(library));
            server.createContext("/hand", new HandWritten(pool));
            server.start();
            String base = "http://127.0.0.1:" + server.getAddress().getPort();
            List<Double> hand = new ArrayList<>();
            List<Double> lib = new ArrayList<>();
            // The first two of each are for the compiler, and count for nothing.
            for (int run = -2; run < runs; run++) {
                boolean even = run % 2 == 0;
                double one = calls(base + (even ? "/hand" : "/library"), transactions);
                double other = calls(base + (even ? "/library" : "/hand"), transactions);
                if (run >= 0) {
                    hand.add(even ? one : other);
                    lib.add(even ? other : one);
                    System.out.printf(
                            Locale.ROOT,
                            "run %d: by hand %.0f calls/s, by the library %.0f%n",
                            run + 1,
                            hand.get(run),
                            lib.get(run));
                }
            }
            double ratio = median(lib) / median(hand);
            System.out.printf(
                    Locale.ROOT,
                    "medians of %d runs: by hand %.0f calls/s, by the library %.0f: %.2f%n",
                    runs,
                    median(hand),
                    median(lib),
                    ratio);
            server.stop(0);
            System.exit(ratio >= 0.9 ? 0 : 1);
        }
    }

    private static void prepare(HikariDataSource pool) throws SQLException {
        try (Connection db = pool.getConnection();
                Statement statement = db.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS bench_accounts");
            statement.execute("CREATE TABLE bench_accounts (name VARCHAR(64) PRIMARY KEY,"
                    + " balance BIGINT NOT NULL, frozen BIGINT NOT NULL, paid BIGINT NOT NULL)");
            statement.execute("INSERT INTO bench_accounts SELECT 'a' || n, 1000000000, 0, 0 FROM generate_series(0, "
                    + (ACCOUNTS - 1) + ") n");
        }
    }

    /** A Try and a Confirm for each transaction; calls per second. */
    private static double calls(String endpoint, int transactions) throws Exception {
        HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        AtomicLong left = new AtomicLong(transactions);
        ExecutorService callers = Executors.newFixedThreadPool(CALLERS);
        long began = System.nanoTime();
        List<Future<?>> all = new ArrayList<>();
        for (int at = 0; at < CALLERS; at++) {
            all.add(callers.submit(() -> {
                while (left.decrementAndGet() >= 0) {
                    long number = GIDS.incrementAndGet();
                    for (String op : List.of("try", "confirm")) {
                        call(http, endpoint, op, number);
                    }
                }
                return null;
            }));
        }
        for (Future<?> one : all) {
            one.get();
        }
        double seconds = (System.nanoTime() - began) / 1e9;
        callers.shutdown();
        return 2.0 * transactions / seconds;
    }

    private static void call(HttpClient http, String endpoint, String op, long number) throws Exception {
        Supplier<String> payload = () -> "{\"account\":\"a" + number % ACCOUNTS + "\",\"amount\":1}";
        HttpRequest request = HttpRequest.newBuilder(URI.create(endpoint + "/" + op))
                .header("content-type", "application/json")
                .header("tercet-gid", "bench-" + number)
                .header("tercet-branch", "b")
                .header("tercet-instance", "0193b6a0-0000-7000-8000-000000000001")
                .header("tercet-op", op)
                .header("tercet-legs", "try,confirm,cancel")
                .header("tercet-attempt", "1")
                .POST(HttpRequest.BodyPublishers.ofString(payload.get()))
                .build();
        HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException(op + " → " + answer.statusCode() + " " + answer.body());
        }
    }

    private static double median(List<Double> all) {
        List<Double> sorted = all.stream().sorted().toList();
        return sorted.get(sorted.size() / 2);
    }
}
