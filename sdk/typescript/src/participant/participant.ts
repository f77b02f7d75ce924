// The URLs of an endpoint: three that are called, and its books. How a server hands calls over lies in mount.ts and fastify.ts.

import { Busy, InProgress } from "../database/database.js";
import type { BookEntry } from "../guard/guard.js";
import { UnreadablePayload, type Called } from "../guard/call.js";
import { TURN_MS, Turns } from "../guard/turns.js";
import { toStderr, type Log, type LogLevel } from "../log.js";
import { json, type Answer } from "../wire/answer.js";
import type { Headers } from "../wire/headers.js";
import type { Op } from "../wire/op.js";
import { failed, inProgress, problem } from "../wire/problem.js";
import { isSigned, SigningKey, wrongSigning } from "../wire/signature.js";
import { readRange } from "./books.js";
import { BadHeader, readCall, type Context } from "./context.js";
import { Refused, Retry } from "./failure.js";
import { mountFastify, type FastifyLike } from "./fastify.js";
import { mount, type Listener, type Middleware } from "./mount.js";

/**
 * How long a call may wait to begin before its caller is told that it is in progress: much less than callers wait for an
 * answer, since silence would count as a failure.
 */
const QUEUE_MS = 1000;

/**
 * The business code of a participant. Every method runs inside one SQL transaction of the participant's own database, in
 * which the guard has already written that this call was done. Do all writing through `tx`: then the change and the guard's
 * row are durable together or not at all, and each method is run at most once to its end for a branch, however often, late
 * or out of order calls arrive. A method may be run again after it failed, so what cannot be rolled back (a mail, a call to
 * another service) does not belong in it. Let errors of the database out.
 *
 * A call for which there is no method is answered 404.
 */
export interface Handler<Payload, Tx, Returned> {
  /** Reserves, so that Confirm cannot fail for want of anything. Throw {@link Refused} if it cannot be reserved. */
  try?(tx: Tx, payload: Payload, context: Context): Returned;
  /** Takes what was reserved. It has no right to refuse. */
  confirm?(tx: Tx, payload: Payload, context: Context): Returned;
  /** Releases what was reserved. It is run only if Try was, unless `cancelsEmpty` asks for more. */
  cancel?(tx: Tx, payload: Payload, context: Context): Returned;
  /**
   * Whether Cancel is run also where no Try was recorded, with `context.empty` set. Say so if Try has effects outside of
   * this database (a hold on a card, say): it may have had them and failed before it was recorded.
   */
  cancelsEmpty?: boolean;
  /** Reads the payload; `JSON.parse` unless said otherwise. What it throws is told to the caller, as 400. */
  parse?(raw: string): Payload;
}

/** How a participant is to be served. */
export interface ParticipantOptions {
  /**
   * Secrets (`whsec_…`) of which one must have signed a call. Several, so that one can be changed without a gap; none, and
   * nobody is let through. Without the option signatures are not looked at.
   */
  readonly secrets?: readonly string[];
  /** Where it is said what went wrong; stderr unless said otherwise. */
  readonly log?: Log;
}

/** What guards the calls of a participant. @internal */
export interface Guarded {
  has(op: Op): boolean;
  run(context: Context, onBegun: () => void): Promise<Called>;
  books(afterGid: string, afterBranch: string, limit: number): Promise<BookEntry[]>;
}

/** What is called: the last part of the URL. @internal */
export type Route = Op | "branches";

/** A participant to be mounted into a server; `guard.participant(…)` makes one. */
export class Participant {
  readonly #guarded: Guarded;
  readonly #turns = new Turns();
  readonly #keys: readonly SigningKey[] | undefined;
  readonly #log: Log;

  /** @internal */
  constructor(guarded: Guarded, options: ParticipantOptions) {
    this.#guarded = guarded;
    this.#keys = options.secrets?.map((secret) => new SigningKey(secret));
    this.#log = options.log ?? toStderr;
  }

  /**
   * For `node:http`: `createServer(payment.listener("/payment"))` answers `/payment/try`, `/payment/confirm`,
   * `/payment/cancel` and `/payment/branches`, and leaves the rest to `otherwise`, which answers 404 unless given.
   */
  listener(path: string, otherwise?: Listener): Listener {
    const answers = mount(this, path);
    return (request, response) =>
      answers(request, response, () => {
        if (otherwise) return otherwise(request, response);
        const { status, headers, body } = problem(404, "not-found", "there is nothing here");
        response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) }).end(body);
      });
  }

  /** For Express and its like: `app.use("/payment", payment.middleware())`, **before** any body parser. */
  middleware(): Middleware {
    return mount(this, "");
  }

  /** For Fastify: `app.register(payment.plugin(), { prefix: "/payment" })`. */
  plugin(): (app: FastifyLike, options: unknown, done: (error?: Error) => void) => void {
    return (app, _, done) => {
      mountFastify(this, app);
      done();
    };
  }

  /**
   * What is wrong with a call before its body is looked at: a stranger's is not even read.
   *
   * @internal
   */
  refusalOf(route: Route, headers: Headers, now: number = Date.now()): Answer | undefined {
    if (!this.#keys) return undefined;
    const wrong = wrongSigning(headers, route === "branches" ? "" : route, now);
    return wrong === undefined ? undefined : this.#unsigned(wrong);
  }

  /** Answers a call whose headers have passed {@link refusalOf}; `query` is that of its URL. Never throws. @internal */
  async answer(route: Route, headers: Headers, body: Uint8Array, query: string): Promise<Answer> {
    if (this.#keys && !isSigned(this.#keys, headers, body)) {
      return this.#unsigned("header webhook-signature has no signature by a secret that is known here");
    }
    return route === "branches" ? this.#books(query) : this.#call(route, headers, body);
  }

  /** Says something about a call. @internal */
  say(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>): void {
    this.#log(level, message, fields);
  }

  #unsigned(why: string): Answer {
    this.say("warn", "a call that is not signed as it must be", { why });
    return problem(401, "unsigned", why);
  }

  async #call(op: Op, headers: Headers, body: Uint8Array): Promise<Answer> {
    if (!this.#guarded.has(op)) return problem(404, "not-found", `this participant has no ${op}`);
    let context: Context;
    try {
      context = readCall(op, headers, body);
    } catch (error) {
      if (!(error instanceof BadHeader)) throw error;
      this.say("warn", "a call cannot be read", { op, why: error.message });
      return problem(400, "invalid-call", error.message);
    }
    const endTurn = await this.#turns.take(context.gid, context.branch, TURN_MS);
    if (!endTurn) return inProgress();
    // It goes on when its caller hangs up, and when it is told that it is in progress: the next one finds it done.
    return new Promise((resolve) => {
      let waits: NodeJS.Timeout | undefined;
      const ended = this.#guarded.run(context, () => clearTimeout(waits)).then(
        (called) => this.#called(context, called),
        (error: unknown) => this.#notDone(context, error),
      );
      waits = setTimeout(() => resolve(inProgress()), QUEUE_MS);
      void ended.then((answer) => {
        endTurn();
        clearTimeout(waits);
        resolve(answer);
      });
    });
  }

  #called(context: Context, called: Called): Answer {
    if (called.kind === "contradiction") {
      const { status, code, detail, isAlarming } = called.why;
      this.#sayOf(context, isAlarming ? "error" : "info", "the guard stopped a call", { code });
      return problem(status, code, detail);
    }
    const { state, repeated, result } = called;
    return json(200, result ?? JSON.stringify({ state, repeated }));
  }

  /** The call was not done. This is where its cause is logged. */
  #notDone(context: Context, error: unknown): Answer {
    if (error instanceof UnreadablePayload) {
      this.#sayOf(context, "warn", "the payload cannot be read", { why: error.message });
      return problem(400, "invalid-payload", error.message);
    }
    if (error instanceof InProgress) {
      this.#sayOf(context, "debug", "in progress", { error });
      return inProgress();
    }
    if (error instanceof Busy) {
      this.#sayOf(context, "warn", "no connection was to be had", {});
      return context.op === "cancel" ? inProgress() : problem(503, "busy", error.message, 1);
    }
    if (error instanceof Refused) {
      this.#sayOf(context, "info", "refused", { code: error.code, detail: error.detail });
      return problem(409, error.code, error.detail);
    }
    this.#sayOf(context, "warn", "failed; to be called again", { error });
    const afterMs = error instanceof Retry ? error.afterMs : undefined;
    // A pause is never shortened.
    return failed(afterMs === undefined ? undefined : Math.ceil(afterMs / 1000));
  }

  async #books(query: string): Promise<Answer> {
    const range = readRange(query);
    if (typeof range === "string") return problem(400, "invalid-request", range);
    try {
      // One more says whether there are more.
      const found = await this.#guarded.books(range.afterGid, range.afterBranch, range.limit + 1);
      const items = found.slice(0, range.limit);
      const last = found.length > range.limit ? items.at(-1) : undefined;
      return json(200, JSON.stringify({ items, next_cursor: last ? `${last.gid}/${last.branch}` : null }));
    } catch (error) {
      this.say("warn", "the guard's rows cannot be read", { error });
      return failed();
    }
  }

  #sayOf({ gid, branch, op, attempt }: Context, level: LogLevel, message: string, fields: object): void {
    this.say(level, message, { gid, branch, op, attempt, ...fields });
  }
}
