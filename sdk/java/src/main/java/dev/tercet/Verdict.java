package dev.tercet;

import java.time.Duration;
import java.util.Optional;

/**
 * What a participant's answer means to whoever calls it.
 *
 * @param kind done, refused, or to be called again
 * @param pause the least pause before the next call; empty where none is asked for
 */
public record Verdict(Kind kind, Optional<Duration> pause) {
    private static final Duration LEAST = Duration.ofMillis(100);
    private static final Duration MOST = Duration.ofSeconds(60);
    private static final Duration IN_PROGRESS = Duration.ofSeconds(1);

    /** What to do after an answer. */
    public enum Kind {
        /** The participant has done what it was asked. */
        DONE,
        /** A Try that will never succeed. */
        REFUSED,
        /** The participant is at it: ask again after the pause. */
        IN_PROGRESS,
        /** It failed, or nobody knows: call again. */
        AGAIN
    }

    /**
     * What no answer means: it may have been done, so call again.
     *
     * @return to be called again
     */
    public static Verdict unanswered() {
        return new Verdict(Kind.AGAIN, Optional.empty());
    }

    static Verdict of(Op op, int status, Duration asked) {
        Duration bounded = asked == null ? null : Times.longer(LEAST, asked.compareTo(MOST) < 0 ? asked : MOST);
        if (status == 202 || status == 409 && asked != null) {
            return new Verdict(Kind.IN_PROGRESS, Optional.of(bounded == null ? IN_PROGRESS : bounded));
        }
        if (status >= 200 && status < 300 || status == 410 && op == Op.CANCEL) {
            return new Verdict(Kind.DONE, Optional.empty());
        }
        boolean inDoubt = status == 408 || status == 425 || status == 429;
        if (op == Op.TRY && status >= 400 && status < 500 && !inDoubt) {
            return new Verdict(Kind.REFUSED, Optional.empty());
        }
        boolean listens = status == 429 || status == 503;
        return new Verdict(Kind.AGAIN, listens ? Optional.ofNullable(bounded) : Optional.empty());
    }
}
