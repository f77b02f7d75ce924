// The same participant by the library. node by_library.js URL

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { Pool } from "pg";
import { Refused } from "tercet";
import { Guard } from "tercet/pg";

const guard = new Guard(new Pool({ connectionString: process.argv[2], max: 16 }));
const payment = guard.participant<{ account: string; amount: number }>({
  async try(db, { account, amount }) {
    const freeze = "UPDATE accounts SET balance = balance - $1, frozen = frozen + $1 WHERE name = $2 AND balance >= $1";
    if ((await db.query(freeze, [amount, account])).rowCount === 0) throw new Refused("insufficient-funds");
  },
  confirm: (db, { account, amount }) =>
    db.query("UPDATE accounts SET frozen = frozen - $1 WHERE name = $2", [amount, account]),
  cancel: (db, { account, amount }) =>
    db.query("UPDATE accounts SET balance = balance + $1, frozen = frozen - $1 WHERE name = $2", [amount, account]),
});
const server = createServer(payment.listener("/payment"));
server.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`));
