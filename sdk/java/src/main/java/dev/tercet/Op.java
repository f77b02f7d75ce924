package dev.tercet;

import java.util.Locale;
import java.util.Optional;

/** The three calls of a branch. */
public enum Op {
    /** Reserves. */
    TRY,
    /** Takes what was reserved. */
    CONFIRM,
    /** Releases what was reserved. */
    CANCEL;

    private final String word = name().toLowerCase(Locale.ROOT);

    /**
     * The op in the words of the wire.
     *
     * @return {@code try}, {@code confirm} or {@code cancel}
     */
    public String word() {
        return word;
    }

    static Optional<Op> of(String word) {
        for (Op op : values()) {
            if (op.word.equals(word)) {
                return Optional.of(op);
            }
        }
        return Optional.empty();
    }

    @Override
    public String toString() {
        return word;
    }
}
