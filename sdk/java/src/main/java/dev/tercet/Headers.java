package dev.tercet;

import java.util.List;

/** The headers of a request, whoever received it. */
@FunctionalInterface
public interface Headers {
    /**
     * All values of a header.
     *
     * @param name its name, in lower case; it may have come in any case
     * @return none where it is missing
     */
    List<String> all(String name);

    /**
     * The first value of a header.
     *
     * @param name its name
     * @return null where it is missing
     */
    default String first(String name) {
        List<String> values = all(name);
        return values.isEmpty() ? null : values.get(0);
    }

    /**
     * The value of a header that is there once. One that is there twice says nothing: others might read the other one.
     *
     * @param name its name
     * @return null where it is missing, or there more than once
     */
    default String only(String name) {
        List<String> values = all(name);
        return values.size() == 1 ? values.get(0) : null;
    }
}
