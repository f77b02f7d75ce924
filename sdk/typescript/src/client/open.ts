// Open transactions: branches are registered one by one, and the initiator asks for the decision.

import { objectOf } from "../wire/json.js";
import { RequestRefused } from "./errors.js";
import type { Client, Wait } from "./client.js";
import { readReply, type Reply } from "./http.js";
import type { Outcome } from "./outcome.js";
import { OwnTry } from "./own_try.js";
import { branchesOf, withOwnTry, writeBranch, type NewBranch } from "./request.js";
import { branchOf, isObject, type Branch, type Transaction } from "./views.js";

/** The most that a reason may have, in bytes. */
const REASON_BYTES = 1024;
/** How long leaving without a decision asks for cancel; then the deadline sees to it. */
const LEAVING_MS = 10_000;

/** How a branch's registration ended; every kind but `tried` means no. */
export type Registered =
  /** Its Try was done, or it has none. */
  | { readonly kind: "tried"; readonly branch: Branch }
  /** Its Try was refused, and with it the transaction: it is being cancelled. */
  | { readonly kind: "refused"; readonly branch: Branch }
  /** Its Try is not answered yet. Confirm is refused until it is. */
  | { readonly kind: "pending"; readonly branch: Branch };

/** How an open transaction was begun, or taken up. */
export interface Begun {
  readonly gid: string;
  /** Known from the beginning to whoever began it, asked for by whoever took it up. */
  readonly transaction: Transaction | undefined;
  readonly traceparent: string | undefined;
  /** Whether somebody is asked at its deadline. */
  readonly hasCheck: boolean;
}

/**
 * An open transaction. Whoever leaves it without having asked for confirm or cancel has it cancelled: `await using`, and
 * {@link Client.transaction}, which tells why. One with a `check` is left to it, since nobody here knows what became of the
 * work that is asked for.
 */
export class OpenTransaction {
  readonly gid: string;
  readonly #client: Client;
  readonly #begun: Begun;
  #hasDecided = false;

  /** @internal */
  constructor(client: Client, begun: Begun) {
    this.gid = begun.gid;
    this.#client = client;
    this.#begun = begun;
  }

  /**
   * Adds a branch and waits for its Try, which the coordinator calls. Register it again to wait for one that is `pending`: the
   * same content starts nothing.
   *
   * @throws RequestRefused after the decision, and see {@link ClientError}
   */
  async register(branch: NewBranch, wait: Wait = {}): Promise<Registered> {
    return registeredOf(readReply(await this.#send("tried", writeBranch(branch).text, wait), branchOf));
  }

  /**
   * Adds several branches at once, 1 to 64 of them: all or none, in one request. Waits until all are tried or one is refused,
   * and answers in their order. A repeat must have the same branches.
   *
   * @throws RequestRefused after the decision; what is wrong with one of them is told with its place: `[2].after`
   */
  async registerAll(branches: readonly NewBranch[], wait: Wait = {}): Promise<Registered[]> {
    const reply = await this.#send("tried", branchesOf(branches).text, wait);
    return readReply(reply, (value) => {
      const found = isObject(value) && Array.isArray(value["branches"]) ? value["branches"].map(branchOf) : undefined;
      const whole = found?.filter((branch) => branch !== undefined);
      return whole && whole.length === branches.length ? whole : undefined;
    }).map(registeredOf);
  }

  /**
   * Adds a branch whose Try you call yourself. Once this returns, the branch is on disk: whatever becomes of you, it gets its
   * Confirm or Cancel. Now call its Try, with the headers of {@link OwnTry}, until the answer settles it; ask for confirm only
   * if all are done. It may name its three legs by `endpoint`; Try is then kept from the coordinator and given back as `url`.
   *
   * @throws RequestRefused after the decision; whatever the error, do not call Try: nobody would release it
   */
  async registerOwnTry(branch: NewBranch, wait: Wait = {}): Promise<OwnTry> {
    const { body, url, legs } = withOwnTry(branch);
    const registered = readReply(await this.#send("accepted", body.text, wait), branchOf);
    const { instance, deadlineAt } = this.#begun.transaction ?? (await this.#client.get(this.gid, wait));
    const { traceparent } = this.#begun;
    return new OwnTry({ gid: this.gid, branch: registered.id, instance, legs, deadline: deadlineAt, traceparent }, url);
  }

  /**
   * Asks for confirm. That it was cancelled before is no error but an outcome.
   *
   * @throws RequestRefused `tries-outstanding` while a Try is unanswered, and see {@link ClientError}
   */
  async confirm(wait: Wait = {}): Promise<Outcome> {
    return this.#decide("confirm", undefined, wait);
  }

  /** Asks for cancel, saying why (at most 1 KiB). That it was confirmed before is no error but an outcome. */
  async cancel(reason: string, wait: Wait = {}): Promise<Outcome> {
    return this.#decide("cancel", objectOf([["reason", cut(reason)]]).text, wait);
  }

  /** Leaves it: asks for cancel, with this as reason, unless a decision was asked for or somebody is asked at its deadline. */
  async leave(reason: string): Promise<void> {
    if (this.#hasDecided || this.#begun.hasCheck) return;
    try {
      await this.cancel(reason, { withinMs: LEAVING_MS });
    } catch {
      // Its deadline cancels it. Whatever made us leave is what people must hear of.
    }
  }

  /** Leaves it, at the end of the block that has it by `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave("left without a decision");
  }

  async #decide(decision: "confirm" | "cancel", body: string | undefined, wait: Wait): Promise<Outcome> {
    this.#hasDecided = true;
    try {
      return await this.#client.decide(this.gid, decision, body, wait);
    } catch (error) {
      // It was not taken; anything else may have been.
      if (error instanceof RequestRefused) this.#hasDecided = false;
      throw error;
    }
  }

  async #send(waitFor: "tried" | "accepted", body: string, wait: Wait): Promise<Reply> {
    return this.#client.register(this.gid, waitFor, body, wait);
  }
}

function registeredOf(branch: Branch): Registered {
  switch (branch.status) {
    case "tried":
    case "confirmed":
      return { kind: "tried", branch };
    case "refused":
    case "cancelled":
    case "skipped":
      return { kind: "refused", branch };
    default:
      return { kind: "pending", branch };
  }
}

/** At most so much of a reason, and no half characters. */
function cut(reason: string): string {
  let bytes = 0;
  let whole = "";
  for (const character of Buffer.from(reason).toString()) {
    bytes += Buffer.byteLength(character);
    if (bytes > REASON_BYTES) break;
    whole += character;
  }
  return whole;
}
