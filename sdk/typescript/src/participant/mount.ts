// A participant in a server that hands over Node's requests and responses: node:http, Express, Connect.

import type { IncomingMessage, ServerResponse } from "node:http";

import type { Answer } from "../wire/answer.js";
import { failed, problem } from "../wire/problem.js";
import { BodyConsumed, readBody, TooLarge } from "./body.js";
import type { Headers } from "../wire/headers.js";
import type { LogLevel } from "../log.js";

/** What `node:http` calls with a request. */
export type Listener = (request: IncomingMessage, response: ServerResponse) => void;

/** What Express and Connect call with a request. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/** What is served under a path: a participant, or the answers to a coordinator's question. */
export interface Endpoint<Route extends string = string> {
  /** The last parts of its URLs, each with its method and what it is called. */
  readonly routes: ReadonlyMap<string, { readonly method: "GET" | "POST"; readonly route: Route }>;
  /** What is wrong with a call before its body is looked at: a stranger's is not even read. */
  refusalOf(route: Route, headers: Headers): Answer | undefined;
  /** Answers a call that has passed; `query` is that of its URL. */
  answer(route: Route, headers: Headers, body: Uint8Array, query: string): Promise<Answer>;
  /** Says something about a call. */
  say(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>): void;
}

/** For `node:http`: what is under a path, and the rest by `otherwise`. */
export function listener(endpoint: Endpoint, path: string, otherwise: Listener | undefined): Listener {
  const answers = mount(endpoint, path);
  return (request, response) =>
    answers(request, response, () => {
      if (otherwise) otherwise(request, response);
      else send(request, response, problem(404, "not-found", "there is nothing here"));
    });
}

/** Answers what is under a path. */
export function mount(endpoint: Endpoint, path: string): Middleware {
  const base = path.replace(/\/+$/, "");
  return (request, response, next) => {
    const url = request.url ?? "";
    const mark = url.indexOf("?");
    const called = mark < 0 ? url : url.slice(0, mark);
    const last = called.startsWith(base) ? called.slice(base.length) : undefined;
    // Under Express the root of what is mounted is "/".
    const found = last === undefined ? undefined : (endpoint.routes.get(last) ?? endpoint.routes.get(last === "/" ? "" : last));
    if (!found) return next();
    const query = mark < 0 ? "" : url.slice(mark + 1);
    void answerOf(endpoint, found.route, found.method, request, query).then((answer) => send(request, response, answer));
  };
}

/** What a request is answered. */
export async function answerOf(
  endpoint: Endpoint,
  route: string,
  method: "GET" | "POST",
  request: IncomingMessage,
  query: string,
): Promise<Answer> {
  if (request.method !== method) return problem(405, "method-not-allowed", `this takes ${method}`);
  // What is there twice comes joined by a comma, which is in no header that is read here.
  const { headers } = request;
  try {
    const refusal = endpoint.refusalOf(route, headers);
    if (refusal) return refusal;
    const body = method === "GET" ? new Uint8Array() : await readBody(request);
    return await endpoint.answer(route, headers, body, query);
  } catch (error) {
    if (error instanceof TooLarge) return problem(413, "payload-too-large", error.message);
    if (error instanceof BodyConsumed) {
      endpoint.say("error", error.message, { route });
      return problem(500, "body-consumed", error.message);
    }
    endpoint.say("warn", "a call broke off", { route, error });
    return failed();
  }
}

/** One response leaves in one write: head and body would else wait for one another (Nagle, delayed ACK). */
function send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Answer): void {
  if (response.headersSent || response.destroyed) return;
  // What of a body was not read will not be: the connection is of no further use.
  const rest = request.complete ? {} : { connection: "close" };
  response.writeHead(status, { ...headers, ...rest, "content-length": Buffer.byteLength(body) });
  response.end(body);
}
