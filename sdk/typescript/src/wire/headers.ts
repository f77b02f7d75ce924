// Headers as servers hand them over.

/** Header names in lower case, with their values; `headers` and `headersDistinct` of Node's requests are such. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The one value of a header. One that is there twice says nothing: others might read the other one. */
export function headerOf(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  if (value === undefined || typeof value === "string") return value;
  return value.length === 1 ? value[0] : undefined;
}
