// A wall clock that is not taken at its word: what is deleted by age is deleted for good.

/** A clock that is corrected by so much is in order. */
const TOLERANCE_MS = 10_000;
/** How long a clock that has parted must keep in step until it is believed again. */
const SETTLES_AFTER_MS = 24 * 60 * 60 * 1000;

/** How far the wall clock is ahead of the one that never jumps. */
const ahead = (): number => Date.now() - performance.now();

let believed = ahead();
let parted: { since: number; ahead: number } | undefined;

/** Whether the wall clock has parted from its own progress since this process began, and has not kept in step for a day since. */
export function clockIsDoubted(): boolean {
  const now = ahead();
  if (Math.abs(now - believed) <= TOLERANCE_MS) {
    believed = now;
    parted = undefined;
    return false;
  }
  if (!parted || Math.abs(now - parted.ahead) > TOLERANCE_MS) parted = { since: performance.now(), ahead: now };
  if (performance.now() - parted.since < SETTLES_AFTER_MS) return true;
  believed = now;
  parted = undefined;
  return false;
}
