package dev.tercet;

import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Set;

/**
 * The guard's rule: what a call does, given what is recorded of its branch. Pure, so that every cell of the table is a line
 * in a test.
 */
final class Guarding {
    /**
     * How long past its deadline a Try is turned away although nothing is recorded. Generous, because it compares the clocks
     * of two machines.
     */
    static final Duration LATE_TRY_MARGIN = Duration.ofHours(1);

    private Guarding() {}

    /** What is recorded of a branch. */
    enum State {
        TRIED,
        CONFIRMED,
        CANCELLED;

        private final String word = name().toLowerCase(Locale.ROOT);

        String word() {
            return word;
        }

        static State after(Op op) {
            return switch (op) {
                case TRY -> TRIED;
                case CONFIRM -> CONFIRMED;
                case CANCEL -> CANCELLED;
            };
        }

        static State of(String word) {
            for (State state : values()) {
                if (state.word.equals(word)) {
                    return state;
                }
            }
            return null;
        }
    }

    /** The guard's row. */
    record Recorded(String instance, State state) {}

    /** What to do with a call. */
    enum Action {
        RUN,
        RECORD,
        REPEAT,
        HANGING_TRY(409, "branch-cancelled", "this branch was cancelled before its Try arrived"),
        LATE_TRY(409, "deadline-passed", "by this machine's clock the Try comes more than an hour after its deadline"),
        NEVER_TRIED(410, "branch-not-tried", "this branch was never tried here, so there is nothing to confirm"),
        CONFIRM_AFTER_CANCEL(410, "branch-cancelled", "this branch was cancelled, so there is nothing to confirm"),
        CANCEL_AFTER_CONFIRM(409, "branch-confirmed", "this branch was confirmed and cannot be cancelled"),
        TRY_OF_ANOTHER_INSTANCE(409, "another-instance", "another transaction has used this gid and branch before"),
        DECISION_OF_ANOTHER_INSTANCE(410, "another-instance", "another transaction has used this gid and branch before");

        final int status;
        final String code;
        final String detail;

        Action() {
            this(200, null, null);
        }

        Action(int status, String code, String detail) {
            this.status = status;
            this.code = code;
            this.detail = detail;
        }

        boolean isRefusal() {
            return code != null;
        }

        /** Whether it can only come from a fault on some side, so that people should be told. */
        boolean isAlarming() {
            return isRefusal() && this != HANGING_TRY && this != LATE_TRY;
        }
    }

    static boolean isLongPast(Instant deadline, Instant now) {
        return deadline != null && Duration.between(deadline, now).compareTo(LATE_TRY_MARGIN) > 0;
    }

    static Action decide(Recorded recorded, Op op, Set<Op> legs, String instance, boolean longPast) {
        if (recorded == null) {
            return switch (op) {
                case TRY -> longPast ? Action.LATE_TRY : Action.RUN;
                case CONFIRM -> legs.contains(Op.TRY) ? Action.NEVER_TRIED : Action.RUN;
                case CANCEL -> Action.RECORD;
            };
        }
        if (!recorded.instance().equals(instance)) {
            return op == Op.TRY ? Action.TRY_OF_ANOTHER_INSTANCE : Action.DECISION_OF_ANOTHER_INSTANCE;
        }
        return switch (op) {
            case TRY -> recorded.state() == State.CANCELLED ? Action.HANGING_TRY : Action.REPEAT;
            case CONFIRM -> switch (recorded.state()) {
                case TRIED -> Action.RUN;
                case CONFIRMED -> Action.REPEAT;
                case CANCELLED -> Action.CONFIRM_AFTER_CANCEL;
            };
            case CANCEL -> switch (recorded.state()) {
                case TRIED -> Action.RUN;
                case CONFIRMED -> Action.CANCEL_AFTER_CONFIRM;
                case CANCELLED -> Action.REPEAT;
            };
        };
    }
}
