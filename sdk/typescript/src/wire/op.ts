// The calls of a branch, and which of them it has.

/** Which call of a branch. */
export type Op = "try" | "confirm" | "cancel";

/** All of them, in their order. */
export const OPS: readonly Op[] = ["try", "confirm", "cancel"];

export const isOp = (text: string): text is Op => (OPS as readonly string[]).includes(text);

/** Reads `try,confirm,cancel` or a part of it, in any order; nothing if it is none. */
export function legsOf(text: string): readonly Op[] | undefined {
  const words = text.split(",").map((word) => word.trim());
  return words.every(isOp) ? OPS.filter((op) => words.includes(op)) : undefined;
}
