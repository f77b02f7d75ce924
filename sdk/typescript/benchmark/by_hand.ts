// A participant written by hand, the guard's SQL inline: what the library is measured against. node by_hand.js URL

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { Pool } from "pg";

const pool = new Pool({ connectionString: process.argv[2], max: 16 });
const STATE: Record<string, string> = { try: "tried", confirm: "confirmed", cancel: "cancelled" };
const CHANGE: Record<string, string> = {
  try: "UPDATE accounts SET balance = balance - $1, frozen = frozen + $1 WHERE name = $2 AND balance >= $1",
  confirm: "UPDATE accounts SET frozen = frozen - $1 WHERE name = $2",
  cancel: "UPDATE accounts SET balance = balance + $1, frozen = frozen - $1 WHERE name = $2",
};

async function call(op: string, headers: NodeJS.Dict<string | string[]>, body: Buffer): Promise<number> {
  const state = STATE[op];
  const [gid, branch, instance, legs] = ["gid", "branch", "instance", "legs"].map((name) => headers[`tercet-${name}`]);
  if (!state || !gid || !branch || !instance || !legs) return 400;
  const db = await pool.connect();
  try {
    await db.query("BEGIN; SET LOCAL lock_timeout = '500ms'");
    const { rowCount } = await db.query(
      `INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at)
       VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (gid, branch_id) DO NOTHING`,
      [gid, branch, instance, legs, state, Date.now()],
    );
    let before: string | undefined;
    if (rowCount === 0) {
      const find = "SELECT instance, state FROM tercet_guard WHERE gid = $1 AND branch_id = $2 FOR UPDATE";
      const { rows } = await db.query<{ instance: string; state: string }>(find, [gid, branch]);
      before = rows[0]?.state;
      const isOther = rows[0]?.instance !== instance;
      if (isOther || before === state || (op === "try" && before === "confirmed") || before !== "tried") {
        await db.query("ROLLBACK");
        if (isOther) return op === "try" ? 409 : 410;
        return before === state || (op === "try" && before === "confirmed") ? 200 : op === "confirm" ? 410 : 409;
      }
    } else if (op === "confirm" && String(legs).split(",").includes("try")) {
      await db.query("ROLLBACK");
      return 410;
    }
    if (op !== "cancel" || before !== undefined) {
      const { account, amount } = JSON.parse(body.toString()) as { account: string; amount: number };
      const changed = await db.query(CHANGE[op] ?? "", [amount, account]);
      if (op === "try" && changed.rowCount === 0) {
        await db.query("ROLLBACK");
        return 409;
      }
      if (before !== undefined) {
        const replace = "UPDATE tercet_guard SET state = $1, updated_at = $2 WHERE gid = $3 AND branch_id = $4 AND state = $5";
        await db.query(replace, [state, Date.now(), gid, branch, before]);
      }
    }
    await db.query("COMMIT");
    return 200;
  } catch {
    await db.query("ROLLBACK").catch(() => undefined);
    return 503;
  } finally {
    db.release();
  }
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const op = request.url?.split("/").at(-1) ?? "";
    void call(op, request.headers, Buffer.concat(chunks)).then((status) => {
      const body = JSON.stringify({ state: STATE[op], repeated: false });
      response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
      response.end(body);
    });
  });
});
server.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`));
