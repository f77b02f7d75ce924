// One call under the guard: one SQL transaction holds the guard's row and the business change.
//
//   insert ── one row ──▶ nothing was recorded ─┐
//     └ none ──▶ find ──▶ this is recorded ─────┴─▶ the table ──▶ run, record ──▶ commit
//                                                        └──▶ repeat, refuse ──▶ roll back

import { contention } from "../database/contention.js";
import { InProgress } from "../database/database.js";
import { numberOf, sql, type Ended, type Program, type Step, type Value } from "../database/statement.js";
import type { Context } from "../participant/context.js";
import { Refused, Retry } from "../participant/failure.js";
import { decide, isState, STATE_AFTER, type Contradiction, type Recorded, type State } from "./table.js";
import type { GuardStatements } from "./statements.js";

/** How old the note of the last call may become before another call writes it anew. */
export const TOUCH_AFTER_MS = 24 * 60 * 60 * 1000;

/** How a call ended. */
export type Called =
  | { readonly kind: "done"; readonly state: State; readonly repeated: boolean; readonly result: string | undefined }
  | { readonly kind: "contradiction"; readonly why: Contradiction };

/** The payload is not what the business code reads. */
export class UnreadablePayload extends Error {
  override readonly name = "UnreadablePayload";
}

/** The business code of a call. */
export interface Business {
  /** Reads the payload; its errors say what is wrong with it. */
  readonly read: () => unknown;
  /** Does what is to be done. */
  readonly run: (payload: unknown) => unknown;
  /** Whether a Cancel is run also where nothing was recorded. */
  readonly cancelsEmpty: boolean;
}

interface Row {
  readonly recorded: Recorded;
  readonly updatedAt: number;
}

/** The SQL transaction of a call. `now` is UTC epoch milliseconds. */
export function* guardedCall(of: GuardStatements, context: Context, business: Business, now: number): Program<Called> {
  const { op } = context;
  const state = STATE_AFTER[op];
  const key = { gid: context.gid, branch_id: context.branch };
  // What a round before this one wanted to answer was rolled back with it.
  context.takeAnswer();
  const row = yield* record(of, context, state, now);
  const action = decide(row?.recorded, context, now);
  let result: string | undefined;
  switch (action.do) {
    case "refuse":
      return yield* noteCall(of, context, row, now, { kind: "contradiction", why: action.why });
    case "repeat":
      // The coordinator may have lost the answer before it was durable, and others build on what it says.
      if (op === "try") result = yield* findResult(of, context);
      return yield* noteCall(of, context, row, now, {
        kind: "done",
        state: row?.recorded.state ?? state,
        repeated: true,
        result,
      });
    case "record":
      if (business.cancelsEmpty && (yield* runEmpty(context, business))) yield* insistThatItStands(of, context, state, now);
      break;
    case "run": {
      const payload = readPayload(business);
      if (row) {
        const values = { ...key, state, now, state_before: row.recorded.state };
        // The row is locked, so it can have moved only where the lock is not honoured; then this call must not run.
        if ((yield* sql(of.replace, values)).changed !== 1) throw new InProgress();
      }
      yield { do: "business", run: () => business.run(payload) };
      if (op === "try") result = context.takeAnswer();
      yield* insistThatItStands(of, context, state, now);
      break;
    }
  }
  if (result !== undefined) yield* sql(of.keepResult, { ...key, instance: context.instance, result });
  return { commit: true, value: { kind: "done", state, repeated: false, result } };
}

/**
 * Records the call as done, unless something is recorded of its branch: then gives that. The row is inserted before it is
 * read: a locking read of a row that is not there lets two callers pass, or deadlocks them. An insert makes the second wait.
 */
function* record(of: GuardStatements, context: Context, state: State, now: number): Generator<Step, Row | undefined> {
  yield { do: "patience" };
  try {
    const key = { gid: context.gid, branch_id: context.branch };
    const values = { ...key, instance: context.instance, legs: context.legs.join(","), state, now };
    if ((yield* sql(of.insert, values)).changed > 0) return undefined;
    const [found] = (yield* sql(of.find, key)).rows;
    // Purged between the two statements.
    if (!found) throw new InProgress();
    return rowOf(found, context);
  } catch (error) {
    // Whoever holds the row is at work on this very branch.
    if (contention(error) === "waited") throw new InProgress({ cause: error });
    throw error;
  } finally {
    yield { do: "patience ends" };
  }
}

function rowOf(found: Readonly<Record<string, unknown>>, context: Context): Row {
  const { instance, state, updated_at: updatedAt } = found;
  if (typeof instance !== "string" || !isState(state)) {
    throw new TypeError(`tercet_guard ${context.gid}/${context.branch}: instance or state is none`);
  }
  return { recorded: { instance: instance.trim().toLowerCase(), state }, updatedAt: numberOf(updatedAt) };
}

function readPayload(business: Business): unknown {
  try {
    return business.read();
  } catch (cause) {
    if (cause instanceof Refused || cause instanceof Retry) throw cause;
    // It may name what is in it, which is nobody else's to see.
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UnreadablePayload(why, { cause });
  }
}

/** An empty Cancel, for a participant whose Try may have had effects that nothing was recorded of; whether it was run. */
function* runEmpty(context: Context, business: Business): Generator<Step, boolean> {
  let payload: unknown;
  try {
    payload = business.read();
  } catch {
    // A payload that cannot be read now could not be read by a Try either.
    return false;
  }
  context.markEmpty();
  yield { do: "business", run: () => business.run(payload) };
  return true;
}

/**
 * Where the database gives a whole SQL transaction up and lets the session go on as if nothing had been (MySQL, after a
 * deadlock), business code that passes over the error ends in another one than it began in. The row as this call has written it
 * is there only in the first.
 */
function* insistThatItStands(of: GuardStatements, context: Context, state: State, now: number): Generator<Step, void> {
  if (!of.stands) return;
  const values = { gid: context.gid, branch_id: context.branch, instance: context.instance, state, now };
  if ((yield* sql(of.stands, values)).rows.length === 0) {
    throw new Error("the SQL transaction was rolled back: business code passed over an error of the database");
  }
}

function* findResult(of: GuardStatements, context: Context): Generator<Step, string | undefined> {
  const key: Record<string, Value> = { gid: context.gid, branch_id: context.branch, instance: context.instance };
  const [found] = (yield* sql(of.findResult, key)).rows;
  return typeof found?.["result"] === "string" ? found["result"] : undefined;
}

/**
 * Ends a transaction in which nothing was run. That the branch was called is written down now and then, since its row is
 * kept for as long as it is called.
 */
function* noteCall(
  of: GuardStatements,
  context: Context,
  row: Row | undefined,
  now: number,
  value: Called,
): Generator<Step, Ended<Called>> {
  const isDue = row !== undefined && row.recorded.instance === context.instance && now - row.updatedAt >= TOUCH_AFTER_MS;
  if (isDue) yield* sql(of.touch, { gid: context.gid, branch_id: context.branch, now });
  // Where nothing was recorded an insert may have gone before, of a call that is refused.
  return { commit: isDue, value };
}
