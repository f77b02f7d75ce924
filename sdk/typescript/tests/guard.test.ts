// The guard on each database: repeats, races, deadlocks, calls that are cut off, purges and books.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Refused, type Context } from "tercet";

import { account, look, makeAccount } from "./support/account.js";
import { ask, freshGid, headersOf, INSTANCE, serving } from "./support/calls.js";
import { KINDS, make, type TestDatabase } from "./support/databases.js";

const OTHER = "0193b6a0-0000-7000-8000-000000000002";

for (const kind of KINDS) {
  describe(`the guard on ${kind}`, () => {
    let db: TestDatabase;
    before(async () => {
      db = await make(kind);
      await makeAccount(db);
    });
    after(async () => db.close());

    /** Calls one after another, and what each was answered. */
    async function play(calls: readonly [op: string, instance?: string][], gid = freshGid()) {
      return serving(account(kind, db), async (url) => {
        const statuses: number[] = [];
        for (const [op, instance] of calls) {
          const headers = headersOf(op, gid, instance ? { "Tercet-Instance": instance } : {});
          statuses.push((await ask(`${url}/p/${op}`, { headers, body: "{}" })).status);
        }
        return statuses;
      });
    }

    async function changes(run: () => Promise<unknown>) {
      const first = await look(db);
      await run();
      const last = await look(db);
      return { balance: last.balance - first.balance, frozen: last.frozen - first.frozen };
    }

    test("repeats are answered and not run", async () => {
      const change = await changes(async () => {
        assert.deepEqual(await play([["try"], ["try"], ["confirm"], ["confirm"], ["try"]]), [200, 200, 200, 200, 200]);
      });
      assert.deepEqual(change, { balance: -1, frozen: 0 });
    });

    test("an empty cancel is recorded, and keeps the hanging try out", async () => {
      const change = await changes(async () => {
        assert.deepEqual(await play([["cancel"], ["try"], ["cancel"], ["confirm"]]), [200, 409, 200, 410]);
      });
      assert.deepEqual(change, { balance: 0, frozen: 0 });
    });

    test("another life of a gid changes nothing", async () => {
      const change = await changes(async () => {
        const calls: [string, string?][] = [["try"], ["try", OTHER], ["confirm", OTHER], ["cancel", OTHER], ["cancel"]];
        assert.deepEqual(await play(calls), [200, 409, 410, 410, 200]);
      });
      assert.deepEqual(change, { balance: 0, frozen: 0 });
    });

    test("an instance in upper case is the same", async () => {
      assert.deepEqual(await play([["try", INSTANCE.toUpperCase()], ["confirm"]]), [200, 200]);
    });

    test("ids that differ in case alone are two", async () => {
      const gid = freshGid();
      const change = await changes(async () => {
        assert.deepEqual(await play([["try"]], gid.toLowerCase()), [200]);
        assert.deepEqual(await play([["cancel"]], gid.toUpperCase()), [200]);
      });
      assert.deepEqual(change, { balance: -1, frozen: 1 });
    });

    test("calls of one branch at once run once, from two processes", async () => {
      // Two guards know nothing of each other's turns, as in two processes: they meet in the database.
      const another = db.another();
      try {
        const change = await changes(async () =>
          serving(account(kind, db), async (one) =>
            serving(account(kind, another), async (two) => {
              for (let round = 0; round < 5; round += 1) {
                const gid = freshGid();
                const call = async (url: string, op: string) => {
                  // Whoever is told that it is in progress comes again.
                  for (;;) {
                    const { status } = await ask(`${url}/p/${op}`, { headers: headersOf(op, gid), body: "{}" });
                    if (status !== 202) return status;
                  }
                };
                const urls = [one, two, one, two, one, two];
                const tries = await Promise.all(urls.map(async (url) => call(url, "try")));
                assert.deepEqual(tries, urls.map(() => 200));
                const confirms = await Promise.all(urls.map(async (url) => call(url, "confirm")));
                assert.deepEqual(confirms, urls.map(() => 200));
              }
            }),
          ),
        );
        assert.deepEqual(change, { balance: -5, frozen: 0 });
      } finally {
        await another.close();
      }
    });

    test("a try and its cancel at once leave nothing behind", async () => {
      const another = db.another();
      try {
        const change = await changes(async () =>
          serving(account(kind, db), async (one) =>
            serving(account(kind, another), async (two) => {
              for (let round = 0; round < 10; round += 1) {
                const gid = freshGid();
                const call = async (url: string, op: string) => {
                  for (;;) {
                    const { status } = await ask(`${url}/p/${op}`, { headers: headersOf(op, gid), body: "{}" });
                    if (status !== 202) return status;
                  }
                };
                const [tried, cancelled] = await Promise.all([call(one, "try"), call(two, "cancel")]);
                assert.ok(tried === 200 || tried === 409, String(tried));
                assert.equal(cancelled, 200);
              }
            }),
          ),
        );
        assert.deepEqual(change, { balance: 0, frozen: 0 });
      } finally {
        await another.close();
      }
    });

    test("what business code refuses is rolled back, and its cancel is empty", async () => {
      const refuses = account(kind, db, () => {
        throw new Refused("no", "not today");
      });
      const gid = freshGid();
      const change = await changes(async () => {
        await serving(refuses, async (url) => {
          const answer = await ask(`${url}/p/try`, { headers: headersOf("try", gid), body: "{}" });
          assert.deepEqual([answer.status, answer.body["code"], answer.body["detail"]], [409, "no", "not today"]);
        });
        assert.deepEqual(await play([["cancel"]], gid), [200]);
      });
      assert.deepEqual(change, { balance: 0, frozen: 0 });
    });

    test("a result is kept to the byte, and goes with its row", async () => {
      const gid = freshGid();
      let runs = 0;
      const answers = account(kind, db, (_, context: Context) => {
        runs += 1;
        context.answer({ seat: `12A "Zoë" \u{1F600} \\ ${runs}` });
      });
      await serving(answers, async (url) => {
        const call = async () => ask(`${url}/p/try`, { headers: headersOf("try", gid), body: "{}" });
        const [first, second] = [await call(), await call()];
        assert.equal(first.text, '{"seat":"12A \\"Zoë\\" \u{1F600} \\\\ 1"}');
        assert.equal(second.text, first.text);
        assert.equal(runs, 1);
        const cancelled = await ask(`${url}/p/cancel`, { headers: headersOf("cancel", gid), body: "{}" });
        assert.deepEqual(cancelled.body, { state: "cancelled", repeated: false });
      });
      await db.run("UPDATE tercet_guard SET updated_at = 1 WHERE gid = ?", [gid]);
      assert.ok((await db.guard.purge()).deleted >= 1);
      const { rows } = await db.run("SELECT gid FROM tercet_guard_results WHERE gid = ?", [gid]);
      assert.deepEqual(rows, []);
    });

    test("a purge keeps what is tried and undecided, and what was called", async () => {
      const [silent, called, undecided] = [freshGid(), freshGid(), freshGid()];
      await play([["try"], ["confirm"]], silent);
      await play([["try"], ["confirm"]], called);
      await play([["try"]], undecided);
      for (const gid of [silent, called, undecided]) await db.run("UPDATE tercet_guard SET updated_at = 1 WHERE gid = ?", [gid]);
      // A repeat is noted, since the row must be kept for as long as it is called.
      await play([["confirm"]], called);
      const purged = await db.guard.purge();
      assert.ok(purged.undecided >= 1);
      const { rows } = await db.run("SELECT gid FROM tercet_guard WHERE gid IN (?, ?, ?)", [silent, called, undecided]);
      assert.deepEqual(new Set(rows.map((row) => row["gid"])), new Set([called, undecided]));
      assert.deepEqual(await play([["cancel"]], undecided), [200]);
    });

    test("the books show every row once, page by page", async () => {
      await db.run("DELETE FROM tercet_guard");
      const gids = ["books-a", "books-b", "books-c"];
      for (const gid of gids) await play([["try"]], gid);
      await serving(account(kind, db), async (url) => {
        const page = async (query: string) => (await ask(`${url}/p/branches${query}`, { method: "GET" })).body;
        const whole = await page("");
        assert.equal(whole["next_cursor"], null);
        const first = await page("?limit=2");
        assert.equal(first["next_cursor"], "books-b/b1");
        const rest = await page(`?after=${String(first["next_cursor"])}&limit=2`);
        const seen = [first, rest].flatMap((one) => one["items"] as { gid: string; state: string; at: string; instance: string }[]);
        assert.deepEqual(seen, whole["items"]);
        assert.deepEqual(seen.map(({ gid, state, instance }) => [gid, state, instance]), gids.map((gid) => [gid, "tried", INSTANCE]));
        assert.ok(Math.abs(Date.parse(seen[0]?.at ?? "") - Date.now()) < 60_000);
        for (const wrong of ["?limit=0", "?limit=501", "?after=a%20b", "?first=1"]) {
          assert.equal((await ask(`${url}/p/branches${wrong}`, { method: "GET" })).status, 400, wrong);
        }
      });
    });

    test("a migration may be made by many at once", async () => {
      const fresh = await make(kind);
      const others = [fresh.another(), fresh.another(), fresh.another()];
      try {
        await Promise.all([fresh, ...others].flatMap((one) => [one.guard.migrate(), one.guard.migrate()]));
      } finally {
        for (const other of others) await other.close();
        await fresh.close();
      }
    });
  });
}
