// What becomes of a message after what the coordinator said of it.

import { excerpt, problemOf, type Reply } from "../client/http.js";
import type { Status } from "../client/views.js";
import { isObject } from "../client/views.js";
import { pauseAfter, type Backoff } from "../wire/pause.js";
import type { OutboxState } from "./row.js";

/** The most of a reason that is kept, in characters. */
const REASON_CHARACTERS = 1000;
/** Between attempts with one message that alone is in trouble. */
const ODD_PAUSE: Backoff = { first: 1000, cap: 60_000 };
/** Between attempts while the coordinator is away: as long as it may take to notice that it is back. */
const AWAY_PAUSE: Backoff = { first: 100, cap: 5000 };
/** Between questions how a message stands that was handed over. */
const FOLLOW_PAUSE: Backoff = { first: 1000, cap: 60_000 };
const FORGOTTEN =
  "the coordinator does not know it any more: it ended long ago, or its database is not the one that had it";

/**
 * What a coordinator says of a message. `has`: it has it. `refused`: it will never take it. `unknown`: it knows nothing of it.
 * `odd`: something is wrong with this one alone, as far as can be told. `away`: it cannot be asked now, whoever asks, or takes
 * nothing from us.
 */
export type Told =
  | { readonly kind: "has"; readonly status: Status }
  | { readonly kind: "refused" | "odd"; readonly why: string }
  | { readonly kind: "unknown" }
  | { readonly kind: "away"; readonly why: string; readonly asked: number | undefined };

/** What becomes of a row. */
export interface Next {
  readonly state: OutboxState;
  /** When it is to be seen to next, in milliseconds from now. */
  readonly dueInMs: number;
  /** What becomes of the count of attempts: the next step counts anew, this one counts, or it was not tried after all. */
  readonly attempts: "anew" | "counted" | "not this one";
  readonly reason: string | undefined;
}

/** Reads what was answered. */
export function toldBy({ status, body, asked }: Reply): Told {
  if ([429, 502, 503, 504].includes(status)) return { kind: "away", why: `answered ${status}: ${excerpt(body)}`, asked };
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    value = undefined;
  }
  if (status >= 200 && status <= 299) {
    const standing = isObject(value) && typeof value["status"] === "string" ? value["status"] : undefined;
    return standing === undefined ? { kind: "odd", why: `answered ${status}: ${excerpt(body)}` } : { kind: "has", status: standing };
  }
  const problem = problemOf(value);
  // Whoever has no code to give is no coordinator, but something before it.
  if (!problem) return { kind: "away", why: `answered ${status}: ${excerpt(body)}`, asked: undefined };
  const why = `${problem.code}: ${problem.detail}`;
  if ([400, 409, 413, 415, 422].includes(status)) return { kind: "refused", why };
  if (status === 404 && problem.code === "transaction-not-found") return { kind: "unknown" };
  // Of these the next message would be told the same: who we are, where we ask, a node that owns it not.
  if ([401, 403, 404, 405, 421].includes(status)) return { kind: "away", why, asked: undefined };
  return { kind: "odd", why };
}

/** What becomes of a row in `from` whose `attempts`-th attempt was told this. */
export function nextOf(from: OutboxState, attempts: number, told: Told): Next {
  const later = (pause: Backoff, why?: string): Next => ({
    state: from,
    dueInMs: atLeastHalf(pause, attempts),
    attempts: "counted",
    reason: why === undefined ? undefined : cut(why),
  });
  switch (told.kind) {
    case "has":
      if (told.status === "confirmed") return ended("confirmed");
      if (told.status === "cancelled") return ended("cancelled");
      if (from === "sent") return later(FOLLOW_PAUSE);
      return { state: "sent", dueInMs: FOLLOW_PAUSE.first, attempts: "anew", reason: undefined };
    case "refused":
      return ended("dead", told.why);
    case "unknown":
      // To begin it anew may do twice what it did once: the participants' guards forget as well.
      return from === "sent" ? ended("dead", FORGOTTEN) : later(ODD_PAUSE, "not found");
    case "odd":
      return later(ODD_PAUSE, told.why);
    case "away":
      return later(AWAY_PAUSE, told.why);
  }
}

/** A row that was claimed and not tried. */
export const givenBack = (from: OutboxState): Next => ({
  state: from,
  dueInMs: 0,
  attempts: "not this one",
  reason: undefined,
});

/** How long a relay waits after so many rounds in a row in which the coordinator was away. */
export const pauseWhileAway = (rounds: number, asked: number | undefined): number =>
  Math.max(atLeastHalf(AWAY_PAUSE, rounds), Math.min(asked ?? 0, AWAY_PAUSE.cap));

function ended(state: OutboxState, why?: string): Next {
  return { state, dueInMs: 0, attempts: "counted", reason: why === undefined ? undefined : cut(why) };
}

function atLeastHalf(pause: Backoff, failures: number): number {
  const step = Math.min(pause.first * 2 ** Math.min(Math.max(failures, 1) - 1, 31), pause.cap);
  return Math.floor(step / 2 + pauseAfter(failures, { first: pause.first / 2, cap: pause.cap / 2 }));
}

/** At most what is kept of a reason; U+0000 is in no text of PostgreSQL. */
const cut = (why: string): string =>
  [...Buffer.from(why).toString().replaceAll("\0", "\u{fffd}")].slice(0, REASON_CHARACTERS).join("");
