package dev.tercet;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;

/** What goes back over the wire. The status line is what counts; bodies are for people, and results. */
public final class Answer {
    private static final String PROBLEM = "application/problem+json";

    private final int status;
    private final String contentType;
    private final Long retryAfterSeconds;
    private final byte[] body;

    private Answer(int status, String contentType, Long retryAfterSeconds, byte[] body) {
        this.status = status;
        this.contentType = contentType;
        this.retryAfterSeconds = retryAfterSeconds;
        this.body = body;
    }

    /**
     * The HTTP status.
     *
     * @return 200 to 503
     */
    public int status() {
        return status;
    }

    /**
     * The type of the body.
     *
     * @return JSON, or a problem (RFC 9457)
     */
    public String contentType() {
        return contentType;
    }

    /**
     * What {@code Retry-After} says.
     *
     * @return seconds; empty where there is none
     */
    public Optional<Long> retryAfterSeconds() {
        return Optional.ofNullable(retryAfterSeconds);
    }

    /**
     * The body.
     *
     * @return its bytes
     */
    public byte[] body() {
        return body.clone();
    }

    static Answer json(String body) {
        return new Answer(200, "application/json", null, body.getBytes(StandardCharsets.UTF_8));
    }

    static Answer done(String state, boolean repeated) {
        return json("{\"state\":\"" + state + "\",\"repeated\":" + repeated + "}");
    }

    static Answer problem(int status, String code, String detail) {
        ObjectNode problem = Json.MAPPER.createObjectNode();
        problem.put("type", "about:blank");
        problem.put("title", title(status));
        problem.put("status", status);
        problem.put("code", code);
        problem.put("detail", detail);
        return new Answer(status, PROBLEM, null, problem.toString().getBytes(StandardCharsets.UTF_8));
    }

    Answer retryAfter(Duration pause) {
        return new Answer(status, contentType, Times.wholeSeconds(pause), body);
    }

    static Answer inProgress() {
        return problem(202, "in-progress", "another call of this branch is being worked on")
                .retryAfter(Duration.ofSeconds(1));
    }

    static Answer busy(Op op) {
        return op == Op.CANCEL
                ? inProgress()
                : problem(503, "busy", "others were using the database for as long as a call may wait")
                        .retryAfter(Duration.ofSeconds(1));
    }

    /** The cause stays here: it may name tables, hosts or worse. */
    static Answer failed() {
        return problem(503, "failed", "the call failed here; call again");
    }

    private static String title(int status) {
        return switch (status) {
            case 202 -> "Accepted";
            case 400 -> "Bad Request";
            case 401 -> "Unauthorized";
            case 404 -> "Not Found";
            case 405 -> "Method Not Allowed";
            case 409 -> "Conflict";
            case 410 -> "Gone";
            case 413 -> "Content Too Large";
            default -> "Service Unavailable";
        };
    }
}
