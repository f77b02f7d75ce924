// The same again for as long as it only lost against another transaction, within a bound.

import { pauseAfter, sleep } from "../wire/pause.js";
import { contention, isMadeMeanwhile } from "./contention.js";
import { InProgress, type Database } from "./database.js";

/** How often a transaction is run that lost against another one. */
export const ROUNDS = 6;
/** The pauses between: others need milliseconds to finish. */
export const ROUND_PAUSE = { first: 10, cap: 100 };
/** How often a table is tried to be made while others are making the same. */
const SCHEMA_ROUNDS = 10;

/** Runs it, and again. */
export async function again<T>(run: () => Promise<T>): Promise<T> {
  for (let round = 1; ; round += 1) {
    try {
      return await run();
    } catch (error) {
      const isPassing = error instanceof InProgress || contention(error) !== undefined;
      if (!isPassing || round >= ROUNDS) throw error;
      await sleep(pauseAfter(round, ROUND_PAUSE));
    }
  }
}

/**
 * Makes tables where they are missing. Services start several at a time, and no database but MariaDB makes `IF NOT
 * EXISTS` wait for another session that is making the same: who lost finds everything there the next time.
 */
export async function make<Tx>(database: Database<Tx>, texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    for (let round = 1; ; round += 1) {
      try {
        await database.execute(text);
        break;
      } catch (error) {
        const isPassing = contention(error) !== undefined || isMadeMeanwhile(error);
        if (!isPassing || round >= SCHEMA_ROUNDS) throw error;
        await sleep(pauseAfter(round, ROUND_PAUSE));
      }
    }
  }
}
