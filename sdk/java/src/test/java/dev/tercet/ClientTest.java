package dev.tercet;

import static dev.tercet.FakeCoordinator.HANG_UP;
import static dev.tercet.FakeCoordinator.SILENCE;
import static dev.tercet.FakeCoordinator.answer;
import static dev.tercet.FakeCoordinator.problem;
import static dev.tercet.FakeCoordinator.shown;
import static dev.tercet.FakeCoordinator.transaction;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The client against a coordinator that answers as it likes. */
@Tag("client")
class ClientTest {
    private static final String TOKEN = "k3y-that-nobody-sees";

    private static Transaction order() {
        return Transaction.of("order-1").branch(Branch.of("stock", "http://s.internal:1/stock", List.of(1)));
    }

    @Test
    void lostAnswersAreAskedForAgainWithTheSameBytes() throws Exception {
        String half = "HTTP/1.1 200 x\r\ncontent-length: 1000\r\n\r\n{\"gid\":\"broken";
        try (FakeCoordinator fake = new FakeCoordinator(
                HANG_UP,
                answer(503, "", "<html>"),
                answer(429, "retry-after: 0\r\n", ""),
                answer(502, "", ""),
                answer(504, "retry-after: soon\r\n", ""),
                half,
                transaction("order-1", "confirmed"))) {
            Outcome outcome = Client.of(fake.url()).begin(order().traceparent("00-a-b-01"));
            assertTrue(outcome.isConfirmed());
            Set<String> different = new HashSet<>(fake.requests());
            assertEquals(1, different.size(), different.toString());
            String sent = different.iterator().next().toLowerCase(java.util.Locale.ROOT);
            assertTrue(sent.contains("traceparent: 00-a-b-01"), sent);
            assertFalse(sent.contains("upgrade"), sent);
            assertTrue(sent.startsWith("post /v1/transactions?wait=finished&wait_ms=10000 http/1.1"), sent);
            assertTrue(fake.requests().size() >= 7, "each of them was asked for again");
        }
    }

    @Test
    void gidsAreMadeBeforeTheFirstAttempt() throws Exception {
        try (FakeCoordinator fake = new FakeCoordinator(HANG_UP, HANG_UP, transaction("x", "cancelled"))) {
            Transaction made = Transaction.of();
            assertNotEquals(made.gid(), Transaction.of().gid());
            assertEquals('7', made.gid().charAt(14));
            assertInstanceOf(Outcome.Cancelled.class, Client.of(fake.url()).begin(made));
            assertTrue(fake.requests().stream().allMatch(sent -> sent.contains(made.gid())));
        }
    }

    @Test
    void nobodyIsAskedWithoutEnd() throws Exception {
        try (FakeCoordinator fake = new FakeCoordinator(answer(503, "", TOKEN))) {
            Client client = Client.builder(fake.url()).token(TOKEN).build();
            var error = assertThrows(TercetException.Unanswered.class, () -> client.begin(order()));
            assertEquals(10, error.attempts());
            assertEquals("order-1", error.gid());
            assertEquals(10, fake.requests().size());
            assertTrue(fake.requests().get(0).contains("Authorization: Bearer " + TOKEN));
            StringWriter printed = new StringWriter();
            error.printStackTrace(new PrintWriter(printed, true));
            assertFalse((printed + " " + client + " " + order()).contains(TOKEN), printed.toString());
        }
        var wrong = assertThrows(
                IllegalArgumentException.class, () -> Client.builder("http://a").token("two " + TOKEN).build());
        assertFalse(wrong.toString().contains(TOKEN));
    }

    @Test
    void callersCanSayHowLongTheyHave() throws Exception {
        try (FakeCoordinator fake = new FakeCoordinator(SILENCE)) {
            Client client = Client.of(fake.url()).deadline(Duration.ofMillis(300));
            var error = assertThrows(TercetException.Unanswered.class, () -> client.get("order-1"));
            assertEquals(1, error.attempts());
        }
        try (FakeCoordinator fake = new FakeCoordinator(answer(503, "retry-after: 9\r\n", ""))) {
            Client client = Client.of(fake.url()).deadline(Duration.ofSeconds(5));
            assertEquals(1, assertThrows(TercetException.Unanswered.class, () -> client.get("order-1")).attempts());
        }
        String never = "HTTP/1.1 200 x\r\ncontent-length: 1000\r\n\r\n{";
        try (FakeCoordinator fake = new FakeCoordinator(never)) {
            Client client = Client.of(fake.url()).deadline(Duration.ofMillis(300));
            assertThrows(TercetException.Unanswered.class, () -> client.get("order-1"), "a body that never ends");
        }
    }

    @Test
    void noRedirectIsFollowed() throws Exception {
        try (FakeCoordinator other = new FakeCoordinator(transaction("order-1", "confirmed"));
                FakeCoordinator fake = new FakeCoordinator(answer(302, "location: " + other.url() + "/\r\n", ""))) {
            assertThrows(TercetException.Unexpected.class, () -> Client.of(fake.url()).begin(order()));
            assertEquals(List.of(), other.requests());
        }
    }

    @Test
    void whatIsTooLargeIsNotKept() throws Exception {
        String huge = "{\"a\":\"" + "x".repeat(9 * 1024 * 1024) + "\"}";
        try (FakeCoordinator fake = new FakeCoordinator(answer(200, "", huge))) {
            Client client = Client.of(fake.url()).deadline(Duration.ofSeconds(2));
            assertThrows(TercetException.Unanswered.class, () -> client.get("order-1"));
        }
    }

    @Test
    void interruptedThreadsStopWaitingAndSayThat() throws Exception {
        try (FakeCoordinator fake = new FakeCoordinator(SILENCE)) {
            Thread.currentThread().interrupt();
            assertThrows(TercetException.Unanswered.class, () -> Client.of(fake.url()).get("order-1"));
            assertTrue(Thread.interrupted());
        }
    }

    @Test
    void whoLeavesWithoutConfirmCancels() throws Exception {
        try (FakeCoordinator fake = new FakeCoordinator(transaction("ride-1", "trying"))) {
            Client client = Client.of(fake.url());
            try (OpenTransaction ride = client.open(Transaction.of("ride-1"))) {
                assertEquals("ride-1", ride.gid());
            }
            assertTrue(fake.requests().get(1).startsWith("POST /v1/transactions/ride-1/cancel?"));
            assertTrue(fake.requests().get(1).endsWith("{\"reason\":\"left without confirm\"}"));
        }
    }

    @Test
    void whoLeavesByAnExceptionCancelsWithItsMessage() throws Exception {
        try (FakeCoordinator fake = new FakeCoordinator(transaction("ride-1", "trying"))) {
            Client client = Client.of(fake.url());
            var error = assertThrows(
                    IllegalStateException.class,
                    () -> client.open(Transaction.of("ride-1"), ride -> {
                        Thread.currentThread().interrupt();
                        throw new IllegalStateException("no seat \u00eb" + "\ud83d\ude00".repeat(300));
                    }));
            assertTrue(Thread.interrupted(), "the interrupt is kept");
            assertTrue(error.getMessage().startsWith("no seat"));
            String sent = fake.requests().get(1);
            assertTrue(sent.contains("{\"reason\":\"IllegalStateException: no seat \u00eb\ud83d\ude00"), sent);
            assertTrue(sent.endsWith("\ud83d\ude00\"}"), "cut between characters");
        }
    }

    @Test
    void whoWasNotAnsweredDoesNotCancel() throws Exception {
        try (FakeCoordinator fake = new FakeCoordinator(transaction("ride-1", "trying"), HANG_UP)) {
            Client client = Client.of(fake.url()).deadline(Duration.ofMillis(1500));
            assertThrows(TercetException.Unanswered.class, () -> {
                try (OpenTransaction ride = client.open(Transaction.of("ride-1"))) {
                    ride.confirm();
                }
            });
            assertFalse(String.join("\n", fake.requests()).contains("/cancel"));
        }
        try (FakeCoordinator fake = new FakeCoordinator(
                transaction("ride-1", "trying"),
                problem(409, "tries-outstanding"),
                transaction("ride-1", "cancelled"))) {
            Client client = Client.of(fake.url());
            assertThrows(TercetException.Refused.class, () -> {
                try (OpenTransaction ride = client.open(Transaction.of("ride-1"))) {
                    ride.confirm();
                }
            });
            assertTrue(fake.requests().get(2).contains("/cancel"), "nothing was decided");
        }
    }

    @Test
    void theOtherDecisionIsAnOutcome() throws Exception {
        try (FakeCoordinator fake = new FakeCoordinator(
                transaction("ride-1", "trying"), problem(409, "already-cancelled"), transaction("ride-1", "cancelled"))) {
            try (OpenTransaction ride = Client.of(fake.url()).open(Transaction.of("ride-1"))) {
                Outcome outcome = ride.confirm();
                assertInstanceOf(Outcome.Cancelled.class, outcome);
                assertThrows(TercetException.NotConfirmed.class, outcome::orThrow);
            }
            assertEquals(3, fake.requests().size());
            assertTrue(fake.requests().get(2).startsWith("GET /v1/transactions/ride-1?wait=finished"));
        }
    }

    @Test
    void registrationsAreReadToTheirEnd() throws Exception {
        String branches = "{\"branches\":[{\"id\":\"a\",\"status\":\"tried\"},{\"id\":\"b\",\"status\":\"of-tomorrow\"}]}";
        try (FakeCoordinator fake = new FakeCoordinator(
                transaction("ride-1", "trying"),
                answer(201, "", "{\"id\":\"a\",\"status\":\"tried\",\"new\":1}"),
                answer(202, "", "{\"id\":\"b\",\"status\":\"registered\"}"),
                answer(201, "", branches),
                answer(201, "", "{\"id\":\"own\",\"status\":\"registered\"}"),
                answer(200, "", shown("ride-1", "confirmed")))) {
            Branch branch = Branch.of("a").endpoint("http://s.internal:1/s/");
            try (OpenTransaction ride = Client.of(fake.url()).open(Transaction.of("ride-1").traceparent("00-t"))) {
                assertInstanceOf(Registered.Tried.class, ride.register(branch));
                Registered pending = ride.register(branch);
                assertInstanceOf(Registered.Pending.class, pending);
                assertThrows(IllegalStateException.class, pending::orThrow);
                List<Registered> all = ride.registerAll(List.of(branch, Branch.of("b").confirmUrl("http://s")));
                assertInstanceOf(Registered.Refused.class, all.get(1), "what is not known means no");
                OwnTry own = ride.registerOwnTry(Branch.of("own", "http://s.internal:1/s/", "7A"));
                assertEquals("http://s.internal:1/s/try", own.url());
                assertEquals("\"7A\"", own.body());
                assertEquals("try,confirm,cancel", own.headers().get("tercet-legs"));
                assertEquals("2026-11-20T12:00:30.000Z", own.headers().get("tercet-deadline"));
                assertEquals("\"ride-1/own/try\"", own.headers().get("idempotency-key"));
                assertEquals("00-t", own.headers().get("traceparent"));
                assertEquals("2", own.again().headers().get("tercet-attempt"));
                ride.confirm().orThrow();
            }
            String last = fake.requests().get(4);
            assertTrue(last.contains("\"try_by\":\"initiator\"") && !last.contains("/s/try"), last);
        }
    }

    @Test
    void sagasAreRunByTheirName() throws Exception {
        try (FakeCoordinator fake = new FakeCoordinator(transaction("trip-1", "confirmed"))) {
            SagaRun run = SagaRun.of("trip").gid("trip-1").version(3).input(java.util.Map.of("seats", 2));
            assertTrue(Client.of(fake.url() + "/").runSaga(run).isConfirmed());
            String sent = fake.requests().get(0);
            assertTrue(sent.startsWith("POST /v1/sagas/trip/runs?wait=finished"), sent);
            assertTrue(sent.endsWith("{\"gid\":\"trip-1\",\"version\":3,\"input\":{\"seats\":2}}"), sent);
        }
    }

    @Test
    void payloadsAreSentToTheByte() {
        String raw = "{ \"n\": 12345678901234567890.50 }";
        String body = Transaction.of("g").branch(Branch.of("a").confirmUrl("http://s").payloadJson(raw)).body(false);
        assertTrue(body.contains(raw), body);
        assertThrows(IllegalArgumentException.class, () -> Branch.of("a").payloadJson("{} {}"));
        assertThrows(IllegalArgumentException.class, () -> Branch.of("a").payloadJson(" "));
        assertThrows(IllegalArgumentException.class, () -> Transaction.of("g").metadata(7));
        assertThrows(IllegalArgumentException.class, () -> Client.of("ftp://a"));
    }
}
