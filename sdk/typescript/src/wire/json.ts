// JSON that is passed on as it is: numbers beyond 2^53 and every blank are somebody else's to read.

/** JSON as text. Where a value is to be sent, this is sent instead, to the byte. See {@link rawJson}. */
export class RawJson {
  constructor(
    /** The text. */
    readonly text: string,
  ) {}

  toString(): string {
    return this.text;
  }

  /** As a part of something else it could not be sent to the byte, and is not sent as something else. */
  toJSON(): never {
    throw new TypeError("raw JSON stands for a whole payload, and is no part of one: put the text together");
  }
}

/**
 * A payload, an input or an answer that is JSON already, and is to be sent to the byte. For numbers that
 * JavaScript has none for, say: `rawJson('{"amount": 9007199254740993}')`.
 *
 * @throws SyntaxError where it is no JSON
 */
export function rawJson(text: string): RawJson {
  JSON.parse(text);
  return new RawJson(text);
}

/** A value as JSON. */
export function textOf(value: unknown): string {
  if (value instanceof RawJson) return value.text;
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`a ${typeof value} is no JSON`);
  return text;
}

/** An object of these members, of which those without a value are left out. */
export function objectOf(members: readonly (readonly [string, unknown])[]): RawJson {
  const given = members.filter(([, value]) => value !== undefined);
  return new RawJson(`{${given.map(([name, value]) => `${JSON.stringify(name)}:${textOf(value)}`).join(",")}}`);
}

/** An array of these. */
export const arrayOf = (items: readonly unknown[]): RawJson => new RawJson(`[${items.map(textOf).join(",")}]`);

/**
 * The members of an object, each with its value's text as it stands there; nothing if the text is no object, or has
 * a member twice.
 *
 * @throws SyntaxError where it is no JSON
 */
export function membersOf(text: string): Map<string, string> | undefined {
  // It is checked by those who know how; what follows may trust it.
  const read: unknown = JSON.parse(text);
  if (typeof read !== "object" || read === null || Array.isArray(read)) return undefined;
  const members = new Map<string, string>();
  let at = skipBlank(text, text.indexOf("{") + 1);
  while (text[at] !== "}") {
    const nameEnd = endOfValue(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    const begin = skipBlank(text, text.indexOf(":", nameEnd) + 1);
    const end = endOfValue(text, begin);
    if (members.has(name)) return undefined;
    members.set(name, text.slice(begin, end));
    at = skipBlank(text, end);
    if (text[at] === ",") at = skipBlank(text, at + 1);
  }
  return members;
}

function skipBlank(text: string, from: number): number {
  let at = from;
  while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at += 1;
  return at;
}

/** Where the value ends that begins here. */
function endOfValue(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    switch (text[at]) {
      case '"':
        at = endOfString(text, at);
        if (depth === 0) return at + 1;
        break;
      case "{":
      case "[":
        depth += 1;
        break;
      case "}":
      case "]":
        if (depth === 0) return at;
        depth -= 1;
        if (depth === 0) return at + 1;
        break;
      case ",":
      case " ":
      case "\n":
      case "\r":
      case "\t":
        if (depth === 0) return at;
        break;
      default:
    }
  }
  return text.length;
}

/** Where the string's last quote stands. */
function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at;
}

const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Bytes as text, every one of them.
 *
 * @throws TypeError where they are no UTF-8
 */
export const textOfBytes = (bytes: Uint8Array): string => STRICT_UTF8.decode(bytes);
