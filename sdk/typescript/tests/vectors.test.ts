// The vectors that every library runs. Each file says what its cases mean.

import assert from "node:assert/strict";
import { test } from "node:test";

import Database from "better-sqlite3";
import { BadHeader, decide, NotConfirmed, Refused, RequestRefused, Retry, readCall, UnexpectedAnswer, verdictOf } from "tercet";
import { InvalidRequest, type NewTransaction, type Op } from "tercet";
import { Guard } from "tercet/better-sqlite3";

import { outcomeOf } from "../dist/client/outcome.js";
import { readReply } from "../dist/client/http.js";
import { writeBegin } from "../dist/client/request.js";
import { transactionOf } from "../dist/client/views.js";
import { STATE_AFTER, type Recorded } from "../dist/guard/table.js";
import { legsOf } from "../dist/wire/op.js";
import { retryAfterMs } from "../dist/wire/pause.js";
import { isSigned, SigningKey, wrongSigning } from "../dist/wire/signature.js";
import { GuardOf } from "../dist/guard/guard.js";
import { Busy, type Database as AnyDatabase } from "../dist/database/database.js";
import { vectors } from "./support/repository.js";
import { ask, freshGid, headersOf, serving } from "./support/calls.js";

test("the guard's table is the one of the vectors", () => {
  interface Case {
    op: Op;
    legs: string;
    instance: string;
    deadline: string | null;
    now: string;
    recorded: Recorded | null;
    then: { do: string; status: number; code?: string };
    leaves: Recorded | null;
  }
  for (const one of vectors<Case>("guard")) {
    const arrival = {
      op: one.op,
      legs: legsOf(one.legs) ?? [],
      instance: one.instance,
      deadline: one.deadline === null ? undefined : new Date(one.deadline),
    };
    const action = decide(one.recorded ?? undefined, arrival, Date.parse(one.now));
    const then =
      action.do === "refuse"
        ? { do: action.do, status: action.why.status, code: action.why.code }
        : { do: action.do, status: 200 };
    assert.deepEqual(then, one.then, JSON.stringify(one));
    const writes = action.do === "run" || action.do === "record";
    const leaves = writes ? { instance: one.instance, state: STATE_AFTER[one.op] } : one.recorded;
    assert.deepEqual(leaves, one.leaves, JSON.stringify(one));
  }
});

test("a call is read as the vectors say", () => {
  interface Case {
    url: Op;
    headers: Record<string, string>;
    body: string;
    context?: Record<string, unknown>;
    bad_header?: string;
  }
  for (const one of vectors<Case>("headers")) {
    const read = () => readCall(one.url, one.headers, Buffer.from(one.body));
    if (one.bad_header !== undefined) {
      const isNamed = (error: unknown) => {
        assert.ok(error instanceof BadHeader, String(error));
        assert.ok(error.message.startsWith(`header ${one.bad_header}`), error.message);
        return true;
      };
      assert.throws(read, isNamed, JSON.stringify(one));
      continue;
    }
    const context = read();
    const results = context.rawResults;
    const brought = results && Object.fromEntries([...results].map(([branch, text]) => [branch, JSON.parse(text)]));
    assert.deepEqual(
      {
        gid: context.gid,
        branch: context.branch,
        instance: context.instance,
        op: context.op,
        legs: context.legs,
        attempt: context.attempt,
        deadline: context.deadline?.toISOString() ?? null,
        traceparent: context.traceparent ?? null,
        payload: context.rawPayload,
        results: brought ?? null,
      },
      one.context,
    );
  }
});

test("a signature is looked at as the vectors say", () => {
  interface Case {
    why: string;
    secrets: string[];
    now: number;
    url: string;
    headers: Record<string, string>;
    body: string;
    valid: boolean;
  }
  for (const one of vectors<Case>("signatures")) {
    const keys = one.secrets.map((secret) => new SigningKey(secret));
    const op = one.url === "branches" ? "" : one.url;
    const isValid =
      wrongSigning(one.headers, op, one.now * 1000) === undefined && isSigned(keys, one.headers, Buffer.from(one.body));
    assert.equal(isValid, one.valid, one.why);
  }
});

test("a verdict is the coordinator's", () => {
  interface Case {
    op: Op;
    status: number | null;
    retry_after: string | null;
    verdict: string;
    pause_ms: number | null;
  }
  for (const one of vectors<Case>("verdicts")) {
    const verdict = verdictOf(one.op, one.status ?? undefined, retryAfterMs(one.retry_after ?? undefined, Date.now()));
    const pause = "pauseMs" in verdict ? (verdict.pauseMs ?? null) : null;
    assert.deepEqual([verdict.kind, pause], [one.verdict, one.pause_ms], JSON.stringify(one));
  }
});

test("a begin is written as the vectors say, and the same each time", () => {
  interface Case {
    given: Record<string, unknown>;
    open: boolean;
    body?: unknown;
    error?: string;
  }
  // The names of the wire in the words of this library.
  const camel = (name: string) => name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const rename = (fields: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(fields).map(([name, value]) => [camel(name), value]));
  for (const one of vectors<Case>("begins")) {
    const given = rename(one.given);
    const branches = given["branches"] as Record<string, unknown>[] | undefined;
    const transaction = { ...given, ...(branches ? { branches: branches.map(rename) } : {}) } as unknown as NewTransaction;
    const write = () => writeBegin(transaction, one.open);
    if (one.error !== undefined) {
      assert.throws(write, (error) => error instanceof InvalidRequest && error.field === one.error);
      continue;
    }
    assert.deepEqual(JSON.parse(write().body), one.body);
    assert.equal(write().body, write().body);
  }
});

test("an answer means what the vectors say", async (t) => {
  interface Case {
    request: string;
    status: number;
    headers: Record<string, string>;
    body: string;
    outcome: string;
    why?: string;
    reason?: string;
    code?: string;
    pause_ms?: number;
  }
  for (const one of vectors<Case>("answers")) {
    await t.test(`${one.request} ${one.status} ${one.outcome} ${one.why ?? one.code ?? ""}`, () => {
      const again = [429, 502, 503, 504].includes(one.status);
      assert.equal(again, one.outcome === "again");
      const asked = retryAfterMs(one.headers["retry-after"], Date.now());
      if (again) {
        const pause = asked === undefined ? undefined : Math.min(asked, 10_000);
        assert.equal(pause, one.pause_ms);
        return;
      }
      const read = () => outcomeOf(readReply({ status: one.status, body: one.body, asked }, transactionOf));
      if (one.outcome === "refused" || one.outcome === "ask") {
        assert.throws(read, (error) => {
          assert.ok(error instanceof RequestRefused);
          const isAsk = ["already-confirmed", "already-cancelled"].includes(error.code);
          assert.equal(isAsk, one.outcome === "ask");
          if (one.code !== undefined) assert.equal(error.code, one.code);
          return true;
        });
      } else if (one.outcome === "unexpected") {
        assert.throws(read, UnexpectedAnswer);
      } else {
        const outcome = read();
        assert.equal(outcome.kind, one.outcome);
        if (outcome.kind === "confirmed") assert.equal(outcome.confirmed().gid, "order-1");
        else assert.throws(() => outcome.confirmed(), NotConfirmed);
        if (outcome.kind === "cancelled") {
          assert.deepEqual([outcome.why, outcome.reason], [one.why, one.reason]);
        }
      }
    });
  }
});

/** A guard on a database that is none; how one is made is no part of what the package shows. */
function guardOf(database: Pick<AnyDatabase<unknown>, "dialect" | "transaction">): GuardOf<unknown, unknown> {
  const Made = GuardOf as unknown as new (database: unknown) => GuardOf<unknown, unknown>;
  return new Made(database);
}

interface AnswerCase {
  op: Op;
  when: string;
  result?: unknown;
  code?: string;
  detail?: string;
  after_ms?: number;
  status: number;
  retry_after?: string;
  body: Record<string, unknown>;
}

test("a participant answers as the vectors say", async (t) => {
  for (const one of vectors<AnswerCase>("participant-answers")) {
    await t.test(`${one.op} ${one.when}`, async () => {
      const answer = await answered(one);
      assert.equal(answer.status, one.status, answer.text);
      assert.equal(answer.headers["retry-after"], one.retry_after);
      for (const [name, value] of Object.entries(one.body)) assert.deepEqual(answer.body[name], value, answer.text);
      if (answer.status !== 200) {
        assert.equal(answer.headers["content-type"], "application/problem+json");
        for (const field of ["type", "title", "status", "code", "detail"]) assert.ok(field in answer.body, field);
        assert.ok(!answer.text.includes("s3cret"), answer.text);
      }
    });
  }
});

/** Brings about what a case says. */
async function answered(one: AnswerCase) {
  const guard = new Guard(new Database(":memory:"));
  await guard.migrate();
  const log = (): void => undefined;
  const business = (context: { answer(result: unknown): void }): void => {
    if (one.when.includes("with a result")) context.answer(one.result);
    if (one.when.includes("larger than 16 KiB")) context.answer("x".repeat(16 * 1024));
    if (one.when === "refused") throw new Refused(one.code ?? "", one.detail);
    if (one.when.startsWith("asks to be called again")) {
      throw new Retry("s3cret", one.after_ms === undefined ? {} : { afterMs: one.after_ms });
    }
    if (one.when === "throws") throw new Error("s3cret");
  };
  const isNoConnection = one.when === "no connection is to be had";
  const full: Pick<AnyDatabase<unknown>, "dialect" | "transaction"> = {
    dialect: "sqlite",
    transaction: async () => Promise.reject(new Busy()),
  };
  const parse = (raw: string): unknown => {
    if (one.when === "the payload cannot be read") throw new TypeError("no amount");
    return JSON.parse(raw);
  };
  const work = (_: unknown, __: unknown, context: { answer(result: unknown): void }) => business(context);
  const participant = isNoConnection
    ? guardOf(full).participant({ try: work, confirm: work, cancel: work }, { log })
    : guard.participant({ parse, try: work, confirm: work, cancel: work }, { log });
  return serving(participant.listener("/p"), async (url) => {
    const gid = freshGid();
    const legs = one.op === "confirm" && one.when === "throws" ? "confirm" : "try,confirm,cancel";
    const call = async (op: Op) =>
      ask(`${url}/p/${op}`, { headers: headersOf(op, gid, { "Tercet-Legs": legs }), body: '{"amount":1}' });
    if (one.when === "another call of the branch is under way") return underWay(one.op, log);
    if (one.when === "repeated" || one.when === "repeated with a result") await call(one.op);
    if (one.when === "repeated after its confirm") {
      await call("try");
      await call("confirm");
    }
    if (one.when === "done" && one.op !== "try") await call("try");
    return call(one.op);
  });
}

/** A call whose branch is at work, by business code that waits for us. */
async function underWay(op: Op, log: () => void) {
  let goOn: () => void = () => undefined;
  const waits = new Promise<void>((resolve) => (goOn = resolve));
  let began: () => void = () => undefined;
  const atWork = new Promise<void>((resolve) => (began = resolve));
  // A database whose calls take as long as they are told to.
  const slow: Pick<AnyDatabase<unknown>, "dialect" | "transaction"> = {
    dialect: "sqlite",
    transaction: async ({ onBegun }) => {
      onBegun?.();
      began();
      await waits;
      throw new Error("no more");
    },
  };
  const participant = guardOf(slow).participant({ [op]: () => undefined }, { log });
  return serving(participant.listener("/p"), async (url) => {
    const call = { headers: headersOf(op, "under-way"), body: "{}" };
    const first = ask(`${url}/p/${op}`, call);
    await atWork;
    const second = await ask(`${url}/p/${op}`, call);
    goOn();
    assert.equal((await first).status, 503);
    return second;
  });
}
