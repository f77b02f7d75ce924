// A real coordinator for the time of a test, on a free port and a database that goes away; and a fake one that does as it is told.

import { spawn, type ChildProcess } from "node:child_process";
import type { IncomingMessage, ServerResponse } from "node:http";

import { program } from "./repository.js";
import { serving } from "./calls.js";

/** A program that says where it listens. */
export interface Started {
  readonly url: string;
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

/** Starts a program, and reads the URL in the line that says so. */
export async function start(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Started> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  let said = "";
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    const look = (chunk: Buffer): void => {
      said += chunk.toString();
      const [, found] = /(?:runs|listening|listen=).*?(http:\/\/[0-9.]+:\d+)/.exec(said) ?? [];
      if (found) resolve(found);
    };
    child.stdout.on("data", look);
    child.stderr.on("data", look);
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`${command} ended: ${said}`)));
  });
  return {
    url,
    child,
    async stop() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** A coordinator. */
export const tercet = async (): Promise<Started> => start(program("tercet"), ["dev", "--listen", "127.0.0.1:0", "--yes"]);

/** What a fake coordinator does with the n-th request (from 0). */
export type Mischief = (request: IncomingMessage, body: string, response: ServerResponse, n: number) => void;

/** A fake coordinator; what it was asked, and when. */
export async function faking<T>(
  mischief: Mischief,
  run: (url: string, asked: { line: string; body: string; headers: IncomingMessage["headers"] }[]) => Promise<T>,
): Promise<T> {
  const asked: { line: string; body: string; headers: IncomingMessage["headers"] }[] = [];
  return serving(
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = Buffer.concat(chunks).toString();
        asked.push({ line: `${request.method} ${request.url}`, body, headers: request.headers });
        mischief(request, body, response, asked.length - 1);
      });
    },
    async (url) => run(url, asked),
  );
}

/** A transaction as a coordinator shows it. */
export function shown(gid: string, status: string, more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    gid,
    instance: "0193b6a0-0000-7000-8000-000000000001",
    pattern: "tcc",
    status,
    open: false,
    parked: false,
    metadata: null,
    reason: null,
    reason_detail: null,
    created_at: "2026-11-20T12:00:00.000Z",
    deadline_at: "2026-11-20T12:00:30.000Z",
    decided_at: null,
    finished_at: null,
    branches: [],
    ...more,
  });
}
