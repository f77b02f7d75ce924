// The guard's SQL is that of docs/guard-sql.md, word for word.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Dialect } from "../dist/database/statement.js";
import { GUARD_SQL } from "../dist/guard/statements.js";
import { textOf } from "./support/repository.js";

/** The statements under a heading, by their names. */
function statementsUnder(heading: string): Record<string, string> {
  const [, under = ""] = textOf("docs/guard-sql.md").split(`\n## ${heading}\n`);
  const [, block = ""] = /```sql\n([\s\S]*?)```/.exec(under) ?? [];
  const parts = block.split(/^-- (.*)\n/m).slice(1);
  const found: Record<string, string> = {};
  for (let at = 0; at + 1 < parts.length; at += 2) found[parts[at] ?? ""] = (parts[at + 1] ?? "").trim();
  return found;
}

const HEADINGS: Record<Dialect, string> = { sqlite: "SQLite", postgres: "PostgreSQL", mysql: "MySQL and MariaDB" };

for (const [dialect, heading] of Object.entries(HEADINGS) as [Dialect, string][]) {
  test(`the guard's SQL for ${heading} is the page's`, () => {
    const page = statementsUnder(heading);
    const ours = GUARD_SQL[dialect];
    const named: [string, string | undefined][] = [
      ...["create", "create the index", "create the results"]
        .filter((name) => name in page)
        .map((name, at): [string, string | undefined] => [name, ours.create[at]]),
      ["patience", ours.patience],
      ["insert", ours.insert],
      ["find", ours.find],
      ["patience ends", ours.patienceEnds],
      ["replace", ours.replace],
      ["touch", ours.touch],
      ["expired", ours.expired],
      ["delete", ours.delete],
      ["keep the result", ours.keepResult],
      ["find the result", ours.findResult],
      ["delete the result", ours.deleteResult],
    ];
    const given = named.filter(([, text]) => text !== undefined);
    assert.deepEqual(Object.fromEntries(given), page);
    assert.equal(ours.create.length, Object.keys(page).filter((name) => name.startsWith("create")).length);
  });
}
