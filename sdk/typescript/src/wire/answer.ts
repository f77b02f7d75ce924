// What goes back over the wire.

/** A response, whole: its head and its body leave in one write. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An answer of JSON. */
export const json = (status: number, body: string): Answer => ({
  status,
  headers: { "content-type": "application/json" },
  body,
});
