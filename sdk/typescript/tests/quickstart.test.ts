// docs/quickstart-typescript.md, block by block, in an empty folder with the package as it is built. Ports are free ones, and what is
// installed besides has the versions that everything else is tested with.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { program, textOf } from "./support/repository.js";

interface Block {
  readonly kind: string;
  readonly text: string;
}

const page = textOf("docs/quickstart-typescript.md");
const blocks: Block[] = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, kind = "", text = ""]) => ({ kind, text }));

/** Lines that are neither blank nor a comment. */
const linesOf = (text: string): number => text.split("\n").filter((line) => !/^\s*(\/\/.*)?$/.test(line)).length;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test("a participant with its initiator has at most 45 lines", () => {
  const files = blocks.filter(({ kind, text }) => kind === "ts" && /^\/\/ (payment|dinner)\.ts/.test(text));
  assert.equal(files.length, 2);
  const lines = files.reduce((sum, { text }) => sum + linesOf(text), 0);
  console.log(`a participant with its initiator: ${lines} lines`);
  assert.ok(lines <= 45, String(lines));
});

test("the quickstart does what it says", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tercet-quickstart-"));
  const [coordinator, participant] = [await freePort(), await freePort()];
  const { devDependencies } = JSON.parse(textOf("sdk/typescript/package.json")) as { devDependencies: Record<string, string> };
  const here = (text: string): string => {
    let ours = text.replaceAll("7200", String(coordinator)).replaceAll("7302", String(participant));
    for (const [name, version] of Object.entries(devDependencies)) {
      ours = ours.replaceAll(new RegExp(`(?<=\\s)${name}@\\d+\\b`, "g"), `${name}@${version}`);
    }
    return ours;
  };
  const work = join(folder, "work");
  const bin = join(folder, "bin");
  mkdirSync(work);
  mkdirSync(bin);
  writeFileSync(join(bin, "tercet"), `#!/bin/sh\nexec ${program("tercet")} "$@" --listen 127.0.0.1:${coordinator}\n`, { mode: 0o755 });

  const expected = new Map<string, string>();
  const script = ["set -euo pipefail"];
  blocks.forEach(({ kind, text }, at) => {
    const [, file] = /^\/\/ (\S+)\n/.exec(text) ?? [];
    if (kind === "ts" && file) writeFileSync(join(work, file), here(text));
    else if (kind === "sh") script.push(`{\n${here(text)}} > ../said.${at} 2> ../warned.${at}`);
    else if (kind === "text") expected.set(`said.${at - 1}`, text);
    else assert.fail(`a block of ${kind} that nobody runs`);
  });
  assert.ok(expected.size >= 3);

  const env = { ...process.env, DIST: process.env["TERCET_DIST"], PATH: `${bin}:${process.env["PATH"]}`, npm_config_prefer_offline: "true" };
  const bash = spawn("bash", ["-c", script.join("\n")], { cwd: work, env, detached: true, stdio: "ignore" });
  const code = await new Promise((resolve) => bash.once("exit", resolve));
  // What was left running, all of it.
  process.kill(-(bash.pid ?? 0), "SIGKILL");
  const said = (name: string): string => readFileSync(join(folder, name), "utf8");
  if (code !== 0) {
    const last = [...blocks.keys()].filter((at) => blocks[at]?.kind === "sh");
    for (const at of last) {
      try {
        console.log(at, said(`said.${at}`), said(`warned.${at}`));
      } catch {
        // It was not come to.
      }
    }
  }
  assert.equal(code, 0);
  for (const [name, text] of expected) assert.equal(said(name), text, name);
  rmSync(folder, { recursive: true });
});
