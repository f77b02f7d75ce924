// The outbox and its relay on each database: sent exactly if it commits, whatever dies on the way.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";

import { Client, InvalidRequest, Relay, SentBefore, type NewTransaction } from "tercet";
import { Guard } from "tercet/better-sqlite3";
import Sqlite from "better-sqlite3";

import { freshGid, serving } from "./support/calls.js";
import { faking, shown, tercet, type Mischief } from "./support/coordinator.js";
import { KINDS, make, type TestDatabase } from "./support/databases.js";
import { program } from "./support/repository.js";

const log = (): void => undefined;
const message = (gid: string): NewTransaction => ({
  gid,
  traceparent: "00-4bf9-01",
  branches: [{ id: "mail", confirm: "http://127.0.0.1:1/mail", payload: { name: `Zoë "${gid}" \u{1F600}` } }],
});
const gidOf = (body: string): string => (JSON.parse(body) as { gid: string }).gid;

interface Inside {
  claim(state: string, limit: number, leaseMs: number): Promise<{ rows: { gid: string }[] }>;
  settle(claim: object, from: string, outcomes: ReadonlyMap<string, object>): Promise<void>;
}

for (const kind of KINDS) {
  describe(`the outbox on ${kind}`, () => {
    let db: TestDatabase;
    before(async () => {
      db = await make(kind);
      await db.outbox.migrate();
      await db.outbox.migrate();
    });
    // No test meets what another one has left.
    beforeEach(async () => db.run("DELETE FROM tercet_outbox"));
    after(async () => db.close());

    /** What relays use, and the package does not show. */
    let inside: Inside;
    before(() => (inside = db.outbox as unknown as Inside));

    const send = async (...gids: string[]) =>
      db.transact(async (tx) => {
        for (const gid of gids) await db.outbox.send(tx, message(gid));
      });
    const relayTo = (url: string, of = db, leaseMs = 8000) => new Relay(of.outbox, new Client(url), { log, leaseMs });
    /** Relays until a message is in this state; asking is put off by a second, so its time is brought forward. */
    async function until(relay: Relay<never>, gid: string, state: string) {
      for (;;) {
        await relay.once();
        const entry = await db.outbox.entry(gid);
        if (entry?.state === state) return entry;
        await db.run("UPDATE tercet_outbox SET due_at = 0 WHERE gid = ? AND owner = 0", [gid]);
      }
    }

    test("a message is handed over exactly if its transaction commits", async () => {
      const [kept, rolledBack] = [freshGid(), freshGid()];
      await send(kept);
      const failing = db.transact(async (tx) => {
        await db.outbox.send(tx, message(rolledBack));
        throw new Error("no");
      });
      await assert.rejects(failing, /no/);
      assert.equal(await db.outbox.entry(rolledBack), undefined);
      assert.equal(await db.outbox.pending(), 1);
      const mischief: Mischief = (request, body, response) => {
        const gid = request.method === "POST" ? gidOf(body) : (request.url?.split("/").at(-1) ?? "");
        response.writeHead(201).end(shown(gid, request.method === "POST" ? "confirming" : "confirmed"));
      };
      await faking(mischief, async (url, asked) => {
        const relay = relayTo(url);
        assert.equal((await until(relay, kept, "sent")).attempts, 0);
        await until(relay, kept, "confirmed");
        assert.deepEqual(asked.map(({ line }) => line), [
          "POST /v1/transactions?wait=accepted&wait_ms=0",
          `GET /v1/transactions/${kept}`,
        ]);
        assert.equal(asked[0]?.headers["traceparent"], "00-4bf9-01");
        assert.deepEqual(JSON.parse(asked[0]?.body ?? "").branches[0].payload, { name: `Zoë "${kept}" \u{1F600}` });
        assert.equal(await relay.once(), false);
      });
      assert.ok((await db.outbox.purge(-60_000)) >= 1);
      assert.equal(await db.outbox.entry(kept), undefined);
    });

    test("a deed that is done twice is sent once", async () => {
      const gid = freshGid();
      await send(gid);
      await assert.rejects(send(gid), SentBefore);
    });

    test("what no coordinator would take is refused while somebody can be told", async () => {
      const branch = { id: "a", confirm: "http://127.0.0.1:1/c" };
      const cases: [NewTransaction, string][] = [
        [{}, "branches"],
        [{ branches: [branch], check: "http://127.0.0.1:1/" }, "branches"],
        [{ branches: [branch, branch] }, "branches[1].id"],
        [{ branches: [{ id: "a" }] }, "branches[0]"],
        [{ branches: [{ ...branch, endpoint: "http://127.0.0.1:1/" }] }, "branches[0].endpoint"],
        [{ branches: [{ id: "a", confirm: "mailto:zoe" }] }, "branches[0].confirm"],
        [{ branches: [{ ...branch, timeoutMs: 1 }] }, "branches[0].timeoutMs"],
        [{ branches: [{ ...branch, after: [] }] }, "branches[0].after"],
        [{ saga: true, branches: [{ ...branch, after: ["b"] }] }, "branches[0].after"],
        [{ branches: [{ ...branch, payload: "x".repeat(1024 * 1024) }] }, "message"],
        [{ gid: "a/b", branches: [branch] }, "gid"],
      ];
      for (const [transaction, field] of cases) {
        const sent = db.transact(async (tx) => db.outbox.send(tx, transaction));
        await assert.rejects(sent, (error) => error instanceof InvalidRequest && error.field === field, field);
      }
    });

    test("a relay that dies between hand-over and mark loses nothing", async () => {
      const gid = freshGid();
      await send(gid);
      const bodies: string[] = [];
      const mischief: Mischief = (_, body, response) => {
        bodies.push(body);
        response.writeHead(201).end(shown(gid, "confirmed"));
      };
      await faking(mischief, async (url) => {
        // It hands over, and never comes to its mark.
        const outbox = { claim: inside.claim.bind(inside), settle: async () => Promise.reject(new Error("killed")) };
        const dying = relayTo(url, { ...db, outbox: outbox as unknown as TestDatabase["outbox"] });
        await assert.rejects(dying.once(), /killed/);
        assert.equal((await db.outbox.entry(gid))?.state, "pending");
        // Nobody else sees to it until its lease has run out; that is brought forward.
        assert.equal(await relayTo(url).once(), false);
        await db.run("UPDATE tercet_outbox SET due_at = 0 WHERE gid = ?", [gid]);
        await relayTo(url).once();
        assert.equal((await db.outbox.entry(gid))?.state, "confirmed");
        assert.equal(bodies.length, 2);
        assert.equal(bodies[0], bodies[1]);
      });
    });

    test("a mark that comes after the lease changes nothing", async () => {
      const gid = freshGid();
      await send(gid);
      const late = await inside.claim("pending", 10, 8000);
      assert.deepEqual(late.rows.map((row) => row.gid), [gid]);
      await db.run("UPDATE tercet_outbox SET due_at = 0 WHERE gid = ?", [gid]);
      const next = await inside.claim("pending", 10, 8000);
      assert.equal(next.rows.length, 1);
      const dead = { state: "dead", dueInMs: 0, attempts: "counted", reason: "late" } as const;
      await inside.settle(late, "pending", new Map([[gid, dead]]));
      assert.equal((await db.outbox.entry(gid))?.state, "pending");
      await inside.settle(next, "pending", new Map([[gid, { ...dead, state: "confirmed" }]]));
      assert.equal((await db.outbox.entry(gid))?.state, "confirmed");
    });

    test("several relays hand each message over once", async () => {
      const gids = Array.from({ length: 40 }, freshGid);
      await send(...gids);
      const others = [db.another(), db.another()];
      const mischief: Mischief = (_, body, response) => response.writeHead(201).end(shown(gidOf(body), "confirmed"));
      await faking(mischief, async (url, asked) => {
        const relays = [db, ...others].map((one) => relayTo(url, one));
        while ((await db.outbox.pending()) > 0) await Promise.all(relays.map(async (relay) => relay.once()));
        assert.deepEqual(asked.map(({ body }) => gidOf(body)).toSorted(), gids.toSorted());
      });
      for (const other of others) await other.close();
    });

    test("a coordinator that is away delays, and one that refuses has it dead", async () => {
      const gid = freshGid();
      await send(gid);
      const problem = { type: "/problems/x", title: "t", status: 409, code: "gid-reused", detail: "d\0" };
      let turn = 0;
      const mischief: Mischief = (request, _, response) => {
        turn += 1;
        if (turn === 1) request.socket.destroy();
        else if (turn === 2) response.writeHead(503, { "retry-after": "1" }).end();
        else if (turn === 3) response.writeHead(409).end(JSON.stringify(problem));
        else response.writeHead(201).end(shown(gid, "cancelled"));
      };
      await faking(mischief, async (url) => {
        const relay = relayTo(url);
        const dead = await until(relay, gid, "dead");
        assert.equal(dead.reason, "gid-reused: d\u{fffd}");
        assert.deepEqual((await db.outbox.dead()).map((entry) => entry.gid), [gid]);
        assert.ok(await db.outbox.again(gid));
        assert.ok(!(await db.outbox.again(gid)));
        await until(relay, gid, "cancelled");
      });
    });

    test("a relay at work hands over what is committed, until it is stopped", async () => {
      const gid = freshGid();
      let handedOver: () => void = () => undefined;
      const handed = new Promise<void>((resolve) => (handedOver = resolve));
      const mischief: Mischief = (_, __, response) => {
        response.writeHead(201).end(shown(gid, "confirmed"));
        handedOver();
      };
      await faking(mischief, async (url) => {
        const working = relayTo(url).start();
        await send(gid);
        await handed;
        // What is under way is written down before it has ended.
        await working.stop();
        assert.equal((await db.outbox.entry(gid))?.state, "confirmed");
      });
    });

    test("tercet-relay reads what is written here", async () => {
      const coordinator = await tercet();
      const gid = freshGid();
      let confirmed: () => void = () => undefined;
      const delivered = new Promise<void>((resolve) => (confirmed = resolve));
      const guard = new Guard(new Sqlite(":memory:"));
      await guard.migrate();
      const mail = guard.participant({ confirm: () => confirmed() }, { log });
      const address = kind === "sqlite" ? `sqlite://${db.address}` : db.address;
      await serving(mail.listener("/mail"), async (url) => {
        await db.transact(async (tx) => db.outbox.send(tx, { gid, branches: [{ id: "mail", confirm: `${url}/mail/confirm` }] }));
        const { spawn } = await import("node:child_process");
        const relay = spawn(program("tercet-relay"), ["--database-url", address, "--coordinator", coordinator.url], { stdio: "ignore" });
        await delivered;
        const gone = new Promise((resolve) => relay.once("exit", resolve));
        relay.kill("SIGTERM");
        await gone;
        assert.notEqual((await db.outbox.entry(gid))?.state, "pending");
        assert.equal((await new Client(coordinator.url).outcome(gid)).kind, "confirmed");
      });
      await coordinator.stop();
    });
  });
}

test("nothing is sent on SQLite outside of a transaction", async () => {
  const { Outbox } = await import("tercet/better-sqlite3");
  const db = new Sqlite(":memory:");
  const outbox = new Outbox(db);
  await outbox.migrate();
  assert.throws(() => outbox.send(db, message("o-1")), /no SQL transaction is open/);
  const sent = db.transaction(() => outbox.send(db, message("o-1"))).immediate();
  assert.equal(sent, "o-1");
});

