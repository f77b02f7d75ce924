// Signatures by which a receiver knows that a call is the coordinator's, as Standard Webhooks says: HMAC-SHA256 over
// `{id}.{timestamp}.{body}`, in base64.

import { createHmac, timingSafeEqual } from "node:crypto";
import { inspect } from "node:util";

import { headerOf, type Headers } from "./headers.js";

const PREFIX = "whsec_";
const GOOD_FOR_SECONDS = 5 * 60;
/** Signatures that are looked at in one header; a sender that changes its key sends two or three. */
const MOST_SIGNATURES = 16;

/** What is signed with. Nothing prints it. */
export class SigningKey {
  readonly #key: Buffer;

  /** @throws TypeError where it is no secret; it is not said what it is: that may be nearly one */
  constructor(secret: string) {
    const encoded = typeof secret === "string" && secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : "";
    this.#key = Buffer.from(encoded, "base64");
    const isWhole = this.#key.toString("base64") === encoded;
    if (!isWhole || this.#key.length < 24 || this.#key.length > 64) {
      throw new TypeError("a secret must be whsec_ and then 24 to 64 random bytes in base64");
    }
  }

  /** The value of `webhook-signature`. `timestamp` is that of `webhook-timestamp`. */
  sign(id: string, timestamp: string, body: Uint8Array | string): string {
    return `v1,${createHmac("sha256", this.#key).update(`${id}.${timestamp}.`).update(body).digest("base64")}`;
  }

  [inspect.custom](): string {
    return "SigningKey ***";
  }
}

/**
 * The `webhook-id` of a call, by what its headers say of it and the op of the URL that was called: repeats have the same
 * one. The parts of what is signed are told apart by dots, so a dot of a gid is written as `%2E`.
 */
export function callId(headers: Headers, op: string): string {
  const of = (name: string): string => headerOf(headers, name) ?? "";
  const parts = [of("tercet-gid"), of("tercet-branch"), op, of("tercet-instance")];
  return parts.map((part) => part.replaceAll("%", "%25").replaceAll(".", "%2E")).join("/");
}

/** The three headers that sign a call. */
export function signatureHeaders(key: SigningKey, headers: Headers, op: string, body: Uint8Array | string, now: number) {
  const id = callId(headers, op);
  const timestamp = String(Math.floor(now / 1000));
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": key.sign(id, timestamp, body) };
}

/** What is wrong with a call before its body is looked at, so that a stranger's is not even read. */
export function wrongSigning(headers: Headers, op: string, now: number): string | undefined {
  for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"]) {
    if (headerOf(headers, name) === undefined) return `header ${name} is missing`;
  }
  const timestamp = headerOf(headers, "webhook-timestamp") ?? "";
  const off = Math.abs(Number(timestamp) - Math.floor(now / 1000));
  if (!/^\d+$/.test(timestamp) || off > GOOD_FOR_SECONDS) {
    return "header webhook-timestamp is more than five minutes off, or no time";
  }
  // Only the id is under the signature: what the other headers and the URL say of the call must be what it says.
  if (headerOf(headers, "webhook-id") !== callId(headers, op)) {
    return "header webhook-id is that of another call than its other headers tell of";
  }
  return undefined;
}

/** Whether one of these keys signed it with this body, as it came. */
export function isSigned(keys: readonly SigningKey[], headers: Headers, body: Uint8Array): boolean {
  const [id = "", timestamp = ""] = [headerOf(headers, "webhook-id"), headerOf(headers, "webhook-timestamp")];
  const signatures = (headerOf(headers, "webhook-signature") ?? "").split(" ").slice(0, MOST_SIGNATURES);
  const expected = keys.map((key) => Buffer.from(key.sign(id, timestamp, body)));
  return signatures
    .map((signature) => Buffer.from(signature))
    .some((signature) => expected.some((ours) => ours.length === signature.length && timingSafeEqual(ours, signature)));
}
