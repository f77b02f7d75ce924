/**
 * Takes part in Tercet's TCC transactions, sagas and messages.
 *
 * <ul>
 *   <li>{@link dev.tercet.Client} begins transactions and tells how they ended, as an {@link dev.tercet.Outcome}.
 *   <li>A {@link dev.tercet.Participant} does the work of a branch; an {@link dev.tercet.Endpoint} answers its calls, by
 *       {@link dev.tercet.HttpServers} or {@link dev.tercet.servlet.TercetServlet}.
 *   <li>The {@link dev.tercet.Guard} makes calls right that repeat, come late or come after their opposite.
 *   <li>An {@link dev.tercet.Outbox} and its {@link dev.tercet.Relay} begin a transaction exactly if a SQL transaction of
 *       your own commits; {@link dev.tercet.Checked} answers a coordinator that asks whether it did.
 * </ul>
 */
package dev.tercet;
