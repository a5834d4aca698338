import { createReadStream } from 'node:fs';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';

/** What a request is answered with. */
export interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer | FileBody;
}

/** A file that is read as it is sent. */
export interface FileBody {
  readonly file: string;
  readonly length: number;
}

export function jsonAnswer(value: unknown, status = 200, headers: OutgoingHttpHeaders = {}): Answer {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  return { status, headers: { ...headers, 'content-type': 'application/json; charset=utf-8' }, body };
}

/** For every answer: its type is what it says, and pages of other sites neither load nor frame it. */
const COMMON: OutgoingHttpHeaders = {
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

/** Milliseconds that the rest of a refused body is thrown away, so that the client reads the answer before the connection ends. */
const DRAIN_MILLISECONDS = 1000;

/** Whether the client still sends, or may send, the body of its request. */
function isBodyPending({ complete, headers }: IncomingMessage): boolean {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  return hasBody && !complete;
}

interface SendOptions {
  /** End the connection afterwards. */
  readonly isLast: boolean;
  /** Time without progress after which the connection is cut. */
  readonly timeoutSeconds: number;
}

/** Sends an answer. If the request's body has not been received, the connection ends with it. */
export async function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, headers, body }: Answer,
  { isLast, timeoutSeconds }: SendOptions,
): Promise<void> {
  const isPending = isBodyPending(request);
  const isWithout = request.method === 'HEAD' || status === 204 || status === 304;
  response.setTimeout(timeoutSeconds * 1000);
  // The next request on this connection may take longer. Before Node's own listener, which limits how long it is kept.
  response.prependOnceListener('finish', () => response.setTimeout(0));
  response.writeHead(status, {
    ...COMMON,
    ...headers,
    ...(status !== 204 && status !== 304 && { 'content-length': body.length }),
    ...((isLast || isPending) && { connection: 'close' }),
  });
  if (isWithout) return endAfterBody(request, response, isPending);
  if ('file' in body) {
    // A client that leaves is no error.
    await pipeline(createReadStream(body.file), response).catch(() => response.destroy());
    return;
  }
  response.write(body);
  endAfterBody(request, response, isPending);
}

/** Ends the response, and with it the connection, only when the client has stopped sending: otherwise it might not see the answer. */
function endAfterBody(request: IncomingMessage, response: ServerResponse, isPending: boolean): void {
  if (!isPending) return void response.end();
  response.flushHeaders();
  const end = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, DRAIN_MILLISECONDS);
  request.once('end', end).once('close', end).resume();
}
