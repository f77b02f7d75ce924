package dev.tercet;

/**
 * A Try that will never succeed: no stock, no money, no such account. The transaction is cancelled and the reason reaches
 * its initiator (409). Whatever was written is rolled back, the guard's row with it.
 *
 * <p>A Confirm or Cancel has no right to refuse: it is called again, and people are told.
 */
public class RefusedException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** Why, for programs. */
    private final String code;

    /**
     * Refuses.
     *
     * @param code why, for programs: a short word such as {@code out-of-stock}
     * @param detail why, for people; it is told to the initiator
     */
    public RefusedException(String code, String detail) {
        super(detail);
        this.code = code;
    }

    /**
     * Why, for programs.
     *
     * @return a short word
     */
    public String code() {
        return code;
    }
}
