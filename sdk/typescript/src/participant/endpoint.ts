// What every endpoint has in common: who is let through, and where it is said what went wrong.

import { carefully, toStderr, type Log } from "../log.js";
import type { Answer } from "../wire/answer.js";
import { problem } from "../wire/problem.js";
import { isSigned, SigningKey, wrongSigning } from "../wire/signature.js";
import type { Endpoint } from "./mount.js";

/** How an endpoint is to be served. */
export interface EndpointOptions {
  /**
   * Secrets (`whsec_…`) of which one must have signed a call. Several, so that one can be changed without a gap; none, and
   * nobody is let through. Without the option signatures are not looked at.
   */
  readonly secrets?: readonly string[];
  /** Where it is said what went wrong; stderr unless said otherwise. */
  readonly log?: Log;
}

/** An endpoint that lets through what is signed, if it has secrets, and answers it so. */
export function endpointOf<Route extends string>(
  routes: Endpoint<Route>["routes"],
  { secrets, log: given = toStderr }: EndpointOptions,
  answer: Endpoint<Route>["answer"],
): Endpoint<Route> {
  const log = carefully(given);
  const keys = secrets?.map((secret) => new SigningKey(secret));
  const unsigned = (why: string): Answer => {
    log("warn", "a call that is not signed as it must be", { why });
    return problem(401, "unsigned", why);
  };
  return {
    routes,
    refusalOf(route, headers) {
      // The books tell of no call.
      const wrong = keys && wrongSigning(headers, route === "branches" ? "" : route, Date.now());
      return wrong === undefined ? undefined : unsigned(wrong);
    },
    async answer(route, headers, body, query) {
      if (keys && !isSigned(keys, headers, body)) {
        return unsigned("header webhook-signature has no signature by a secret that is known here");
      }
      return answer(route, headers, body, query);
    },
    say: log,
  };
}
