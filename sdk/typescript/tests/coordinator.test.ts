// The client and participants with a real coordinator.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";

import { Client, NotConfirmed, Refused, type Context, type Op, type Transaction } from "tercet";

import { account, look, makeAccount } from "./support/account.js";
import { ask, freshGid } from "./support/calls.js";
import { tercet, type Started } from "./support/coordinator.js";
import { make, type TestDatabase } from "./support/databases.js";

let coordinator: Started;
let db: TestDatabase;
let endpoint: string;
let client: Client;
/** What a test does in the middle of a call. */
let besides: (context: Context) => void = () => undefined;
const server = createServer((request, response) => listener(request, response));
let listener: ReturnType<typeof account>;

before(async () => {
  [coordinator, db] = await Promise.all([tercet(), make("sqlite")]);
  await makeAccount(db);
  listener = account("sqlite", db, (_, context) => besides(context));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/p`;
  client = new Client(coordinator.url);
});

after(async () => {
  client.close();
  server.closeAllConnections();
  server.close();
  await coordinator.stop();
  await db.close();
});

/** Refuses calls of a branch. */
function refusing(branch: string, op: Op) {
  besides = (context) => {
    if (context.branch === branch && context.op === op) throw new Refused("no", "not today");
  };
}

test("a transaction is confirmed, and its repeat is the same", async () => {
  besides = () => undefined;
  const first = await look(db);
  const order = { gid: freshGid(), branches: [{ id: "a", endpoint, payload: { n: 1 } }, { id: "b", endpoint }], metadata: { of: "test" } };
  const outcome = await client.begin(order);
  assert.equal(outcome.kind, "confirmed");
  const transaction: Transaction = outcome.confirmed();
  assert.deepEqual(transaction.branches.map(({ id, status }) => [id, status]), [["a", "confirmed"], ["b", "confirmed"]]);
  assert.deepEqual(transaction.metadata, { of: "test" });
  assert.ok(transaction.createdAt instanceof Date && transaction.finishedAt instanceof Date);
  assert.equal((await client.begin(order)).kind, "confirmed");
  assert.deepEqual(await look(db), { balance: first.balance - 2, frozen: 0 });
  assert.equal((await client.get(order.gid)).status, "confirmed");
  assert.equal((await client.outcome(order.gid)).kind, "confirmed");
  await assert.rejects(client.begin({ ...order, branches: order.branches.slice(1) }), /gid-reused/);
  await assert.rejects(client.get("never-begun"), /transaction-not-found/);
});

test("a refusal cancels, and says why", async () => {
  refusing("b", "try");
  const first = await look(db);
  const outcome = await client.begin({ branches: [{ id: "a", endpoint }, { id: "b", endpoint }] });
  assert.ok(outcome.kind === "cancelled");
  assert.deepEqual([outcome.reason, outcome.why], ["try-refused", "b: not today"]);
  assert.throws(() => outcome.confirmed(), (error) => error instanceof NotConfirmed && /was cancelled: b: not today/.test(error.message));
  assert.deepEqual(await look(db), first);
});

test("an open transaction registers, and is confirmed", async () => {
  besides = () => undefined;
  const first = await look(db);
  await using ride = await client.open({ gid: freshGid() });
  const one = await ride.register({ id: "a", endpoint });
  assert.equal(one.kind, "tried");
  const others = await ride.registerAll([{ id: "b", endpoint }, { id: "c", endpoint }]);
  assert.deepEqual(others.map(({ kind, branch }) => [kind, branch.id]), [["tried", "b"], ["tried", "c"]]);
  assert.equal((await ride.confirm()).kind, "confirmed");
  assert.deepEqual(await look(db), { balance: first.balance - 3, frozen: 0 });
});

test("an open transaction whose branch is refused is cancelled", async () => {
  refusing("b", "try");
  const first = await look(db);
  const outcome = await client.transaction({}, async (ride) => {
    await ride.register({ id: "a", endpoint });
    assert.equal((await ride.register({ id: "b", endpoint })).kind, "refused");
    return ride.confirm();
  });
  assert.ok(outcome.kind === "cancelled" && outcome.why === "b: not today");
  assert.deepEqual(await look(db), first);
});

test("an error that leaves an open transaction is its reason", async () => {
  besides = () => undefined;
  const first = await look(db);
  const gid = freshGid();
  const left = client.transaction({ gid }, async (ride) => {
    await ride.register({ id: "a", endpoint });
    throw new Error("the printer is on fire");
  });
  await assert.rejects(left, /the printer is on fire/);
  const outcome = await client.outcome(gid);
  assert.ok(outcome.kind === "cancelled" && outcome.why === "Error: the printer is on fire");
  assert.deepEqual(await look(db), first);
});

test("a saga hands results on", async () => {
  const told: unknown[] = [];
  besides = (context) => {
    if (context.op === "try" && context.branch === "flight") context.answer({ seat: "12A" });
    if (context.op === "try" && context.branch === "pay") told.push(context.result("flight"), context.rawPayload);
  };
  const outcome = await client.begin({
    saga: true,
    branches: [
      { id: "flight", endpoint, after: [] },
      { id: "pay", endpoint, after: ["flight"], results: true, payload: { n: 1.5 } },
    ],
  });
  assert.equal(outcome.kind, "confirmed");
  assert.deepEqual(told, [{ seat: "12A" }, '{"n":1.5}']);
  assert.deepEqual(outcome.transaction.branches[0]?.result, { seat: "12A" });
});

test("a saga with a definition is run", async () => {
  besides = () => undefined;
  const definition = { steps: [{ id: "a", endpoint }, { id: "b", endpoint }] };
  const headers = { "content-type": "application/json" };
  const put = await ask(`${coordinator.url}/v1/sagas/trip`, { method: "PUT", headers, body: JSON.stringify(definition) });
  assert.equal(put.status, 201, put.text);
  const gid = freshGid();
  const outcome = await client.runSaga("trip", { gid, input: { seats: 2 }, metadata: { of: "test" } });
  assert.equal(outcome.kind, "confirmed");
  assert.equal(outcome.gid, gid);
  assert.equal((await client.runSaga("trip", { gid, input: { seats: 2 }, metadata: { of: "test" }, version: 1 })).kind, "confirmed");
  await assert.rejects(client.runSaga("nowhere"), /saga-not-found/);
});

test("an own try is decided with the rest", async () => {
  besides = () => undefined;
  const first = await look(db);
  await using ride = await client.open();
  const own = await ride.registerOwnTry({ id: "own", endpoint, payload: { n: 1 } });
  const call = async () => ask(own.url ?? "", { headers: own.headers(), body: '{"n":1}' });
  const { status, headers } = await call();
  assert.equal(own.verdict(status, headers["retry-after"]).kind, "done");
  own.callAgain();
  assert.equal((await call()).body["repeated"], true);
  assert.equal((await ride.confirm()).kind, "confirmed");
  assert.deepEqual(await look(db), { balance: first.balance - 1, frozen: 0 });
});

test("a wait that runs out is pending, and goes on", async () => {
  besides = () => undefined;
  const gid = freshGid();
  const outcome = await client.begin({ gid, branches: [{ id: "a", endpoint }] }, { waitFor: "accepted", waitMs: 0 });
  assert.ok(outcome.kind === "pending" || outcome.kind === "confirmed");
  assert.equal((await client.outcome(gid)).kind, "confirmed");
});

test("a payload comes to the byte, big numbers and all", async () => {
  const raw = '{ "amount" : 9007199254740993,  "name": "Zoë \\u0000 \u{1F600}" }';
  const seen = new Set<string>();
  besides = (context) => void seen.add(context.rawPayload);
  const { rawJson } = await import("tercet");
  await client.begin({ branches: [{ id: "a", endpoint, payload: rawJson(raw) }] });
  assert.deepEqual([...seen], [raw]);
});
