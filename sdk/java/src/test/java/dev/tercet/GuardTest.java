package dev.tercet;

import static dev.tercet.TestCalls.INSTANCE;
import static dev.tercet.TestCalls.OTHER;
import static dev.tercet.TestCalls.call;
import static dev.tercet.TestCalls.headers;
import static dev.tercet.TestCalls.json;
import static dev.tercet.TestCalls.settle;
import static dev.tercet.TestCalls.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The guard under one call after another, on each database. */
@Tag("database")
@Execution(ExecutionMode.CONCURRENT)
class GuardTest {
    private static final String DEBIT = "{\"account\":\"alice\",\"amount\":7}";

    static Stream<String> kinds() {
        return Databases.kinds();
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void answersAreAsTheVectorsSay(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(4)) {
            Guard guard = Guard.on(pool).migrate();
            int number = 0;
            for (JsonNode given : Vectors.cases("participant-answers").toList()) {
                String op = given.get("op").asText();
                String gid = "v-" + number++;
                Answer answer = vector(guard, pool, given, op, gid);
                String when = kind + ": " + op + " " + given.get("when").asText();
                assertEquals(given.get("status").asInt(), answer.status(), when);
                String retryAfter = answer.retryAfterSeconds().map(String::valueOf).orElse(null);
                assertEquals(TransactionView.text(given, "retry_after"), retryAfter, when);
                JsonNode body = json(answer);
                for (var field : given.get("body").properties()) {
                    assertEquals(field.getValue(), body.get(field.getKey()), when + ": " + body);
                }
                assertFalse(text(answer).contains("secret"), when + ": " + text(answer));
                String type = answer.status() == 200 ? "application/json" : "application/problem+json";
                assertEquals(type, answer.contentType());
            }
        }
    }

    private static Answer vector(Guard guard, HikariDataSource pool, JsonNode given, String op, String gid)
            throws Exception {
        String when = given.get("when").asText();
        Participant.Leg<Accounts.Debit> nothing = (db, call, debit) -> {};
        Participant.Leg<Accounts.Debit> does = switch (when.replaceAll(" after .*", "")) {
            case "refused" -> (db, call, debit) -> {
                throw new RefusedException(given.get("code").asText(), given.get("detail").asText());
            };
            case "asks to be called again" -> (db, call, debit) -> {
                if (given.has("after_ms")) {
                    throw new CallAgainException("a secret", Duration.ofMillis(given.get("after_ms").asLong()));
                }
                throw new CallAgainException("a secret");
            };
            case "throws" -> (db, call, debit) -> {
                throw new IllegalStateException("a secret");
            };
            case "done with a result", "repeated with a result" -> (db, call, debit) -> call.answer(given.get("result"));
            case "a result larger than 16 KiB" -> (db, call, debit) -> call.answer("x".repeat(16 * 1024));
            default -> nothing;
        };
        Endpoint endpoint = Endpoint.of(Participant.of(Accounts.Debit.class, does, does, does), guard)
                .queuePatience(Duration.ofMinutes(1));
        Endpoint tried = Endpoint.of(Participant.of(Accounts.Debit.class, nothing, nothing, nothing), guard);
        if (!op.equals("try") && !when.equals("empty") && !when.startsWith("no connection")) {
            assertEquals(200, call(tried, "try", gid, DEBIT).status());
        }
        switch (when) {
            case "repeated", "repeated with a result" -> assertEquals(200, call(endpoint, "try", gid, DEBIT).status());
            case "repeated after its confirm" -> {
                assertEquals(200, call(endpoint, "try", gid, DEBIT).status());
                assertEquals(200, call(endpoint, "confirm", gid, DEBIT).status());
            }
            case "the payload cannot be read" -> {
                return call(endpoint, op, gid, "{\"account\":\"secret\",\"amount\":\"secret\"}");
            }
            case "another call of the branch is under way" -> {
                CountDownLatch begun = new CountDownLatch(1);
                CountDownLatch ends = new CountDownLatch(1);
                Endpoint slow = Endpoint.of(
                        Participant.of(
                                Accounts.Debit.class,
                                (db, call, debit) -> {
                                    begun.countDown();
                                    ends.await();
                                },
                                nothing,
                                nothing),
                        guard);
                Thread first = new Thread(() -> call(slow, op, gid, DEBIT));
                first.start();
                begun.await();
                Answer second = call(slow, op, gid, DEBIT);
                ends.countDown();
                first.join();
                return second;
            }
            case "no connection is to be had" -> {
                // As a pool does whose connections are all in use.
                AtomicBoolean usedUp = new AtomicBoolean();
                DataSource busy = Databases.source(pool, () -> {
                    if (usedUp.get()) {
                        throw new SQLTransientConnectionException("a secret");
                    }
                });
                Guard without = Guard.on(busy).migrate();
                usedUp.set(true);
                Participant<Accounts.Debit> never = Participant.of(Accounts.Debit.class, nothing, nothing, nothing);
                return call(Endpoint.of(never, without).queuePatience(Duration.ofMinutes(1)), op, gid, DEBIT);
            }
            default -> {}
        }
        return call(endpoint, op, gid, DEBIT);
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void everyCellOfTheTableIsKept(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(4)) {
            Guard guard = Guard.on(pool).migrate();
            Accounts.create(pool, 1000, "alice");
            Endpoint endpoint = Endpoint.of(new Accounts(), guard);
            assertEquals(200, call(endpoint, "cancel", "empty", DEBIT).status());
            assertEquals(409, call(endpoint, "try", "empty", DEBIT).status());
            assertEquals(410, call(endpoint, "confirm", "empty", DEBIT).status());
            assertEquals("1000/0/0", Accounts.of(pool, "alice"));
            assertEquals(200, call(endpoint, "try", "a", DEBIT).status());
            assertEquals(200, call(endpoint, "try", "A", DEBIT).status(), "ids are compared by byte");
            assertEquals("986/14/0", Accounts.of(pool, "alice"));
            Map<String, String> other = headers("cancel", "a");
            other.put("tercet-instance", OTHER);
            assertEquals(410, call(endpoint, "cancel", other, DEBIT).status());
            Map<String, String> upper = headers("try", "a");
            upper.put("tercet-instance", INSTANCE.toUpperCase(java.util.Locale.ROOT));
            assertEquals("{\"state\":\"tried\",\"repeated\":true}", text(call(endpoint, "try", upper, DEBIT)));
            assertEquals(200, call(endpoint, "confirm", "a", DEBIT).status());
            assertEquals(200, call(endpoint, "confirm", "a", DEBIT).status());
            assertEquals(409, call(endpoint, "cancel", "a", DEBIT).status());
            assertEquals(200, call(endpoint, "cancel", "A", DEBIT).status());
            assertEquals(200, call(endpoint, "cancel", "A", DEBIT).status());
            assertEquals("993/0/7", Accounts.of(pool, "alice"));
            // A refused Try leaves no row: its Cancel is an empty one.
            String dear = "{\"account\":\"alice\",\"amount\":100000}";
            assertEquals(409, call(endpoint, "try", "dear", dear).status());
            assertEquals("{\"state\":\"cancelled\",\"repeated\":false}", text(call(endpoint, "cancel", "dear", dear)));
            assertEquals("993/0/7", Accounts.of(pool, "alice"));
            Map<String, String> late = headers("try", "late");
            late.put("tercet-deadline", Times.text(Instant.now().minus(Duration.ofHours(2))));
            assertEquals("deadline-passed", json(call(endpoint, "try", late, DEBIT)).get("code").asText());
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void rowsAreKeptForAsLongAsTheyAreCalled(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(4)) {
            Instant then = Instant.parse("2026-01-01T00:00:00Z");
            Guard guard = Guard.on(pool).migrate();
            Guard past = guard.clock(Clock.fixed(then, ZoneOffset.UTC));
            Accounts.create(pool, 1000, "alice");
            Participant<Accounts.Debit> answers = Participant.of(
                    Accounts.Debit.class, (db, call, debit) -> call.answer("kept"), (d, c, p) -> {}, (d, c, p) -> {});
            for (String gid : List.of("tried", "done", "called")) {
                assertEquals(200, call(Endpoint.of(answers, past), "try", gid, DEBIT).status());
            }
            for (String gid : List.of("done", "called")) {
                assertEquals(200, call(Endpoint.of(answers, past), "confirm", gid, DEBIT).status());
            }
            Guard later = guard.clock(Clock.fixed(then.plus(Duration.ofDays(20)), ZoneOffset.UTC));
            assertEquals(200, call(Endpoint.of(answers, later), "confirm", "called", DEBIT).status());
            assertEquals("\"kept\"", text(call(Endpoint.of(answers, later), "try", "tried", DEBIT)));
            Guard month = guard.clock(Clock.fixed(then.plus(Duration.ofDays(32)), ZoneOffset.UTC));
            assertEquals(new Guard.Purged(1, 0), month.purge(), "a day is the note's to be late");
            Guard months = guard.clock(Clock.fixed(then.plus(Duration.ofDays(60)), ZoneOffset.UTC));
            assertEquals(new Guard.Purged(1, 1), months.purge());
            assertEquals("\"kept\"", text(call(Endpoint.of(answers, months), "try", "tried", DEBIT)));
            long results = guard.database().read(db -> Sql.of("SELECT COUNT(*) FROM tercet_guard_results")
                    .query(db, Map.of(), row -> row.getLong(1))
                    .get(0));
            assertEquals(1, results, "results go with their rows");
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void businessCodeCannotEndTheTransaction(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(2)) {
            Guard guard = Guard.on(pool).migrate();
            Accounts.create(pool, 1000, "alice");
            AtomicReference<SQLException> told = new AtomicReference<>();
            Participant<Accounts.Debit> greedy = Participant.of(
                    Accounts.Debit.class,
                    (db, call, debit) -> {
                        new Accounts().onTry(db, call, debit);
                        assertThrows(SQLException.class, db::commit);
                        assertThrows(SQLException.class, () -> db.setAutoCommit(true));
                        told.set(assertThrows(SQLException.class, db::rollback));
                        db.close();
                        throw new CallAgainException("all of it is rolled back");
                    },
                    (d, c, p) -> {},
                    (d, c, p) -> {});
            assertEquals(503, call(Endpoint.of(greedy, guard), "try", "g", DEBIT).status());
            assertTrue(told.get().getMessage().contains("the guard rolls back"));
            assertEquals("1000/0/0", Accounts.of(pool, "alice"));
            assertEquals(200, call(Endpoint.of(new Accounts(), guard), "try", "g", DEBIT).status());
            assertEquals("993/7/0", Accounts.of(pool, "alice"));
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void anErrorThatIsSwallowedIsNeverDone(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(2)) {
            Guard guard = Guard.on(pool).migrate();
            Accounts.create(pool, 1000, "alice");
            Participant<Accounts.Debit> careless = Participant.of(
                    Accounts.Debit.class,
                    (db, call, debit) -> {
                        new Accounts().onTry(db, call, debit);
                        assertThrows(SQLException.class, () -> Sql.execute(db, "SELECT * FROM there_is_none"));
                    },
                    (d, c, p) -> {},
                    (d, c, p) -> {});
            // PostgreSQL's transaction is lost by the error, and its commit would say nothing; elsewhere it goes on.
            int status = call(Endpoint.of(careless, guard), "try", "g", DEBIT).status();
            String balance = status == 200 ? "993/7/0" : "1000/0/0";
            assertEquals(kind.equals("postgres") ? 503 : 200, status);
            assertEquals(balance, Accounts.of(pool, "alice"));
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void payloadsAndResultsAreKeptToTheByte(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(2)) {
            Guard guard = Guard.on(pool).migrate();
            AtomicReference<String> seen = new AtomicReference<>();
            String odd = "{ \"n\" : 123456789012345678901234567890.10, \"t\":\"Zo\u00eb \ud83d\ude00 \\u0000 '\" }";
            Participant<JsonNode> keeper = Participant.of(
                    JsonNode.class,
                    (db, call, payload) -> {
                        seen.set(call.payload());
                        call.answer(payload);
                    },
                    (db, call, payload) -> seen.set(call.results().orElseThrow().get("b")),
                    (d, c, p) -> {});
            Endpoint endpoint = Endpoint.of(keeper, guard);
            String first = text(call(endpoint, "try", "g", odd));
            assertEquals(odd, seen.get());
            assertEquals(first, text(call(endpoint, "try", "g", odd)), "a repeat is answered with the same");
            assertTrue(first.contains("123456789012345678901234567890.10"), first);
            assertTrue(first.contains("\ud83d\ude00"), first);
            Map<String, String> confirm = headers("confirm", "g");
            confirm.put("tercet-results", "true");
            String own = "{\"a\": 1.500}";
            assertEquals(200, call(endpoint, "confirm", confirm, "{\"payload\":1,\"results\":{\"b\":" + own + "}}").status());
            assertEquals(own, seen.get());
            assertEquals(400, call(endpoint, "try", "u", "{\"a\":\"\ud800\"}".replace('\ud800', '\u0001')).status());
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void anEmptyCancelIsRunForWhoeverAsksForIt(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(2)) {
            Guard guard = Guard.on(pool).migrate();
            AtomicInteger cancels = new AtomicInteger();
            Participant<Accounts.Debit> outside = new Accounts() {
                @Override
                public boolean cancelsEmpty() {
                    return true;
                }

                @Override
                public void onCancel(Connection db, Context call, Debit debit) {
                    assertTrue(call.empty());
                    cancels.incrementAndGet();
                }
            };
            Endpoint endpoint = Endpoint.of(outside, guard);
            assertEquals(200, call(endpoint, "cancel", "g", DEBIT).status());
            assertEquals(200, call(endpoint, "cancel", "g", DEBIT).status());
            assertEquals(409, call(endpoint, "try", "g", DEBIT).status());
            assertEquals(200, call(endpoint, "cancel", "unreadable", "{").status());
            assertEquals(1, cancels.get());
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void booksAreShownPageByPage(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(2)) {
            Guard guard = Guard.on(pool).migrate();
            for (String gid : List.of("b", "B", "a-1", "a.1")) {
                assertEquals(200, call(Endpoint.of(new Accounts(), guard), "cancel", gid, DEBIT).status());
            }
            JsonNode first = json(Books.answer(guard, "limit=3"));
            assertEquals(List.of("B", "a-1", "a.1"), first.get("items").findValuesAsText("gid"));
            assertEquals("a.1/b", first.get("next_cursor").asText());
            JsonNode rest = json(Books.answer(guard, "limit=3&after=a.1%2Fb"));
            assertEquals(List.of("b"), rest.get("items").findValuesAsText("gid"));
            assertTrue(rest.get("next_cursor").isNull());
            assertEquals("cancelled", rest.get("items").get(0).get("state").asText());
            assertEquals(3, json(Books.answer(guard, "after=B")).get("items").size());
            assertEquals(4, json(Books.answer(guard, "after=B/")).get("items").size());
            for (String wrong : List.of("limit=0", "limit=501", "after=a%20b/c", "before=x", "limit=1&limit=2")) {
                assertEquals(400, Books.answer(guard, wrong).status(), wrong);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void tablesAreMadeByManyAtOnce(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(8)) {
            ExecutorService threads = Executors.newFixedThreadPool(8);
            List<Future<Guard>> made = IntStream.range(0, 8)
                    .mapToObj(one -> threads.submit(() -> Guard.on(pool).migrate()))
                    .toList();
            for (Future<Guard> guard : made) {
                guard.get();
            }
            threads.shutdown();
            assertEquals(200, call(Endpoint.of(new Accounts(), Guard.on(pool)), "cancel", "g", DEBIT).status());
        }
    }
}
