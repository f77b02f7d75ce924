// A participant as a plugin of Fastify.

import type { IncomingMessage } from "node:http";

import { answerOf, type Endpoint } from "./mount.js";
import { BODY_BYTES } from "./body.js";

/** What of Fastify's request is used. */
interface RequestLike {
  readonly raw: IncomingMessage;
}

/** What of Fastify's reply is used. */
interface ReplyLike {
  code(status: number): unknown;
  headers(values: Record<string, string>): unknown;
  send(body: string): unknown;
}

/** What of a Fastify instance is used, so that nobody needs Fastify for its types alone. */
export interface FastifyLike {
  removeAllContentTypeParsers(): void;
  // `any`, since methods of Fastify have more signatures than one can match.
  addContentTypeParser(type: string, parser: (request: any, payload: any, done: any) => void): any;
  route(options: any): any;
}

/** What `app.register` of Fastify takes. */
export type FastifyPlugin = (app: FastifyLike, options: unknown, done: (error?: Error) => void) => void;

/** An endpoint as a plugin. */
export const pluginOf =
  (endpoint: Endpoint): FastifyPlugin =>
  (app, _, done) => {
    mountFastify(endpoint, app);
    done();
  };

/** Adds the routes, with bodies left as they come. What the rest of the application parses is its own. */
function mountFastify(endpoint: Endpoint, app: FastifyLike): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done: (error: null) => void) => done(null));
  for (const [url, { method, route }] of endpoint.routes) {
    app.route({
      method,
      url,
      bodyLimit: BODY_BYTES,
      handler: async ({ raw }: RequestLike, reply: ReplyLike) => {
        const asked = raw.url ?? "";
        const mark = asked.indexOf("?");
        const answer = await answerOf(endpoint, route, method, raw, mark < 0 ? "" : asked.slice(mark + 1));
        reply.code(answer.status);
        reply.headers({ ...answer.headers });
        return reply.send(answer.body);
      },
    });
  }
}
