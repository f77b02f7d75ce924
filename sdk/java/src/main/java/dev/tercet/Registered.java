package dev.tercet;

import dev.tercet.TransactionView.BranchView;

/** How a branch's registration ended. It may have been refused: look which one it is, or call {@link #orThrow()}. */
public sealed interface Registered permits Registered.Tried, Registered.Refused, Registered.Pending {
    /**
     * Its Try was done, or it has none.
     *
     * @param branch as it stands
     */
    record Tried(BranchView branch) implements Registered {}

    /**
     * Its Try was refused, and with it the transaction: it is being cancelled.
     *
     * @param branch as it stands
     */
    record Refused(BranchView branch) implements Registered {}

    /**
     * Its Try is not answered yet. Confirm is refused until it is; register the same branch again to wait for it.
     *
     * @param branch as it stands
     */
    record Pending(BranchView branch) implements Registered {}

    /**
     * The branch, however it stands.
     *
     * @return as the coordinator shows it
     */
    BranchView branch();

    /**
     * The branch if it is tried, so that the next line is reached only then.
     *
     * @return as the coordinator shows it
     * @throws IllegalStateException it was refused, or is not answered yet; who leaves an open transaction by it cancels
     */
    default BranchView orThrow() {
        if (this instanceof Tried) {
            return branch();
        }
        String how = this instanceof Refused ? "was refused" : "is not answered yet";
        String said = branch().answer() == null ? "" : ": " + branch().answer();
        throw new IllegalStateException("the Try of " + branch().id() + " " + how + said);
    }
}
