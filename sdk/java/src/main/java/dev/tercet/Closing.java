package dev.tercet;

/** Something at work that ends when it is closed. */
public interface Closing extends AutoCloseable {
    /** Ends it, and waits until it has ended. */
    @Override
    void close();
}
