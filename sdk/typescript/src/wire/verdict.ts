// What a participant's answer means to whoever calls it.

import type { Op } from "./op.js";

/**
 * What an answer means. Only `done` allows a confirm. `again` and `in-progress`: the same call once more, after `pauseMs`
 * at least where that is said; nobody knows whether it had its effect.
 */
export type Verdict =
  | { readonly kind: "done" }
  | { readonly kind: "refused" }
  | { readonly kind: "in-progress"; readonly pauseMs: number }
  | { readonly kind: "again"; readonly pauseMs: number | undefined };

/** Reads an answer as the coordinator does; `status` is undefined where none came. `retryAfter` is in milliseconds. */
export function verdictOf(op: Op, status: number | undefined, retryAfter?: number): Verdict {
  const asked = retryAfter === undefined ? undefined : Math.min(Math.max(retryAfter, 100), 60_000);
  const again = (pauseMs?: number): Verdict => ({ kind: "again", pauseMs });
  const wrong: Verdict = op === "try" ? { kind: "refused" } : again();
  if (status === undefined) return again();
  if (status === 202) return { kind: "in-progress", pauseMs: asked ?? 1000 };
  if (status >= 200 && status <= 299) return { kind: "done" };
  if (status === 409) return asked === undefined ? wrong : { kind: "in-progress", pauseMs: asked };
  if (status === 410) return op === "cancel" ? { kind: "done" } : wrong;
  if (status === 429 || status === 503) return again(asked);
  if (status === 408 || status === 425) return again();
  if (status >= 400 && status <= 499) return wrong;
  return again();
}
