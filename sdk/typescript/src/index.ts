// What the package gives without a database. The guards lie at tercet/better-sqlite3, tercet/pg and tercet/mysql2.

export { CheckedOf, DoneBefore, TooLate } from "./checked/checked.js";
export { Client, type ClientOptions, type Wait, type WaitFor } from "./client/client.js";
export { ClientError, InvalidRequest, RequestRefused, Unanswered, UnexpectedAnswer, type Problem } from "./client/errors.js";
export { OpenTransaction, type Registered } from "./client/open.js";
export { Cancelled, Confirmed, NotConfirmed, Pending, type Outcome } from "./client/outcome.js";
export { OwnTry } from "./client/own_try.js";
export type { NewBranch, NewRun, NewTransaction } from "./client/request.js";
export type { Branch, BranchStatus, Reason, Status, Transaction } from "./client/views.js";
export { GuardOf, type BookEntry, type Purged, type Running } from "./guard/guard.js";
export { decide, type Action, type Arrival, type Contradiction, type Recorded, type State } from "./guard/table.js";
export { toStderr, type Log, type LogLevel } from "./log.js";
export { OutboxOf, SentBefore, type OutboxEntry } from "./outbox/outbox.js";
export { Relay, type RelayOptions } from "./outbox/relay.js";
export type { OutboxState } from "./outbox/row.js";
export { BadHeader, Context, readCall, type CallHead } from "./participant/context.js";
export { Refused, ResultError, Retry } from "./participant/failure.js";
export type { EndpointOptions } from "./participant/endpoint.js";
export type { FastifyLike, FastifyPlugin } from "./participant/fastify.js";
export type { Listener, Middleware } from "./participant/mount.js";
export { Participant, type Handler, type ParticipantOptions } from "./participant/participant.js";
export type { Headers } from "./wire/headers.js";
export { RawJson, rawJson } from "./wire/json.js";
export type { Op } from "./wire/op.js";
export { SigningKey } from "./wire/signature.js";
export { verdictOf, type Verdict } from "./wire/verdict.js";
