package dev.tercet;

import java.time.Duration;
import java.util.Optional;

/**
 * The call was not done, and may work the next time (503). Any exception but a {@link RefusedException} says the same;
 * this one can say when to come again. Whatever was written is rolled back.
 */
public class CallAgainException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** The least pause before the next call; null: none is asked for. */
    private final Duration after;

    /**
     * Asks to be called again.
     *
     * @param why what went wrong: it is logged, and never told to the caller
     */
    public CallAgainException(String why) {
        super(why);
        this.after = null;
    }

    /**
     * Asks to be called again, and not before a pause.
     *
     * @param why what went wrong: it is logged, and never told to the caller
     * @param after the least pause before the next call; whole seconds, rounded up
     */
    public CallAgainException(String why, Duration after) {
        super(why);
        this.after = after;
    }

    /**
     * The least pause before the next call.
     *
     * @return empty where none is asked for
     */
    public Optional<Duration> after() {
        return Optional.ofNullable(after);
    }
}
