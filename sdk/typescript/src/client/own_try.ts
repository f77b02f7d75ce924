// A Try that the initiator calls itself.

import { signatureHeaders, SigningKey } from "../wire/signature.js";
import { retryAfterMs } from "../wire/pause.js";
import { verdictOf, type Verdict } from "../wire/verdict.js";
import type { CallHead } from "../participant/context.js";

/**
 * A registered branch whose Try the initiator is to call: what the call says, and how its answer is read. The participant
 * cannot tell it from one of the coordinator's.
 */
export class OwnTry {
  #attempt = 1;

  /** @internal */
  constructor(
    /** What the call says. */
    readonly call: Omit<CallHead, "attempt" | "op">,
    /** Where it goes, if the branch was registered with an `endpoint` or a URL of Try. */
    readonly url: string | undefined,
  ) {}

  /** Which attempt it is. */
  get attempt(): number {
    return this.#attempt;
  }

  /** The headers of the call. Repeat it with the same body. */
  headers(): Record<string, string> {
    const { gid, branch, instance, legs, deadline, traceparent } = this.call;
    return {
      "content-type": "application/json",
      "tercet-gid": gid,
      "tercet-branch": branch,
      "tercet-instance": instance,
      "tercet-op": "try",
      "tercet-legs": legs.join(","),
      "tercet-attempt": String(this.#attempt),
      ...(deadline ? { "tercet-deadline": deadline.toISOString() } : {}),
      "idempotency-key": `"${gid}/${branch}/try"`,
      ...(traceparent === undefined ? {} : { traceparent }),
    };
  }

  /**
   * The same, signed for a participant that lets through what is signed alone. `body` is the call's, to the byte; make the
   * call within five minutes, and sign each attempt anew.
   */
  signedHeaders(key: SigningKey | string, body: Uint8Array | string): Record<string, string> {
    const headers = this.headers();
    const by = typeof key === "string" ? new SigningKey(key) : key;
    return { ...headers, ...signatureHeaders(by, headers, "try", body, Date.now()) };
  }

  /** The next call is another attempt of the same Try. */
  callAgain(): void {
    this.#attempt += 1;
  }

  /**
   * What an answer means, as the coordinator would read it; `retryAfter` as the participant sent it. No answer at all
   * (undefined) is like a 503: it may have been done, so call again. Only `done` allows a confirm. After `refused`, or when
   * you give up calling again, ask for cancel.
   */
  verdict(status: number | undefined, retryAfter?: string | null): Verdict {
    return verdictOf("try", status, retryAfterMs(retryAfter ?? undefined, Date.now()));
  }
}
