// What a call says about itself, in its `Tercet-*` headers, and what is in its body.

import { headerOf, type Headers } from "../wire/headers.js";
import { isInstance, wrongBranchId, wrongGid } from "../wire/ids.js";
import { membersOf, textOf, textOfBytes } from "../wire/json.js";
import { isOp, legsOf, type Op } from "../wire/op.js";
import { ResultError } from "./failure.js";

/** The most that a Try may be answered with. */
const RESULT_BYTES = 16 * 1024;

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** A header that every call carries is missing or cannot be read. */
export class BadHeader extends Error {
  override readonly name = "BadHeader";

  constructor(
    /** In lower case. */
    readonly header: string,
    what: string,
  ) {
    super(`header ${header}: ${what}`);
  }
}

/** What the headers say. */
export interface CallHead {
  readonly gid: string;
  readonly branch: string;
  readonly instance: string;
  readonly op: Op;
  readonly legs: readonly Op[];
  readonly attempt: number;
  readonly deadline: Date | undefined;
  readonly traceparent: string | undefined;
}

/** What business code and the guard know of the call that they answer. */
export class Context implements CallHead {
  /** The global transaction. */
  readonly gid: string;
  /** The branch: this participant's part of it. */
  readonly branch: string;
  /** Which life of the gid. A gid that is used again after its retention is another transaction. */
  readonly instance: string;
  /** Try, Confirm or Cancel. */
  readonly op: Op;
  /** The legs this branch has. */
  readonly legs: readonly Op[];
  /** 1, 2, …; a hint for people, since it may repeat after the coordinator restarts. */
  readonly attempt: number;
  /** On a Try: when it is given up if it stays unanswered. */
  readonly deadline: Date | undefined;
  /** W3C trace context, to be passed on to whatever is called from here. */
  readonly traceparent: string | undefined;
  readonly #payload: Uint8Array | string;
  readonly #results: ReadonlyMap<string, string> | undefined;
  #empty = false;
  #answer: string | undefined;

  /** @internal */
  constructor(head: CallHead, payload: Uint8Array | string, results: ReadonlyMap<string, string> | undefined) {
    this.gid = head.gid;
    this.branch = head.branch;
    this.instance = head.instance;
    this.op = head.op;
    this.legs = head.legs;
    this.attempt = head.attempt;
    this.deadline = head.deadline;
    this.traceparent = head.traceparent;
    this.#payload = payload;
    this.#results = results;
  }

  /**
   * Whether this is a Cancel of whose branch no Try was recorded here. It is run only for a participant that asks for
   * it (`cancelsEmpty`).
   */
  get empty(): boolean {
    return this.#empty;
  }

  /**
   * The payload as it came, to the byte: for whoever reads JSON in another way than `JSON.parse`, which makes
   * 9007199254740992 out of 9007199254740993.
   *
   * @throws TypeError where it is no UTF-8
   */
  get rawPayload(): string {
    return typeof this.#payload === "string" ? this.#payload : textOfBytes(this.#payload);
  }

  /**
   * What the Try of this branch was answered with. A call brings what the branches before its own were answered with, and
   * in Confirm and Cancel its own, where it is registered with `results: true`.
   *
   * @throws ResultError where it brings none of that branch; let it pass, and a Try is refused
   */
  result<T = unknown>(branch: string): T {
    return JSON.parse(this.rawResult(branch)) as T;
  }

  /**
   * The same as text, to the byte.
   *
   * @throws ResultError where the call brings none of that branch
   */
  rawResult(branch: string): string {
    const text = this.#results?.get(branch);
    if (text === undefined) throw new ResultError("result-missing", `the call brings no result of ${branch}`);
    return text;
  }

  /** All results that the call brings, as texts by their branches; none where it is not registered with `results: true`. */
  get rawResults(): ReadonlyMap<string, string> | undefined {
    return this.#results;
  }

  /** Whether the call brings a result of this branch: one that was not tried has none. */
  hasResult(branch: string): boolean {
    return this.#results?.has(branch) ?? false;
  }

  /**
   * Has a Try, once it is done, answered with this: the result of its branch, for the branches after it. The guard keeps
   * it with its row, so that a Try that is repeated is answered with the same. Of several the last counts. Elsewhere than
   * in a Try nobody reads it.
   *
   * @throws ResultError where it is no JSON, or takes more than 16 KiB
   */
  answer(result: unknown): void {
    let text: string;
    try {
      text = textOf(result);
    } catch (cause) {
      throw new ResultError("result-unreadable", `the result cannot be written as JSON: ${String(cause)}`, { cause });
    }
    const bytes = Buffer.byteLength(text);
    if (bytes > RESULT_BYTES) {
      throw new ResultError("result-too-large", `the result has ${bytes} bytes, and may have ${RESULT_BYTES}`);
    }
    this.#answer = text;
  }

  /** What business code wants it to be answered with. A call that is run again begins without. @internal */
  takeAnswer(): string | undefined {
    const answer = this.#answer;
    this.#answer = undefined;
    return answer;
  }

  /** @internal */
  markEmpty(): void {
    this.#empty = true;
  }
}

/**
 * Reads a call to `op`'s URL: its headers, and what is in its body. Where it brings results the payload is a part of the
 * body; else it is the body.
 *
 * @throws BadHeader where a header is missing or cannot be read, or the body is not as `tercet-results` says
 */
export function readCall(op: Op, headers: Headers, body: Uint8Array): Context {
  const head = readHead(op, headers);
  const given = optional(headers, "tercet-results", (value) => value);
  if (given === undefined) return new Context(head, body, undefined);
  const bad = (what: string): BadHeader => new BadHeader("tercet-results", what);
  if (given !== "true") throw bad("may be true alone");
  try {
    const members = membersOf(textOfBytes(body));
    const payload = members?.get("payload");
    const results = members?.get("results");
    const brought = results === undefined ? undefined : membersOf(results);
    if (payload === undefined || brought === undefined) throw new TypeError("an object of both is needed");
    return new Context(head, payload, brought);
  } catch (error) {
    throw bad(`the body has no payload with results: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function readHead(op: Op, headers: Headers): CallHead {
  const head: CallHead = {
    gid: required(headers, "tercet-gid", (value) => idOf("tercet-gid", value, wrongGid(value))),
    branch: required(headers, "tercet-branch", (value) => idOf("tercet-branch", value, wrongBranchId(value))),
    instance: required(headers, "tercet-instance", instanceOf),
    op: required(headers, "tercet-op", (value) => {
      if (!isOp(value)) throw new BadHeader("tercet-op", "must be try, confirm or cancel");
      return value;
    }),
    legs: required(headers, "tercet-legs", (value) => {
      const legs = legsOf(value);
      if (!legs) throw new BadHeader("tercet-legs", "must be try, confirm or cancel");
      return legs;
    }),
    attempt: optional(headers, "tercet-attempt", attemptOf) ?? 1,
    deadline: optional(headers, "tercet-deadline", timeOf),
    traceparent: traceOf(headerOf(headers, "traceparent")),
  };
  if (head.op !== op) throw new BadHeader("tercet-op", `says ${head.op}, but this is the URL of ${op}`);
  return head;
}

/** One that is there twice is none. */
const traceOf = (value: string | undefined): string | undefined => (value?.includes(",") ? undefined : value);

function idOf(header: string, value: string, wrong: string | undefined): string {
  if (wrong !== undefined) throw new BadHeader(header, wrong);
  return value;
}

function instanceOf(value: string): string {
  if (!isInstance(value)) throw new BadHeader("tercet-instance", "must be a UUID");
  return value.toLowerCase();
}

function attemptOf(value: string): number {
  const attempt = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (!(attempt <= 0xffff_ffff)) throw new BadHeader("tercet-attempt", "must be a number");
  return attempt;
}

function timeOf(value: string): Date {
  const at = new Date(RFC3339.test(value) ? value : Number.NaN);
  if (Number.isNaN(at.getTime())) {
    throw new BadHeader("tercet-deadline", "must be an RFC 3339 time such as 2026-11-20T12:00:00.000Z");
  }
  return at;
}

function required<T>(headers: Headers, name: string, read: (value: string) => T): T {
  const value = optional(headers, name, read);
  if (value === undefined) throw new BadHeader(name, "is missing");
  return value;
}

function optional<T>(headers: Headers, name: string, read: (value: string) => T): T | undefined {
  const values = headers[name];
  if (values === undefined) return undefined;
  const value = headerOf(headers, name);
  if (value === undefined) throw new BadHeader(name, "is there more than once");
  return read(value);
}

