// The guard when things go wrong: killed processes, deadlocks, locks that last, pools that are empty, business code that is not right.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import Sqlite from "better-sqlite3";
import { createPool, type PoolConnection } from "mysql2/promise";
import { Pool, type PoolClient } from "pg";
import { Retry, type Context } from "tercet";
import { Guard as SqliteGuard } from "tercet/better-sqlite3";
import { Guard as MysqlGuard } from "tercet/mysql2";
import { Guard as PgGuard } from "tercet/pg";

import { account, look, makeAccount, type Besides } from "./support/account.js";
import { ask, freshGid, headersOf, serving } from "./support/calls.js";
import { KINDS, make, type Sql, type TestDatabase } from "./support/databases.js";

const log = (): void => undefined;
const call = async (url: string, op: string, gid: string) =>
  ask(`${url}/p/${op}`, { headers: headersOf(op, gid), body: "{}" });

/** Something that a test lets happen, and whoever waits for it. */
function signal() {
  let give: () => void = () => undefined;
  const comes = new Promise<void>((resolve) => (give = resolve));
  return { give, comes };
}

for (const kind of KINDS) {
  describe(`faults on ${kind}`, () => {
    let db: TestDatabase;
    before(async () => {
      db = await make(kind, 4);
      await makeAccount(db);
      await db.run("CREATE TABLE other (id INT PRIMARY KEY, n INT NOT NULL)");
      await db.run("INSERT INTO other VALUES (1, 0), (2, 0)");
    });
    after(async () => db.close());

    const guarded = async <T>(besides: Besides | undefined, run: (url: string) => Promise<T>): Promise<T> =>
      serving(account(kind, db, besides), run);

    async function nothingChanged(run: () => Promise<unknown>) {
      const first = await look(db);
      await run();
      assert.deepEqual(await look(db), first);
    }

    test("a process killed before its commit leaves nothing", async () => {
      const gid = freshGid();
      await nothingChanged(async () => {
        const child = spawn(process.execPath, [fileURLToPath(new URL("support/hang.js", import.meta.url)), kind, db.address, gid]);
        await new Promise<void>((resolve, reject) => {
          let said = "";
          child.stdout.on("data", (chunk: Buffer) => ((said += String(chunk)), said.includes("inside") && resolve()));
          child.stderr.on("data", (chunk: Buffer) => (said += String(chunk)));
          child.once("exit", () => reject(new Error(said)));
        });
        await guarded(undefined, async (url) => {
          // It holds the row.
          const meanwhile = await call(url, "cancel", gid);
          assert.deepEqual([meanwhile.status, meanwhile.headers["retry-after"], meanwhile.body["code"]], [202, "1", "in-progress"]);
          const gone = new Promise((resolve) => child.once("exit", resolve));
          child.kill("SIGKILL");
          await gone;
          let last = 202;
          // The database may need a moment to notice.
          while (last === 202) last = (await call(url, "cancel", gid)).status;
          assert.equal(last, 200);
          assert.equal((await call(url, "try", gid)).status, 409);
        });
      });
    });

    test("what fails is rolled back, called again, and tells nothing", async () => {
      const gid = freshGid();
      let fails = true;
      const besides: Besides = () => {
        if (fails) throw new Error("s3cret table s3cret host");
      };
      await guarded(besides, async (url) => {
        const first = await look(db);
        const failed = await call(url, "try", gid);
        assert.deepEqual([failed.status, failed.body["code"]], [503, "failed"]);
        assert.ok(!failed.text.includes("s3cret"));
        assert.deepEqual(await look(db), first);
        fails = false;
        assert.deepEqual((await call(url, "try", gid)).body, { state: "tried", repeated: false });
      });
    });

    test("a caller who hangs up does not leave half a call behind", async () => {
      const gid = freshGid();
      const [inside, goOn] = [signal(), signal()];
      const besides: Besides = (_, context) => {
        inside.give();
        return kind === "sqlite" || context.op !== "try" ? undefined : goOn.comes;
      };
      const first = await look(db);
      await guarded(besides, async (url) => {
        const sent = request(`${url}/p/try`, { method: "POST", headers: headersOf("try", gid), agent: false });
        sent.on("error", () => undefined);
        sent.end("{}");
        await inside.comes;
        sent.destroy();
        goOn.give();
        let again = await call(url, "try", gid);
        while (again.status === 202) again = await call(url, "try", gid);
        assert.deepEqual(again.body, { state: "tried", repeated: true });
        await call(url, "cancel", gid);
      });
      assert.deepEqual(await look(db), first);
    });

    test("a lock that others hold for long is answered in progress", async () => {
      const gid = freshGid();
      const another = db.another();
      const [inside, goOn] = [signal(), signal()];
      let ticks = 0;
      const ticking = setInterval(() => (ticks += 1), 10);
      try {
        const holds = async () => {
          if (kind !== "sqlite") {
            return guardedBy(another, async () => (inside.give(), goOn.comes), async (url) => call(url, "try", gid));
          }
          await another.run("BEGIN IMMEDIATE");
          inside.give();
          await goOn.comes;
          await another.run("COMMIT");
          return undefined;
        };
        const held = holds();
        await inside.comes;
        await guarded(undefined, async (url) => {
          const answers = await Promise.all([call(url, "try", gid), call(url, "cancel", freshGid())]);
          assert.deepEqual([answers[0].status, answers[0].headers["retry-after"]], [202, "1"]);
          // Who has to do with another branch waits on SQLite alone, where there is one writer.
          assert.equal(answers[1].status, kind === "sqlite" ? 202 : 200);
        });
        assert.ok(ticks > 2, "the event loop was blocked");
        goOn.give();
        await held;
        await guarded(undefined, async (url) => assert.equal((await call(url, "try", gid)).status, 200));
      } finally {
        clearInterval(ticking);
        goOn.give();
        await another.close();
      }
    });

    const guardedBy = async <T>(of: TestDatabase, besides: Besides, run: (url: string) => Promise<T>): Promise<T> =>
      serving(account(kind, of, besides), run);

    if (kind === "sqlite") {
      test("business code that is async is refused, and rolled back", async () => {
        const told: unknown[] = [];
        const sqlite = new Sqlite(db.address);
        const participant = new SqliteGuard(sqlite).participant(
          { try: (async () => Promise.resolve()) as never },
          { log: (_, __, { error }) => told.push(String(error)) },
        );
        await serving(participant.listener("/p"), async (url) => {
          const gid = freshGid();
          assert.equal((await call(url, "try", gid)).status, 503);
          assert.match(String(told[0]), /must not be async/);
          assert.equal(sqlite.inTransaction, false);
          assert.deepEqual((await db.run("SELECT * FROM tercet_guard WHERE gid = ?", [gid])).rows, []);
        });
        sqlite.close();
      });

      test("business code that ends the transaction is told so", async () => {
        const gid = freshGid();
        const besides: Besides = (sql) => void sql.run("ROLLBACK");
        await guarded(besides, async (url) => assert.equal((await call(url, "try", gid)).status, 503));
        await guarded(undefined, async (url) => {
          assert.equal((await call(url, "confirm", gid)).status, 410);
          assert.equal((await call(url, "try", gid)).status, 200);
        });
        // Nor is anything written of it after that.
        await guarded(besides, async (url) => assert.equal((await call(url, "confirm", gid)).status, 503));
        await guarded(undefined, async (url) => {
          assert.deepEqual((await call(url, "confirm", gid)).body, { state: "confirmed", repeated: false });
        });
      });

      test("a transaction of the service's own on the same connection is waited for", async () => {
        const sqlite = new Sqlite(db.address);
        const participant = new SqliteGuard(sqlite).participant({ try: () => undefined });
        await serving(participant.listener("/p"), async (url) => {
          sqlite.exec("BEGIN");
          const called = call(url, "try", freshGid());
          // It is answered only after we have ended ours, or 202: never within ours.
          const { status } = await called;
          assert.equal(status, 202);
          assert.ok(sqlite.inTransaction);
          sqlite.exec("COMMIT");
          assert.equal((await call(url, "try", freshGid())).status, 200);
        });
        sqlite.close();
      });

      test("connections that read big integers are understood, and commits are synced", async () => {
        const sqlite = new Sqlite(db.address, { timeout: 1234 });
        sqlite.defaultSafeIntegers(true);
        sqlite.pragma("synchronous = OFF");
        const participant = new SqliteGuard(sqlite).participant({ try: () => undefined, cancel: () => undefined });
        assert.equal(Number(sqlite.pragma("synchronous", { simple: true })), 2);
        await serving(participant.listener("/p"), async (url) => {
          const gid = freshGid();
          for (const op of ["try", "try", "cancel"]) assert.equal((await call(url, op, gid)).status, 200);
          assert.equal((await ask(`${url}/p/branches`, { method: "GET" })).status, 200);
        });
        assert.equal(Number(sqlite.pragma("busy_timeout", { simple: true })), 1234);
        sqlite.close();
      });
      return;
    }

    test("a deadlock is run again until it goes through", async () => {
      const met = [signal(), signal()];
      const runs = [0, 0];
      const besides: Besides = async (sql: Sql, { branch }: Context) => {
        const mine = branch === "one" ? 0 : 1;
        runs[mine] = (runs[mine] ?? 0) + 1;
        const ids = mine === 0 ? [1, 2] : [2, 1];
        await sql.run("UPDATE other SET n = n + 1 WHERE id = ?", [ids[0] ?? 0]);
        // The first time both have one row, and want the other's.
        met[mine]?.give();
        await met[1 - mine]?.comes;
        await sql.run("UPDATE other SET n = n + 1 WHERE id = ?", [ids[1] ?? 0]);
      };
      // Neither touches the account's one row, which would keep them apart.
      const change = (tx: never, _: unknown, context: Context) => besides(db.within(tx), context);
      const participant = db.guard.participant({ try: change }, { log });
      await serving(participant.listener("/p"), async (url) => {
        const gid = freshGid();
        const tried = await Promise.all(
          ["one", "two"].map(async (branch) =>
            ask(`${url}/p/try`, { headers: headersOf("try", gid, { "Tercet-Branch": branch }), body: "{}" }),
          ),
        );
        assert.deepEqual(tried.map(({ status }) => status), [200, 200]);
        const { rows } = await db.run("SELECT n FROM other ORDER BY id");
        assert.deepEqual(rows.map((row) => Number(row["n"])), [2, 2]);
        assert.ok((runs[0] ?? 0) + (runs[1] ?? 0) > 2, "there was no deadlock");
      });
    });

    test("a call that waits for its branch's other call holds no connection", async () => {
      const gid = freshGid();
      const [inside, goOn] = [signal(), signal()];
      const besides: Besides = async (_, context) => {
        if (context.gid !== gid) return;
        inside.give();
        await goOn.comes;
      };
      const participant = db.guard.participant({ try: (tx: never, _, context) => besides(db.within(tx), context) }, { log });
      await serving(participant.listener("/p"), async (url) => {
        const first = call(url, "try", gid);
        await inside.comes;
        const repeats = Array.from({ length: 20 }, async () => call(url, "try", gid));
        const others = await Promise.all(Array.from({ length: 5 }, async () => call(url, "try", freshGid())));
        assert.deepEqual(others.map(({ status }) => status), [200, 200, 200, 200, 200]);
        assert.deepEqual((await Promise.all(repeats)).map(({ status }) => status), repeats.map(() => 202));
        goOn.give();
        assert.equal((await first).status, 200);
      });
    });

    test("an empty pool is busy, and whole afterwards", async () => {
      const of = db.another();
      const hold = kind === "postgres" ? await holdPg(of.address) : await holdMysql(of.address);
      await serving(hold.participant, async (url) => {
        const [tried, cancelled] = await Promise.all([call(url, "try", freshGid()), call(url, "cancel", freshGid())]);
        assert.deepEqual([tried.status, tried.headers["retry-after"], tried.body["code"]], [503, "1", "busy"]);
        assert.deepEqual([cancelled.status, cancelled.body["code"]], [202, "in-progress"]);
        hold.release();
        for (let at = 0; at < 5; at += 1) assert.equal((await call(url, "try", freshGid())).status, 200);
      });
      await hold.end();
      await of.close();
    });

    test("a retry that names a time is not run again here", async () => {
      let runs = 0;
      const besides: Besides = () => {
        runs += 1;
        throw new Retry("later", { afterMs: 1500, cause: Object.assign(new Error(), { code: "40001" }) });
      };
      await guarded(besides, async (url) => {
        const answer = await call(url, "try", freshGid());
        assert.deepEqual([answer.status, answer.headers["retry-after"], runs], [503, "2", 1]);
      });
    });
  });
}

async function holdPg(url: string) {
  const pool = new Pool({ connectionString: url, max: 1 });
  const held: PoolClient = await pool.connect();
  const participant = new PgGuard(pool).participant({ try: () => undefined, cancel: () => undefined }, { log });
  return { participant: participant.listener("/p"), release: () => held.release(), end: async () => pool.end() };
}

async function holdMysql(url: string) {
  const pool = createPool({ uri: url, connectionLimit: 1 });
  const held: PoolConnection = await pool.getConnection();
  const participant = new MysqlGuard(pool).participant({ try: () => undefined, cancel: () => undefined }, { log });
  return { participant: participant.listener("/p"), release: () => held.release(), end: async () => pool.end() };
}

if (KINDS.includes("postgres")) {
  describe("PostgreSQL's own", () => {
    let db: TestDatabase;
    before(async () => {
      db = await make("postgres");
      await makeAccount(db);
    });
    after(async () => db.close());

    test("an error that business code passed over is not answered with done", async () => {
      const gid = freshGid();
      const told: string[] = [];
      const besides: Besides = async (sql) => sql.run("SELECT * FROM nowhere").catch(() => undefined);
      const listener = account("postgres", db, besides, { log: (_, __, { error }) => told.push(String(error)) });
      const first = await look(db);
      await serving(listener, async (url) => assert.equal((await call(url, "try", gid)).status, 503));
      assert.match(told[0] ?? "", /passed over an error/);
      assert.deepEqual(await look(db), first);
      await serving(account("postgres", db), async (url) => assert.equal((await call(url, "confirm", gid)).status, 410));
    });

    test("a connection that is cut within a call is a failure, and the next goes through", async () => {
      const gid = freshGid();
      let cuts = true;
      const besides: Besides = async (sql) => {
        if (!cuts) return undefined;
        cuts = false;
        return sql.run("SELECT pg_terminate_backend(pg_backend_pid())");
      };
      await serving(account("postgres", db, besides), async (url) => {
        assert.equal((await call(url, "try", gid)).status, 503);
        assert.equal((await call(url, "try", gid)).status, 200);
        // And those that lie in the pool.
        const another = db.another();
        await another.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
        await another.close();
        let status = 503;
        for (let at = 0; at < 10 && status === 503; at += 1) status = (await call(url, "confirm", gid)).status;
        assert.equal(status, 200);
      });
    });

    test("serializable is right too", async () => {
      const pool = new Pool({ connectionString: db.address, max: 8 });
      const guard = new PgGuard(pool, { isolation: "serializable" });
      const levels = new Set<string>();
      const participant = guard.participant(
        {
          async try(tx) {
            const { rows } = await tx.query<{ transaction_isolation: string }>("SHOW transaction_isolation");
            levels.add(rows[0]?.transaction_isolation ?? "");
            await tx.query("UPDATE account SET balance = balance - 1, frozen = frozen + 1");
          },
        },
        { log },
      );
      const first = await look(db);
      await serving(participant.listener("/p"), async (url) => {
        const gids = Array.from({ length: 6 }, freshGid);
        const settle = async (gid: string) => {
          let status = 202;
          while (status === 202) status = (await call(url, "try", gid)).status;
          return status;
        };
        assert.deepEqual(await Promise.all(gids.map(settle)), gids.map(() => 200));
      });
      assert.deepEqual([...levels], ["serializable"]);
      assert.equal((await look(db)).frozen, first.frozen + 6);
      await pool.end();
    });
  });
}

if (KINDS.includes("mysql")) {
  describe("MySQL's own", () => {
    test("a session gets back its lock wait, and odd pools are understood", async () => {
      const db = await make("mysql");
      await makeAccount(db);
      const options = { connectionLimit: 1, rowsAsArray: true, namedPlaceholders: true, bigNumberStrings: true, supportBigNumbers: true };
      const pool = createPool({ uri: db.address, ...options });
      const waits = async (): Promise<unknown> => (await pool.query("SELECT @@SESSION.innodb_lock_wait_timeout"))[0];
      await pool.query("SET SESSION innodb_lock_wait_timeout = 7");
      await pool.query("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')");
      const participant = new MysqlGuard(pool).participant(
        { try: (_, __, context) => context.answer('it\'s a "test" \\'), cancel: () => undefined },
        { log },
      );
      await serving(participant.listener("/p"), async (url) => {
        const gid = freshGid();
        for (const op of ["try", "try", "cancel", "cancel"]) {
          const answer = await call(url, op, gid);
          assert.equal(answer.status, 200);
          if (op === "try") assert.equal(answer.text, '"it\'s a \\"test\\" \\\\"');
        }
        // A row that another one holds: the wait runs out.
        const held = await createPool({ uri: db.address }).getConnection();
        await held.query("START TRANSACTION");
        await held.query("SELECT * FROM tercet_guard FOR UPDATE");
        assert.equal((await call(url, "cancel", gid)).status, 202);
        assert.deepEqual(String(await waits()), "7");
        held.destroy();
      });
      await pool.end();
      await db.close();
    });

    test("a deadlock that business code passed over leaves nothing and is not answered with done", async () => {
      const db = await make("mysql", 1);
      await db.guard.migrate();
      await db.run("CREATE TABLE other (id INT PRIMARY KEY, n INT NOT NULL)");
      await db.run("INSERT INTO other VALUES (0, 0), (1, 0), (2, 0)");
      const another = createPool({ uri: db.address, connectionLimit: 1 });
      const told: string[] = [];
      let passedOver: unknown;
      const passesOver = async (sql: Sql): Promise<void> => {
        const opponent = await another.getConnection();
        try {
          await opponent.query("START TRANSACTION");
          // Who has written more is spared.
          await opponent.query(`INSERT INTO other VALUES ${Array.from({ length: 50 }, (_, at) => `(${100 + at}, 0)`).join()}`);
          await opponent.query("UPDATE other SET n = n + 1 WHERE id = 2");
          await sql.run("UPDATE other SET n = n + 1 WHERE id = 0");
          const theirs = opponent.query("UPDATE other SET n = n + 1 WHERE id = 0");
          await sql.run("UPDATE other SET n = n + 1 WHERE id = 2").catch((error: unknown) => (passedOver = error));
          await theirs;
        } finally {
          await opponent.query("ROLLBACK");
          opponent.release();
        }
        await sql.run("UPDATE other SET n = n + 1 WHERE id = 1");
      };
      let faulty = true;
      const does = async (tx: never): Promise<unknown> => {
        const sql = db.within(tx);
        return faulty ? passesOver(sql) : sql.run("UPDATE other SET n = n + 1 WHERE id = 1");
      };
      const handler = { try: does, confirm: does, cancel: does, cancelsEmpty: true };
      const participant = db.guard.participant(handler, { log: (_, __, { error }) => told.push(String(error)) });
      // And that the session commits by itself again.
      const written = async () => {
        const [mode] = (await db.run("SELECT @@SESSION.autocommit AS mode")).rows;
        return [...(await db.run("SELECT n FROM other WHERE id < 3")).rows.map((row) => row["n"]), mode?.["mode"]];
      };
      await serving(participant.listener("/p"), async (url) => {
        const [gid, empty] = [freshGid(), freshGid()];
        let sum = 0;
        for (const [op, of] of [["try", gid], ["confirm", gid], ["cancel", empty]] as const) {
          [faulty, passedOver] = [true, undefined];
          const answer = await call(url, op, of);
          assert.equal((passedOver as { errno?: number } | undefined)?.errno, 1213);
          assert.deepEqual([op, answer.status, await written()], [op, 503, [0, sum, 0, 1]]);
          assert.match(told.pop() ?? "", /passed over an error/);
          faulty = false;
          sum += 1;
          assert.deepEqual([op, (await call(url, op, of)).body["repeated"], await written()], [op, false, [0, sum, 0, 1]]);
        }
      });
      await another.end();
      await db.close();
    });
  });
}
