// A client for initiators.

import { wrongBranchId } from "../wire/ids.js";
import { InvalidRequest, RequestRefused } from "./errors.js";
import { Http, readReply, type Patience, type Reply, type Sent, type Tls } from "./http.js";
import { OpenTransaction } from "./open.js";
import { outcomeOf, type Outcome } from "./outcome.js";
import { checkedGid, writeBegin, writeRun, type NewRun, type NewTransaction } from "./request.js";
import { transactionOf, type Transaction } from "./views.js";

/** How long the coordinator lets a request wait for the end of its transaction, unless told otherwise. */
const WAIT_MS = 10_000;

/**
 * What a request waits for before it is answered: that every branch has acknowledged the decision, that the decision is
 * durable (what it says will happen, whatever fails), or that the transaction is logged.
 */
export type WaitFor = "finished" | "decided" | "accepted";

/** How a client waits. */
export interface Wait {
  /** What begin, confirm and cancel wait for; `finished` by default. */
  readonly waitFor?: WaitFor | undefined;
  /**
   * How long the coordinator has them wait at most, up to 60 s; 10 s by default. The transaction goes on when that runs out:
   * the outcome is pending.
   */
  readonly waitMs?: number | undefined;
  /** By when there must be an answer or an error, all attempts and pauses together; by default ten attempts are made. */
  readonly withinMs?: number | undefined;
  /** Ends the waiting; whether the request was taken nobody knows then. */
  readonly signal?: AbortSignal | undefined;
}

/** What a client has to say beyond an address. */
export interface ClientOptions extends Pick<Wait, "waitFor" | "waitMs" | "withinMs"> {
  /**
   * The token by which the coordinator knows this client. It is shown in no print of the client and in no error. Take it
   * from a file or a variable (`TERCET_TOKEN` is the usual one).
   */
  readonly token?: string | undefined;
  /** Certificates (PEM) of authorities that are trusted beside those that Node trusts. */
  readonly ca?: Tls["ca"] | undefined;
  /** The certificate (PEM) that is shown to a coordinator that asks for one. */
  readonly cert?: Tls["cert"] | undefined;
  /** Its key (PEM). */
  readonly key?: Tls["key"] | undefined;
}

/**
 * Speaks to a coordinator. Every request can be repeated without harm, and is: a lost connection, a 429, 502, 503 or 504 is
 * met with the same request again, up to ten times with growing pauses. A transaction always has a gid before it is first
 * sent, so that a repeat is the same transaction.
 */
export class Client {
  readonly #http: Http;
  readonly #wait: Pick<Wait, "waitFor" | "waitMs" | "withinMs">;

  /** @throws InvalidRequest where the URL, the token or a certificate is none */
  constructor(url: string, { token, ca, cert, key, ...wait }: ClientOptions = {}) {
    this.#http = new Http(url, token, {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    });
    this.#wait = wait;
  }

  /**
   * Runs a transaction in one call: Tercet tries every branch, decides and finishes. Being cancelled is no error but an
   * outcome.
   *
   * @throws ClientError
   */
  async begin(transaction: NewTransaction, wait: Wait = {}): Promise<Outcome> {
    if (!transaction.branches?.length) {
      // The coordinator would take it for an open one, which ends at its deadline.
      throw new InvalidRequest("branches", "there are none; `open` begins a transaction whose branches come later");
    }
    const written = writeBegin(transaction, false);
    return this.#outcomeOf(written.gid, { method: "POST", path: `/v1/transactions?${this.#query(wait)}`, ...written }, wait);
  }

  /**
   * Begins an open transaction, whose branches are registered later and which is confirmed or cancelled by request:
   *
   * ```ts
   * await using ride = await tercet.open({ gid: "ride-17" });
   * await ride.register({ id: "seat", endpoint: "http://seats.internal:7304/ride", payload: { ride: 17 } });
   * const outcome = await ride.confirm();
   * ```
   *
   * Whoever leaves the block without having asked for either has it cancelled.
   *
   * @throws ClientError
   */
  async open(transaction: NewTransaction = {}, wait: Wait = {}): Promise<OpenTransaction> {
    const { gid, body, traceparent } = writeBegin(transaction, true);
    const reply = await this.#http.send(gid, { method: "POST", path: "/v1/transactions", body, traceparent }, this.#patience(wait));
    const begun = readReply(reply, transactionOf);
    return new OpenTransaction(this, { gid, transaction: begun, traceparent, hasCheck: transaction.check !== undefined });
  }

  /**
   * The same for the time of a function, where there is no `await using`. An error that leaves it cancels the transaction,
   * with that as reason, and is thrown on. So does leaving it without having asked for a decision.
   */
  async transaction<T>(transaction: NewTransaction, run: (open: OpenTransaction) => Promise<T>): Promise<T> {
    const open = await this.open(transaction);
    try {
      return await run(open);
    } catch (error) {
      await open.leave(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
      throw error;
    } finally {
      await open[Symbol.asyncDispose]();
    }
  }

  /** Takes up an open transaction that was begun before, here or elsewhere. Leaving it asks for nothing. */
  resume(gid: string): OpenTransaction {
    return new OpenTransaction(this, { gid: checkedGid(gid), transaction: undefined, traceparent: undefined, hasCheck: true });
  }

  /** Runs the saga that the coordinator knows by this name. */
  async runSaga<Input>(name: string, run: NewRun<Input> = {}, wait: Wait = {}): Promise<Outcome> {
    const wrong = wrongBranchId(name);
    if (wrong !== undefined) throw new InvalidRequest("name", `${JSON.stringify(name)} ${wrong}`);
    const written = writeRun(run);
    return this.#outcomeOf(written.gid, { method: "POST", path: `/v1/sagas/${name}/runs?${this.#query(wait)}`, ...written }, wait);
  }

  /**
   * A transaction as it is now.
   *
   * @throws RequestRefused `transaction-not-found`, and see {@link ClientError}
   */
  async get(gid: string, wait: Pick<Wait, "withinMs" | "signal"> = {}): Promise<Transaction> {
    const sent: Sent = { method: "GET", path: `/v1/transactions/${checkedGid(gid)}` };
    return readReply(await this.#http.send(gid, sent, this.#patience({ ...wait, waitMs: 0 })), transactionOf);
  }

  /** Waits for the end of a transaction, as long as this client waits. */
  async outcome(gid: string, wait: Wait = {}): Promise<Outcome> {
    // A read waits for a decision or an end; that the transaction is logged, it shows at once.
    const query = this.#waitFor(wait) === "accepted" ? "" : `?${this.#query(wait)}`;
    return this.#outcomeOf(gid, { method: "GET", path: `/v1/transactions/${checkedGid(gid)}${query}` }, wait);
  }

  /** Closes the connections that are kept. They keep no process alive. */
  close(): void {
    this.#http.close();
  }

  /** Asks for a decision. That the other one had won is an outcome like any other. @internal */
  async decide(gid: string, decision: "confirm" | "cancel", body: string | undefined, wait: Wait): Promise<Outcome> {
    const path = `/v1/transactions/${gid}/${decision}?${this.#query(wait)}`;
    try {
      return await this.#outcomeOf(gid, { method: "POST", path, body }, wait);
    } catch (error) {
      const isDecided = error instanceof RequestRefused && ["already-confirmed", "already-cancelled"].includes(error.code);
      if (!isDecided) throw error;
      return this.outcome(gid, wait);
    }
  }

  /** @internal */
  async register(gid: string, waitFor: "tried" | "accepted", body: string, wait: Wait): Promise<Reply> {
    const path = `/v1/transactions/${gid}/branches?wait=${waitFor}&wait_ms=${this.#waitMs(wait)}`;
    return this.#http.send(gid, { method: "POST", path, body }, this.#patience(wait));
  }

  /** Asks once, for whoever asks again himself. @internal */
  async once(sent: Sent, patienceMs: number): Promise<Reply> {
    return this.#http.once(sent, patienceMs);
  }

  async #outcomeOf(gid: string, sent: Sent, wait: Wait): Promise<Outcome> {
    return outcomeOf(readReply(await this.#http.send(gid, sent, this.#patience(wait)), transactionOf));
  }

  #waitFor(wait: Wait): WaitFor {
    return wait.waitFor ?? this.#wait.waitFor ?? "finished";
  }

  #waitMs(wait: Wait): number {
    return Math.round(wait.waitMs ?? this.#wait.waitMs ?? WAIT_MS);
  }

  #query(wait: Wait): string {
    return `wait=${this.#waitFor(wait)}&wait_ms=${this.#waitMs(wait)}`;
  }

  #patience(wait: Wait): Patience {
    const withinMs = wait.withinMs ?? this.#wait.withinMs;
    return {
      waitMs: this.#waitMs(wait),
      until: withinMs === undefined ? undefined : performance.now() + withinMs,
      signal: wait.signal,
    };
  }
}
