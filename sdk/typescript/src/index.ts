// What the package gives without a database. The guards lie at tercet/better-sqlite3, tercet/pg and tercet/mysql2.

export { GuardOf, type BookEntry, type Purged, type Running } from "./guard/guard.js";
export { decide, type Action, type Arrival, type Contradiction, type Recorded, type State } from "./guard/table.js";
export { toStderr, type Log, type LogLevel } from "./log.js";
export { BadHeader, Context, readCall, type CallHead } from "./participant/context.js";
export { Refused, ResultError, Retry } from "./participant/failure.js";
export type { FastifyLike } from "./participant/fastify.js";
export type { Listener, Middleware } from "./participant/mount.js";
export { Participant, type Handler, type ParticipantOptions } from "./participant/participant.js";
export type { Headers } from "./wire/headers.js";
export { RawJson, rawJson } from "./wire/json.js";
export type { Op } from "./wire/op.js";
export { SigningKey } from "./wire/signature.js";
export { verdictOf, type Verdict } from "./wire/verdict.js";
