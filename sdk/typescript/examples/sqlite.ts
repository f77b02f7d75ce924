// Accounts on SQLite: some of a balance is frozen while a transaction is undecided. What check-participant tries.

import Database from "better-sqlite3";
import { Refused, type ParticipantOptions } from "tercet";
import { Guard } from "tercet/better-sqlite3";

import { isDebit, type Accounts, type Debit } from "./accounts.js";

export async function accounts(file: string, options: ParticipantOptions): Promise<Accounts> {
  const db = new Database(file);
  db.pragma("journal_mode = WAL");
  db.exec("CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, balance INT, frozen INT)");
  db.exec("INSERT OR IGNORE INTO accounts VALUES ('alice', 100000, 0)");
  const guard = new Guard(db);
  await guard.migrate();
  const participant = guard.participant<Debit>(
    {
      parse: (raw) => isDebit(JSON.parse(raw)),
      try(db, { account, amount }) {
        const freeze = "UPDATE accounts SET balance = balance - ?, frozen = frozen + ? WHERE name = ? AND balance >= ?";
        const { changes } = db.prepare(freeze).run(amount, amount, account, amount);
        if (changes === 0) throw new Refused("insufficient-funds", "there is not enough on the account");
      },
      confirm: (db, { account, amount }) =>
        db.prepare("UPDATE accounts SET frozen = frozen - ? WHERE name = ?").run(amount, account),
      cancel: (db, { account, amount }) =>
        db
          .prepare("UPDATE accounts SET balance = balance + ?, frozen = frozen - ? WHERE name = ?")
          .run(amount, amount, account),
    },
    options,
  );
  return { participant, balances: async () => db.prepare("SELECT name, balance, frozen FROM accounts").all() };
}
