// How long to wait before the same again: backoff with full jitter, and what Retry-After asks for.

import { setTimeout as sleepFor } from "node:timers/promises";

/** Pauses in milliseconds: the first is at most `first`, each further one at most twice as long, up to `cap`. */
export interface Backoff {
  readonly first: number;
  readonly cap: number;
}

/** The pause after the `failures`-th failure in a row (from 1), and not less than was asked for. */
export function pauseAfter(failures: number, { first, cap }: Backoff, asked = 0): number {
  const step = Math.min(first * 2 ** Math.min(failures - 1, 31), cap);
  return Math.max(Math.floor(Math.random() * (step + 1)), asked);
}

/** Waits, and keeps no process alive that has nothing else to do unless told to. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await sleepFor(ms, undefined, signal ? { signal } : {});
}

const DATE = /^(?:[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT|[A-Z][a-z]+, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})$/;

/** Reads a `Retry-After`, seconds or a date, in milliseconds from now; nothing if it is neither. */
export function retryAfterMs(value: string | undefined, now: number): number | undefined {
  const text = value?.trim() ?? "";
  // More seconds than fit is still a request to wait very long.
  if (/^\d+$/.test(text)) return Math.min(Number(text), 0xffff_ffff) * 1000;
  if (!DATE.test(text)) return undefined;
  const at = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  return Number.isNaN(at) ? undefined : Math.max(at - now, 0);
}
