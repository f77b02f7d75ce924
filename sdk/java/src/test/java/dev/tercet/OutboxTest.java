package dev.tercet;

import static dev.tercet.FakeCoordinator.HANG_UP;
import static dev.tercet.FakeCoordinator.answer;
import static dev.tercet.FakeCoordinator.problem;
import static dev.tercet.FakeCoordinator.transaction;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import com.zaxxer.hikari.HikariDataSource;
import dev.tercet.Programs.Coordinator;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The outbox with its relay, and checks, on each database. */
@Tag("outbox")
@Execution(ExecutionMode.CONCURRENT)
class OutboxTest {
    static Stream<String> kinds() {
        return Databases.kinds();
    }

    private static Transaction invoice(String gid) {
        String odd = "{ \"n\": 1.50, \"t\": \"Zo\u00eb \ud83d\ude00 ' \\u0000\" }";
        return Transaction.of(gid)
                .traceparent("00-a-b-01")
                .branch(Branch.of("invoice").confirmUrl("http://127.0.0.1:9/confirm").payloadJson(odd));
    }

    private static void send(HikariDataSource pool, Outbox outbox, Transaction message) throws SQLException {
        try (Connection db = pool.getConnection()) {
            db.setAutoCommit(false);
            try {
                outbox.send(db, message);
                db.commit();
            } catch (SQLException | RuntimeException error) {
                db.rollback();
                throw error;
            } finally {
                db.setAutoCommit(true);
            }
        }
    }

    private static Outbox.State state(Outbox outbox, String gid) throws SQLException {
        return outbox.entry(gid).orElseThrow().state();
    }

    /** Has everything be due now that waits for later. */
    private static void hurry(HikariDataSource pool) throws SQLException {
        try (Connection db = pool.getConnection()) {
            Sql.execute(db, "UPDATE tercet_outbox SET due_at = 0 WHERE state IN ('pending', 'sent')");
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void messagesAreHandedOverExactlyIfTheyAreCommitted(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(4);
                FakeCoordinator fake = new FakeCoordinator(
                        HANG_UP, answer(503, "", ""), transaction("m-1", "confirming"), transaction("m-1", "confirmed"))) {
            Outbox outbox = Outbox.on(pool).migrate().migrate();
            try (Connection db = pool.getConnection()) {
                db.setAutoCommit(false);
                outbox.send(db, invoice("rolled-back"));
                db.rollback();
                db.setAutoCommit(true);
            }
            assertTrue(outbox.entry("rolled-back").isEmpty());
            if (!kind.equals("sqlite")) {
                try (Connection db = pool.getConnection()) {
                    assertThrows(IllegalStateException.class, () -> outbox.send(db, invoice("alone")));
                }
            }
            send(pool, outbox, invoice("m-1"));
            assertThrows(Outbox.SentBeforeException.class, () -> send(pool, outbox, invoice("m-1")));
            Relay relay = Relay.of(outbox, Client.of(fake.url()));
            for (Outbox.State expected : List.of(
                    Outbox.State.PENDING, Outbox.State.PENDING, Outbox.State.SENT, Outbox.State.CONFIRMED)) {
                assertTrue(relay.once());
                assertEquals(expected, state(outbox, "m-1"));
                hurry(pool);
            }
            List<String> asked = fake.requests();
            assertEquals(asked.get(0), asked.get(2), "the same bytes each time");
            assertTrue(asked.get(0).startsWith("POST /v1/transactions?wait=accepted&wait_ms=0 "), asked.get(0));
            assertTrue(asked.get(0).endsWith(invoice("m-1").body(false)), asked.get(0));
            assertTrue(asked.get(0).contains("traceparent: 00-a-b-01"), asked.get(0));
            assertTrue(asked.get(3).startsWith("GET /v1/transactions/m-1 "), asked.get(3));
            assertEquals(0, outbox.purge());
            assertEquals(1, outbox.purge(Duration.ofMillis(-60_000)), "as if a minute had gone by");
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void whatIsRefusedIsDeadAndKeepsNobodyUp(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(4);
                FakeCoordinator fake = new FakeCoordinator(
                        problem(409, "gid-reused"), problem(500, "internal"), transaction("x", "confirmed"))) {
            Outbox outbox = Outbox.on(pool).migrate();
            Relay relay = Relay.of(outbox, Client.of(fake.url()));
            send(pool, outbox, invoice("dead"));
            relay.once();
            assertEquals(Outbox.State.DEAD, state(outbox, "dead"));
            assertEquals("gid-reused: d", outbox.dead().get(0).reason());
            assertTrue(outbox.again("dead"));
            relay.once();
            assertEquals(Outbox.State.PENDING, state(outbox, "dead"));
            hurry(pool);
            relay.once();
            assertEquals(Outbox.State.CONFIRMED, state(outbox, "dead"));
            for (Transaction wrong : List.of(
                    Transaction.of("none"),
                    Transaction.of("no-leg").branch(Branch.of("a")),
                    invoice("twice").branch(Branch.of("invoice").confirmUrl("http://a")),
                    Transaction.of("both").branch(Branch.of("a").endpoint("http://a").confirmUrl("http://b")),
                    Transaction.of("large").branch(Branch.of("a", "http://a", "x".repeat(1024 * 1024))))) {
                assertThrows(IllegalArgumentException.class, () -> send(pool, outbox, wrong));
                assertTrue(outbox.entry(wrong.gid()).isEmpty());
            }
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void aRelayThatDiesBeforeItsMarkLosesNothing(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(4);
                FakeCoordinator fake = new FakeCoordinator(transaction("m-1", "confirmed"))) {
            Outbox outbox = Outbox.on(pool).migrate();
            send(pool, outbox, invoice("m-1"));
            // It has handed over, and died: the row is claimed, and not marked.
            Claims dying = new Claims(outbox.database());
            Claims.Claim claim = dying.take(Outbox.State.PENDING, 100, Duration.ofMinutes(5));
            assertEquals(List.of("m-1"), claim.rows().stream().map(Claims.Claimed::gid).toList());
            Client client = Client.of(fake.url());
            String body = claim.rows().get(0).request();
            client.http().once(Http.Sent.post("/v1/transactions?wait=accepted", body, null), Duration.ofSeconds(10));
            Relay relay = Relay.of(outbox, client);
            relay.once();
            assertEquals(1, fake.requests().size(), "for as long as the lease lasts it is another's");
            hurry(pool);
            relay.once();
            assertEquals(Outbox.State.CONFIRMED, state(outbox, "m-1"));
            // The one that was dead after all marks nothing any more.
            Map<Told.Next, List<String>> late = new HashMap<>();
            late.put(Told.away("late").next(Outbox.State.PENDING, 1), List.of("m-1"));
            dying.settle(claim, Outbox.State.PENDING, late);
            assertEquals(Outbox.State.CONFIRMED, state(outbox, "m-1"));
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void severalRelaysDeliverEachMessage(String kind) throws Exception {
        Set<String> delivered = ConcurrentHashMap.newKeySet();
        int count = 60;
        CountDownLatch all = new CountDownLatch(count);
        HttpServer server = HttpServers.create(0);
        server.createContext("/confirm", exchange -> {
            try (exchange) {
                if (delivered.add(exchange.getRequestHeaders().getFirst("tercet-gid"))) {
                    all.countDown();
                }
                exchange.sendResponseHeaders(200, -1);
            }
        });
        server.start();
        String url = "http://127.0.0.1:" + server.getAddress().getPort() + "/confirm";
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(8);
                Coordinator coordinator = new Coordinator()) {
            Outbox outbox = Outbox.on(pool).migrate();
            Client client = Client.of(coordinator.url());
            List<Closing> relays = new ArrayList<>();
            for (int at = 0; at < 2; at++) {
                relays.add(Relay.of(outbox, client).start());
            }
            if (kind.equals("sqlite")) {
                // In another language, on the same table.
                String file = database.url().replace("jdbc:sqlite:", "sqlite://").replaceFirst("\\?.*", "");
                Process other = new ProcessBuilder(
                                Programs.program("tercet-relay").toString(),
                                "--database-url",
                                file,
                                "--coordinator",
                                coordinator.url())
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .redirectError(ProcessBuilder.Redirect.DISCARD)
                        .start();
                relays.add(() -> {
                    assertTrue(other.isAlive(), "tercet-relay has ended");
                    other.destroy();
                    other.onExit().join();
                });
            }
            for (int at = 0; at < count; at++) {
                send(pool, outbox, Transaction.of("m-" + at).branch(Branch.of("a").confirmUrl(url)));
            }
            all.await();
            assertEquals(count, delivered.size());
            relays.forEach(Closing::close);
            while (!confirmed(pool, count)) {
                hurry(pool);
                Relay.of(outbox, client).once();
            }
        } finally {
            server.stop(0);
        }
    }

    private static boolean confirmed(HikariDataSource pool, int count) throws SQLException {
        try (Connection db = pool.getConnection()) {
            return Sql.of("SELECT COUNT(*) FROM tercet_outbox WHERE state = 'confirmed'")
                            .query(db, Map.of(), row -> row.getInt(1))
                            .get(0)
                    == count;
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void whoIsAskedFirstDecides(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(4)) {
            Checked checked = Checked.on(pool).migrate();
            Map<String, String> asks = Map.of("tercet-gid", "o-1", "tercet-op", "check");
            try (Connection db = pool.getConnection()) {
                db.setAutoCommit(false);
                checked.record(db, "o-1");
                assertEquals(202, ask(checked, asks).status(), "the initiator has not committed");
                db.commit();
                assertEquals(200, ask(checked, asks).status());
                assertThrows(Checked.NotRecordedException.class, () -> checked.record(db, "o-1"));
                db.rollback();
                Map<String, String> other = Map.of("tercet-gid", "o-2", "tercet-op", "check");
                assertEquals(410, ask(checked, other).status());
                var late = assertThrows(Checked.NotRecordedException.class, () -> checked.record(db, "o-2"));
                assertTrue(late.getMessage().contains("is being cancelled"), late.getMessage());
                db.rollback();
                assertEquals(410, ask(checked, other).status());
                db.setAutoCommit(true);
            }
            assertEquals(400, ask(checked, Map.of("tercet-op", "check")).status());
            assertEquals(400, ask(checked, Map.of("tercet-gid", "o-1", "tercet-op", "try")).status());
            assertEquals(0, checked.purge());
            String secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
            Checked signed = checked.signedBy(secret);
            assertEquals(401, ask(signed, asks).status());
            Map<String, String> headers = new HashMap<>(asks);
            Signatures.sign(headers, secret, "{}".getBytes(StandardCharsets.UTF_8), Instant.now());
            assertEquals(200, ask(signed, headers).status());
            headers.put("tercet-gid", "o-2");
            assertEquals(401, ask(signed, headers).status());
        }
    }

    private static Answer ask(Checked checked, Map<String, String> headers) {
        byte[] body = "{}".getBytes(StandardCharsets.UTF_8);
        return checked.answer(name -> headers.containsKey(name) ? List.of(headers.get(name)) : List.of(), body);
    }
}
