// Participants in node:http, Express and Fastify: bodies to the byte, bounded, not eaten by others; signatures before anything else.

import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { test } from "node:test";

import Database from "better-sqlite3";
import express from "express";
import { fastify } from "fastify";
import { Retry, type Participant, type ParticipantOptions } from "tercet";
import { Guard } from "tercet/better-sqlite3";

import { ask, freshGid, headersOf, serving } from "./support/calls.js";
import { signatureHeaders, SigningKey } from "../dist/wire/signature.js";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const KEY = new SigningKey(SECRET);
const RAW = '{ "amount" : 9007199254740993,  "name": "Zoë \u{1F600}" }';

interface Made {
  readonly participant: Participant;
  readonly payloads: string[];
  readonly told: string[];
}

async function make(options: ParticipantOptions = {}): Promise<Made> {
  const guard = new Guard(new Database(":memory:"));
  await guard.migrate();
  const payloads: string[] = [];
  const told: string[] = [];
  const participant = guard.participant<string>(
    { parse: (raw) => raw, try: (_, raw) => void payloads.push(raw), confirm: () => undefined, cancel: () => undefined },
    { log: (_, message) => told.push(message), ...options },
  );
  return { participant, payloads, told };
}

/** Serves Fastify's way. */
async function withFastify<T>({ participant }: Made, run: (url: string) => Promise<T>): Promise<T> {
  const app = fastify();
  await app.register(participant.plugin(), { prefix: "/p" });
  app.post("/echo", async (request) => request.body);
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  try {
    return await run(url);
  } finally {
    await app.close();
  }
}

/** Express' way. */
function withExpress<T>({ participant }: Made, run: (url: string) => Promise<T>): Promise<T> {
  const app = express();
  app.use("/p", participant.middleware());
  app.use(express.json());
  app.post("/echo", (request, response) => void response.json(request.body));
  return serving(app as unknown as RequestListener, run);
}

const ways: Record<string, <T>(made: Made, run: (url: string) => Promise<T>) => Promise<T>> = {
  "node:http": async ({ participant }, run) =>
    serving(participant.listener("/p", (request, response) => void request.pipe(response)), run),
  Express: withExpress,
  Fastify: withFastify,
};

for (const [name, way] of Object.entries(ways)) {
  test(`${name}: calls, books, and what is none of the participant's`, async () => {
    const made = await make();
    await way(made, async (url) => {
      const gid = freshGid();
      const tried = await ask(`${url}/p/try?x=1`, { headers: headersOf("try", gid), body: RAW });
      assert.deepEqual([tried.status, tried.body], [200, { state: "tried", repeated: false }]);
      assert.match(String(tried.headers["content-type"]), /^application\/json/);
      assert.deepEqual(made.payloads, [RAW]);
      // Without a type, with another one, and without a body.
      const { "content-type": _, ...untyped } = headersOf("confirm", gid);
      assert.equal((await ask(`${url}/p/confirm`, { headers: untyped, body: RAW })).status, 200);
      const other = { ...headersOf("try", freshGid()), "content-type": "text/plain; charset=latin1" };
      assert.equal((await ask(`${url}/p/try`, { headers: other, body: RAW })).status, 200);
      assert.equal(made.payloads[1], RAW);
      const none = await ask(`${url}/p/try`, { headers: headersOf("try", freshGid()) });
      assert.equal(none.status, 200, none.text);
      const books = await ask(`${url}/p/branches?limit=1`, { method: "GET" });
      assert.equal((books.body["items"] as unknown[]).length, 1);
      assert.ok([404, 405].includes((await ask(`${url}/p/try`, { method: "PUT" })).status));
      assert.equal((await ask(`${url}/p/nothing`, { method: "GET" })).status === 200, name === "node:http");
      const echo = await ask(`${url}/echo`, { headers: { "content-type": "application/json" }, body: '{"a":1}' });
      assert.equal(echo.text, '{"a":1}');
    });
  });

  test(`${name}: a body without end is refused, and one of 2 MiB is not`, async () => {
    const made = await make();
    await way(made, async (url) => {
      const call = async (bytes: number, more: Record<string, string> = {}) =>
        ask(`${url}/p/try`, { headers: headersOf("try", freshGid(), more), body: Buffer.alloc(bytes, 0x20) }).catch(() => ({ status: 413 }));
      assert.equal((await call(2 * 1024 * 1024)).status, 200);
      assert.equal((await call(2 * 1024 * 1024 + 1)).status, 413);
      assert.equal((await call(4 * 1024 * 1024, { "transfer-encoding": "chunked" })).status, 413);
    });
  });

  test(`${name}: what is not signed is answered 401`, async () => {
    const made = await make({ secrets: [SECRET] });
    await way(made, async (url) => {
      const gid = freshGid();
      const headers = headersOf("try", gid);
      const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
      const signed = { ...headers, ...signatureHeaders(KEY, lower, "try", RAW, Date.now()) };
      const call = async (op: string, given: Record<string, string>, body: string) => ask(`${url}/p/${op}`, { headers: given, body });
      for (const [op, given, body] of [
        ["try", headers, RAW],
        ["try", signed, `${RAW} `],
        ["confirm", { ...signed, "Tercet-Op": "confirm" }, RAW],
        ["try", { ...signed, "Tercet-Gid": freshGid() }, RAW],
      ] as const) {
        const refused = await call(op, given, body);
        assert.deepEqual([refused.status, refused.body["code"]], [401, "unsigned"]);
      }
      assert.deepEqual(made.payloads, []);
      assert.equal((await call("try", signed, RAW)).status, 200);
      assert.equal((await ask(`${url}/p/branches`, { method: "GET" })).status, 401);
      const books = signatureHeaders(KEY, {}, "", "", Date.now());
      assert.equal((await ask(`${url}/p/branches`, { method: "GET", headers: books })).status, 200);
      assert.ok(!JSON.stringify(made.told).includes("whsec"));
    });
  });

  test(`${name}: an answer leaves in one write`, async () => {
    const made = await make();
    await way(made, async (url) => {
      const { port } = new URL(url);
      const socket = connect(Number(port), "127.0.0.1");
      const head = Object.entries(headersOf("try", freshGid())).map(([field, value]) => `${field}: ${value}\r\n`).join("");
      socket.write(`POST /p/try HTTP/1.1\r\nHost: a\r\n${head}Content-Length: ${Buffer.byteLength(RAW)}\r\n\r\n${RAW}`);
      const first = await new Promise<Buffer>((resolve) => socket.once("data", resolve));
      socket.destroy();
      assert.match(first.toString(), /^HTTP\/1\.1 200 [\s\S]*\r\n\r\n\{"state":"tried","repeated":false\}$/);
    });
  });
}

test("Express: a parser that has eaten the body is named, one that keeps the bytes is not", async () => {
  const eaten = await make();
  const before = express();
  before.use(express.json());
  before.use("/p", eaten.participant.middleware());
  await serving(before as unknown as RequestListener, async (url) => {
    const answer = await ask(`${url}/p/try`, { headers: headersOf("try", freshGid()), body: RAW });
    assert.deepEqual([answer.status, answer.body["code"]], [500, "body-consumed"]);
    assert.match(String(answer.body["detail"]), /mount the participant before express\.json\(\)/);
    assert.match(String(eaten.told[0]), /express\.json\(\)/);
    assert.deepEqual(eaten.payloads, []);
  });
  const kept = await make({ secrets: [SECRET] });
  const raw = express();
  raw.use(express.raw({ type: "*/*" }));
  raw.use("/p", kept.participant.middleware());
  await serving(raw as unknown as RequestListener, async (url) => {
    const headers = headersOf("try", freshGid());
    const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    const signed = { ...headers, ...signatureHeaders(KEY, lower, "try", RAW, Date.now()) };
    assert.equal((await ask(`${url}/p/try`, { headers: signed, body: RAW })).status, 200);
    assert.deepEqual(kept.payloads, [RAW]);
  });
});

test("a header that is there twice is answered 400", async () => {
  const made = await make();
  await serving(made.participant.listener("/p"), async (url) => {
    for (const name of ["Tercet-Gid", "Tercet-Instance", "Tercet-Op", "Tercet-Deadline"]) {
      const headers: Record<string, string | string[]> = { ...headersOf("try", "o-1", { "Tercet-Deadline": "2026-11-20T12:00:00Z" }) };
      headers[name] = [String(headers[name]), String(headers[name])];
      const answer = await ask(`${url}/p/try`, { headers, body: "{}" });
      assert.deepEqual([answer.status, answer.body["code"]], [400, "invalid-call"], name);
    }
  });
});

test("a body that is no UTF-8 is no payload, and a repeat is not looked at", async () => {
  const guard = new Guard(new Database(":memory:"));
  await guard.migrate();
  const participant = guard.participant({ try: () => undefined }, { log: () => undefined });
  await serving(participant.listener("/p"), async (url) => {
    const gid = freshGid();
    const call = async (body: Buffer) => ask(`${url}/p/try`, { headers: headersOf("try", gid), body });
    const answer = await call(Buffer.from([0x22, 0xff, 0x22]));
    assert.deepEqual([answer.status, answer.body["code"]], [400, "invalid-payload"]);
    assert.equal((await call(Buffer.from('"a"'))).status, 200);
    assert.equal((await call(Buffer.from([0xff]))).status, 200);
  });
});

test("what business code on better-sqlite3 may return is known to the compiler", () => {
  const guard = new Guard(new Database(":memory:"));
  guard.participant({ try: (db) => db.prepare("SELECT 1"), confirm: () => undefined, cancel() {} });
  // @ts-expect-error -- what is done after an await would be outside of the SQL transaction
  guard.participant({ try: async () => undefined });
  // @ts-expect-error -- the same
  guard.participant({ async cancel() {} });
});

test("a log that throws, and a pause that is none, break nothing", async () => {
  const guard = new Guard(new Database(":memory:"));
  await guard.migrate();
  const throws = (): void => {
    throw new Retry("later", { afterMs: Number.NaN });
  };
  const participant = guard.participant({ try: throws }, { log: throws });
  await serving(participant.listener("/p"), async (url) => {
    const { status, headers } = await ask(`${url}/p/try`, { headers: headersOf("try", freshGid()), body: "{}" });
    assert.deepEqual([status, headers["retry-after"]], [503, undefined]);
  });
});

test("a participant has only the calls it has methods for", async () => {
  const guard = new Guard(new Database(":memory:"));
  await guard.migrate();
  const mails: string[] = [];
  const participant = guard.participant<{ to: string }>({ confirm: (_, { to }) => void mails.push(to) });
  await serving(participant.listener("/mail/"), async (url) => {
    const headers = headersOf("confirm", freshGid(), { "Tercet-Legs": "confirm" });
    assert.equal((await ask(`${url}/mail/confirm`, { headers, body: '{"to":"zoë"}' })).status, 200);
    assert.equal((await ask(`${url}/mail/try`, { headers: headersOf("try", freshGid()), body: "{}" })).status, 404);
    assert.deepEqual(mails, ["zoë"]);
  });
});

test("an empty cancel is run where the participant asks for it", async () => {
  const guard = new Guard(new Database(":memory:"));
  await guard.migrate();
  const seen: [string, boolean][] = [];
  const participant = guard.participant(
    { cancelsEmpty: true, try: () => undefined, cancel: (_, __, { gid, empty }) => void seen.push([gid, empty]) },
    { log: () => undefined },
  );
  await serving(participant.listener("/p"), async (url) => {
    const call = async (op: string, gid: string, body = "{}") => ask(`${url}/p/${op}`, { headers: headersOf(op, gid), body });
    assert.equal((await call("cancel", "empty")).status, 200);
    assert.equal((await call("cancel", "empty")).status, 200);
    assert.equal((await call("try", "empty")).status, 409);
    assert.equal((await call("cancel", "unreadable", "{")).status, 200);
    await call("try", "tried");
    assert.equal((await call("cancel", "tried")).status, 200);
    assert.deepEqual(seen, [["empty", true], ["tried", false]]);
  });
});

test("calls at once all get through SQLite's one writer", async () => {
  const guard = new Guard(new Database(":memory:"));
  await guard.migrate();
  const seen: string[] = [];
  const participant = guard.participant({ try: (_, __, { gid }) => void seen.push(gid) }, { log: () => undefined });
  await serving(participant.listener("/p"), async (url) => {
    const gids = Array.from({ length: 50 }, freshGid);
    const settle = async (gid: string) => {
      let status = 202;
      while (status === 202) ({ status } = await ask(`${url}/p/try`, { headers: headersOf("try", gid), body: "{}" }));
      return status;
    };
    assert.deepEqual(await Promise.all(gids.map(settle)), gids.map(() => 200));
    assert.deepEqual(seen.toSorted(), gids.toSorted());
  });
});

test("require() finds the package, too", { skip: !process.features.require_module && "this Node requires no modules" }, async () => {
  const { createRequire } = await import("node:module");
  const required = createRequire(import.meta.url)("tercet") as { Client: unknown };
  assert.equal(required.Client, (await import("tercet")).Client);
});

test("a request that breaks off runs nothing", async () => {
  const made = await make();
  const server = createServer(made.participant.listener("/p"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const head = Object.entries(headersOf("try", "cut")).map(([field, value]) => `${field}: ${value}\r\n`).join("");
  const asked = new Promise((resolve) => server.once("request", resolve));
  socket.write(`POST /p/try HTTP/1.1\r\nHost: a\r\n${head}Content-Length: 100\r\n\r\n{"amount"`);
  await asked;
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  assert.deepEqual(made.payloads, []);
});
