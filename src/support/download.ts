import { open, readFile, rm, stat } from 'node:fs/promises';
import { UserError } from './errors.js';
import { explainFileError, writeFileAtomic } from './files.js';
import { endSentence } from './format.js';

/** What a request is answered with: the standard's `fetch`, or a test's. */
export type Fetcher = (url: string, init: RequestInit) => Promise<Response>;

export interface DownloadProgress {
  /** Of the whole file, those of an earlier attempt included. */
  readonly bytes: number;
  /** Null where the server does not say. */
  readonly total: number | null;
}

interface DownloadOptions {
  /** https only, redirects included. */
  readonly url: string;
  /** Where the bytes go. What an earlier attempt left there is gone on with, if the file has not changed since. */
  readonly part: string;
  /** How to come by the file without this download, as advice: "download it elsewhere and …". */
  readonly otherwise: string;
  readonly fetcher?: Fetcher;
  readonly signal?: AbortSignal | undefined;
  /** Told the whole size in bytes, null if the server does not say, before the bytes of a connection arrive. */
  readonly onStart?: (total: number | null) => void;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** Beside the part: which version of which file it is the beginning of. */
interface PartState {
  readonly url: string;
  /** A strong ETag or a Last-Modified date, for If-Range (RFC 9110, section 13.1.5). */
  readonly validator: string;
}

const MOST_REDIRECTS = 5;
/** A connection that breaks after it gave some bytes is made again, so many times. */
const MOST_RESUMPTIONS = 5;
const STATUS = { ok: 200, partial: 206, unsatisfiable: 416 } as const;

/** The connection broke in the middle; what has arrived is in the part. */
class BrokenConnectionError extends Error {
  override readonly name = 'BrokenConnectionError';

  constructor(
    reason: string,
    /** Bytes that this connection gave. */
    readonly received: number,
    options?: ErrorOptions,
  ) {
    super(reason, options);
  }
}

/**
 * Downloads a file into `part`, going on where an earlier attempt broke off. The caller checks what has arrived, gives it
 * its name and discards the rest. After a failure or an abort the part stays, for the next attempt.
 * @throws UserError where there is no connection, the server refuses, or the part cannot be written; the signal's reason on
 * abort.
 */
export async function download(options: DownloadOptions): Promise<void> {
  for (let resumptions = 0; ; resumptions++) {
    try {
      return await attempt(options);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof BrokenConnectionError)) throw error;
      if (error.received === 0 || resumptions >= MOST_RESUMPTIONS) throw brokenConnection(options, error);
    }
  }
}

/** Removes what attempts have left. */
export async function discardPart(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(stateFile(part), { force: true });
}

async function attempt(options: DownloadOptions): Promise<void> {
  const { url, part } = options;
  const size = await sizeOf(part);
  const state = size > 0 ? await readState(part) : null;
  const resuming = state !== null && state.url === url;
  const headers: Record<string, string> = resuming ? { range: `bytes=${size}-`, 'if-range': state.validator } : {};
  // A compressed answer would have ranges of its own.
  const response = await request(options, { ...headers, 'accept-encoding': 'identity' });
  if (response.status === STATUS.partial && resuming && rangeStart(response) === size) {
    return receive(options, response, size);
  }
  if (response.status === STATUS.ok) {
    await writeState(part, url, response);
    return receive(options, response, 0);
  }
  await response.body?.cancel();
  if (resuming && (response.status === STATUS.unsatisfiable || response.status === STATUS.partial)) {
    // Nothing is left to ask for where all of the same version is here already.
    if (response.headers.get('content-range') === `bytes */${size}`) return;
    await discardPart(part);
    return attempt(options);
  }
  throw refused(options, response);
}

/** Asks for the URL, following redirects as long as they stay on https. */
async function request(
  { url, fetcher = fetch, signal, otherwise }: DownloadOptions,
  headers: Record<string, string>,
): Promise<Response> {
  let address = url;
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    if (!address.startsWith('https://')) {
      throw new UserError(`${address} is not an https address: nothing is downloaded from it.`, 'Use an https link.');
    }
    let response: Response;
    try {
      response = await fetcher(address, { headers, redirect: 'manual', ...(signal ? { signal } : {}) });
    } catch (error) {
      signal?.throwIfAborted();
      throw new UserError(
        `Cannot reach ${new URL(address).host}: ${reasonOf(error)}.`,
        `Run the same command again with a connection, or ${otherwise}.`,
        { cause: error },
      );
    }
    const location = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || location === null) return response;
    await response.body?.cancel();
    address = new URL(location, address).href;
  }
  throw new UserError(`${url} is redirected more than ${MOST_REDIRECTS} times.`, 'Check the link.');
}

/** Appends the answer's bytes to the part's first `start` bytes. */
async function receive(
  { part, onStart, onProgress }: DownloadOptions,
  response: Response,
  start: number,
): Promise<void> {
  const length = response.headers.get('content-length');
  const total = length === null ? null : start + Number(length);
  onStart?.(total);
  const handle = await open(part, start === 0 ? 'w' : 'a').catch((error) => {
    throw explainFileError(error, part, 'write');
  });
  let bytes = start;
  try {
    const reader = response.body?.getReader();
    for (;;) {
      const read = await reader?.read().catch((error) => {
        throw new BrokenConnectionError(reasonOf(error), bytes - start, { cause: error });
      });
      if (read === undefined || read.done) break;
      await handle.appendFile(read.value).catch(async (error) => {
        await reader?.cancel();
        throw explainFileError(error, part, 'write');
      });
      bytes += read.value.length;
      onProgress?.({ bytes, total });
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (total !== null && bytes !== total) {
    throw new BrokenConnectionError(`it ended after ${bytes} of ${total} bytes`, bytes - start);
  }
}

function rangeStart(response: Response): number | null {
  const match = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '');
  return match ? Number(match[1]) : null;
}

function refused({ url, otherwise }: DownloadOptions, { status, statusText }: Response): UserError {
  const answer = `${status}${statusText === '' ? '' : ` ${statusText}`}`;
  return status === 404 || status === 410
    ? new UserError(`${url} is not there (${answer}).`, `Check the link, or ${otherwise}.`)
    : new UserError(
        `${new URL(url).host} answered ${answer} to ${url}.`,
        `Run the same command again later, or ${otherwise}.`,
      );
}

function brokenConnection({ url, part }: DownloadOptions, error: Error): UserError {
  return new UserError(
    `The connection to ${new URL(url).host} broke off: ${endSentence(error.message)}`,
    `What has arrived is kept in ${part}: run the same command again to go on.`,
    { cause: error },
  );
}

/** What lies behind fetch's "fetch failed": a system's code if there is one. */
function reasonOf(error: unknown): string {
  const { cause } = error as Error;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (code !== undefined) return code;
  return cause instanceof Error ? cause.message : (error as Error).message;
}

function stateFile(part: string): string {
  return `${part}.json`;
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw explainFileError(error, file, 'read');
  }
}

/** Null where the version that the part belongs to is not known: then it must be fetched anew. */
async function readState(part: string): Promise<PartState | null> {
  let text: string;
  try {
    text = await readFile(stateFile(part), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw explainFileError(error, stateFile(part), 'read');
  }
  try {
    const { url, validator } = JSON.parse(text) as Partial<PartState>;
    return typeof url === 'string' && typeof validator === 'string' ? { url, validator } : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

async function writeState(part: string, url: string, { headers }: Response): Promise<void> {
  const tag = headers.get('etag');
  // A weak tag may stand for other bytes.
  const validator = tag !== null && !tag.startsWith('W/') ? tag : headers.get('last-modified');
  await discardPart(part);
  if (validator !== null) {
    await writeFileAtomic(stateFile(part), JSON.stringify({ url, validator } satisfies PartState), part);
  }
}
