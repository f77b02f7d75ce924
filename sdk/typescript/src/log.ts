// Where the library says what it cannot say to a caller.

/** How much somebody should care. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/**
 * Told what went wrong and was answered without its cause, and what people should know. Payloads, tokens and secrets
 * are never in it; `error` is whatever was thrown.
 */
export type Log = (level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>) => void;

/** Warnings and errors to stderr; nothing else. */
export const toStderr: Log = (level, message, fields) => {
  if (level !== "warn" && level !== "error") return;
  console[level](`tercet: ${message}`, fields);
};
