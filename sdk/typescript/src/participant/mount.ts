// A participant in a server that hands over Node's requests and responses: node:http, Express, Connect.

import type { IncomingMessage, ServerResponse } from "node:http";

import type { Answer } from "../wire/answer.js";
import { failed, problem } from "../wire/problem.js";
import { BodyConsumed, readBody, TooLarge } from "./body.js";
import type { Participant, Route } from "./participant.js";

/** What `node:http` calls with a request. */
export type Listener = (request: IncomingMessage, response: ServerResponse) => void;

/** What Express and Connect call with a request. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

const ROUTES: Readonly<Record<string, Route>> = {
  "/try": "try",
  "/confirm": "confirm",
  "/cancel": "cancel",
  "/branches": "branches",
};

/** The method of a route. */
export const methodOf = (route: Route): "GET" | "POST" => (route === "branches" ? "GET" : "POST");

/** Answers what is under a path. */
export function mount(participant: Participant, path: string): Middleware {
  const base = path.replace(/\/+$/, "");
  return (request, response, next) => {
    const url = request.url ?? "";
    const mark = url.indexOf("?");
    const called = mark < 0 ? url : url.slice(0, mark);
    const route = called.startsWith(base) ? ROUTES[called.slice(base.length)] : undefined;
    if (!route) return next();
    const query = mark < 0 ? "" : url.slice(mark + 1);
    void answerOf(participant, route, request, query).then(
      (answer) => send(request, response, answer),
      (error: unknown) => {
        participant.say("error", "a call broke off", { route, error });
        send(request, response, failed());
      },
    );
  };
}

/** What a request is answered. */
export async function answerOf(
  participant: Participant,
  route: Route,
  request: IncomingMessage,
  query: string,
): Promise<Answer> {
  if (request.method !== methodOf(route)) return problem(405, "method-not-allowed", `this takes ${methodOf(route)}`);
  const headers = request.headersDistinct;
  const refusal = participant.refusalOf(route, headers);
  if (refusal) return refusal;
  try {
    const body = route === "branches" ? new Uint8Array() : await readBody(request);
    return await participant.answer(route, headers, body, query);
  } catch (error) {
    if (error instanceof TooLarge) return problem(413, "payload-too-large", error.message);
    if (error instanceof BodyConsumed) {
      participant.say("error", error.message, { route });
      return problem(500, "body-consumed", error.message);
    }
    throw error;
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
