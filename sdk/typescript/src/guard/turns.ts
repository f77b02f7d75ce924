// One call of a branch at a time, within this process. The database would keep calls of one branch apart by itself; waiting
// here instead costs no connection, so that repeats of a slow call cannot use up the pool.

import { Line } from "../database/line.js";

/** How long a call waits for another one of its branch, and a Cancel for a connection. */
export const TURN_MS = 500;

/** The branches that are being called; of the others nothing is kept. */
export class Turns {
  readonly #lines = new Map<string, Line>();

  /** How many branches are being called. */
  get size(): number {
    return this.#lines.size;
  }

  /** Waits for a branch's turn, and gives what ends it; nothing if it did not come in time. */
  async take(gid: string, branch: string, patienceMs: number): Promise<(() => void) | undefined> {
    // No id has a slash in it.
    const key = `${gid}/${branch}`;
    const line = this.#lines.get(key) ?? new Line(1);
    this.#lines.set(key, line);
    const end = await line.take(patienceMs);
    if (!end) return undefined;
    return () => {
      end();
      if (line.isIdle(1)) this.#lines.delete(key);
    };
  }
}
