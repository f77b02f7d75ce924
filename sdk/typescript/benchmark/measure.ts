// Calls per second of a participant by the library beside one written by hand, on one PostgreSQL, run by run in turn:
//
//   tests/databases sdk/typescript/bench
//
// It prints the median of each and their ratio, and ends with 1 if that is below 0.9.

import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { fileURLToPath } from "node:url";

import { Pool } from "pg";
import { Guard } from "tercet/pg";

const url = process.env["TERCET_TEST_POSTGRES_URL"];
if (!url) throw new Error("TERCET_TEST_POSTGRES_URL is not set: tests/databases sdk/typescript/bench");
const RUNS = 11;
const WARM_UPS = 6;
const BRANCHES = 150;
const AT_ONCE = 16;

const pool = new Pool({ connectionString: url });
await pool.query("DROP TABLE IF EXISTS accounts");
await pool.query("CREATE TABLE accounts (name TEXT PRIMARY KEY, balance BIGINT NOT NULL, frozen BIGINT NOT NULL)");
await pool.query("INSERT INTO accounts SELECT 'a' || n, 1000000000, 0 FROM generate_series(0, 999) AS n");
await new Guard(pool).migrate();

interface Served {
  readonly name: string;
  readonly url: string;
  readonly child: ChildProcess;
  readonly agent: Agent;
  readonly rates: number[];
}

async function serve(name: string): Promise<Served> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(`${name}.js`, import.meta.url)), url ?? ""], { stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise<string>((resolve) => child.stdout.once("data", (chunk: Buffer) => resolve(String(chunk))));
  return { name, child, url: line.replace("listening on ", "").trim(), agent: new Agent({ keepAlive: true }), rates: [] };
}

async function call({ url: base, agent }: Served, op: string, gid: string, body: string): Promise<void> {
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "tercet-gid": gid,
    "tercet-branch": "payment",
    "tercet-instance": "0193b6a0-0000-7000-8000-000000000001",
    "tercet-op": op,
    "tercet-legs": "try,confirm,cancel",
    "tercet-attempt": "1",
  };
  return new Promise((resolve, reject) => {
    const sent = request(`${base}/payment/${op}`, { method: "POST", agent, headers }, (response) => {
      response.resume();
      response.on("end", () => (response.statusCode === 200 ? resolve() : reject(new Error(`${op}: ${response.statusCode}`))));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** One run: each branch is tried and confirmed. */
async function run(served: Served): Promise<void> {
  let left = BRANCHES;
  const began = performance.now();
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const gid = `bench-${randomUUID()}`;
      const body = JSON.stringify({ account: `a${left % 1000}`, amount: 1 });
      await call(served, "try", gid, body);
      await call(served, "confirm", gid, body);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  served.rates.push((2 * BRANCHES * 1000) / (performance.now() - began));
}

/** What the process has used so far. */
function cpuMs({ child }: Served): number {
  const [, , , , , , , , , , , , , user = "0", system = "0"] = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(" ");
  return (Number(user) + Number(system)) * 10;
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

const [hand, library] = [await serve("by_hand"), await serve("by_library")];
// Until what is run often has been compiled.
for (let at = 0; at < WARM_UPS; at += 1) for (const served of [hand, library]) await run(served);
for (const served of [hand, library]) served.rates.length = 0;
const before = [hand, library].map(cpuMs);
for (let at = 0; at < RUNS; at += 1) {
  // Who goes first has the colder caches.
  for (const served of at % 2 === 0 ? [hand, library] : [library, hand]) await run(served);
}
// What the machine does besides is not in these.
[hand, library].forEach((served, at) => {
  const used = cpuMs(served) - (before[at] ?? 0);
  console.log(`${served.name}: ${(used / (2 * BRANCHES * RUNS)).toFixed(2)} ms of CPU a call`);
});
for (const { name, rates } of [hand, library]) {
  const range = `${Math.min(...rates).toFixed(0)} to ${Math.max(...rates).toFixed(0)}`;
  console.log(`${name}: ${median(rates).toFixed(0)} calls/s (median of ${RUNS}; ${range})`);
}
const ratio = median(library.rates) / median(hand.rates);
const ofPairs = median(library.rates.map((rate, at) => rate / (hand.rates[at] ?? rate)));
console.log(`ratio: ${ratio.toFixed(2)} (median of pairs: ${ofPairs.toFixed(2)})`);
for (const { child } of [hand, library]) child.kill();
await pool.end();
process.exitCode = ratio < 0.9 ? 1 : 0;
