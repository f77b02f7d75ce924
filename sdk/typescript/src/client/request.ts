// What an initiator asks for, and how it is written.

import { freshGid, wrongBranchId, wrongGid } from "../wire/ids.js";
import { arrayOf, objectOf, RawJson, textOf } from "../wire/json.js";
import { OPS, type Op } from "../wire/op.js";
import { InvalidRequest } from "./errors.js";
import { isObject } from "./views.js";

/** One participant's share of a transaction. It needs an endpoint, or one of the three URLs at least. */
export interface NewBranch<Payload = unknown> {
  /** Unique in its transaction: 1 to 64 of `[A-Za-z0-9._:-]`. */
  readonly id: string;
  /** Short for `{endpoint}/try`, `{endpoint}/confirm` and `{endpoint}/cancel`. */
  readonly endpoint?: string | undefined;
  /** The URL of Try alone; of a saga's step, its action. */
  readonly try?: string | undefined;
  /** The URL of Confirm alone. */
  readonly confirm?: string | undefined;
  /** The URL of Cancel alone; of a saga's step, what compensates it. */
  readonly cancel?: string | undefined;
  /** The body of each of its calls, the same to the byte for all of them; `{}` by default. {@link rawJson} is sent as it is. */
  readonly payload?: Payload | undefined;
  /** Headers of each of its calls. The coordinator treats their values as secrets. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** How long one call may take: 10 ms to 10 min, by default 3 s. */
  readonly timeoutMs?: number | undefined;
  /** In a saga: the branches that come before it, by their ids; with none it is called at once. By default the one before it. */
  readonly after?: readonly string[] | undefined;
  /** How often its Try may fail before the transaction is cancelled, 0 to 1 000; 0: until the deadline. */
  readonly tryAttempts?: number | undefined;
  /** A delayed message: its Confirm is not called before this long after the decision; at most 30 days. */
  readonly confirmAfterMs?: number | undefined;
  /** Its calls bring what the Tries before it were answered with: see `context.result`. */
  readonly results?: boolean | undefined;
}

/** A transaction to be begun. */
export interface NewTransaction {
  /**
   * 1 to 128 of `[A-Za-z0-9._:-]`, beginning with a letter or digit. Take one that belongs to the business deed
   * (`order-1001`), and a repeat of the deed is the same transaction even after this process has died. By default a new UUID.
   */
  readonly gid?: string | undefined;
  readonly branches?: readonly NewBranch[] | undefined;
  /** Makes it a saga: each branch is tried once those before it are, and cancelled once those after it are. */
  readonly saga?: boolean | undefined;
  /** For an open transaction: a URL that is asked at its deadline what became of it, instead of cancelling it. */
  readonly check?: string | undefined;
  /** How long it may stay undecided: 30 s by default; a saga an hour. */
  readonly timeoutMs?: number | undefined;
  /** Your own data, shown with the transaction: an object, at most 4 KiB. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** The W3C trace context that it continues: every participant is called within this trace. */
  readonly traceparent?: string | undefined;
}

/** A run of a saga that the coordinator has a definition of. */
export interface NewRun<Input = unknown> extends Pick<NewTransaction, "gid" | "metadata" | "traceparent"> {
  /** What it is about: the payload of each of its steps. By default `{}`. */
  readonly input?: Input | undefined;
  /** Which version of the definition; by default the newest, of a repeat that which its gid runs with. */
  readonly version?: number | undefined;
}

/** What is sent, the same to the byte each time. */
export interface Written {
  readonly gid: string;
  readonly body: string;
  readonly traceparent: string | undefined;
}

/**
 * Writes a begin.
 *
 * @throws InvalidRequest where it cannot be sent
 */
export function writeBegin(transaction: NewTransaction, open: boolean): Written {
  const { gid = freshGid(), branches = [], saga, check, timeoutMs, metadata } = transaction;
  const body = objectOf([
    ["gid", checkedGid(gid)],
    ["pattern", saga ? "saga" : undefined],
    ["branches", branches.length > 0 ? branchesOf(branches) : undefined],
    ["open", open ? true : undefined],
    ["check", check],
    ["timeout_ms", timeoutMs],
    ["metadata", metadataOf(metadata)],
  ]);
  return { gid, body: body.text, traceparent: traceparentOf(transaction.traceparent) };
}

/** Writes a run of a saga. */
export function writeRun({ gid = freshGid(), input, metadata, version, traceparent }: NewRun): Written {
  const body = objectOf([
    ["gid", checkedGid(gid)],
    ["input", jsonOf("input", input)],
    ["metadata", metadataOf(metadata)],
    ["version", version],
  ]);
  return { gid, body: body.text, traceparent: traceparentOf(traceparent) };
}

/** Writes branches, for a begin or a registration of several. */
export const branchesOf = (branches: readonly NewBranch[]): RawJson => arrayOf(branches.map((one) => writeBranch(one)));

/** Writes a branch. */
export function writeBranch(branch: NewBranch, tryBy?: "initiator"): RawJson {
  const wrong = wrongBranchId(branch.id);
  if (wrong !== undefined) throw new InvalidRequest("branch id", `${JSON.stringify(branch.id)} ${wrong}`);
  return objectOf([
    ["id", branch.id],
    ["endpoint", branch.endpoint],
    ["try", branch.try],
    ["confirm", branch.confirm],
    ["cancel", branch.cancel],
    ["payload", jsonOf("payload", branch.payload)],
    ["headers", branch.headers],
    ["timeout_ms", branch.timeoutMs],
    ["after", branch.after],
    ["try_attempts", branch.tryAttempts],
    ["confirm_after_ms", branch.confirmAfterMs],
    ["results", branch.results],
    ["try_by", tryBy],
  ]);
}

/** The same branch with its Try kept from the coordinator, its URL, and the legs that the branch has. */
export function withOwnTry(branch: NewBranch): { body: RawJson; url: string | undefined; legs: readonly Op[] } {
  const { endpoint, try: url, ...rest } = branch;
  // As the coordinator reads an endpoint.
  const base = endpoint?.replace(/\/$/, "");
  const urls = base === undefined ? { try: url } : { try: `${base}/try`, confirm: `${base}/confirm`, cancel: `${base}/cancel` };
  const { try: ownTry, ...decided } = { ...rest, ...urls };
  if (decided.confirm === undefined && decided.cancel === undefined) {
    throw new InvalidRequest("branch", "whose Try you call yourself needs a Confirm or a Cancel");
  }
  const legs = OPS.filter((op) => op === "try" || decided[op] !== undefined);
  return { body: writeBranch(decided, "initiator"), url: ownTry, legs };
}

/** @throws InvalidRequest where it is no gid */
export function checkedGid(gid: string): string {
  const wrong = wrongGid(gid);
  if (wrong !== undefined) throw new InvalidRequest("gid", `${JSON.stringify(gid)} ${wrong}`);
  return gid;
}

function traceparentOf(given: string | undefined): string | undefined {
  if (given !== undefined && !/^[!-~]+$/.test(given)) {
    throw new InvalidRequest("traceparent", "cannot be sent as a header");
  }
  return given;
}

function metadataOf(metadata: unknown): RawJson | undefined {
  if (metadata !== undefined && !isObject(metadata)) throw new InvalidRequest("metadata", "must be an object");
  return jsonOf("metadata", metadata);
}

function jsonOf(field: string, value: unknown): RawJson | undefined {
  if (value === undefined || value instanceof RawJson) return value;
  try {
    return new RawJson(textOf(value));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidRequest(field, `cannot be written as JSON: ${why}`, { cause });
  }
}
