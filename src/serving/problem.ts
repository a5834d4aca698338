import type { OutgoingHttpHeaders } from 'node:http';

/** Why a request is not done: the status of its answer (RFC 9110), a sentence, and what to do. */
export class RequestProblem extends Error {
  override readonly name = 'RequestProblem';

  constructor(
    readonly status: number,
    message: string,
    readonly next: string | null = null,
    readonly headers: OutgoingHttpHeaders = {},
  ) {
    super(message);
  }
}

/** The client has closed the connection: nobody waits for an answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** Nothing can be predicted any more, for this request or a later one. The cause says why. */
export class ServiceEnded extends Error {
  override readonly name = 'ServiceEnded';
}
