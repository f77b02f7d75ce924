// Where the library says what it cannot say to a caller.

/** How much somebody should care. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/**
 * Told what went wrong and was answered without its cause, and what people should know. Payloads, tokens and secrets
 * are never in it; `error` is whatever was thrown.
 */
export type Log = (level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>) => void;

/** One that breaks nothing of what it is told about. */
export const carefully =
  (log: Log): Log =>
  (level, message, fields) => {
    try {
      log(level, message, fields);
    } catch {
      // Whoever writes logs has to see to that.
    }
  };

/** Warnings and errors to stderr; nothing else. */
export const toStderr: Log = (level, message, fields) => {
  if (level !== "warn" && level !== "error") return;
  console[level](`tercet: ${message}`, fields);
};
