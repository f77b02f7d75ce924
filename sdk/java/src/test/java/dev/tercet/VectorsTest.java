package dev.tercet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.tercet.Guarding.Action;
import dev.tercet.Guarding.Recorded;
import dev.tercet.Guarding.State;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What every library must do with the same inputs: sdk/vectors. participant-answers.json runs in GuardTest. */
@Tag("unit")
class VectorsTest {
    static Stream<JsonNode> guard() throws IOException {
        return Vectors.cases("guard");
    }

    @ParameterizedTest
    @MethodSource("guard")
    void guardDecidesByItsTable(JsonNode given) {
        Op op = Op.of(given.get("op").asText()).orElseThrow();
        Set<Op> legs = EnumSet.noneOf(Op.class);
        for (String leg : given.get("legs").asText().split(",")) {
            legs.add(Op.of(leg).orElseThrow());
        }
        Instant now = Instant.parse(given.get("now").asText());
        Instant deadline = given.get("deadline").isNull() ? null : Instant.parse(given.get("deadline").asText());
        JsonNode row = given.get("recorded");
        Recorded recorded = row.isNull()
                ? null
                : new Recorded(row.get("instance").asText(), State.of(row.get("state").asText()));
        String instance = given.get("instance").asText();
        boolean longPast = Guarding.isLongPast(deadline, now);
        Action action = Guarding.decide(recorded, op, legs, instance, longPast);
        JsonNode then = given.get("then");
        assertEquals(then.get("status").asInt(), action.status);
        assertEquals(TransactionView.text(then, "code"), action.code);
        String does = action.isRefusal() ? "refuse" : action.name().toLowerCase(java.util.Locale.ROOT);
        assertEquals(then.get("do").asText(), does);
        JsonNode leaves = given.get("leaves");
        Recorded left = action == Action.RUN || action == Action.RECORD ? new Recorded(instance, State.after(op)) : recorded;
        if (leaves.isNull()) {
            assertNull(left);
        } else {
            assertEquals(new Recorded(leaves.get("instance").asText(), State.of(leaves.get("state").asText())), left);
        }
    }

    static Stream<JsonNode> headers() throws IOException {
        return Vectors.cases("headers");
    }

    @ParameterizedTest
    @MethodSource("headers")
    void headersAreReadAsEverybodyDoes(JsonNode given) throws Exception {
        Op op = Op.of(given.get("url").asText()).orElseThrow();
        Headers headers = Vectors.headers(given.get("headers"));
        byte[] body = given.get("body").asText().getBytes(StandardCharsets.UTF_8);
        if (given.has("bad_header")) {
            var bad = assertThrows(Calls.BadHeaderException.class, () -> Calls.read(op, headers, body));
            assertTrue(bad.getMessage().startsWith("header " + given.get("bad_header").asText()), bad.getMessage());
            return;
        }
        Context read = new Context(Calls.read(op, headers, body), Json.MAPPER, false);
        JsonNode expected = given.get("context");
        assertEquals(expected.get("gid").asText(), read.gid());
        assertEquals(expected.get("branch").asText(), read.branch());
        assertEquals(expected.get("instance").asText(), read.instance());
        assertEquals(expected.get("op").asText(), read.op().word());
        List<String> legs = StreamSupport.stream(expected.get("legs").spliterator(), false).map(JsonNode::asText).toList();
        assertEquals(legs, read.legs().stream().map(Op::word).toList());
        assertEquals(expected.get("attempt").asInt(), read.attempt());
        assertEquals(TransactionView.text(expected, "deadline"), read.deadline().map(Times::text).orElse(null));
        assertEquals(TransactionView.text(expected, "traceparent"), read.traceparent().orElse(null));
        assertEquals(expected.get("payload").asText(), read.payload());
        assertEquals(expected.get("results").isNull(), read.results().isEmpty());
        for (String branch : read.results().orElse(java.util.Map.of()).keySet()) {
            assertEquals(expected.get("results").get(branch), read.result(branch, JsonNode.class));
        }
        // What is written is what is read.
        var written = Calls.write(read.call());
        var again = Calls.read(op, name -> written.containsKey(name) ? List.of(written.get(name)) : List.of(), body);
        assertEquals(read.call().gid(), again.gid());
        assertEquals(read.call().legs(), again.legs());
        assertEquals(read.call().deadline(), again.deadline());
    }

    static Stream<JsonNode> signatures() throws IOException {
        return Vectors.cases("signatures");
    }

    @ParameterizedTest
    @MethodSource("signatures")
    void signedCallsAloneAreLetThrough(JsonNode given) throws Exception {
        List<String> secrets = new ArrayList<>();
        given.get("secrets").forEach(secret -> secrets.add(secret.asText()));
        Clock clock = Clock.fixed(Instant.ofEpochSecond(given.get("now").asLong()), ZoneOffset.UTC);
        Guard guard = Guard.on(Databases.nowhere()).clock(clock);
        Participant<Object> nobody = Participant.of(Object.class, (d, c, p) -> {}, (d, c, p) -> {}, (d, c, p) -> {});
        Endpoint endpoint = Endpoint.of(nobody, guard).signedBy(secrets.toArray(new String[0]));
        String url = given.get("url").asText();
        byte[] body = given.get("body").asText().getBytes(StandardCharsets.UTF_8);
        String method = url.equals("branches") ? "GET" : "POST";
        Answer answer =
                endpoint.serve(method, url, null, Vectors.headers(given.get("headers")), new ByteArrayInputStream(body));
        // Whoever is let through is told of what the call lacks besides, or of the database that it lacks.
        assertEquals(given.get("valid").asBoolean(), answer.status() != 401, given.get("why").asText());
        if (answer.status() == 401) {
            assertEquals("unsigned", Json.MAPPER.readTree(answer.body()).get("code").asText());
        }
    }

    @ParameterizedTest
    @MethodSource("signatures")
    void strangersBodiesAreNotEvenRead(JsonNode given) throws Exception {
        boolean noneIsMissing = given.get("headers").has("webhook-id");
        if (noneIsMissing) {
            return;
        }
        InputStream unread = new InputStream() {
            @Override
            public int read() {
                throw new AssertionError("it was read");
            }
        };
        Participant<Object> nobody = Participant.of(Object.class, (d, c, p) -> {}, (d, c, p) -> {}, (d, c, p) -> {});
        Endpoint endpoint =
                Endpoint.of(nobody, Guard.on(Databases.nowhere())).signedBy("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        Answer answer = endpoint.serve("POST", "try", null, Vectors.headers(given.get("headers")), unread);
        assertEquals(401, answer.status());
    }

    static Stream<JsonNode> verdicts() throws IOException {
        return Vectors.cases("verdicts");
    }

    @ParameterizedTest
    @MethodSource("verdicts")
    void verdictsAreTheCoordinators(JsonNode given) {
        Op op = Op.of(given.get("op").asText()).orElseThrow();
        Duration asked = Times.retryAfter(TransactionView.text(given, "retry_after"), Instant.now());
        Verdict verdict = given.get("status").isNull()
                ? Verdict.unanswered()
                : Verdict.of(op, given.get("status").asInt(), asked);
        String word = verdict.kind().name().toLowerCase(java.util.Locale.ROOT).replace('_', '-');
        assertEquals(given.get("verdict").asText(), word);
        Long pause = given.get("pause_ms").isNull() ? null : given.get("pause_ms").asLong();
        assertEquals(pause, verdict.pause().map(Duration::toMillis).orElse(null));
    }

    static Stream<JsonNode> answers() throws IOException {
        return Vectors.cases("answers");
    }

    @ParameterizedTest
    @MethodSource("answers")
    void answersMeanWhatTheySay(JsonNode given) {
        Reply reply = new Reply(
                given.get("status").asInt(),
                TransactionView.text(given.get("headers"), "retry-after"),
                given.get("body").asText());
        String expected = given.get("outcome").asText();
        assertEquals(expected.equals("again"), reply.isAgain());
        boolean isDecision = !given.get("request").asText().equals("begin");
        assertEquals(expected.equals("ask"), isDecision && reply.isDecidedOtherwise());
        switch (expected) {
            case "again" -> {
                Long pause = given.has("pause_ms") ? given.get("pause_ms").asLong() : null;
                assertEquals(pause, reply.pause() == null ? null : reply.pause().toMillis());
            }
            case "ask" -> {}
            case "refused" -> {
                var refused = assertThrows(TercetException.Refused.class, reply::transaction);
                assertEquals(given.get("code").asText(), refused.code());
            }
            case "unexpected" -> assertThrows(TercetException.Unexpected.class, reply::transaction);
            default -> {
                Outcome outcome = reply.outcome();
                assertEquals(expected.equals("confirmed"), outcome.isConfirmed());
                if (expected.equals("cancelled")) {
                    Outcome.Cancelled cancelled = assertInstanceOf(Outcome.Cancelled.class, outcome);
                    assertEquals(given.get("why").asText(), cancelled.why());
                    assertEquals(given.get("reason").asText(), cancelled.reason());
                }
                if (expected.equals("pending")) {
                    assertInstanceOf(Outcome.Pending.class, outcome);
                }
                if (!outcome.isConfirmed()) {
                    assertThrows(TercetException.NotConfirmed.class, outcome::orThrow);
                }
            }
        }
    }

    static Stream<JsonNode> begins() throws IOException {
        return Vectors.cases("begins");
    }

    @ParameterizedTest
    @MethodSource("begins")
    void beginsAreWrittenAsTheContractSays(JsonNode given) throws Exception {
        JsonNode told = given.get("given");
        if (given.has("error")) {
            var error = assertThrows(IllegalArgumentException.class, () -> transaction(told));
            assertTrue(error.getMessage().startsWith(given.get("error").asText()), error.getMessage());
            return;
        }
        boolean open = given.get("open").asBoolean();
        String body = transaction(told).body(open);
        assertEquals(given.get("body"), Json.MAPPER.readTree(body));
        assertEquals(body, transaction(told).body(open), "the same to the byte");
    }

    private static Transaction transaction(JsonNode told) {
        Transaction made = Transaction.of(told.get("gid").asText());
        if (told.path("saga").asBoolean()) {
            made = made.saga();
        }
        if (told.has("timeout_ms")) {
            made = made.timeout(Duration.ofMillis(told.get("timeout_ms").asLong()));
        }
        if (told.has("metadata")) {
            made = made.metadata(told.get("metadata"));
        }
        if (told.has("check")) {
            made = made.check(told.get("check").asText());
        }
        for (JsonNode branch : told.path("branches")) {
            made = made.branch(branch(branch));
        }
        return made;
    }

    private static Branch branch(JsonNode told) {
        Branch made = Branch.of(told.get("id").asText());
        for (var field : told.properties()) {
            JsonNode value = field.getValue();
            made = switch (field.getKey()) {
                case "id" -> made;
                case "endpoint" -> made.endpoint(value.asText());
                case "try" -> made.tryUrl(value.asText());
                case "confirm" -> made.confirmUrl(value.asText());
                case "cancel" -> made.cancelUrl(value.asText());
                case "payload" -> made.payload(value);
                case "timeout_ms" -> made.timeout(Duration.ofMillis(value.asLong()));
                case "headers" -> made.header("x-key", value.get("x-key").asText());
                case "try_attempts" -> made.tryAttempts(value.asInt());
                case "results" -> made.results();
                case "confirm_after_ms" -> made.confirmAfter(Duration.ofMillis(value.asLong()));
                case "after" -> made.after(
                        StreamSupport.stream(value.spliterator(), false).map(JsonNode::asText).toArray(String[]::new));
                default -> throw new IllegalArgumentException(field.getKey());
            };
        }
        return made;
    }
}
