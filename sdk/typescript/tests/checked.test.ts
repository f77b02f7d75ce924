// The initiator's side of check: whether its own SQL transaction has committed, told truly.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Client, DoneBefore, TooLate } from "tercet";

import { ask, freshGid, INSTANCE, serving } from "./support/calls.js";
import { tercet } from "./support/coordinator.js";
import { KINDS, make, type TestDatabase } from "./support/databases.js";

for (const kind of KINDS) {
  describe(`checks on ${kind}`, () => {
    let db: TestDatabase;
    before(async () => {
      db = await make(kind);
      await db.checked.migrate();
      await db.checked.migrate();
    });
    after(async () => db.close());

    const headers = (gid: string) => ({ "Tercet-Gid": gid, "Tercet-Instance": INSTANCE, "Tercet-Op": "check", "content-type": "application/json" });
    const question = async (url: string, gid: string) => ask(`${url}/check`, { headers: headers(gid), body: "{}" });
    const record = async (gid: string) => db.transact(async (tx) => db.checked.record(tx, gid));

    test("what was committed is done, and what was asked for first is never", async () => {
      await serving(db.checked.listener("/check"), async (url) => {
        const [done, never] = [freshGid(), freshGid()];
        await record(done);
        await assert.rejects(record(done), DoneBefore);
        for (let time = 0; time < 2; time += 1) {
          assert.equal((await question(url, done)).status, 200);
          assert.deepEqual([(await question(url, never)).status, (await question(url, never)).body["code"]], [410, "never"]);
        }
        await assert.rejects(record(never), TooLate);
        assert.equal((await ask(`${url}/check`, { headers: { ...headers(done), "Tercet-Op": "try" } })).status, 400);
        assert.equal((await ask(`${url}/check`, { headers: { ...headers("a/b") } })).status, 400);
        assert.equal((await ask(`${url}/checks`, { headers: headers(done) })).status, 404);
        assert.ok((await db.checked.purge(-60_000)) >= 2);
      });
    });

    test("what is being done is not known yet", async () => {
      const gid = freshGid();
      const another = db.another();
      await serving(another.checked.listener("/check"), async (url) => {
        await db.transact(async (tx) => {
          await db.checked.record(tx, gid);
          const { status, headers: { "retry-after": again } } = await question(url, gid);
          assert.deepEqual([status, again], [202, "1"]);
        });
        let { status } = await question(url, gid);
        while (status === 202) ({ status } = await question(url, gid));
        assert.equal(status, 200);
      });
      await another.close();
    });
  });
}

test("a coordinator asks, and goes by what it is told", async () => {
  const coordinator = await tercet();
  const db = await make("sqlite");
  await db.checked.migrate();
  const client = new Client(coordinator.url);
  await serving(db.checked.listener("/check"), async (url) => {
    const [done, never] = [freshGid(), freshGid()];
    await db.transact(async (tx) => db.checked.record(tx, done));
    for (const gid of [done, never]) await client.open({ gid, check: `${url}/check`, timeoutMs: 100 });
    const [confirmed, cancelled] = await Promise.all([client.outcome(done), client.outcome(never)]);
    assert.equal(confirmed.kind, "confirmed");
    assert.ok(cancelled.kind === "cancelled" && cancelled.reason === "check");
  });
  client.close();
  await db.close();
  await coordinator.stop();
});
