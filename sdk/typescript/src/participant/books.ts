// Which page of the books is asked for.

const ROWS = 50;
const MOST_ROWS = 500;
/** Behind every branch id: ids are of letters, digits and `._:-`, which all come before it. */
const BEHIND_ALL = "~";

/** The rows behind a key. */
export interface Range {
  readonly afterGid: string;
  readonly afterBranch: string;
  readonly limit: number;
}

/**
 * Reads `after=&limit=`; in words, what is wrong with it. `after` is `{gid}/{branch}` of the last row that is known. Without
 * a branch it is behind all of this gid, with an empty one before them.
 */
export function readRange(query: string): Range | string {
  const asked = new URLSearchParams(query);
  for (const name of asked.keys()) {
    if (name !== "after" && name !== "limit") return `${name}: there is no such parameter`;
    if (asked.getAll(name).length > 1) return `${name}: is there more than once`;
  }
  const limit = asked.get("limit") ?? String(ROWS);
  if (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > MOST_ROWS) {
    return `limit: must be 1 to ${MOST_ROWS}`;
  }
  const after = asked.get("after") ?? "/";
  const slash = after.indexOf("/");
  const [afterGid, afterBranch] =
    slash < 0 ? [after, BEHIND_ALL] : [after.slice(0, slash), after.slice(slash + 1)];
  if (!/^[!-~]*$/.test(afterGid + afterBranch) || after.length > 256) {
    return "after: must be {gid}/{branch}, as next_cursor gives it";
  }
  return { afterGid, afterBranch, limit: Number(limit) };
}
