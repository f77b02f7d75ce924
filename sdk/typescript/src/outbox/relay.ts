// Hands over what is committed, and follows it to its end.

import type { Client } from "../client/client.js";
import { messageOf } from "../client/http.js";
import type { Running } from "../guard/guard.js";
import { carefully, toStderr, type Log } from "../log.js";
import { pauseAfter, sleep } from "../wire/pause.js";
import type { Claimed, OutboxOf } from "./outbox.js";
import { givenBack, nextOf, pauseWhileAway, toldBy, type Next, type Told } from "./rules.js";

/** Requests of a relay under way at once. */
const AT_ONCE = 32;
/** How long a relay sleeps that found nothing, at first. */
const IDLE_MS = 10;
/** How long a relay waits whose database fails. */
const DATABASE_PAUSE = { first: 200, cap: 2000 };
const BEGIN_PATH = "/v1/transactions?wait=accepted&wait_ms=0";
const HOUR_MS = 60 * 60 * 1000;

/** How a relay works. */
export interface RelayOptions {
  /** How long claimed messages are its own, by default 8 s and at least one: so long they wait when it dies. */
  readonly leaseMs?: number;
  /** How many messages it takes at once, 1 to 500, by default 100. */
  readonly batch?: number;
  /** How long it sleeps at most where nothing is to be done, by default 200 ms: so long a message may wait. */
  readonly idleMs?: number;
  /** Where it is said what went wrong; stderr unless said otherwise. */
  readonly log?: Log;
}

/** What a round came to. */
type Round = { readonly kind: "idle" | "busy" } | { readonly kind: "away"; readonly asked: number | undefined };

/**
 * Hands messages of an outbox over to a coordinator. Any number of relays may work on one table, in one process or in many, in
 * any language: each message is one relay's for as long as its lease lasts, by the database's clock. A coordinator that is away
 * only delays. A message that it refuses for good is dead, with the reason, and keeps nobody up.
 */
export class Relay<Tx = unknown> {
  readonly #outbox: OutboxOf<Tx>;
  readonly #client: Client;
  readonly #leaseMs: number;
  readonly #batch: number;
  readonly #idleMs: number;
  readonly #log: Log;

  constructor(outbox: OutboxOf<Tx>, client: Client, options: RelayOptions = {}) {
    this.#outbox = outbox;
    this.#client = client;
    this.#leaseMs = Math.max(options.leaseMs ?? 8000, 1000);
    this.#batch = Math.min(Math.max(Math.round(options.batch ?? 100), 1), 500);
    this.#idleMs = Math.max(options.idleMs ?? 200, IDLE_MS);
    this.#log = carefully(options.log ?? toStderr);
  }

  /** Sets it to work, until it is stopped. */
  start(): Running {
    const stopping = new AbortController();
    const works = [
      this.#workOn("pending", stopping.signal),
      this.#workOn("sent", stopping.signal),
      this.#tidy(stopping.signal),
    ];
    return {
      async stop() {
        stopping.abort();
        await Promise.all(works);
      },
    };
  }

  /**
   * Hands over and follows what is due now, a batch of each; whether anything was. For those who would rather decide themselves
   * when it is done. An error is the database's: nothing is lost, what was claimed is due again when its lease has run out.
   */
  async once(): Promise<boolean> {
    const handedOver = await this.#round("pending", this.#batch);
    const followed = await this.#round("sent", this.#batch);
    return handedOver.kind !== "idle" || followed.kind !== "idle";
  }

  /** Sees to the rows of one state, round after round. */
  async #workOn(state: "pending" | "sent", stopping: AbortSignal): Promise<void> {
    let [idle, away, failures] = [IDLE_MS, 0, 0];
    while (!stopping.aborted) {
      let pause: number;
      try {
        // While the coordinator is away one message asks for all.
        const round = await this.#round(state, away === 0 ? this.#batch : 1);
        failures = 0;
        if (round.kind === "busy") {
          [idle, away] = [IDLE_MS, 0];
          continue;
        }
        if (round.kind === "away") {
          away += 1;
          pause = pauseWhileAway(away, round.asked);
        } else {
          pause = idle;
          idle = Math.min(idle * 2, this.#idleMs);
        }
      } catch (error) {
        failures += 1;
        this.#log("warn", "the outbox cannot be read or written", { error });
        pause = pauseAfter(failures, DATABASE_PAUSE) + IDLE_MS;
      }
      await sleep(pause, stopping).catch(() => undefined);
    }
  }

  async #tidy(stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      await this.#outbox.purge().catch((error: unknown) => this.#log("warn", "the outbox cannot be tidied", { error }));
      await sleep(HOUR_MS, stopping).catch(() => undefined);
    }
  }

  /** One claim, from taking it to writing down what became of it. Nobody's SQL transaction is open while the coordinator is asked. */
  async #round(state: "pending" | "sent", limit: number): Promise<Round> {
    // Before the claim, so that the lease ends later than is reckoned here.
    const began = performance.now();
    const claim = await this.#outbox.claim(state, limit, this.#leaseMs);
    if (claim.rows.length === 0) return { kind: "idle" };
    const outcomes = new Map<string, Next>();
    const left = [...claim.rows];
    let isAway = false;
    let asked: number | undefined;
    const work = async (): Promise<void> => {
      for (let row = left.shift(); row; row = left.shift()) {
        // What is begun now is answered before the lease ends. The rest goes back to whoever comes.
        if (isAway || performance.now() - began >= this.#leaseMs / 2) {
          outcomes.set(row.gid, givenBack(state));
          continue;
        }
        const told = await this.#tell(state, row);
        if (told.kind === "away") {
          if (!isAway) this.#log("warn", "the coordinator is away", { gid: row.gid, why: told.why });
          isAway = true;
          if (told.asked !== undefined) asked = Math.max(asked ?? 0, told.asked);
        }
        const next = nextOf(state, row.attempts, told);
        if (next.state === "dead") {
          this.#log("error", "a message is dead: it will not be handed over", { gid: row.gid, why: next.reason });
        }
        outcomes.set(row.gid, next);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, left.length) }, work));
    await this.#outbox.settle(claim, state, outcomes);
    return isAway ? { kind: "away", asked } : { kind: "busy" };
  }

  /** What the coordinator says of a row, asked once: who comes later has it in the same row. */
  async #tell(state: "pending" | "sent", { gid, request, traceparent }: Claimed): Promise<Told> {
    // A trace context that cannot be sent is worth less than the message.
    const trace = traceparent !== undefined && /^[!-~]+$/.test(traceparent) ? traceparent : undefined;
    const sent =
      state === "sent"
        ? ({ method: "GET", path: `/v1/transactions/${encodeURIComponent(gid)}` } as const)
        : ({ method: "POST", path: BEGIN_PATH, body: request, traceparent: trace } as const);
    try {
      return toldBy(await this.#client.once(sent, (this.#leaseMs * 3) / 8));
    } catch (error) {
      return { kind: "away", why: messageOf(error), asked: undefined };
    }
  }
}
