// How a transaction stands, as a type in which cancelled cannot be taken for success.

import { isObject, type Branch, type Reason, type Transaction } from "./views.js";

/**
 * How a transaction stands after a request. An answer is not a success: look at `kind`, or call `confirmed()`, which throws
 * unless it is.
 */
export type Outcome = Confirmed | Cancelled | Pending;

/** Every branch was confirmed. */
export class Confirmed {
  readonly kind = "confirmed";

  constructor(readonly transaction: Transaction) {}

  get gid(): string {
    return this.transaction.gid;
  }

  /** The transaction. */
  confirmed(): Transaction {
    return this.transaction;
  }
}

/** Every branch was cancelled: nothing has happened. */
export class Cancelled {
  readonly kind = "cancelled";
  /** The kind of reason. */
  readonly reason: Reason | undefined;
  /** Why, in words: what a participant said, else what the caller gave as reason, else the kind of reason. */
  readonly why: string;

  constructor(readonly transaction: Transaction) {
    this.reason = transaction.reason;
    const [said] = this.refusals.map(saidBy).filter((what) => what !== undefined);
    this.why = said ?? transaction.reasonDetail ?? transaction.reason ?? "no reason was given";
  }

  get gid(): string {
    return this.transaction.gid;
  }

  /** The branches whose Try was refused or failed, with what they answered. */
  get refusals(): readonly Branch[] {
    return this.transaction.branches.filter((branch) => branch.answer !== undefined);
  }

  /** @throws NotConfirmed */
  confirmed(): never {
    throw new NotConfirmed(this);
  }
}

/**
 * It is still going on. Its `status` says how far it is: `trying` can still end either way, `confirming` will be confirmed
 * and `cancelling` cancelled, whatever fails.
 */
export class Pending {
  readonly kind = "pending";

  constructor(readonly transaction: Transaction) {}

  get gid(): string {
    return this.transaction.gid;
  }

  /** @throws NotConfirmed */
  confirmed(): never {
    throw new NotConfirmed(this);
  }
}

/** A transaction is not confirmed. */
export class NotConfirmed extends Error {
  override readonly name = "NotConfirmed";

  constructor(
    /** What it is instead. */
    readonly outcome: Cancelled | Pending,
  ) {
    super(
      outcome.kind === "cancelled"
        ? `${outcome.gid} was cancelled: ${outcome.why}`
        : `${outcome.gid} is still ${outcome.transaction.status}`,
    );
  }
}

/** The outcome of a transaction. A status that is not known here has not ended, as far as can be told. */
export function outcomeOf(transaction: Transaction): Outcome {
  if (transaction.status === "confirmed") return new Confirmed(transaction);
  if (transaction.status === "cancelled") return new Cancelled(transaction);
  return new Pending(transaction);
}

/** What a branch said about its refusal: the `detail` of a problem (RFC 9457), else the body. */
function saidBy({ id, answer }: Branch): string | undefined {
  let said = answer?.body ?? "";
  try {
    const read: unknown = JSON.parse(said);
    if (isObject(read) && typeof read["detail"] === "string") said = read["detail"];
  } catch {
    // It is no JSON, and said as it is.
  }
  return said === "" ? undefined : `${id}: ${said}`;
}
