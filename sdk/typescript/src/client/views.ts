// Transactions and branches as the coordinator shows them. What a newer one adds is passed over, and is in `raw`.

/** Known words, and what a newer coordinator may say. */
type Word<Known extends string> = Known | (string & {});

/** Where a transaction stands. */
export type Status = Word<"trying" | "confirming" | "cancelling" | "confirmed" | "cancelled">;

/** Why a transaction was cancelled. */
export type Reason = Word<"try-refused" | "try-failed" | "deadline" | "requested" | "operator" | "check">;

/** Where a branch stands. */
export type BranchStatus = Word<"registered" | "tried" | "refused" | "confirmed" | "cancelled" | "skipped">;

/** A branch. */
export interface Branch {
  readonly id: string;
  readonly participant: string | undefined;
  readonly status: BranchStatus;
  /** Whether it is shown to people, since it does not get on by itself. */
  readonly parked: boolean;
  readonly attempts: Readonly<Record<string, number>>;
  /** What a Try that was refused or failed was answered with last. */
  readonly answer: { readonly status: number; readonly body: string } | undefined;
  /** What its Try was answered with, where that is kept. */
  readonly result: unknown;
  readonly lastError: string | undefined;
  readonly nextAttemptAt: Date | undefined;
  readonly finishedAt: Date | undefined;
  /** As it came. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** A transaction. */
export interface Transaction {
  readonly gid: string;
  readonly instance: string;
  readonly pattern: Word<"tcc" | "saga">;
  readonly status: Status;
  readonly open: boolean;
  readonly parked: boolean;
  readonly reason: Reason | undefined;
  readonly reasonDetail: string | undefined;
  readonly metadata: Readonly<Record<string, unknown>> | undefined;
  readonly createdAt: Date | undefined;
  readonly deadlineAt: Date | undefined;
  readonly decidedAt: Date | undefined;
  readonly finishedAt: Date | undefined;
  readonly branches: readonly Branch[];
  /** As it came. */
  readonly raw: Readonly<Record<string, unknown>>;
}

type Fields = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

function time(value: unknown): Date | undefined {
  const at = new Date(typeof value === "string" ? value : Number.NaN);
  return Number.isNaN(at.getTime()) ? undefined : at;
}

/** Reads a transaction; nothing if it is none. */
export function transactionOf(value: unknown): Transaction | undefined {
  if (!isObject(value) || typeof value["gid"] !== "string" || typeof value["status"] !== "string") return undefined;
  const branches = Array.isArray(value["branches"]) ? value["branches"].map(branchOf) : [];
  return {
    gid: value["gid"],
    instance: text(value["instance"]) ?? "",
    pattern: text(value["pattern"]) ?? "tcc",
    status: value["status"],
    open: value["open"] === true,
    parked: value["parked"] === true,
    reason: text(value["reason"]),
    reasonDetail: text(value["reason_detail"]),
    metadata: isObject(value["metadata"]) ? value["metadata"] : undefined,
    createdAt: time(value["created_at"]),
    deadlineAt: time(value["deadline_at"]),
    decidedAt: time(value["decided_at"]),
    finishedAt: time(value["finished_at"]),
    branches: branches.filter((branch) => branch !== undefined),
    raw: value,
  };
}

/** Reads a branch; nothing if it is none. */
export function branchOf(value: unknown): Branch | undefined {
  if (!isObject(value) || typeof value["id"] !== "string" || typeof value["status"] !== "string") return undefined;
  const { answer, attempts } = value;
  const isAnswer = isObject(answer) && typeof answer["status"] === "number" && typeof answer["body"] === "string";
  return {
    id: value["id"],
    participant: text(value["participant"]),
    status: value["status"],
    parked: value["parked"] === true,
    attempts: isObject(attempts) ? (attempts as Record<string, number>) : {},
    answer: isAnswer ? { status: answer["status"] as number, body: answer["body"] as string } : undefined,
    result: value["result"],
    lastError: text(value["last_error"]),
    nextAttemptAt: time(value["next_attempt_at"]),
    finishedAt: time(value["finished_at"]),
    raw: value,
  };
}
