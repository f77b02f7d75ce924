// How it is said over HTTP that something was not done: RFC 9457, with a code for programs.

import type { Answer } from "./answer.js";

const TITLES: Readonly<Record<number, string>> = {
  202: "in progress",
  400: "not understood",
  401: "not signed",
  404: "not found",
  405: "not allowed",
  409: "refused",
  410: "gone",
  413: "too large",
  500: "wrongly set up",
  503: "failed for now",
};

/** An answer with a code and a sentence, and the least pause before the next call, in seconds. */
export function problem(status: number, code: string, detail: string, retryAfterSeconds?: number): Answer {
  const title = TITLES[status] ?? "not done";
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  if (retryAfterSeconds !== undefined) headers["retry-after"] = String(retryAfterSeconds);
  return { status, headers, body: JSON.stringify({ type: "about:blank", title, status, code, detail }) };
}

/** The cause stays here: it may name tables, hosts or worse. */
export const failed = (retryAfterSeconds?: number): Answer =>
  problem(503, "failed", "the call failed here; call again", retryAfterSeconds);

/** Another call of the same branch is being worked on. */
export const inProgress = (): Answer =>
  problem(202, "in-progress", "another call of this branch is being worked on", 1);
