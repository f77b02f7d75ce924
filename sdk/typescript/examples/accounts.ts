// What the examples on the three databases have in common.

import type { Participant } from "tercet";

/** What a branch is about. */
export interface Debit {
  readonly account: string;
  readonly amount: number;
}

/** Reads a payload that has been parsed. */
export function isDebit(value: unknown): Debit {
  const { account, amount } = value as Partial<Debit>;
  if (typeof account !== "string" || !Number.isSafeInteger(amount) || Number(amount) <= 0) {
    throw new TypeError("account must be a text, amount a positive number");
  }
  return { account, amount: Number(amount) };
}

/** A participant, and a look at what it has. */
export interface Accounts {
  readonly participant: Participant;
  readonly balances: () => Promise<unknown>;
}
