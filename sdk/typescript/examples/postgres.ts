// Accounts on PostgreSQL.

import { Pool } from "pg";
import { Refused, type ParticipantOptions } from "tercet";
import { Guard } from "tercet/pg";

import { isDebit, type Accounts, type Debit } from "./accounts.js";

export async function accounts(url: string, options: ParticipantOptions): Promise<Accounts> {
  const pool = new Pool({ connectionString: url, max: 10 });
  await pool.query("CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, balance BIGINT, frozen BIGINT)");
  await pool.query("INSERT INTO accounts VALUES ('alice', 100000, 0) ON CONFLICT DO NOTHING");
  const guard = new Guard(pool);
  await guard.migrate();
  const participant = guard.participant<Debit>(
    {
      parse: (raw) => isDebit(JSON.parse(raw)),
      async try(db, { account, amount }) {
        const freeze =
          "UPDATE accounts SET balance = balance - $1, frozen = frozen + $1 WHERE name = $2 AND balance >= $1";
        const { rowCount } = await db.query(freeze, [amount, account]);
        if (rowCount === 0) throw new Refused("insufficient-funds", "there is not enough on the account");
      },
      confirm: (db, { account, amount }) =>
        db.query("UPDATE accounts SET frozen = frozen - $1 WHERE name = $2", [amount, account]),
      cancel: (db, { account, amount }) =>
        db.query("UPDATE accounts SET balance = balance + $1, frozen = frozen - $1 WHERE name = $2", [amount, account]),
    },
    options,
  );
  const balances = async (): Promise<unknown> =>
    (await pool.query("SELECT name, balance::int, frozen::int FROM accounts")).rows;
  return { participant, balances };
}
