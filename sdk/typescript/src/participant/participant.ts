// The URLs of an endpoint: three that are called, and its books. How a server hands calls over lies in mount.ts and fastify.ts.

import { Busy, InProgress } from "../database/database.js";
import type { BookEntry } from "../guard/guard.js";
import { UnreadablePayload, type Called } from "../guard/call.js";
import { TURN_MS, Turns } from "../guard/turns.js";
import { carefully, toStderr, type Log, type LogLevel } from "../log.js";
import { json, type Answer } from "../wire/answer.js";
import type { Headers } from "../wire/headers.js";
import { OPS, type Op } from "../wire/op.js";
import { failed, inProgress, problem } from "../wire/problem.js";
import { readRange } from "./books.js";
import { BadHeader, readCall, type Context } from "./context.js";
import { Refused, Retry } from "./failure.js";
import { endpointOf, type EndpointOptions } from "./endpoint.js";
import { pluginOf, type FastifyPlugin } from "./fastify.js";
import { listener, mount, type Endpoint, type Listener, type Middleware } from "./mount.js";

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
  /**
   * Reads the payload; `JSON.parse` unless said otherwise. Where it throws the call is answered 400, and why is logged; a
   * {@link Refused} is told to the caller.
   */
  parse?(raw: string): Payload;
}

/** How a participant is to be served. */
export type ParticipantOptions = EndpointOptions;

/** What guards the calls of a participant. @internal */
export interface Guarded {
  has(op: Op): boolean;
  /** Whether calls may have to wait for their turn to begin, for as long as that takes. */
  readonly hasLine: boolean;
  run(context: Context, onBegun: () => void): Promise<Called>;
  books(afterGid: string, afterBranch: string, limit: number): Promise<BookEntry[]>;
}

/** The last parts of the URLs, and their methods. */
const ROUTES = new Map(
  ([...OPS, "branches"] as const).map((route) => [
    `/${route}`,
    { route, method: route === "branches" ? ("GET" as const) : ("POST" as const) },
  ]),
);

/** A participant to be mounted into a server; `guard.participant(…)` makes one. */
export class Participant {
  readonly #guarded: Guarded;
  readonly #turns = new Turns();
  readonly #log: Log;
  readonly #endpoint: Endpoint<Op | "branches">;

  /** @internal */
  constructor(guarded: Guarded, options: ParticipantOptions) {
    this.#guarded = guarded;
    this.#log = carefully(options.log ?? toStderr);
    this.#endpoint = endpointOf(ROUTES, options, async (route, headers, body, query) =>
      route === "branches" ? this.#books(query) : this.#call(route, headers, body),
    );
  }

  /**
   * For `node:http`: `createServer(payment.listener("/payment"))` answers `/payment/try`, `/payment/confirm`,
   * `/payment/cancel` and `/payment/branches`, and leaves the rest to `otherwise`, which answers 404 unless given.
   */
  listener(path: string, otherwise?: Listener): Listener {
    return listener(this.#endpoint, path, otherwise);
  }

  /** For Express and its like: `app.use("/payment", payment.middleware())`, **before** any body parser. */
  middleware(): Middleware {
    return mount(this.#endpoint, "");
  }

  /** For Fastify: `app.register(payment.plugin(), { prefix: "/payment" })`. */
  plugin(): FastifyPlugin {
    return pluginOf(this.#endpoint);
  }

  async #call(op: Op, headers: Headers, body: Uint8Array): Promise<Answer> {
    if (!this.#guarded.has(op)) return problem(404, "not-found", `this participant has no ${op}`);
    let context: Context;
    try {
      context = readCall(op, headers, body);
    } catch (error) {
      if (!(error instanceof BadHeader)) throw error;
      this.#log("warn", "a call cannot be read", { op, why: error.message });
      return problem(400, "invalid-call", error.message);
    }
    const endTurn = await this.#turns.take(context.gid, context.branch, TURN_MS);
    if (!endTurn) return inProgress();
    if (!this.#guarded.hasLine) {
      const answer = await this.#guarded.run(context, () => undefined).then(
        (called) => this.#called(context, called),
        (error: unknown) => this.#notDone(context, error),
      );
      endTurn();
      return answer;
    }
    // It goes on when its caller hangs up, and when it is told that it is in progress: the next one finds it done.
    return new Promise((resolve) => {
      const waits = setTimeout(() => resolve(inProgress()), QUEUE_MS);
      const ended = this.#guarded.run(context, () => clearTimeout(waits)).then(
        (called) => this.#called(context, called),
        (error: unknown) => this.#notDone(context, error),
      );
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
      return problem(400, "invalid-payload", "the payload cannot be read");
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
    return failed(afterMs !== undefined && afterMs > 0 ? Math.ceil(afterMs / 1000) : undefined);
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
      this.#log("warn", "the guard's rows cannot be read", { error });
      return failed();
    }
  }

  #sayOf({ gid, branch, op, attempt }: Context, level: LogLevel, message: string, fields: object): void {
    this.#log(level, message, { gid, branch, op, attempt, ...fields });
  }
}
