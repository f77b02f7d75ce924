package dev.tercet;

import java.io.IOException;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.Collections;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/** Reads and writes what a call says of itself in its {@code Tercet-*} headers. */
final class Calls {
    private static final Pattern UUID = Pattern.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}");
    private static final Pattern NUMBER = Pattern.compile("[0-9]{1,10}");

    private Calls() {}

    /** A header that every call carries is missing or cannot be read. */
    static final class BadHeaderException extends Exception {
        private static final long serialVersionUID = 1;

        BadHeaderException(String name, String what) {
            super("header " + name + ": " + what);
        }
    }

    /** Reads a call to the URL of an op. Where it brings results the payload is a part of the body; else it is the body. */
    static Context.Call read(Op op, Headers headers, byte[] body) throws BadHeaderException {
        String gid = id(headers, "tercet-gid", Ids.GID_LENGTH);
        String branch = id(headers, "tercet-branch", Ids.BRANCH_LENGTH);
        String instance = required(headers, "tercet-instance");
        if (!UUID.matcher(instance).matches()) {
            throw new BadHeaderException("tercet-instance", "must be a UUID");
        }
        Optional<Op> said = Op.of(required(headers, "tercet-op"));
        if (said.isEmpty()) {
            throw new BadHeaderException("tercet-op", "must be try, confirm or cancel");
        }
        Set<Op> legs = legs(required(headers, "tercet-legs"));
        int attempt = attempt(optional(headers, "tercet-attempt"));
        Instant deadline = deadline(optional(headers, "tercet-deadline"));
        String traceparent = optional(headers, "traceparent");
        if (said.get() != op) {
            throw new BadHeaderException("tercet-op", "says " + said.get() + ", but this is the URL of " + op);
        }
        byte[] payload = body;
        Map<String, String> results = null;
        String brings = optional(headers, "tercet-results");
        if (brings != null) {
            if (!brings.equals("true")) {
                throw new BadHeaderException("tercet-results", "may be true alone");
            }
            try {
                Map<String, String> parts = Json.fields(Json.utf8(body));
                if (!parts.containsKey("payload") || !parts.containsKey("results")) {
                    throw new IOException("a part is missing");
                }
                payload = parts.get("payload").getBytes(java.nio.charset.StandardCharsets.UTF_8);
                results = Collections.unmodifiableMap(Json.fields(parts.get("results")));
            } catch (IOException error) {
                throw new BadHeaderException("tercet-results", "the body has no payload with results");
            }
        }
        String same = instance.toLowerCase(Locale.ROOT);
        return new Context.Call(gid, branch, same, op, legs, attempt, deadline, traceparent, payload, results);
    }

    /** The headers of a call, for whoever makes it. */
    static Map<String, String> write(Context.Call call) {
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("tercet-gid", call.gid());
        headers.put("tercet-branch", call.branch());
        headers.put("tercet-instance", call.instance());
        headers.put("tercet-op", call.op().word());
        headers.put("tercet-legs", call.legsText());
        headers.put("tercet-attempt", Integer.toString(call.attempt()));
        if (call.deadline() != null) {
            headers.put("tercet-deadline", Times.text(call.deadline()));
        }
        headers.put("idempotency-key", "\"" + call.gid() + "/" + call.branch() + "/" + call.op() + "\"");
        if (call.traceparent() != null) {
            headers.put("traceparent", call.traceparent());
        }
        return headers;
    }

    private static String required(Headers headers, String name) throws BadHeaderException {
        String value = optional(headers, name);
        if (value == null) {
            throw new BadHeaderException(name, "is missing");
        }
        return value;
    }

    private static String optional(Headers headers, String name) throws BadHeaderException {
        String value = headers.first(name);
        if (value != null && !value.chars().allMatch(c -> c >= ' ' && c <= '~')) {
            throw new BadHeaderException(name, "is not printable ASCII");
        }
        return value;
    }

    private static String id(Headers headers, String name, int longest) throws BadHeaderException {
        String text = required(headers, name);
        String fault = Ids.fault(text, longest);
        if (fault != null) {
            throw new BadHeaderException(name, fault);
        }
        return text;
    }

    private static Set<Op> legs(String text) throws BadHeaderException {
        Set<Op> legs = EnumSet.noneOf(Op.class);
        for (String word : text.split(",", -1)) {
            Optional<Op> leg = Op.of(word.strip());
            if (leg.isEmpty()) {
                throw new BadHeaderException("tercet-legs", "must be try, confirm or cancel");
            }
            legs.add(leg.get());
        }
        return legs;
    }

    private static int attempt(String text) throws BadHeaderException {
        if (text == null) {
            return 1;
        }
        if (!NUMBER.matcher(text).matches()) {
            throw new BadHeaderException("tercet-attempt", "must be a number");
        }
        return (int) Math.min(Long.parseLong(text), Integer.MAX_VALUE);
    }

    private static Instant deadline(String text) throws BadHeaderException {
        try {
            return text == null ? null : Instant.parse(text);
        } catch (DateTimeException error) {
            throw new BadHeaderException("tercet-deadline", "must be an RFC 3339 time such as 2026-11-20T12:00:00.000Z");
        }
    }
}
