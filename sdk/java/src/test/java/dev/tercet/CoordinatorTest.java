package dev.tercet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import com.zaxxer.hikari.HikariDataSource;
import dev.tercet.Programs.Coordinator;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/** Client, participant and guard with a real coordinator. */
@Tag("coordinator")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CoordinatorTest {
    private static final String TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

    private final Map<String, String> seen = new ConcurrentHashMap<>();
    private final CountDownLatch slowMayGoOn = new CountDownLatch(1);
    private Databases database;
    private HikariDataSource pool;
    private HttpServer server;
    private Coordinator coordinator;
    private Client tercet;
    private String participants;

    @BeforeAll
    void begin() throws Exception {
        database = Databases.fresh("sqlite");
        pool = database.pool(4);
        Accounts.create(pool, 1000, "alice", "bob");
        Guard guard = Guard.on(pool).migrate();
        server = HttpServers.create(0);
        server.createContext("/pay", HttpServers.handler(Endpoint.of(new Accounts(), guard)));
        server.createContext("/see", HttpServers.handler(Endpoint.of(seeing(), guard)));
        server.start();
        participants = "http://127.0.0.1:" + server.getAddress().getPort();
        coordinator = new Coordinator();
        tercet = Client.of(coordinator.url());
    }

    @AfterAll
    void end() throws Exception {
        coordinator.close();
        server.stop(0);
        pool.close();
        database.close();
    }

    /** Notes what it is told, and answers with its branch. */
    private Participant<Map<?, ?>> seeing() {
        @SuppressWarnings("unchecked")
        Class<Map<?, ?>> any = (Class<Map<?, ?>>) (Class<?>) Map.class;
        Participant.Leg<Map<?, ?>> note = (db, call, payload) -> {
            seen.put(call.gid() + "/" + call.branch() + "/" + call.op(), call.payload() + call.results().orElse(Map.of()));
            seen.put(call.gid() + "/trace", call.traceparent().orElse(""));
            call.answer(List.of(call.branch()));
        };
        return Participant.of(any, note, note, note);
    }

    private Branch pay(String account, long amount) {
        return Branch.of(account, participants + "/pay", new Accounts.Debit(account, amount));
    }

    @Test
    void transactionsAreConfirmedOrCancelledWhole() throws Exception {
        Transaction both = Transaction.of("order-1").branch(pay("alice", 10)).branch(pay("bob", 20));
        assertEquals("confirmed", tercet.begin(both).orThrow().status());
        assertEquals("confirmed", tercet.begin(both).orThrow().status(), "a repeat is the same transaction");
        assertEquals("990/0/10", Accounts.of(pool, "alice"));
        assertEquals("980/0/20", Accounts.of(pool, "bob"));
        Outcome dear = tercet.begin(Transaction.of("order-2").branch(pay("alice", 10)).branch(pay("bob", 5000)));
        Outcome.Cancelled cancelled = assertInstanceOf(Outcome.Cancelled.class, dear);
        assertEquals("bob: there is not enough", cancelled.why());
        assertEquals("try-refused", cancelled.reason());
        assertEquals("990/0/10", Accounts.of(pool, "alice"));
        var reused = assertThrows(
                TercetException.Refused.class, () -> tercet.begin(Transaction.of("order-1").branch(pay("bob", 1))));
        assertEquals("gid-reused", reused.code());
        assertEquals(
                "transaction-not-found",
                assertThrows(TercetException.Refused.class, () -> tercet.get("no-such")).code());
        String books = HttpClient.newHttpClient()
                .send(HttpRequest.newBuilder(URI.create(participants + "/pay/branches")).build(), HttpResponse.BodyHandlers.ofString())
                .body();
        assertTrue(books.contains("\"gid\":\"order-1\""), books);
    }

    @Test
    void openTransactionsAreDecidedByWhoeverOpenedThem() throws Exception {
        try (OpenTransaction ride = tercet.open(Transaction.of("ride-1"))) {
            ride.register(Branch.of("a", participants + "/see", Map.of())).orThrow();
            List<Registered> two = ride.registerAll(List.of(
                    Branch.of("b", participants + "/see", Map.of()), Branch.of("c", participants + "/see", Map.of())));
            two.forEach(Registered::orThrow);
            ride.confirm().orThrow();
        }
        assertEquals("confirmed", tercet.outcome("ride-1").orThrow().status());
        try (OpenTransaction left = tercet.open(Transaction.of("ride-2"))) {
            left.register(Branch.of("a", participants + "/see", Map.of())).orThrow();
        }
        Outcome.Cancelled cancelled = assertInstanceOf(Outcome.Cancelled.class, tercet.outcome("ride-2"));
        assertEquals("left without confirm", cancelled.why());
        assertThrows(IllegalStateException.class, () -> tercet.open(Transaction.of("ride-3"), ride -> {
            ride.register(Branch.of("a", participants + "/see", Map.of())).orThrow();
            throw new IllegalStateException("no petrol");
        }));
        Outcome why = tercet.outcome("ride-3");
        assertEquals("IllegalStateException: no petrol", assertInstanceOf(Outcome.Cancelled.class, why).why());
        try (OpenTransaction ride = tercet.open(Transaction.of("ride-4"))) {
            Registered refused = ride.register(pay("bob", 5000));
            assertInstanceOf(Registered.Refused.class, refused);
            assertInstanceOf(Outcome.Cancelled.class, ride.confirm());
        }
        try (OpenTransaction ride = tercet.resume("ride-1")) {
            assertTrue(ride.cancel("too late").isConfirmed(), "the other decision had won");
        }
    }

    @Test
    void triesOfOnesOwnAreTheCoordinatorsToDecide() throws Exception {
        HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        try (OpenTransaction ride = tercet.open(Transaction.of("own-1").traceparent("00-" + TRACE + "-00f067aa0ba902b7-01"))) {
            OwnTry own = ride.registerOwnTry(Branch.of("seat", participants + "/see", Map.of("seat", "7A")));
            HttpRequest.Builder call = HttpRequest.newBuilder(URI.create(own.url()))
                    .POST(HttpRequest.BodyPublishers.ofString(own.body()));
            own.headers().forEach(call::header);
            HttpResponse<String> answer = http.send(call.build(), HttpResponse.BodyHandlers.ofString());
            assertEquals("[\"seat\"]", answer.body());
            String retryAfter = answer.headers().firstValue("retry-after").orElse(null);
            assertEquals(Verdict.Kind.DONE, own.verdict(answer.statusCode(), retryAfter).kind());
            ride.confirm().orThrow();
        }
        assertEquals("{\"seat\":\"7A\"}{}", seen.get("own-1/seat/confirm"));
        assertTrue(seen.get("own-1/trace").contains(TRACE), "the trace goes on");
    }

    @Test
    void sagasTellResultsToWhoeverComesAfter() throws Exception {
        String raw = "{ \"n\": 123456789012345678901.50 }";
        Transaction trip = Transaction.of("trip-1")
                .saga()
                .traceparent("00-" + TRACE + "-00f067aa0ba902b7-01")
                .metadata(Map.of("channel", "web"))
                .branch(Branch.of("flight").endpoint(participants + "/see").payloadJson(raw).results())
                .branch(Branch.of("hotel").endpoint(participants + "/see").after())
                .branch(Branch.of("mail").confirmUrl(participants + "/see/confirm").after("flight", "hotel").results());
        TransactionView done = tercet.begin(trip).orThrow();
        assertEquals("saga", done.pattern());
        assertEquals("web", done.json().get("metadata").get("channel").asText());
        assertEquals("[\"flight\"]", done.branches().get(0).result().orElseThrow().toString());
        assertEquals(raw + "{}", seen.get("trip-1/flight/try"), "the payload to the byte");
        assertEquals("{}{flight=[\"flight\"], hotel=[\"hotel\"]}", seen.get("trip-1/mail/confirm"));
        assertTrue(seen.get("trip-1/trace").contains(TRACE));
        String missing = assertThrows(TercetException.Refused.class, () -> tercet.runSaga(SagaRun.of("none"))).code();
        assertEquals("saga-not-found", missing);
    }

    @Test
    void waitsThatRunOutArePending() throws Exception {
        server.createContext("/slow", exchange -> {
            try (exchange) {
                try {
                    slowMayGoOn.await();
                } catch (InterruptedException error) {
                    Thread.currentThread().interrupt();
                }
                exchange.sendResponseHeaders(200, -1);
            }
        });
        Branch slow = Branch.of("slow").endpoint(participants + "/slow").timeout(Duration.ofMinutes(1));
        Client hasty = tercet.waitingAtMost(Duration.ofMillis(50));
        Outcome outcome = hasty.begin(Transaction.of("slow-1").branch(slow));
        assertInstanceOf(Outcome.Pending.class, outcome);
        assertThrows(TercetException.NotConfirmed.class, outcome::orThrow);
        slowMayGoOn.countDown();
        assertTrue(tercet.waitingAtMost(Duration.ofSeconds(60)).outcome("slow-1").isConfirmed());
    }

    @Test
    void coordinatorsThatComeBackAreAskedAgain() throws Exception {
        try (Coordinator killed = new Coordinator()) {
            Client patient = Client.of(killed.url());
            assertTrue(patient.begin(Transaction.of("k-1").branch(Branch.of("a", participants + "/see", Map.of()))).isConfirmed());
            killed.kill();
            Thread back = new Thread(() -> {
                try {
                    killed.start();
                } catch (java.io.IOException error) {
                    throw new java.io.UncheckedIOException(error);
                }
            });
            back.start();
            Outcome outcome = patient.begin(Transaction.of("k-2").branch(Branch.of("a", participants + "/see", Map.of())));
            back.join();
            assertTrue(outcome.isConfirmed());
            assertTrue(patient.outcome("k-1").isConfirmed());
        }
    }
}
