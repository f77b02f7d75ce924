// What tests read of the repository, and where programs lie.

import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = process.env["TERCET_ROOT"];
if (!root) throw new Error("TERCET_ROOT is not set: run sdk/typescript/test");

/** A file of the repository. */
export const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

/** The cases of a file of vectors; that there are any is looked at. */
export function vectors<Case>(name: string): readonly Case[] {
  const { cases } = JSON.parse(textOf(`sdk/vectors/${name}.json`)) as { cases: readonly Case[] };
  if (cases.length === 0) throw new Error(`${name}.json has no cases`);
  return cases;
}

/** A program of the coordinator's. */
export const program = (name: string): string => join(process.env["BIN_DIR"] ?? join(root, "target/debug"), name);
