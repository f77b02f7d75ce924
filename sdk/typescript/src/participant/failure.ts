// How business code says that a call was not done. Anything else that it throws is called again.

/**
 * Thrown by business code: it cannot be done, and never will. Whatever was written is rolled back, the guard's row with it.
 *
 * Out of a Try it cancels the transaction, and its initiator is told both (409). A Confirm or Cancel has no right to
 * refuse: it is called again, and people are shown what was said.
 */
export class Refused extends Error {
  override readonly name: string = "Refused";

  /**
   * @param code why, for programs: a short word such as `out-of-stock`
   * @param detail why, for people
   */
  constructor(
    readonly code: string,
    readonly detail: string = code,
    options?: ErrorOptions,
  ) {
    super(`${code}: ${detail}`, options);
  }
}

/** Thrown by business code: it may work the next time (503). Its message is logged and never told to the caller. */
export class Retry extends Error {
  override readonly name = "Retry";
  /** The least pause before the next call, if there is a reason for one. */
  readonly afterMs: number | undefined;

  constructor(message: string, options: ErrorOptions & { readonly afterMs?: number } = {}) {
    super(message, options);
    this.afterMs = options.afterMs;
  }
}

/**
 * A result cannot be read or answered with. Called again it would be no other, so that business code that lets it pass
 * refuses.
 */
export class ResultError extends Refused {
  override readonly name = "ResultError";
}
