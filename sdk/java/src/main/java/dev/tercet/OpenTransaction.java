package dev.tercet;

import com.fasterxml.jackson.databind.JsonNode;
import dev.tercet.TransactionView.BranchView;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * An open transaction: branches are registered one by one, and the initiator asks for the decision.
 *
 * <pre>{@code
 * try (OpenTransaction ride = tercet.open(Transaction.of("ride-17"))) {
 *     ride.register(Branch.of("seat", seats, new Seat(17))).orThrow();
 *     ride.register(Branch.of("fare", payments, new Debit("alice", 900))).orThrow();
 *     ride.confirm().orThrow();
 * }
 * }</pre>
 *
 * <p>Who leaves without having asked for confirm or cancel cancels. Who asked for confirm and was not answered does not:
 * nobody knows whether it was heard, so ask again, by {@link Client#resume}. An open transaction is for one thread at a time.
 */
public final class OpenTransaction implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger("dev.tercet");
    private static final int REASON_BYTES = 1024;
    /** How long leaving may take where the coordinator does not answer: its deadline cancels then. */
    private static final Duration LEAVING = Duration.ofSeconds(5);

    private final Client client;
    private final String gid;
    private final String traceparent;
    /** Known from the beginning to whoever began it, asked for by whoever took it up. */
    private TransactionView life;
    /** Whether a decision was asked for, and may have been heard. */
    private boolean asked;
    private String reason = "left without confirm";

    OpenTransaction(Client client, String gid, TransactionView life, String traceparent) {
        this.client = client;
        this.gid = gid;
        this.life = life;
        this.traceparent = traceparent;
    }

    /**
     * Work in an open transaction.
     *
     * @param <T> what comes of it
     */
    @FunctionalInterface
    public interface Work<T> {
        /**
         * Registers branches, and asks for confirm.
         *
         * @param open the transaction
         * @return what comes of it
         * @throws Exception it cancels
         */
        T run(OpenTransaction open) throws Exception;
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
     * Adds a branch and waits for its Try, which the coordinator calls. Register it again to wait for one that is
     * {@link Registered.Pending}: the same content starts nothing.
     *
     * @param branch a participant's part
     * @return whether it was tried
     * @throws TercetException nobody knows, or the coordinator refuses it; after the decision it does
     */
    public Registered register(Branch branch) {
        return registered(join("tried", branch));
    }

    /**
     * Adds several branches at once, 1 to 64 of them: all or none, in one request. Waits until all are tried or one is
     * refused. A repeat must have the same branches.
     *
     * @param branches in their order; in a saga each comes after the one before it, unless it says {@link Branch#after}
     * @return how each stands, in their order
     * @throws TercetException nobody knows, or the coordinator refuses them; after the decision it does
     */
    public List<Registered> registerAll(List<Branch> branches) {
        String body = Transaction.written(json -> {
            json.writeStartArray();
            for (Branch branch : branches) {
                branch.write(json);
            }
            json.writeEndArray();
        });
        Reply reply = client.register(gid, "tried", body);
        JsonNode shown = reply.json().path("branches");
        List<Registered> all = new ArrayList<>();
        shown.forEach(branch -> all.add(registered(BranchView.of(branch))));
        if (all.size() != branches.size()) {
            throw new TercetException.Unexpected(reply.status(), reply.body());
        }
        return all;
    }

    /**
     * Adds a branch whose Try you call yourself, because you need what it answers, say. Once this returns, the branch is on
     * disk: whatever becomes of you, it gets its Confirm or Cancel. Now call its Try, with the headers of {@link OwnTry},
     * until the answer settles it; ask for confirm only if all are done.
     *
     * @param branch by its endpoint, or its legs; Try is kept from the coordinator, and given back as {@link OwnTry#url()}
     * @return what the call says
     * @throws TercetException whatever it is, do not call Try: nobody would release it
     */
    public OwnTry registerOwnTry(Branch branch) {
        Branch legs = branch.forOwnTry();
        join("accepted", legs.withoutTry());
        if (life == null) {
            life = client.get(gid);
        }
        Instant deadline = life.deadlineAt();
        Context.Call call = new Context.Call(
                gid, branch.id(), life.instance(), Op.TRY, legs.legsWithTry(), 1, deadline, traceparent, new byte[0], null);
        return new OwnTry(call, legs.tryUrl(), branch.payloadText());
    }

    /**
     * Asks for confirm.
     *
     * @return how it stands; that it was cancelled before is an outcome, not an exception
     * @throws TercetException nobody knows, or a Try is unanswered ({@code tries-outstanding})
     */
    public Outcome confirm() {
        return decide("confirm", null);
    }

    /**
     * Asks for cancel.
     *
     * @param why in words, at most 1 KiB
     * @return how it stands; that it was confirmed before is an outcome, not an exception
     * @throws TercetException nobody knows, or the coordinator refuses it
     */
    public Outcome cancel(String why) {
        return decide("cancel", "{\"reason\":" + Json.quoted(why) + "}");
    }

    private Outcome decide(String decision, String body) {
        boolean before = asked;
        asked = true;
        try {
            return client.decide(gid, decision, body);
        } catch (TercetException.Refused refused) {
            // Nothing was decided by it: who leaves now cancels, unless something was asked for before.
            asked = before;
            throw refused;
        }
    }

    void leaving(Throwable error) {
        String message = error.getMessage() == null ? "" : ": " + error.getMessage();
        reason = cut(error.getClass().getSimpleName() + message);
    }

    /** Cancels, if neither confirm nor cancel was asked for. It throws nothing: where it fails, the deadline cancels. */
    @Override
    public void close() {
        if (asked) {
            return;
        }
        asked = true;
        // Who is interrupted leaves as everybody does.
        boolean interrupted = Thread.interrupted();
        try {
            String body = "{\"reason\":" + Json.quoted(reason) + "}";
            client.deadline(LEAVING).waitingFor(Client.WaitFor.DECIDED).waitingAtMost(Duration.ofSeconds(2))
                    .decide(gid, "cancel", body);
        } catch (TercetException error) {
            LOG.log(Level.WARNING, gid + " could not be cancelled, and is left to its deadline", error);
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private BranchView join(String until, Branch branch) {
        Reply reply = client.register(gid, until, Transaction.written(branch::write));
        BranchView joined = BranchView.of(reply.json());
        if (joined.id() == null || joined.status() == null) {
            throw new TercetException.Unexpected(reply.status(), reply.body());
        }
        return joined;
    }

    /** Every status that does not say that it was tried, or is waited for, means no: also one that is newer than this. */
    private static Registered registered(BranchView branch) {
        return switch (String.valueOf(branch.status())) {
            case "tried", "confirmed" -> new Registered.Tried(branch);
            case "registered" -> new Registered.Pending(branch);
            default -> new Registered.Refused(branch);
        };
    }

    /** At most what a reason may have, cut between characters. */
    private static String cut(String text) {
        StringBuilder kept = new StringBuilder();
        int bytes = 0;
        for (int at = 0; at < text.length(); ) {
            int point = text.codePointAt(at);
            bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
            if (bytes > REASON_BYTES) {
                break;
            }
            kept.appendCodePoint(point);
            at += Character.charCount(point);
        }
        return kept.toString();
    }
}
