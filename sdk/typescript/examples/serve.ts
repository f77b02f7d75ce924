// Serves accounts: node serve.js DATABASE FRAMEWORK, with DATABASE a file, postgres://… or mysql://…, and FRAMEWORK http,
// express or fastify. It prints where it listens. TERCET_SIGNING_SECRET has it let through signed calls alone.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import type { Accounts } from "./accounts.js";

const [database = "accounts.db", framework = "http"] = process.argv.slice(2);
const secret = process.env["TERCET_SIGNING_SECRET"];
const options = secret ? { secrets: [secret] } : {};

async function open(): Promise<Accounts> {
  if (database.startsWith("postgres:")) return (await import("./postgres.js")).accounts(database, options);
  if (database.startsWith("mysql:")) return (await import("./mysql.js")).accounts(database, options);
  return (await import("./sqlite.js")).accounts(database, options);
}

async function listen({ participant, balances }: Accounts): Promise<number> {
  if (framework === "fastify") {
    const { fastify } = await import("fastify");
    const app = fastify();
    await app.register(participant.plugin(), { prefix: "/payment" });
    app.get("/accounts", async () => balances());
    await app.listen({ port: 0, host: "127.0.0.1" });
    return (app.server.address() as AddressInfo).port;
  }
  if (framework === "express") {
    const { default: express } = await import("express");
    const app = express();
    app.use("/payment", participant.middleware());
    app.use(express.json());
    app.get("/accounts", (_, response) => void balances().then((found) => response.json(found)));
    return new Promise((resolve) => {
      const server = app.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
    });
  }
  const server = createServer(
    participant.listener("/payment", (_, response) => {
      void balances().then((found) => response.end(JSON.stringify(found)));
    }),
  );
  return new Promise((resolve) => {
    server.listen(Number(process.env["PORT"] ?? 0), "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

console.log(`listening on http://127.0.0.1:${await listen(await open())}`);
