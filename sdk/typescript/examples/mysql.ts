// Accounts on MySQL and MariaDB.

import { createPool, type ResultSetHeader } from "mysql2/promise";
import { Refused, type ParticipantOptions } from "tercet";
import { Guard } from "tercet/mysql2";

import { isDebit, type Accounts, type Debit } from "./accounts.js";

export async function accounts(url: string, options: ParticipantOptions): Promise<Accounts> {
  const pool = createPool({ uri: url, connectionLimit: 10 });
  await pool.query("CREATE TABLE IF NOT EXISTS accounts (name VARCHAR(64) PRIMARY KEY, balance BIGINT, frozen BIGINT)");
  await pool.query("INSERT IGNORE INTO accounts VALUES ('alice', 100000, 0)");
  const guard = new Guard(pool);
  await guard.migrate();
  const participant = guard.participant<Debit>(
    {
      parse: (raw) => isDebit(JSON.parse(raw)),
      async try(db, { account, amount }) {
        const freeze = "UPDATE accounts SET balance = balance - ?, frozen = frozen + ? WHERE name = ? AND balance >= ?";
        const [{ affectedRows }] = await db.execute<ResultSetHeader>(freeze, [amount, amount, account, amount]);
        if (affectedRows === 0) throw new Refused("insufficient-funds", "there is not enough on the account");
      },
      confirm: (db, { account, amount }) =>
        db.execute("UPDATE accounts SET frozen = frozen - ? WHERE name = ?", [amount, account]),
      cancel: (db, { account, amount }) =>
        db.execute("UPDATE accounts SET balance = balance + ?, frozen = frozen - ? WHERE name = ?", [
          amount,
          amount,
          account,
        ]),
    },
    options,
  );
  const balances = async (): Promise<unknown> => (await pool.query("SELECT name, balance, frozen FROM accounts"))[0];
  return { participant, balances };
}
