package dev.tercet;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;

/** What a coordinator says of a message, and what becomes of it by that. */
record Told(Kind kind, String status, String why, Duration asked) {
    private static final int REASON_CHARS = 1_000;
    private static final Duration ODD_FIRST = Duration.ofSeconds(1);
    private static final Duration ODD_CAP = Duration.ofSeconds(60);
    private static final Duration AWAY_FIRST = Duration.ofMillis(100);
    private static final Duration AWAY_CAP = Duration.ofSeconds(5);
    private static final String FORGOTTEN = "the coordinator does not know it any more: it ended long ago, or its database"
            + " is not the one that had it";

    /** The kinds of what it says. */
    enum Kind {
        /** It has it. */
        HAS,
        /** It will never take it. */
        REFUSED,
        /** It knows nothing of it. */
        UNKNOWN,
        /** Something is wrong with this one alone, as far as can be told. */
        ODD,
        /** It cannot be asked now, whoever asks, or takes nothing from us. */
        AWAY
    }

    /** What becomes of the count of attempts. */
    enum Attempts {
        ANEW("0"),
        COUNTED("attempts"),
        NOT_THIS_ONE("attempts - 1");

        final String sql;

        Attempts(String sql) {
            this.sql = sql;
        }
    }

    /** What becomes of a row. */
    record Next(Outbox.State state, long dueInMs, Attempts attempts, String reason) {}

    static Told away(String why) {
        return new Told(Kind.AWAY, null, why, null);
    }

    static Told of(Reply reply) {
        String excerpt = "answered " + reply.status() + ": " + reply.body().substring(0, Math.min(reply.body().length(), 200));
        if (reply.isAgain()) {
            return new Told(Kind.AWAY, null, excerpt, reply.pause());
        }
        JsonNode read = Json.read(reply.body());
        if (reply.isSuccess()) {
            String status = read == null ? null : TransactionView.text(read, "status");
            return status == null ? new Told(Kind.ODD, null, excerpt, null) : new Told(Kind.HAS, status, null, null);
        }
        String code = read == null ? null : TransactionView.text(read, "code");
        if (code == null) {
            // Whoever has no code to give is no coordinator, but something before it.
            return away(excerpt);
        }
        String why = code + ": " + read.path("detail").asText();
        return switch (reply.status()) {
            case 400, 409, 413, 415, 422 -> new Told(Kind.REFUSED, null, why, null);
            // Of these the next message would be told the same: who we are, where we ask, a node that owns it not.
            case 401, 403, 405, 421 -> away(why);
            case 404 -> code.equals("transaction-not-found") ? new Told(Kind.UNKNOWN, null, why, null) : away(why);
            default -> new Told(Kind.ODD, null, why, null);
        };
    }

    /** What becomes of a row in {@code from} whose {@code attempts}-th attempt was told this. */
    Next next(Outbox.State from, int attempts) {
        return switch (kind) {
            case HAS -> switch (status) {
                case "confirmed" -> new Next(Outbox.State.CONFIRMED, 0, Attempts.COUNTED, null);
                case "cancelled" -> new Next(Outbox.State.CANCELLED, 0, Attempts.COUNTED, null);
                default -> from == Outbox.State.SENT
                        ? later(from, ODD_FIRST, ODD_CAP, attempts, null)
                        : new Next(Outbox.State.SENT, ODD_FIRST.toMillis(), Attempts.ANEW, null);
            };
            case REFUSED -> new Next(Outbox.State.DEAD, 0, Attempts.COUNTED, cut(why));
            // To begin it anew may do twice what it did once: the participants' guards forget as well.
            case UNKNOWN -> from == Outbox.State.SENT
                    ? new Next(Outbox.State.DEAD, 0, Attempts.COUNTED, FORGOTTEN)
                    : later(from, ODD_FIRST, ODD_CAP, attempts, "not found");
            case ODD -> later(from, ODD_FIRST, ODD_CAP, attempts, why);
            case AWAY -> later(from, AWAY_FIRST, AWAY_CAP, attempts, why);
        };
    }

    /** A row that was claimed and not tried. */
    static Next givenBack(Outbox.State from) {
        return new Next(from, 0, Attempts.NOT_THIS_ONE, null);
    }

    /** How long a relay waits after so many rounds in a row in which the coordinator was away. */
    static Duration pauseWhileAway(int rounds, Duration asked) {
        Duration bounded = asked == null || asked.compareTo(AWAY_CAP) < 0 ? asked : AWAY_CAP;
        return Times.longer(Times.atLeastHalf(AWAY_FIRST, AWAY_CAP, rounds), bounded);
    }

    private static Next later(Outbox.State from, Duration first, Duration cap, int attempts, String why) {
        return new Next(from, Times.atLeastHalf(first, cap, attempts).toMillis(), Attempts.COUNTED, cut(why));
    }

    /** At most what is kept of a reason; U+0000 is in no text of PostgreSQL. */
    private static String cut(String why) {
        if (why == null) {
            return null;
        }
        String text = why.replace('\0', '\ufffd');
        int points = Math.min(text.codePointCount(0, text.length()), REASON_CHARS);
        return text.substring(0, text.offsetByCodePoints(0, points));
    }
}
