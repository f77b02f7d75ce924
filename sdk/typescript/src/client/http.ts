// Requests that are repeated until they are answered.
//
// By node:http and node:https with an agent of their own: `fetch` of Node cannot be told whom to trust or how long making a
// connection may take without the package undici. An agent of one's own asks no proxy of the environment's.

import { Agent as HttpAgent, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest, type AgentOptions } from "node:https";
import tls, { rootCertificates } from "node:tls";

import { pauseAfter, retryAfterMs, sleep } from "../wire/pause.js";
import { InvalidRequest, RequestRefused, Unanswered, UnexpectedAnswer, type Problem } from "./errors.js";
import { isObject } from "./views.js";

/** How often a request is made before it is given up: with the pauses, ten seconds or so of an absent coordinator are bridged. */
const ATTEMPTS = 10;
/** The pauses between attempts. */
const BACKOFF = { first: 100, cap: 3000 };
/** The longest `Retry-After` that is honoured. */
const RETRY_AFTER_MOST_MS = 10_000;
/** How long making a connection may take. */
const CONNECT_MS = 2000;
/** How much longer than its wait an answer may take. */
const ANSWER_MARGIN_MS = 5000;
/** More than any answer of a coordinator has. */
const ANSWER_BYTES = 16 * 1024 * 1024;
/** How much of an unexpected body is kept. */
const EXCERPT_CHARACTERS = 200;

/** Whom a client trusts, and who it says it is: PEM. */
export interface Tls {
  readonly ca?: string | Buffer | readonly (string | Buffer)[];
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
}

/** What a request carries; the same to the byte each time it is made. */
export interface Sent {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: string | undefined;
  readonly traceparent?: string | undefined;
}

/** How long a caller wants to wait. */
export interface Patience {
  /** For how long the coordinator is asked to wait. */
  readonly waitMs: number;
  /** By when it must be over, attempts and pauses together; on the clock of `performance.now()`. */
  readonly until?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An answer, as it came. */
export interface Reply {
  readonly status: number;
  readonly body: string;
  /** What `Retry-After` asks for, in milliseconds. */
  readonly asked: number | undefined;
}

/** The connection to a coordinator. */
export class Http {
  readonly #base: string;
  readonly #agent: HttpAgent;
  readonly #request: typeof httpRequest;
  readonly #bearer: string | undefined;
  readonly #isTls: boolean;

  constructor(url: string, token: string | undefined, tls: Tls) {
    const parsed = baseOf(url);
    this.#isTls = parsed.protocol === "https:";
    this.#base = parsed.href.replace(/\/+$/, "");
    this.#bearer = token === undefined ? undefined : `Bearer ${checkedToken(token)}`;
    const options: AgentOptions = { keepAlive: true, ...tlsOf(tls) };
    this.#agent = this.#isTls ? new HttpsAgent(options) : new HttpAgent({ keepAlive: true });
    this.#request = this.#isTls ? httpsRequest : httpRequest;
  }

  /** Closes what connections are kept. */
  close(): void {
    this.#agent.destroy();
  }

  /**
   * Asks until it is answered by what is not 429, 502, 503 or 504.
   *
   * @throws Unanswered where no answer came in time
   */
  async send(gid: string, sent: Sent, { waitMs, until, signal }: Patience): Promise<Reply> {
    for (let attempts = 1; ; attempts += 1) {
      const left = until === undefined ? Number.POSITIVE_INFINITY : until - performance.now();
      if (left <= 0) throw new Unanswered(gid, attempts - 1, "the time that was given is up");
      let last: string;
      let asked: number | undefined;
      try {
        const reply = await this.once(sent, Math.min(waitMs + ANSWER_MARGIN_MS, left), signal);
        if (![429, 502, 503, 504].includes(reply.status)) return reply;
        last = `answered ${reply.status}: ${excerpt(reply.body)}`;
        asked = reply.asked;
      } catch (error) {
        signal?.throwIfAborted();
        last = messageOf(error);
      }
      if (attempts >= ATTEMPTS) throw new Unanswered(gid, attempts, last);
      const pause = pauseAfter(attempts, BACKOFF, Math.min(asked ?? 0, RETRY_AFTER_MOST_MS));
      if (until !== undefined && performance.now() + pause >= until) throw new Unanswered(gid, attempts, last);
      await sleep(pause, signal).catch(() => signal?.throwIfAborted());
    }
  }

  /** Asks once, and waits no longer than that for the whole answer. */
  async once(sent: Sent, patienceMs: number, signal?: AbortSignal): Promise<Reply> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (this.#bearer !== undefined) headers["authorization"] = this.#bearer;
    if (sent.traceparent !== undefined) headers["traceparent"] = sent.traceparent;
    if (sent.body !== undefined) headers["content-type"] = "application/json";
    const body = Buffer.from(sent.body ?? "");
    if (sent.method !== "GET") headers["content-length"] = String(body.length);
    return new Promise((resolve, reject) => {
      const request = this.#request(`${this.#base}${sent.path}`, { method: sent.method, headers, agent: this.#agent });
      const fail = (why: string) => (): void => void request.destroy(new Error(why));
      const whole = setTimeout(fail(`no answer within ${Math.round(patienceMs)} ms`), patienceMs);
      let connecting: NodeJS.Timeout | undefined;
      const aborted = (): void => void request.destroy(new Error("aborted"));
      signal?.addEventListener("abort", aborted, { once: true });
      if (signal?.aborted) aborted();
      const end = (): void => {
        clearTimeout(whole);
        clearTimeout(connecting);
        signal?.removeEventListener("abort", aborted);
      };
      request.on("socket", (socket) => {
        if (!socket.connecting) return;
        connecting = setTimeout(fail(`no connection within ${CONNECT_MS} ms`), CONNECT_MS);
        socket.once(this.#isTls ? "secureConnect" : "connect", () => clearTimeout(connecting));
      });
      request.on("error", (error) => {
        end();
        reject(error);
      });
      request.on("response", (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes > ANSWER_BYTES) request.destroy(new Error(`an answer of more than ${ANSWER_BYTES} bytes`));
        });
        response.on("error", (error) => {
          end();
          reject(error);
        });
        response.on("end", () => {
          end();
          const text = Buffer.concat(chunks).toString("utf8");
          resolve({ status: response.statusCode ?? 0, body: text, asked: askedBy(response.headers) });
        });
        response.on("close", () => {
          end();
          reject(new Error("the answer broke off"));
        });
      });
      request.end(body);
    });
  }
}

/**
 * The body of a success, read.
 *
 * @throws RequestRefused where it is a problem, UnexpectedAnswer where it is something else
 */
export function readReply<T>({ status, body }: Reply, read: (value: unknown) => T | undefined): T {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new UnexpectedAnswer(status, excerpt(body));
  }
  if (status >= 200 && status <= 299) {
    const found = read(value);
    if (found === undefined) throw new UnexpectedAnswer(status, excerpt(body));
    return found;
  }
  const problem = problemOf(value);
  if (problem && status >= 400) throw new RequestRefused(problem);
  throw new UnexpectedAnswer(status, excerpt(body));
}

/** Reads a problem; nothing if it is none. */
export function problemOf(value: unknown): Problem | undefined {
  const isProblem = isObject(value) && typeof value["code"] === "string" && typeof value["detail"] === "string";
  return isProblem ? (value as unknown as Problem) : undefined;
}

export const excerpt = (body: string): string => [...body.slice(0, 2 * EXCERPT_CHARACTERS)].slice(0, EXCERPT_CHARACTERS).join("");

/** What went wrong, in words. Where several addresses were tried there are several errors, and none of its own. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message || String((error as { code?: unknown }).code ?? error.name) : String(error);
}

function askedBy(headers: IncomingHttpHeaders): number | undefined {
  return retryAfterMs(headers["retry-after"], Date.now());
}

function baseOf(url: string): URL {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new InvalidRequest("url", "is not the URL of a coordinator");
  }
  if (!["http:", "https:"].includes(parsed.protocol)) {
    throw new InvalidRequest("url", `its scheme is ${parsed.protocol.replace(":", "")}`);
  }
  if (parsed.search !== "" || parsed.hash !== "") throw new InvalidRequest("url", "it has a query or a fragment");
  if (parsed.username !== "" || parsed.password !== "") throw new InvalidRequest("url", "it names a user; give a token");
  return parsed;
}

/** It is not shown. */
function checkedToken(token: string): string {
  const word = typeof token === "string" ? token.trim() : "";
  if (!/^[!-~]+$/.test(word)) throw new InvalidRequest("token", "must be one word of printable ASCII");
  return word;
}

/** Whom the system trusts is trusted besides. */
function tlsOf({ ca, cert, key }: Tls): AgentOptions {
  const options: AgentOptions = {};
  if (ca !== undefined) {
    const given = [ca].flat().map((pem) => pem.toString());
    if (!given.every((pem) => /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.test(pem))) {
      throw new InvalidRequest("ca", "there must be certificates in it, in PEM");
    }
    // What `NODE_EXTRA_CA_CERTS` names is among them where Node can say so.
    const { getCACertificates } = tls as { getCACertificates?: (of: "default") => string[] };
    options.ca = [...(getCACertificates?.("default") ?? rootCertificates), ...given];
  }
  if ((cert === undefined) !== (key === undefined)) throw new InvalidRequest("cert", "goes with a key, and a key with it");
  if (cert !== undefined && key !== undefined) Object.assign(options, { cert, key });
  return options;
}
