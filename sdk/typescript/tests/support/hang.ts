// A process that is killed in the middle of a call: node hang.js KIND ADDRESS GID. It says "inside" when its Try has run and is not
// committed, and goes no further.

import { writeSync } from "node:fs";

import { account } from "./account.js";
import { ask, headersOf, serving } from "./calls.js";
import { openMysql, openPostgres, openSqlite, type Kind } from "./databases.js";

const [kind = "sqlite", address = "", gid = ""] = process.argv.slice(2) as [Kind, string, string];
const db = { sqlite: openSqlite, postgres: openPostgres, mysql: openMysql }[kind](address, 2 as never);
const hangs = account(kind, db, async () => {
  writeSync(1, "inside\n");
  if (kind === "sqlite") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  return new Promise(() => undefined);
});
await serving(hangs, async (url) => ask(`${url}/p/try`, { headers: headersOf("try", gid), body: "{}" }));
