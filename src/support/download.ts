import { open, rm, stat } from 'node:fs/promises';
import { UserError } from './errors.js';
import { explainFileError, writeFileAtomic } from './files.js';
import { endSentence } from './format.js';
import { readJson } from './json.js';

/** The standard `fetch`, or a test's replacement. */
export type Fetcher = (url: string, init: RequestInit) => Promise<Response>;

export interface DownloadProgress {
  /** Bytes of the file so far, including those of an earlier attempt. */
  readonly bytes: number;
  /** Null if the server does not say. */
  readonly total: number | null;
}

/** The server cannot be reached, breaks off, or does not give the file. */
export class DownloadError extends UserError {}

interface DownloadOptions {
  /** https only, redirects included. */
  readonly url: string;
  /** Media type to ask for. Default: any. */
  readonly accept?: string;
  /** File that receives the bytes. What an earlier attempt left there is resumed, if the original has not changed since. */
  readonly part: string;
  /** Advice on how to get the file without this download: "download it elsewhere and …". */
  readonly alternative: string;
  readonly fetcher?: Fetcher;
  readonly signal?: AbortSignal | undefined;
  /** Told the whole size in bytes, null if the server does not say, before the bytes of a connection arrive. */
  readonly onStart?: (total: number | null) => void;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** What is kept beside a part: which version of which file it belongs to. */
interface PartState {
  readonly url: string;
  /** A strong ETag or a Last-Modified date, for If-Range (RFC 9110, section 13.1.5). */
  readonly validator: string;
}

const MOST_REDIRECTS = 5;
/** How often a connection that broke after it gave some bytes is made again. */
const MOST_RESUMPTIONS = 5;
const STATUS = { ok: 200, partial: 206, unsatisfiable: 416 } as const;

/** The connection broke; what has arrived is in the part. */
class BrokenConnectionError extends Error {
  override readonly name = 'BrokenConnectionError';

  constructor(
    reason: string,
    /** Bytes from this connection. */
    readonly received: number,
    options?: ErrorOptions,
  ) {
    super(reason, options);
  }
}

/**
 * Downloads a file into `part`, or resumes an earlier attempt. The caller checks the result, renames it and discards the rest.
 * After a failure or an abort the part stays, for the next attempt.
 * @throws DownloadError if there is no connection, or the server refuses or redirects to anything but https; UserError if the address
 * is not https or the part cannot be written; the signal's reason on abort.
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

/** Removes what earlier attempts left. @throws UserError if it cannot be removed. */
export async function discardPart(part: string): Promise<void> {
  for (const file of [part, stateFile(part)]) {
    await rm(file, { force: true }).catch((error) => {
      throw explainFileError(error, file, 'write');
    });
  }
}

async function attempt(options: DownloadOptions): Promise<void> {
  const { url, part } = options;
  const size = await sizeOf(part);
  const state = size > 0 ? await readState(part) : null;
  const resuming = state !== null && state.url === url;
  const headers: Record<string, string> = resuming ? { range: `bytes=${size}-`, 'if-range': state.validator } : {};
  if (options.accept !== undefined) headers['accept'] = options.accept;
  // The ranges of a compressed response would not be those of the file.
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
    // The part is complete already.
    if (response.headers.get('content-range') === `bytes */${size}`) return;
    await discardPart(part);
    return attempt(options);
  }
  throw refused(options, response);
}

/** What a request needs of a download. */
type RequestOptions = Pick<DownloadOptions, 'url' | 'fetcher' | 'signal' | 'alternative'>;

/**
 * Asks for the URL, following redirects as long as they stay on https.
 * @throws DownloadError, with a cause if the host cannot be reached; the signal's reason on abort.
 */
export async function request(
  { url, fetcher = fetch, signal, alternative }: RequestOptions,
  headers: Record<string, string>,
): Promise<Response> {
  let address = url;
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    if (!isHttps(address)) throw new UserError(`${address} is not an https address.`, 'Use an https link.');
    let response: Response;
    try {
      response = await fetcher(address, { headers, redirect: 'manual', ...(signal ? { signal } : {}) });
    } catch (error) {
      signal?.throwIfAborted();
      throw new DownloadError(
        `Cannot reach ${new URL(address).host}: ${reasonOf(error)}.`,
        `Run the same command again with a connection, or ${alternative}.`,
        { cause: error },
      );
    }
    const location = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || location === null) return response;
    await response.body?.cancel();
    address = redirectedTo(address, location, alternative);
  }
  throw new UserError(`${url} is redirected more than ${MOST_REDIRECTS} times.`, 'Check the link.');
}

const isHttps = (address: string) => address.startsWith('https://') && URL.canParse(address);

/** The address that a server names in place of another. @throws DownloadError if it is not https, or no address. */
function redirectedTo(address: string, location: string, alternative: string): string {
  const target = URL.canParse(location, address) ? new URL(location, address).href : location;
  if (isHttps(target)) return target;
  throw new DownloadError(
    `${new URL(address).host} redirects ${address} to ${target}, which is not an https address: nothing is fetched from there.`,
    `Run the same command again later, or ${alternative}.`,
  );
}

/** Appends the bytes of a response to the first `start` bytes of the part. */
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

/** The error for an answer that is not the file. */
export function refused({ url, alternative }: RequestOptions, { status, statusText }: Response): DownloadError {
  const answer = `${status}${statusText === '' ? '' : ` ${statusText}`}`;
  return status === 404 || status === 410
    ? new DownloadError(`${url} does not exist (${answer}).`, `Check the link, or ${alternative}.`)
    : new DownloadError(
        `${new URL(url).host} answered ${answer} to ${url}.`,
        `Run the same command again later, or ${alternative}.`,
      );
}

function brokenConnection({ url, part }: DownloadOptions, error: Error): DownloadError {
  return new DownloadError(
    `The connection to ${new URL(url).host} broke off: ${endSentence(error.message)}`,
    `What has arrived is kept in ${part}: run the same command again to resume.`,
    { cause: error },
  );
}

/** The cause of fetch's "fetch failed": the system's error code, if there is one. */
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

/** Null if it is unknown which version the part belongs to; then it must be downloaded again. */
async function readState(part: string): Promise<PartState | null> {
  const { url, validator } = ((await readJson(stateFile(part))) ?? {}) as Partial<PartState>;
  return typeof url === 'string' && typeof validator === 'string' ? { url, validator } : null;
}

async function writeState(part: string, url: string, { headers }: Response): Promise<void> {
  const tag = headers.get('etag');
  // A weak tag does not guarantee the same bytes.
  const validator = tag !== null && !tag.startsWith('W/') ? tag : headers.get('last-modified');
  await discardPart(part);
  if (validator !== null) {
    await writeFileAtomic(stateFile(part), JSON.stringify({ url, validator } satisfies PartState), part);
  }
}

/**
 * The address from which a published file is really fetched. FCN_MIRROR, an https address, replaces the host of the link: with
 * https://mirror.example/models, https://host/a/b.pth is fetched from https://mirror.example/models/a/b.pth.
 * @throws UserError if FCN_MIRROR is not an https address.
 */
export function mirrored(link: string, environment: NodeJS.ProcessEnv = process.env): string {
  const mirror = environment['FCN_MIRROR'];
  if (!mirror) return link;
  if (!mirror.startsWith('https://') || !URL.canParse(mirror)) {
    throw new UserError(
      `FCN_MIRROR is ${mirror}; expected an https address.`,
      'Set it to the address that replaces the host of links, such as https://mirror.example/models, or unset it.',
    );
  }
  const { pathname, search } = new URL(link);
  return `${mirror.replace(/\/+$/, '')}${pathname}${search}`;
}
