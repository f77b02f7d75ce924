package dev.tercet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What an endpoint makes of requests before there is a call, and of the edges of texts and times. */
@Tag("unit")
class EndpointTest {
    private static final Participant<Object> NOBODY =
            Participant.of(Object.class, (d, c, p) -> {}, (d, c, p) -> {}, (d, c, p) -> {});

    /** What is answered to a request as it goes over the wire, its head and body. */
    private static String asked(String request) throws IOException {
        HttpServer server = HttpServers.create(0);
        server.createContext("/pay", HttpServers.handler(Endpoint.of(NOBODY, Guard.on(Databases.nowhere()))));
        server.start();
        try (Socket socket = new Socket("127.0.0.1", server.getAddress().getPort())) {
            socket.getOutputStream().write(request.getBytes(StandardCharsets.UTF_8));
            socket.shutdownOutput();
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        } finally {
            server.stop(0);
        }
    }

    @Test
    void requestsThatAreNoCallsAreTurnedAway() throws IOException {
        String end = " HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        assertTrue(asked("POST /pay/undo" + end).startsWith("HTTP/1.1 404 "));
        assertTrue(asked("POST /payment/try" + end).startsWith("HTTP/1.1 404 "));
        assertTrue(asked("POST /pay" + end).startsWith("HTTP/1.1 404 "));
        assertTrue(asked("PUT /pay/try" + end).startsWith("HTTP/1.1 405 "));
        assertTrue(asked("POST /pay/branches" + end).startsWith("HTTP/1.1 405 "));
        String bare = asked("POST /pay/try" + end);
        assertTrue(bare.startsWith("HTTP/1.1 400 ") && bare.contains("header tercet-gid: is missing"), bare);
        String call = "POST /pay/try HTTP/1.1\r\nHOST: a\r\nTERCET-GID: g\r\ntercet-Branch: b\r\nTercet-Instance: "
                + TestCalls.INSTANCE + "\r\ntercet-op: try\r\nTercet-Legs: try\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        String nowhere = asked(call);
        assertTrue(nowhere.startsWith("HTTP/1.1 503 "), nowhere);
        assertTrue(!nowhere.contains("there is none"), "nothing of an exception's text is told");
        assertEquals("true", System.getProperty("sun.net.httpserver.nodelay"));
        assertEquals("", asked(call.replace("content-length: 2", "content-length: 3")), "half a body is no call");
    }

    @Test
    void bodiesWithoutEndAreNotKept() throws IOException {
        InputStream endless = new InputStream() {
            private long left = 100L * Endpoint.BODY_BYTES;

            @Override
            public int read() {
                return left-- > 0 ? 'x' : -1;
            }

            @Override
            public int read(byte[] into, int from, int length) {
                left -= length;
                return left > 0 ? length : -1;
            }
        };
        Endpoint endpoint = Endpoint.of(NOBODY, Guard.on(Databases.nowhere()));
        assertEquals(413, endpoint.serve("POST", "try", null, name -> java.util.List.of(), endless).status());
        assertTrue(endless.read() == 'x', "the rest was not read");
    }

    @Test
    void partsOfLargeBodiesAreCutToTheByte() throws Exception {
        String payload = "[ \"" + "Zo\u00eb \ud83d\ude00 \\n".repeat(20_000) + "\" , 1.50e3 ]";
        String result = "{\"a\" : " + "[".repeat(500) + "1" + "]".repeat(500) + "}";
        String body = "{ \"results\" : {\"x\":" + result + " , \"n\": 007.5 } ,\n\"payload\":" + payload + "}";
        var headers = TestCalls.headers("try", "g");
        headers.put("tercet-results", "true");
        Headers read = name -> headers.containsKey(name) ? java.util.List.of(headers.get(name)) : java.util.List.of();
        assertThrows(
                Calls.BadHeaderException.class,
                () -> Calls.read(Op.TRY, read, body.getBytes(StandardCharsets.UTF_8)),
                "007 is no number");
        String right = body.replace("007.5", "7.50");
        Context call = new Context(Calls.read(Op.TRY, read, right.getBytes(StandardCharsets.UTF_8)), Json.MAPPER, false);
        assertEquals(payload, call.payload());
        assertEquals(result, call.results().orElseThrow().get("x"));
        assertEquals("7.50", call.results().orElseThrow().get("n"));
        byte[] cut = right.substring(0, right.length() - 2).getBytes(StandardCharsets.UTF_8);
        assertThrows(Calls.BadHeaderException.class, () -> Calls.read(Op.TRY, read, cut));
    }

    @Test
    void secretsAreInNoPrintAndNoError() {
        Endpoint endpoint = Endpoint.of(NOBODY, Guard.on(Databases.nowhere()));
        var error = assertThrows(IllegalArgumentException.class, () -> endpoint.signedBy("whsec_s3cret"));
        assertTrue(!error.toString().contains("s3cret"));
        String secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assertTrue(!(endpoint.signedBy(secret) + "" + Signatures.by(java.util.List.of(secret))).contains("MfKQ9"));
    }

    @Test
    void payloadsAreReadWithoutGuessing() {
        for (String wrong : java.util.List.of(
                "{\"account\":\"alice\"}",
                "{\"account\":\"alice\",\"amount\":null}",
                "{\"account\":\"alice\",\"amount\":1.5}",
                "{\"account\":\"alice\",\"amount\":\"1\"}",
                "{\"account\":\"alice\",\"amount\":9223372036854775808}",
                "{\"account\":\"alice\",\"amount\":1} x",
                "null",
                "")) {
            assertThrows(IOException.class, () -> read(wrong.getBytes(StandardCharsets.UTF_8)), wrong);
        }
        assertThrows(IOException.class, () -> read(new byte[] {'"', (byte) 0xff, '"'}));
    }

    @Test
    void fieldsThatNobodyKnowsArePassedOver() throws IOException {
        String newer = "{\"account\":\"Zo\u00eb\",\"amount\":9223372036854775807,\"of\":{\"tomorrow\":[1]}}";
        Accounts.Debit debit = read(newer.getBytes(StandardCharsets.UTF_8));
        assertEquals(new Accounts.Debit("Zo\u00eb", Long.MAX_VALUE), debit);
    }

    private static Accounts.Debit read(byte[] payload) throws IOException {
        Context.Call call = new Context.Call(
                "g", "b", TestCalls.INSTANCE, Op.TRY, java.util.EnumSet.of(Op.TRY), 1, null, null, payload, null);
        return new Context(call, Json.MAPPER, false).read(Accounts.Debit.class);
    }

    @Test
    void timesDoNotDependOnWhereTheyAreRead() {
        Locale before = Locale.getDefault();
        try {
            Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
            assertEquals("2026-11-20T12:00:00.007Z", Times.text(Instant.parse("2026-11-20T12:00:00.007Z")));
            assertEquals("try", Op.TRY.word());
        } finally {
            Locale.setDefault(before);
        }
        Instant now = Instant.parse("1994-11-06T08:49:37Z");
        assertEquals(Duration.ofSeconds(3), Times.retryAfter("Sun, 06 Nov 1994 08:49:40 GMT", now));
        assertEquals(Duration.ZERO, Times.retryAfter("Sun, 06 Nov 1994 08:49:30 GMT", now));
        assertEquals(Duration.ofSeconds(120), Times.retryAfter(" 120 ", now));
        for (String none : java.util.List.of("", "-1", "+1", "1.5", "soon", "1994-11-06T08:49:37Z")) {
            assertEquals(null, Times.retryAfter(none, now), none);
        }
    }
}
