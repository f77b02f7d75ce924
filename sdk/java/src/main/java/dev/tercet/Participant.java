package dev.tercet;

import java.sql.Connection;

/**
 * Does the work of one kind of branch.
 *
 * <p>Every method runs inside one SQL transaction of the participant's own database, in which the guard has already written
 * that this call was done. Do all writing through {@code db}: then the change and the guard's row are durable together or
 * not at all, and each method is run at most once to its end for a branch, however often, late or out of order the calls
 * arrive. The guard commits and rolls back; {@code db} refuses both.
 *
 * <p>A method may be run again after it failed or its transaction was rolled back, so what cannot be rolled back (a mail, a
 * call to another service) does not belong in it. Let an {@link java.sql.SQLException} out: a deadlock is then run again.
 *
 * @param <P> the payload: a record, say, that Jackson reads
 */
public interface Participant<P> {
    /**
     * What the payload is read as.
     *
     * @return its class
     */
    Class<P> payloadType();

    /**
     * Try: reserves, so that Confirm cannot fail for want of anything.
     *
     * @param db the SQL transaction
     * @param call what is called
     * @param payload the payload of the branch
     * @throws Exception a {@link RefusedException} if it cannot be reserved, which cancels the transaction; after anything
     *     else it is called again
     */
    void onTry(Connection db, Context call, P payload) throws Exception;

    /**
     * Confirm: takes what was reserved.
     *
     * @param db the SQL transaction
     * @param call what is called
     * @param payload the payload of the branch
     * @throws Exception it is called again, without end
     */
    void onConfirm(Connection db, Context call, P payload) throws Exception;

    /**
     * Cancel: releases what was reserved. It is run only if Try was, unless {@link #cancelsEmpty()} asks for more.
     *
     * @param db the SQL transaction
     * @param call what is called
     * @param payload the payload of the branch
     * @throws Exception it is called again, without end
     */
    void onCancel(Connection db, Context call, P payload) throws Exception;

    /**
     * Whether Cancel is run also where no Try was recorded, with {@link Context#empty()} set. Say {@code true} if Try has
     * effects outside of this database (a hold on a card, say): it may have had them and then failed before it was recorded,
     * and only Cancel can find out. It is still run once at most, and no Try gets in after it.
     *
     * @return false, unless it is said otherwise
     */
    default boolean cancelsEmpty() {
        return false;
    }

    /**
     * One of the three calls.
     *
     * @param <P> the payload
     */
    @FunctionalInterface
    interface Leg<P> {
        /**
         * Does the work.
         *
         * @param db the SQL transaction
         * @param call what is called
         * @param payload the payload of the branch
         * @throws Exception as the method of {@link Participant} says
         */
        void run(Connection db, Context call, P payload) throws Exception;
    }

    /**
     * A participant of three lambdas.
     *
     * @param <P> the payload
     * @param payload what the payload is read as
     * @param onTry see {@link #onTry}
     * @param onConfirm see {@link #onConfirm}
     * @param onCancel see {@link #onCancel}
     * @return the participant
     */
    static <P> Participant<P> of(Class<P> payload, Leg<P> onTry, Leg<P> onConfirm, Leg<P> onCancel) {
        return new Participant<>() {
            @Override
            public Class<P> payloadType() {
                return payload;
            }

            @Override
            public void onTry(Connection db, Context call, P read) throws Exception {
                onTry.run(db, call, read);
            }

            @Override
            public void onConfirm(Connection db, Context call, P read) throws Exception {
                onConfirm.run(db, call, read);
            }

            @Override
            public void onCancel(Connection db, Context call, P read) throws Exception {
                onCancel.run(db, call, read);
            }
        };
    }
}
