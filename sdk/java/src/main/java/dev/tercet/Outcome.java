package dev.tercet;

/**
 * How a transaction stands after a request. An answer is not a success: look which one it is, or call {@link #orThrow()}.
 *
 * <pre>{@code
 * if (outcome instanceof Outcome.Cancelled cancelled) {
 *     return "not bought: " + cancelled.why();
 * }
 * }</pre>
 */
public sealed interface Outcome permits Outcome.Confirmed, Outcome.Cancelled, Outcome.Pending {
    /**
     * Every branch was confirmed.
     *
     * @param transaction as it stands
     */
    record Confirmed(TransactionView transaction) implements Outcome {}

    /**
     * Every branch was cancelled: nothing has happened.
     *
     * @param transaction as it stands, with the answer of each Try that was refused
     */
    record Cancelled(TransactionView transaction) implements Outcome {
        /**
         * The kind of reason.
         *
         * @return {@code try-refused}, {@code try-failed}, {@code deadline}, {@code requested}, {@code operator},
         *     {@code check}, or one that is newer than this library; null where none is given
         */
        public String reason() {
            return transaction.reason();
        }

        /**
         * Why, in words: what a participant said, else what the caller gave as reason, else the kind of reason.
         *
         * @return a sentence
         */
        public String why() {
            return transaction.why();
        }
    }

    /**
     * It is still going on: {@code trying} can still end either way, {@code confirming} will be confirmed and
     * {@code cancelling} cancelled, whatever fails.
     *
     * @param transaction as it stands
     */
    record Pending(TransactionView transaction) implements Outcome {}

    /**
     * The transaction, however it stands.
     *
     * @return as the coordinator shows it
     */
    TransactionView transaction();

    /**
     * The transaction's gid.
     *
     * @return its gid
     */
    default String gid() {
        return transaction().gid();
    }

    /**
     * Whether every branch was confirmed.
     *
     * @return whether it is a success
     */
    default boolean isConfirmed() {
        return this instanceof Confirmed;
    }

    /**
     * The transaction if it is confirmed, so that the next line is reached only then.
     *
     * @return as the coordinator shows it
     * @throws TercetException.NotConfirmed it was cancelled, or is still going on
     */
    default TransactionView orThrow() {
        if (isConfirmed()) {
            return transaction();
        }
        throw new TercetException.NotConfirmed(this);
    }
}
