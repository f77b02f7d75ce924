// Calls of a participant, as the coordinator makes them.

import { createServer, request, type IncomingHttpHeaders, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { randomUUID } from "node:crypto";

export const INSTANCE = "0193b6a0-0000-7000-8000-000000000001";

/** What a test looks at of an answer. */
export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

/** Headers of a call. */
export function headersOf(op: string, gid: string, changes: Record<string, string> = {}): Record<string, string> {
  return {
    "content-type": "application/json",
    "Tercet-Gid": gid,
    "Tercet-Branch": "b1",
    "Tercet-Instance": INSTANCE,
    "Tercet-Op": op,
    "Tercet-Legs": "try,confirm,cancel",
    ...changes,
  };
}

/** A gid that no other test has. */
export const freshGid = (): string => `t-${randomUUID()}`;

/** Makes a request. */
export async function ask(
  url: string,
  { method = "POST", headers = {}, body = "" }: { method?: string; headers?: Record<string, string | string[]>; body?: string | Buffer } = {},
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        let read: unknown;
        try {
          read = JSON.parse(text);
        } catch {
          read = {};
        }
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: read as Record<string, unknown> });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** A server on a free port, for the time of a test. */
export async function serving<T>(listener: RequestListener, run: (url: string, server: Server) => Promise<T>): Promise<T> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
