package dev.tercet;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * A request to the coordinator came to nothing. That a transaction was cancelled is not among these: it is an
 * {@link Outcome}, until {@link Outcome#orThrow()} makes it a {@link NotConfirmed}.
 */
public abstract sealed class TercetException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private TercetException(String message, Throwable cause) {
        super(message, cause);
    }

    /** The coordinator says what is wrong with the request. Nothing was done by it. */
    public static final class Refused extends TercetException {
        private static final long serialVersionUID = 1;

        /** What is wrong, for programs. */
        private final String code;
        /** The HTTP status. */
        private final int status;
        /** What is wrong, for people. */
        private final String detail;
        /** Where in the body; null where it is not said. */
        private final String pointer;

        Refused(int status, JsonNode problem) {
            super(problem.path("code").asText() + ": " + problem.path("detail").asText(), null);
            this.status = status;
            this.code = problem.path("code").asText();
            this.detail = problem.path("detail").asText();
            this.pointer = TransactionView.text(problem, "pointer");
        }

        /**
         * What is wrong, for programs.
         *
         * @return {@code gid-reused}, {@code invalid-request}, {@code tries-outstanding}, …
         */
        public String code() {
            return code;
        }

        /**
         * What is wrong, for people.
         *
         * @return a sentence
         */
        public String detail() {
            return detail;
        }

        /**
         * The HTTP status.
         *
         * @return 400 to 599
         */
        public int status() {
            return status;
        }

        /**
         * Where in the body what is wrong stands (RFC 6901).
         *
         * @return null where it is not said
         */
        public String pointer() {
            return pointer;
        }
    }

    /**
     * No answer came, however often it was asked. The transaction may exist and may go on: ask again with the same gid.
     */
    public static final class Unanswered extends TercetException {
        private static final long serialVersionUID = 1;

        /** The transaction. */
        private final String gid;
        /** How often it was asked. */
        private final int attempts;

        Unanswered(String gid, int attempts, String last, Throwable cause) {
            super("no answer about " + gid + " after " + attempts + " attempts: " + last, cause);
            this.gid = gid;
            this.attempts = attempts;
        }

        /**
         * The transaction.
         *
         * @return its gid
         */
        public String gid() {
            return gid;
        }

        /**
         * How often it was asked.
         *
         * @return 1 to 10
         */
        public int attempts() {
            return attempts;
        }
    }

    /** The answer is none of a coordinator's. */
    public static final class Unexpected extends TercetException {
        private static final long serialVersionUID = 1;

        /** The HTTP status. */
        private final int status;

        Unexpected(int status, String body) {
            super("unexpected answer " + status + ": " + body.substring(0, Math.min(body.length(), 200)), null);
            this.status = status;
        }

        /**
         * The HTTP status.
         *
         * @return as it came
         */
        public int status() {
            return status;
        }
    }

    /** A transaction is not confirmed. */
    public static final class NotConfirmed extends TercetException {
        private static final long serialVersionUID = 1;

        /** How it stands. */
        private final transient Outcome outcome;

        NotConfirmed(Outcome outcome) {
            super(
                    outcome instanceof Outcome.Cancelled cancelled
                            ? outcome.gid() + " was cancelled: " + cancelled.why()
                            : outcome.gid() + " is still " + outcome.transaction().status(),
                    null);
            this.outcome = outcome;
        }

        /**
         * How it stands.
         *
         * @return cancelled or pending
         */
        public Outcome outcome() {
            return outcome;
        }
    }
}
