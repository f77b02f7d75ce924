package dev.tercet;

import java.security.SecureRandom;
import java.util.UUID;

/** The form of gids, branch ids and names. */
final class Ids {
    static final int GID_LENGTH = 128;
    static final int BRANCH_LENGTH = 64;

    private static final SecureRandom RANDOM = new SecureRandom();

    private Ids() {}

    /** What is wrong with an id, in words; null where nothing is. */
    static String fault(String text, int longest) {
        if (text.isEmpty() || text.length() > longest) {
            return "must be 1 to " + longest + " characters long, this has " + text.length();
        }
        if (!isLetterOrDigit(text.charAt(0))) {
            return "must begin with a letter or a digit, not with '" + text.charAt(0) + "'";
        }
        for (int at = 0; at < text.length(); at++) {
            char c = text.charAt(at);
            if (!isLetterOrDigit(c) && "._:-".indexOf(c) < 0) {
                return "may contain only letters, digits and . _ : - , not '" + c + "'";
            }
        }
        return null;
    }

    /** The id, if it is one. */
    static String checked(String what, String text, int longest) {
        String fault = fault(text, longest);
        if (fault != null) {
            throw new IllegalArgumentException(what + " \"" + text + "\": " + fault);
        }
        return text;
    }

    /** A gid that nobody else makes: a UUID of version 7, so that neighbours in time are neighbours in an index. */
    static String freshGid() {
        byte[] random = new byte[10];
        RANDOM.nextBytes(random);
        long high = System.currentTimeMillis() << 16 | 0x7000 | (random[0] & 0x0f) << 8 | random[1] & 0xff;
        long low = 0;
        for (int at = 2; at < 10; at++) {
            low = low << 8 | random[at] & 0xff;
        }
        return new UUID(high, low & 0x3fff_ffff_ffff_ffffL | 0x8000_0000_0000_0000L).toString();
    }

    private static boolean isLetterOrDigit(char c) {
        return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9';
    }
}
