// The guard's rule: what a call does, given what is recorded of its branch.
//
// | arrives | nothing recorded | tried | confirmed | cancelled | another instance |
// |---|---|---|---|---|---|
// | Try | run, record; long past its deadline: refuse | repeat | repeat | refuse: the hanging Try | refuse |
// | Confirm | no Try leg: run, record; else gone | run, record | repeat | gone | gone |
// | Cancel | record, not run: the empty Cancel | run, record | refuse | repeat | gone |

import type { Op } from "../wire/op.js";

/**
 * How long past its deadline a Try is turned away although nothing is recorded of its branch: the row of its Cancel may
 * have been purged. Generous, because the clocks of two machines are compared.
 */
const LATE_TRY_MARGIN_MS = 60 * 60 * 1000;

/** What the participant has done for a branch. */
export type State = "tried" | "confirmed" | "cancelled";

/** The state that a call leaves behind once it was done. */
export const STATE_AFTER: Readonly<Record<Op, State>> = { try: "tried", confirm: "confirmed", cancel: "cancelled" };

export const isState = (text: unknown): text is State => text === "tried" || text === "confirmed" || text === "cancelled";

/** The guard's row of a branch. */
export interface Recorded {
  readonly instance: string;
  readonly state: State;
}

/** What of a call the rule looks at. */
export interface Arrival {
  readonly op: Op;
  readonly legs: readonly Op[];
  readonly instance: string;
  readonly deadline: Date | undefined;
}

/** Why a call must not be done. */
export interface Contradiction {
  readonly status: 409 | 410;
  readonly code: string;
  readonly detail: string;
  /** Whether it can only come from a fault on some side, so that people should be told. */
  readonly isAlarming: boolean;
}

/**
 * What to do with a call. `run`: the business code, and record it; `record`: the row alone, the empty Cancel; `repeat`: it
 * was done before, say so; `refuse`: it must not be done.
 */
export type Action =
  | { readonly do: "run" | "record" | "repeat" }
  | { readonly do: "refuse"; readonly why: Contradiction };

const refuse = (status: 409 | 410, code: string, isAlarming: boolean, detail: string): Action => ({
  do: "refuse",
  why: { status, code, detail, isAlarming },
});

const RUN: Action = { do: "run" };
const RECORD: Action = { do: "record" };
const REPEAT: Action = { do: "repeat" };
const HANGING_TRY = refuse(409, "branch-cancelled", false, "this branch was cancelled before its Try arrived");
const LATE_TRY = refuse(
  409,
  "deadline-passed",
  false,
  "by this machine's clock the Try comes more than an hour after its deadline",
);
const NEVER_TRIED = refuse(
  410,
  "branch-not-tried",
  true,
  "this branch was never tried here, so there is nothing to confirm",
);
const CONFIRM_AFTER_CANCEL = refuse(
  410,
  "branch-cancelled",
  true,
  "this branch was cancelled, so there is nothing to confirm",
);
const CANCEL_AFTER_CONFIRM = refuse(
  409,
  "branch-confirmed",
  true,
  "this branch was confirmed and cannot be cancelled",
);
const ANOTHER_INSTANCE = "another transaction has used this gid and branch before";
const TRY_OF_ANOTHER = refuse(409, "another-instance", true, ANOTHER_INSTANCE);
const DECISION_OF_ANOTHER = refuse(410, "another-instance", true, ANOTHER_INSTANCE);

const OF_STATE: Readonly<Record<Op, Readonly<Record<State, Action>>>> = {
  try: { tried: REPEAT, confirmed: REPEAT, cancelled: HANGING_TRY },
  confirm: { tried: RUN, confirmed: REPEAT, cancelled: CONFIRM_AFTER_CANCEL },
  cancel: { tried: RUN, confirmed: CANCEL_AFTER_CONFIRM, cancelled: REPEAT },
};

/** The rule itself, pure: every cell is a line in the test vectors. `now` is UTC epoch milliseconds. */
export function decide(recorded: Recorded | undefined, arrival: Arrival, now: number): Action {
  if (recorded) {
    if (recorded.instance !== arrival.instance) {
      return arrival.op === "try" ? TRY_OF_ANOTHER : DECISION_OF_ANOTHER;
    }
    return OF_STATE[arrival.op][recorded.state];
  }
  switch (arrival.op) {
    case "try": {
      const isLongPast = arrival.deadline !== undefined && now - arrival.deadline.getTime() > LATE_TRY_MARGIN_MS;
      return isLongPast ? LATE_TRY : RUN;
    }
    case "confirm":
      return arrival.legs.includes("try") ? NEVER_TRIED : RUN;
    case "cancel":
      return RECORD;
  }
}
