// The client against a mischievous coordinator: lost answers, refusals for now, broken bodies.

import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { inspect } from "node:util";

import { Client, InvalidRequest, NotConfirmed, rawJson, RequestRefused, Unanswered, UnexpectedAnswer } from "tercet";

import { Http, messageOf } from "../dist/client/http.js";
import { serving } from "./support/calls.js";
import { faking, shown, type Mischief } from "./support/coordinator.js";

const BRANCH = { id: "a", endpoint: "http://127.0.0.1:1/a", payload: rawJson('{ "amount": 9007199254740993 }') };

/** Does the mischiefs one after another, and answers then. */
const after =
  (...mischiefs: Mischief[]): Mischief =>
  (request, body, response, n) => {
    const mischief = mischiefs[n];
    if (mischief) return mischief(request, body, response, n);
    const { gid } = JSON.parse(body) as { gid: string };
    response.writeHead(201).end(shown(gid, "confirmed"));
  };
const lose: Mischief = (request) => request.socket.destroy();
const answer =
  (status: number, body = "<html>", headers: Record<string, string> = {}): Mischief =>
  (_, __, response) =>
    response.writeHead(status, headers).end(body);
const breakOff: Mischief = (request, _, response) => {
  response.writeHead(200, { "content-length": "1000" });
  response.write('{"gid":', () => request.socket.destroy());
};

test("a begin is repeated to the byte until it is answered, under one gid", async () => {
  const mischief = after(lose, answer(503), breakOff, answer(429, "", { "retry-after": "0" }), answer(502), answer(504));
  await faking(mischief, async (url, asked) => {
    const outcome = await new Client(url).begin({ branches: [BRANCH], traceparent: "00-4bf9-01" });
    assert.equal(outcome.kind, "confirmed");
    assert.equal(asked.length, 7);
    assert.equal(new Set(asked.map(({ body }) => body)).size, 1);
    assert.ok(asked[0]?.body.includes('"payload":{ "amount": 9007199254740993 }'), asked[0]?.body);
    assert.match(JSON.parse(asked[0]?.body ?? "").gid, /^[0-9a-f-]{36}$/);
    assert.deepEqual(new Set(asked.map(({ headers }) => headers["traceparent"])), new Set(["00-4bf9-01"]));
    assert.equal(asked[0]?.line, "POST /v1/transactions?wait=finished&wait_ms=10000");
  });
});

test("a coordinator that never answers is given up after ten attempts", async () => {
  await faking(lose, async (url, asked) => {
    const begun = new Client(url).begin({ gid: "o-1", branches: [BRANCH] });
    await assert.rejects(begun, (error) => error instanceof Unanswered && error.gid === "o-1" && error.attempts === 10);
    assert.equal(asked.length, 10);
  });
});

test("a deadline of the caller's ends it sooner", async () => {
  await faking(answer(503, "", { "retry-after": "3600" }), async (url, asked) => {
    await assert.rejects(new Client(url).begin({ branches: [BRANCH] }, { withinMs: 9000 }), Unanswered);
    assert.equal(asked.length, 1);
  });
  // One that says nothing at all.
  await faking(() => undefined, async (url) => {
    await assert.rejects(new Client(url, { withinMs: 200 }).get("o-1"), /no answer about o-1/);
  });
});

test("a signal ends the waiting", async () => {
  const stop = new AbortController();
  await faking(
    () => stop.abort(new Error("enough")),
    async (url) => assert.rejects(new Client(url).get("o-1", { signal: stop.signal }), /enough/),
  );
});

test("nobody listens: the error says so, and names no token", async () => {
  const closed = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => closed.once("listening", resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  const client = new Client(`http://127.0.0.1:${port}`, { token: "k3y" });
  const once = new Http(`http://127.0.0.1:${port}`, "k3y", {}).once({ method: "GET", path: "/" }, 60_000);
  await assert.rejects(once, (error) => /ECONNREFUSED/.test(messageOf(error)) && !inspect(error, { depth: 10, showHidden: true }).includes("k3y"));
  await assert.rejects(client.get("o-1", { withinMs: 100 }), (error) => {
    assert.ok(error instanceof Unanswered);
    assert.ok(!inspect(error, { depth: 10, showHidden: true }).includes("k3y"));
    return true;
  });
  assert.ok(!inspect(client, { depth: 10, showHidden: true }).includes("k3y"));
  for (const token of ["", " ", "k3y k3y", "k3y\nk3y", "k3yä"]) {
    assert.throws(() => new Client("http://127.0.0.1:1", { token }), (error) => {
      assert.ok(error instanceof InvalidRequest && error.field === "token");
      return !inspect(error).split("\n")[0]?.includes("k3y");
    });
  }
});

test("a token is sent with every request, trimmed", async () => {
  await faking(after(lose), async (url, asked) => {
    await new Client(url, { token: "k3y\n" }).begin({ branches: [BRANCH] });
    assert.deepEqual(asked.map(({ headers }) => headers.authorization), ["Bearer k3y", "Bearer k3y"]);
  });
});

test("redirects are not followed, and what is no coordinator's is an error", async () => {
  await serving((_, response) => response.end(shown("o-1", "confirmed")), async (elsewhere) => {
    await faking(answer(302, "", { location: elsewhere }), async (url, asked) => {
      await assert.rejects(new Client(url).get("o-1"), (error) => error instanceof UnexpectedAnswer && error.status === 302);
      assert.equal(asked.length, 1);
    });
  });
});

test("proxies of the environment are not asked", async () => {
  const before = process.env["http_proxy"];
  process.env["http_proxy"] = "http://127.0.0.1:1";
  try {
    await faking(after(), async (url) => {
      assert.equal((await new Client(url).begin({ branches: [BRANCH] })).kind, "confirmed");
    });
  } finally {
    if (before === undefined) delete process.env["http_proxy"];
    else process.env["http_proxy"] = before;
  }
});

test("what a newer coordinator says is tolerated", async () => {
  const newer = shown("o-1", "pondering", { colour: "red", reason: "whim", branches: [{ id: "a", status: "pondered", mood: 1 }] });
  await faking(answer(200, newer), async (url) => {
    const outcome = await new Client(url).outcome("o-1");
    assert.equal(outcome.kind, "pending");
    assert.equal(outcome.transaction.branches[0]?.status, "pondered");
    assert.equal(outcome.transaction.raw["colour"], "red");
    assert.throws(() => outcome.confirmed(), (error) => error instanceof NotConfirmed && error.message === "o-1 is still pondering");
  });
});

test("the other decision is read where it had won", async () => {
  const problem = JSON.stringify({ type: "/problems/already-cancelled", title: "t", status: 409, code: "already-cancelled", detail: "d" });
  const mischief: Mischief = (request, _, response) => {
    if (request.method === "POST") response.writeHead(409).end(problem);
    else response.end(shown("o-1", "cancelled", { reason: "deadline" }));
  };
  await faking(mischief, async (url, asked) => {
    const outcome = await new Client(url).resume("o-1").confirm();
    assert.ok(outcome.kind === "cancelled" && outcome.why === "deadline");
    assert.deepEqual(asked.map(({ line }) => line), [
      "POST /v1/transactions/o-1/confirm?wait=finished&wait_ms=10000",
      "GET /v1/transactions/o-1?wait=finished&wait_ms=10000",
    ]);
  });
});

test("leaving an open transaction cancels it, and says why", async () => {
  const mischief: Mischief = (_, __, response) => response.writeHead(201).end(shown("o-1", "cancelled"));
  await faking(mischief, async (url, asked) => {
    const client = new Client(url);
    const left = client.transaction({ gid: "o-1" }, async () => Promise.reject(new RangeError("é".repeat(600))));
    await assert.rejects(left, RangeError);
    {
      await using open = await client.open({ gid: "o-1" });
      assert.equal(open.gid, "o-1");
    }
    {
      await using open = await client.open({ gid: "o-1" });
      await open.confirm();
    }
    {
      await using _ = await client.open({ gid: "o-1", check: "http://127.0.0.1:1/check" });
      await using __ = client.resume("o-1");
    }
    const reasons = asked.filter(({ line }) => line.includes("/cancel")).map(({ body }) => JSON.parse(body).reason as string);
    assert.equal(reasons.length, 2);
    assert.ok(reasons[0]?.startsWith("RangeError: éé") && Buffer.byteLength(reasons[0]) <= 1024, reasons[0]);
    assert.equal(reasons[1], "left without a decision");
  });
});

test("leaving after a confirm that was not answered asks for nothing", async () => {
  const mischief: Mischief = (request, _, response) => {
    if (request.url?.includes("/confirm")) request.socket.destroy();
    else response.writeHead(201).end(shown("o-1", "trying"));
  };
  await faking(mischief, async (url, asked) => {
    const run = new Client(url).transaction({ gid: "o-1" }, async (open) => open.confirm({ withinMs: 300 }));
    await assert.rejects(run, Unanswered);
    assert.ok(!asked.some(({ line }) => line.includes("/cancel")));
  });
});

test("what cannot be sent is refused before anything is sent", async () => {
  await faking(after(), async (url, asked) => {
    const client = new Client(url);
    const cases: [() => Promise<unknown>, string][] = [
      [async () => client.begin({ gid: "a/b", branches: [BRANCH] }), "gid"],
      [async () => client.get("../admin"), "gid"],
      [async () => client.begin({ branches: [{ id: "a", payload: 1n }] }), "payload"],
      [async () => client.begin({ branches: [{ id: "a", payload: { raw: rawJson("1") } }] }), "payload"],
      [async () => client.begin({ branches: [] }), "branches"],
      [async () => client.begin({ branches: [{ id: "a b" }] }), "branch id"],
      [async () => client.open({ metadata: [1] as unknown as Record<string, unknown> }), "metadata"],
      [async () => client.open({ traceparent: "a\nb" }), "traceparent"],
      [async () => client.runSaga("a/b"), "name"],
    ];
    for (const [run, field] of cases) {
      await assert.rejects(run, (error) => error instanceof InvalidRequest && error.field === field, field);
    }
    assert.equal(asked.length, 0);
    for (const wrong of ["ftp://a", "nonsense", "http://a/?b", "http://u:p@a/"]) {
      assert.throws(() => new Client(wrong), InvalidRequest, wrong);
    }
    assert.throws(() => new Client("https://127.0.0.1:1", { ca: "k3y" }), InvalidRequest);
    assert.throws(() => rawJson("{"), SyntaxError);
  });
});

test("an own try is called with the coordinator's headers", async () => {
  const mischief: Mischief = (request, body, response) => {
    if (!request.url?.includes("/branches")) return void response.writeHead(201).end(shown("o-1", "trying"));
    const { id } = JSON.parse(body) as { id: string };
    response.writeHead(201).end(JSON.stringify({ id, status: "registered" }));
  };
  await faking(mischief, async (url, asked) => {
    const open = await new Client(url).open({ gid: "o-1", traceparent: "00-4bf9-01" });
    const own = await open.registerOwnTry({ id: "seat", endpoint: "http://127.0.0.1:1/ride/", payload: "7A" });
    assert.deepEqual(JSON.parse(asked[1]?.body ?? ""), {
      id: "seat",
      confirm: "http://127.0.0.1:1/ride/confirm",
      cancel: "http://127.0.0.1:1/ride/cancel",
      payload: "7A",
      try_by: "initiator",
    });
    assert.equal(own.url, "http://127.0.0.1:1/ride/try");
    own.callAgain();
    assert.deepEqual(own.headers(), {
      "content-type": "application/json",
      "tercet-gid": "o-1",
      "tercet-branch": "seat",
      "tercet-instance": "0193b6a0-0000-7000-8000-000000000001",
      "tercet-op": "try",
      "tercet-legs": "try,confirm,cancel",
      "tercet-attempt": "2",
      "tercet-deadline": "2026-11-20T12:00:30.000Z",
      "idempotency-key": '"o-1/seat/try"',
      traceparent: "00-4bf9-01",
    });
    assert.deepEqual(own.verdict(409), { kind: "refused" });
    assert.deepEqual(own.verdict(409, "2"), { kind: "in-progress", pauseMs: 2000 });
    await assert.rejects(open.registerOwnTry({ id: "x", try: "http://127.0.0.1:1/try" }), InvalidRequest);
  });
});

test("a refusal has the coordinator's code and its pointer", async () => {
  const problem = { type: "/problems/x", title: "t", status: 400, code: "invalid-request", detail: "d", pointer: "/input/seats" };
  await faking(answer(400, JSON.stringify(problem)), async (url) => {
    await assert.rejects(new Client(url).runSaga("trip", { input: {} }), (error) => {
      assert.ok(error instanceof RequestRefused);
      assert.deepEqual([error.code, error.problem.pointer], ["invalid-request", "/input/seats"]);
      return true;
    });
  });
});

test("a coordinator behind TLS is believed by its CA, and without it is not", async () => {
  const { execFileSync } = await import("node:child_process");
  const { mkdtempSync, readFileSync, rmSync } = await import("node:fs");
  const { createServer: createTls } = await import("node:https");
  const { tmpdir } = await import("node:os");
  const { join } = await import("node:path");
  const folder = mkdtempSync(join(tmpdir(), "tercet-tls-"));
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"];
  execFileSync("openssl", [...made, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], { stdio: "ignore" });
  const [certPem, keyPem] = [readFileSync(cert), readFileSync(key)];
  rmSync(folder, { recursive: true });
  const server = createTls({ cert: certPem, key: keyPem }, (_, response) => response.end(shown("o-1", "confirmed")));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const trusting = new Client(url, { ca: certPem });
  assert.equal((await trusting.get("o-1")).status, "confirmed");
  const once = new Http(url, undefined, {}).once({ method: "GET", path: "/v1/transactions/o-1" }, 60_000);
  await assert.rejects(once, /self-signed/).finally(() => server.close());
  trusting.close();
  server.closeAllConnections();
});
