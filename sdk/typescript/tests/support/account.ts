// An account on any of the databases, whose Try, Confirm and Cancel can be counted.

import type { Context, Listener, ParticipantOptions } from "tercet";

import type { Kind, Sql, TestDatabase } from "./databases.js";

/** What a test does besides, in the middle of a call. On SQLite nothing may be waited for there. */
export type Besides = (sql: Sql, context: Context) => unknown;

/** Makes the table. */
export async function makeAccount(db: TestDatabase): Promise<void> {
  await db.guard.migrate();
  await db.run("CREATE TABLE account (id INT PRIMARY KEY, balance INT NOT NULL, frozen INT NOT NULL)");
  await db.run("INSERT INTO account VALUES (1, 100, 0)");
}

/** What is in it. */
export async function look(db: TestDatabase): Promise<{ balance: number; frozen: number }> {
  const { rows } = await db.run("SELECT balance, frozen FROM account WHERE id = 1");
  return { balance: Number(rows[0]?.["balance"]), frozen: Number(rows[0]?.["frozen"]) };
}

const CHANGE = {
  try: "UPDATE account SET balance = balance - 1, frozen = frozen + 1 WHERE id = 1",
  confirm: "UPDATE account SET frozen = frozen - 1 WHERE id = 1",
  cancel: "UPDATE account SET balance = balance + 1, frozen = frozen - 1 WHERE id = 1",
};

/** The account as a participant under /p. */
export function account(kind: Kind, db: TestDatabase, besides?: Besides, options: ParticipantOptions = { log: () => undefined }): Listener {
  const change = (tx: never, _: unknown, context: Context): unknown => {
    const sql = db.within(tx);
    const work = sql.run(CHANGE[context.op]);
    const extra = (): unknown => besides?.(sql, context);
    if (kind !== "sqlite") return work.then(extra);
    // better-sqlite3 has done it by now; what is waited for is our wrapper.
    return void extra();
  };
  return db.guard.participant({ try: change, confirm: change, cancel: change }, options).listener("/p");
}
