import type { IncomingMessage } from 'node:http';
import { formatFileSize, formatSeconds } from '../support/format.js';
import { RequestProblem } from './problem.js';

/** Limits of a request's body. */
export interface BodyLimits {
  readonly maxBytes: number;
  /** Time in which it must arrive. */
  readonly timeoutSeconds: number;
}

/** Bytes taken at first. */
const FIRST_BYTES = 65_536;

/** Bytes put one after another. A list of chunks would take some hundred bytes for each, and a client may send one byte a chunk. */
class Collected {
  private bytes = Buffer.allocUnsafe(FIRST_BYTES);
  length = 0;

  add(chunk: Uint8Array): void {
    const length = this.length + chunk.length;
    if (length > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.bytes.length));
      larger.set(this.bytes.subarray(0, this.length));
      this.bytes = larger;
    }
    this.bytes.set(chunk, this.length);
    this.length = length;
  }

  all(): Buffer {
    return this.bytes.subarray(0, this.length);
  }
}

function tooLarge(maxBytes: number): RequestProblem {
  return new RequestProblem(
    413,
    `The image has more than ${formatFileSize(maxBytes)}, the most that this server takes.`,
    'Send a smaller image, or start the server with a larger --max-bytes.',
  );
}

/** @throws RequestProblem if the headers announce a body that is too large, or is compressed. */
export function checkAnnouncedBody({ headers }: IncomingMessage, { maxBytes }: Pick<BodyLimits, 'maxBytes'>): void {
  if (Number(headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const { 'content-encoding': encoding = 'identity' } = headers;
  if (encoding === 'identity') return;
  throw new RequestProblem(415, `A body in the encoding "${encoding}" is not read.`, 'Send the image as it is.');
}

/**
 * The body of a request. On an error, the rest of it is not read.
 * @throws RequestProblem if it is too large or too slow; the signal's reason on abort.
 */
export function readBody(
  request: IncomingMessage,
  { maxBytes, timeoutSeconds }: BodyLimits,
  signal: AbortSignal,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const collected = new Collected();
    const fail = (error: unknown) => {
      stop();
      request.pause();
      reject(error as Error);
    };
    const take = (chunk: Buffer) => {
      if (collected.length + chunk.length > maxBytes) fail(tooLarge(maxBytes));
      else collected.add(chunk);
    };
    const end = () => {
      stop();
      resolve(collected.all());
    };
    const abort = () => fail(signal.reason);
    const tooSlow = () =>
      fail(
        new RequestProblem(
          408,
          `The image did not arrive within ${formatSeconds(timeoutSeconds)}.`,
          'Send it again, or start the server with a larger --timeout.',
        ),
      );
    const timer = setTimeout(tooSlow, timeoutSeconds * 1000);
    const stop = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      request.off('data', take).off('end', end);
    };
    signal.addEventListener('abort', abort, { once: true });
    request.on('data', take).on('end', end);
  });
}
