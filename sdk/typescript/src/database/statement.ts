// SQL with named values, and the SQL transactions that are made of it.
//
// What is to be done in an SQL transaction is a generator that hands out steps, so that it is written once: a driver
// that answers at once (better-sqlite3) and those that are waited for go through the same steps.

/** Which words of SQL a database understands. */
export type Dialect = "sqlite" | "postgres" | "mysql";

/** What is bound to a name. */
export type Value = string | number | null;

/** A statement as a driver takes it: marks instead of names, and the names in the order of their marks. */
export interface Statement {
  readonly text: string;
  readonly names: readonly string[];
}

/** What a statement came to. */
export interface SqlResult {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly changed: number;
}

/** One thing to do in an SQL transaction. */
export type Step =
  /** Run a statement; comes to an {@link SqlResult}. */
  | { readonly do: "sql"; readonly statement: Statement; readonly values: readonly Value[] }
  /** Bound the wait for locks by half a second, where that was not done at the begin. */
  | { readonly do: "patience" }
  /** Put back what was there before, where that does not end with the SQL transaction. */
  | { readonly do: "patience ends" }
  /** Run business code. */
  | { readonly do: "business"; readonly run: () => unknown };

/** How an SQL transaction is to end, and what came of it. */
export interface Ended<T> {
  readonly commit: boolean;
  readonly value: T;
}

/** An SQL transaction. An error that leaves it rolls it back. */
export type Program<T> = Generator<Step, Ended<T>, unknown>;

/** The database's own time in UTC epoch milliseconds: what several processes compare is dated by the clock they share. */
const NOW: Readonly<Record<Dialect, string>> = {
  postgres: "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
  // Not in the session's time zone, where an hour may come twice.
  mysql: "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000)",
  sqlite: "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)",
};

/** Reads a statement: `:name` is a value, `{now}` the database's time. */
export function statement(dialect: Dialect, sql: string): Statement {
  const names: string[] = [];
  const text = sql.replaceAll("{now}", NOW[dialect]).replaceAll(/:([a-z_][a-z_0-9]*)/g, (_, name: string) => {
    names.push(name);
    return dialect === "postgres" ? `$${names.length}` : "?";
  });
  return { text, names };
}

/** The values of a statement, in the order of its marks. */
export function valuesOf({ text, names }: Statement, values: Readonly<Record<string, Value>>): readonly Value[] {
  return names.map((name) => {
    const value = values[name];
    if (value === undefined) throw new TypeError(`no value for :${name} in ${text}`);
    return value;
  });
}

/** A statement as a step of a program. */
export function* sql(of: Statement, values: Readonly<Record<string, Value>>): Generator<Step, SqlResult, unknown> {
  return (yield { do: "sql", statement: of, values: valuesOf(of, values) }) as SqlResult;
}

/** Goes through a program whose steps are answered at once. */
export function driveNow<T>(program: Program<T>, perform: (step: Step) => unknown): Ended<T> {
  let next = program.next();
  while (!next.done) {
    let came: unknown;
    try {
      came = perform(next.value);
    } catch (error) {
      next = program.throw(error);
      continue;
    }
    next = program.next(came);
  }
  return next.value;
}

/** Goes through a program whose steps are waited for. */
export async function drive<T>(program: Program<T>, perform: (step: Step) => unknown): Promise<Ended<T>> {
  let next = program.next();
  while (!next.done) {
    let came: unknown;
    try {
      came = await perform(next.value);
    } catch (error) {
      next = program.throw(error);
      continue;
    }
    next = program.next(came);
  }
  return next.value;
}

/** A number as the driver gives it: a number, a bigint or a text of digits. */
export function numberOf(value: unknown): number {
  const number = Number(value);
  if (!Number.isFinite(number)) throw new TypeError(`${String(value)} is no number`);
  return number;
}
