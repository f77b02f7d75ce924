// The client that openapi-typescript makes: a transaction of two branches, an error, a list in pages.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };
const [, , baseUrl, participant] = process.argv;
const client = createClient<paths>({ baseUrl: baseUrl! });

function must(holds: boolean, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

const branch = (id: string): components["schemas"]["BranchRequest"] => ({ id, endpoint: `${participant}/${id}`, payload: { n: 1 } });
const begun = await client.POST("/v1/transactions", { body: { gid: "ts-1", branches: [branch("a"), branch("b")] } });
must(begun.data !== undefined, begun.error);
const confirmed: components["schemas"]["Status"] = "confirmed";
must(begun.data.status === confirmed && begun.data.branches[1]?.attempts.try === 1, begun.data);

const reused = await client.POST("/v1/transactions", { body: { gid: "ts-1", timeout_ms: 1000 } });
must(reused.error?.code === "gid-reused" && reused.error.status === 409, reused);

for (const gid of ["ts-2", "ts-3"]) await client.POST("/v1/transactions", { body: { gid, open: true } });
const seen: string[] = [];
let cursor: string | undefined;
do {
  const page = await client.GET("/v1/transactions", { params: { query: { limit: 1, cursor } } });
  must(page.data !== undefined, page.error);
  seen.push(...page.data.items.map((item) => item.gid).filter((gid) => gid.startsWith("ts")));
  cursor = page.data.next_cursor ?? undefined;
} while (cursor !== undefined);
must(seen.join() === "ts-3,ts-2,ts-1", seen);
console.log("1 passed, 0 failed");
