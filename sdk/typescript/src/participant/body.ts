// The body of a call, to the byte, and not without bound.

import type { IncomingMessage } from "node:http";

/** More than the coordinator accepts as a payload and as results, written as JSON, and less than would hurt. */
export const BODY_BYTES = 2 * 1024 * 1024;

/** The body has more than it may. */
export class TooLarge extends Error {
  override readonly name = "TooLarge";

  constructor() {
    super(`the body is over ${BODY_BYTES} bytes`);
  }
}

/** Somebody else has read the body, and has not kept it as it came. */
export class BodyConsumed extends Error {
  override readonly name = "BodyConsumed";

  constructor() {
    super(
      "a body parser has read this request before Tercet could, and the body must be seen as it came, to the byte: " +
        "mount the participant before express.json() and its like, or have them keep the bytes (express.raw)",
    );
  }
}

type Parsed = IncomingMessage & { readonly body?: unknown; readonly rawBody?: unknown };

/**
 * Reads the body; one that a parser has kept as bytes (`express.raw()`, `rawBody` of some hosts) is taken from there.
 *
 * @throws TooLarge, BodyConsumed, or the connection's error where it broke off
 */
export async function readBody(request: Parsed): Promise<Uint8Array> {
  const kept = [request.body, request.rawBody].find((body) => body instanceof Uint8Array);
  if (kept instanceof Uint8Array) {
    if (kept.length > BODY_BYTES) throw new TooLarge();
    return kept;
  }
  if (Number(request.headers["content-length"] ?? 0) > BODY_BYTES) throw new TooLarge();
  if (request.readableDidRead || request.readableEnded) throw new BodyConsumed();
  return readStream(request);
}

async function readStream(request: IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= BODY_BYTES) chunks.push(chunk);
      else reject(new TooLarge());
    });
    request.on("end", () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
    request.on("error", reject);
    request.on("close", () => {
      if (!request.complete) reject(new Error("the request broke off"));
    });
  });
}
