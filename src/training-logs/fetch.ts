import path from 'node:path';
import { findOrFetch, keepChecked } from '../support/cached-file.js';
import { type DownloadProgress, download, type Fetcher, mirrored } from '../support/download.js';
import { UserError } from '../support/errors.js';
import { cacheDirectory } from '../support/package.js';
import { type PublishedLog, readPublishedLog } from './read.js';

interface FetchLogOptions {
  readonly row: string;
  /** The row's link; null if it has none. */
  readonly url: string | null;
  /** Default: the project's cache folder. */
  readonly cache?: string;
  readonly fetcher?: Fetcher;
  /** Never use the network. */
  readonly offline?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/**
 * The published training log of a row, from the cache or the network. No checksum of it is published: a download is kept only if
 * it reads as a log.
 * @returns The file in the cache, and the log.
 * @throws UserError if the row has none or it cannot be downloaded; the signal's reason on abort.
 */
export async function fetchPublishedLog(options: FetchLogOptions): Promise<{ file: string; log: PublishedLog }> {
  const { row, url, cache = cacheDirectory(), signal } = options;
  if (url === null) throw new UserError(`${row} has no published training log.`, 'Name a run or the file of a log.');
  const file = path.join(cache, 'logs', path.posix.basename(new URL(url).pathname));
  const fetchLog = async () => {
    const part = `${file}.part`;
    await download({ ...options, url: mirrored(url), part, alternative: 'download it elsewhere and name the file' });
    return keepChecked(part, file, async () => readPublishedLog(part));
  };
  const find = async () => {
    const log = readIfThere(file);
    if (log === null && options.offline === true) throw notInCache(row, url, file);
    return log;
  };
  return { file, log: await findOrFetch(file, { find, fetch: fetchLog, signal }) };
}

function notInCache(row: string, url: string, file: string): UserError {
  return new UserError(
    `The published log of ${row} is not in the cache, and --offline (FCN_OFFLINE) forbids fetching it.`,
    `Get it from ${url} and put it at ${file}, or name the file.`,
  );
}

function readIfThere(file: string): PublishedLog | null {
  try {
    return readPublishedLog(file);
  } catch (error) {
    if (((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return null;
    throw error;
  }
}
