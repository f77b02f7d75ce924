// How a request to the coordinator can fail. A transaction that was cancelled is not among these: it is an outcome.

/** What a client throws. */
export class ClientError extends Error {
  override readonly name: string = "ClientError";
}

/** What was asked for cannot be sent; nothing was. `field` names what is wrong. */
export class InvalidRequest extends ClientError {
  override readonly name = "InvalidRequest";

  constructor(
    readonly field: string,
    what: string,
    options?: ErrorOptions,
  ) {
    super(`${field}: ${what}`, options);
  }
}

/** What the coordinator says is wrong with a request (RFC 9457). */
export interface Problem {
  readonly type?: string;
  readonly title?: string;
  readonly status?: number;
  readonly code: string;
  readonly detail: string;
  readonly gid?: string;
  readonly branches?: readonly string[];
  /** Where in the request's body it is, by RFC 6901. */
  readonly pointer?: string;
}

/** The coordinator says what is wrong with the request. */
export class RequestRefused extends ClientError {
  override readonly name = "RequestRefused";

  constructor(readonly problem: Problem) {
    super(`${problem.code}: ${problem.detail}`);
  }

  /** For programs: `gid-reused`, say. A newer coordinator may have codes that this library has never heard of. */
  get code(): string {
    return this.problem.code;
  }
}

/**
 * No answer came, however often it was asked. The transaction may exist and may go on: ask again with the same gid, and
 * with the same content where it is begun.
 */
export class Unanswered extends ClientError {
  override readonly name = "Unanswered";

  constructor(
    readonly gid: string,
    readonly attempts: number,
    /** What came instead the last time. */
    readonly last: string,
    options?: ErrorOptions,
  ) {
    super(`no answer about ${gid} after ${attempts} attempts: ${last}`, options);
  }
}

/** The answer is none of a coordinator's. */
export class UnexpectedAnswer extends ClientError {
  override readonly name = "UnexpectedAnswer";

  constructor(
    readonly status: number,
    /** The beginning of the body. */
    readonly body: string,
  ) {
    super(`unexpected answer ${status}: ${body}`);
  }
}
