package dev.tercet;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.time.Instant;
import java.util.Set;

/** An answer of a coordinator, or of something before it, and what it means. */
record Reply(int status, String retryAfter, String body) {
    private static final Set<Integer> AGAIN = Set.of(429, 502, 503, 504);
    private static final Set<String> DECIDED_OTHERWISE = Set.of("already-confirmed", "already-cancelled");
    /** The longest {@code Retry-After} that is honoured. */
    private static final Duration RETRY_AFTER_MOST = Duration.ofSeconds(10);

    /** Whether the same request is sent again. */
    boolean isAgain() {
        return AGAIN.contains(status);
    }

    boolean isSuccess() {
        return status >= 200 && status < 300;
    }

    /** The least pause before that, bounded; null where none is asked for. */
    Duration pause() {
        Duration asked = Times.retryAfter(retryAfter, Instant.now());
        return asked == null || asked.compareTo(RETRY_AFTER_MOST) < 0 ? asked : RETRY_AFTER_MOST;
    }

    /** Whether it says that the decision was taken, and was the other one. */
    boolean isDecidedOtherwise() {
        JsonNode problem = status == 409 ? Json.read(body) : null;
        return problem != null && DECIDED_OTHERWISE.contains(problem.path("code").asText());
    }

    /** How the transaction stands that it shows. A word that is newer than this library is no end that it knows. */
    Outcome outcome() {
        TransactionView shown = transaction();
        return switch (shown.status()) {
            case "confirmed" -> new Outcome.Confirmed(shown);
            case "cancelled" -> new Outcome.Cancelled(shown);
            default -> new Outcome.Pending(shown);
        };
    }

    /** The transaction that it shows. */
    TransactionView transaction() {
        TransactionView shown = TransactionView.of(json());
        if (shown == null) {
            throw new TercetException.Unexpected(status, body);
        }
        return shown;
    }

    /** The body of a success; a problem or something else is thrown. */
    JsonNode json() {
        JsonNode read = Json.read(body);
        if (isSuccess() && read != null && read.isObject()) {
            return read;
        }
        if (status >= 400 && read != null && TransactionView.text(read, "code") != null) {
            throw new TercetException.Refused(status, read);
        }
        throw new TercetException.Unexpected(status, body);
    }
}
