package dev.tercet;

import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.Locale;
import java.util.concurrent.ThreadLocalRandom;

/** Moments and pauses as they are written on the wire. */
final class Times {
    private static final DateTimeFormatter MILLIS =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'", Locale.ROOT).withZone(ZoneOffset.UTC);

    private Times() {}

    /** RFC 3339, UTC, with milliseconds. */
    static String text(Instant moment) {
        return MILLIS.format(moment);
    }

    /** {@code Retry-After}: seconds, or a date; null for what is neither (RFC 9110, 10.2.3). */
    static Duration retryAfter(String value, Instant now) {
        if (value == null) {
            return null;
        }
        String text = value.strip();
        if (!text.isEmpty() && text.chars().allMatch(c -> c >= '0' && c <= '9')) {
            // More seconds than fit is still a request to wait very long.
            return Duration.ofSeconds(text.length() > 9 ? 0xffff_ffffL : Long.parseLong(text));
        }
        try {
            Instant date = ZonedDateTime.parse(text, DateTimeFormatter.RFC_1123_DATE_TIME).toInstant();
            return date.isAfter(now) ? Duration.between(now, date) : Duration.ZERO;
        } catch (DateTimeParseException error) {
            return null;
        }
    }

    /** Whole seconds; a pause is never shortened. */
    static long wholeSeconds(Duration pause) {
        return pause.getSeconds() + (pause.getNano() > 0 ? 1 : 0);
    }

    /** The pause after the n-th failure in a row (from 1): doubling up to a cap, with full jitter. */
    static Duration backoff(Duration first, Duration cap, int failures) {
        return Duration.ofMillis(ThreadLocalRandom.current().nextLong(stepMs(first, cap, failures) + 1));
    }

    /** The same, and never less than half of the step. */
    static Duration atLeastHalf(Duration first, Duration cap, int failures) {
        long half = stepMs(first, cap, failures) / 2;
        return Duration.ofMillis(half + ThreadLocalRandom.current().nextLong(half + 1));
    }

    private static long stepMs(Duration first, Duration cap, int failures) {
        int doublings = Math.min(Math.max(failures - 1, 0), 20);
        return Math.min(first.toMillis() << doublings, cap.toMillis());
    }

    static Duration longer(Duration one, Duration other) {
        return other == null || one.compareTo(other) >= 0 ? one : other;
    }
}
