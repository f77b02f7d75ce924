// Names of things: what a gid and a branch id may be, and new ones.

import { randomBytes } from "node:crypto";

const GID_CHARACTERS = 128;
const BRANCH_ID_CHARACTERS = 64;
const ID = /^[A-Za-z0-9][A-Za-z0-9._:-]*$/;
const INSTANCE = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** What is wrong with a gid; nothing if it is one. */
export const wrongGid = (text: string): string | undefined => wrongId(text, GID_CHARACTERS);

/** What is wrong with the id of a branch, or the name of a saga; nothing if it is one. */
export const wrongBranchId = (text: string): string | undefined => wrongId(text, BRANCH_ID_CHARACTERS);

function wrongId(text: string, most: number): string | undefined {
  if (typeof text !== "string") return "must be a text";
  if (text.length <= most && ID.test(text)) return undefined;
  if (text.length < 1 || text.length > most) {
    return `must be 1 to ${most} characters long, this has ${text.length}`;
  }
  if (!/^[A-Za-z0-9]/.test(text)) {
    return `must begin with a letter or a digit, not with ${JSON.stringify(text[0])}`;
  }
  const bad = /[^A-Za-z0-9._:-]/u.exec(text);
  return bad ? `may contain only letters, digits and . _ : - , not ${JSON.stringify(bad[0])}` : undefined;
}

/** Whether it is the UUID of a life of a gid. */
export const isInstance = (text: string): boolean => INSTANCE.test(text);

/** A new name for a transaction, a UUIDv7: time-ordered, so that the coordinator's index grows at one end. */
export function freshGid(): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes.readUInt8(6) & 0x0f) | 0x70;
  bytes[8] = (bytes.readUInt8(8) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
