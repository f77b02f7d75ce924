// What is sent by an outbox, looked at while somebody can be told.

import { InvalidRequest } from "../client/errors.js";
import { writeBegin, type NewBranch, type NewTransaction, type Written } from "../client/request.js";

/** What a coordinator takes as a request, at most. */
const REQUEST_BYTES = 1024 * 1024;
const MONTH_MS = 30 * 24 * 60 * 60 * 1000;

/**
 * Writes a message. What a coordinator would refuse at any time is refused here; what its settings may say otherwise (sizes,
 * and who may be called) is left to it.
 *
 * @throws InvalidRequest naming the field
 */
export function writeMessage(transaction: NewTransaction): Written {
  const { branches = [], check, saga, timeoutMs } = transaction;
  if (branches.length === 0 || check !== undefined) {
    throw new InvalidRequest("branches", "a message needs branches, and is not open");
  }
  within("timeoutMs", timeoutMs, 100, saga ? MONTH_MS : MONTH_MS / 30);
  const ids = new Set<string>();
  branches.forEach((branch, at) => {
    const field = `branches[${at}]`;
    if (ids.has(branch.id)) throw new InvalidRequest(`${field}.id`, `${branch.id} is the id of an earlier branch`);
    ids.add(branch.id);
    checkBranch(field, branch);
  });
  branches.forEach((branch, at) => checkOrder(`branches[${at}].after`, branch, ids, saga ?? false));
  const written = writeBegin(transaction, false);
  const bytes = Buffer.byteLength(written.body);
  if (bytes > REQUEST_BYTES) {
    throw new InvalidRequest("message", `${bytes} bytes are more than a request may have (${REQUEST_BYTES})`);
  }
  if ((written.traceparent?.length ?? 0) > 255) throw new InvalidRequest("traceparent", "has at most 255 characters");
  return written;
}

function checkBranch(field: string, branch: NewBranch): void {
  const { endpoint, try: tryUrl, confirm, cancel } = branch;
  const legs = { try: tryUrl, confirm, cancel };
  const given = Object.entries({ endpoint, ...legs }).filter(([, url]) => url !== undefined);
  if (given.length === 0) {
    throw new InvalidRequest(field, "a branch needs at least one URL: give `endpoint`, `try`, `confirm` or `cancel`");
  }
  if (endpoint !== undefined && given.length > 1) {
    throw new InvalidRequest(`${field}.endpoint`, "stands for all three URLs, so there is none beside it");
  }
  for (const [name, url] of given) checkUrl(`${field}.${name}`, url ?? "", name === "endpoint");
  within(`${field}.timeoutMs`, branch.timeoutMs, 10, 600_000);
  within(`${field}.tryAttempts`, branch.tryAttempts, 0, 1000);
  within(`${field}.confirmAfterMs`, branch.confirmAfterMs, 0, MONTH_MS);
}

function checkUrl(field: string, text: string, isEndpoint: boolean): void {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new InvalidRequest(field, "is no URL");
  }
  const isCalled = ["http:", "https:"].includes(url.protocol) && url.username === "" && url.password === "";
  if (!isCalled || text.includes("#")) throw new InvalidRequest(field, "must be http or https, without user and fragment");
  if (isEndpoint && text.includes("?")) throw new InvalidRequest(field, "an endpoint has no query");
}

function checkOrder(field: string, { id, after }: NewBranch, ids: ReadonlySet<string>, isSaga: boolean): void {
  if (after === undefined) return;
  if (!isSaga) throw new InvalidRequest(field, "there is an order in a saga alone");
  for (const before of after) {
    if (before === id || !ids.has(before)) throw new InvalidRequest(field, `${before} is no other branch`);
  }
}

function within(field: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined) return;
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new InvalidRequest(field, `must be a whole number from ${least} to ${most}`);
  }
}
