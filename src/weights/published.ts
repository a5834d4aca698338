import { createReadStream } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { type DownloadProgress, discardPart, download, type Fetcher } from '../support/download.js';
import { UserError } from '../support/errors.js';
import { explainFileError, sha256File, writeFileAtomic } from '../support/files.js';
import { withLock } from '../support/lock.js';
import { cacheDirectory } from '../support/package.js';

interface FetchOptions {
  /** The row whose weights they are, for messages. */
  readonly row: string;
  /** Link to the published file; null if there is none. Its name ends in the first 8 hexadecimal digits of its SHA-256. */
  readonly url: string | null;
  /** A file that was downloaded already and is used instead of the network. */
  readonly from?: string | undefined;
  /** Default: the project's cache folder. */
  readonly cache?: string;
  readonly fetcher?: Fetcher;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Called if another process is fetching the same file. */
  readonly onWait?: () => void;
}

interface PublishedFile {
  readonly url: string;
  readonly name: string;
  readonly hash: string;
}

interface PublishedWeights {
  readonly row: string;
  readonly url: string;
  /** In the cache. */
  readonly file: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
  readonly source: 'cache' | 'download' | 'given file';
}

/**
 * The published weights of a row, from the cache, a given file or the network. Wherever it is from, the SHA-256 of the file begins
 * with the digits in its published name.
 * @throws UserError if the row has none, they cannot be downloaded or read, or they have another hash; the signal's reason on
 * abort, after which the next call resumes the download.
 */
export async function fetchPublished(options: FetchOptions): Promise<PublishedWeights> {
  const { row, from, signal, onWait, cache = cacheDirectory() } = options;
  const published = publishedFile(options);
  const file = path.join(cache, 'weights', published.name);
  const done = async (source: PublishedWeights['source'], sha256: string) => {
    return { row, url: published.url, file, bytes: (await stat(file)).size, sha256, source };
  };
  const work = async () => {
    const cached = await hashIfExists(file, signal);
    if (from === undefined && cached?.startsWith(published.hash)) return done('cache', cached);
    const part = `${file}.part`;
    const sha256 =
      from === undefined ? await fetchPart(options, published, part) : await importPart(from, published, part, signal);
    await rename(part, file).catch((error) => {
      throw explainFileError(error, file, 'write');
    });
    await discardPart(part);
    return done(from === undefined ? 'download' : 'given file', sha256);
  };
  return withLock(`${file}.lock`, work, { ...(signal && { signal }), ...(onWait && { onWait }) });
}

/**
 * The link to a row's published weights, the file's name, and the first 8 hexadecimal digits of its SHA-256.
 * @throws UserError if there is no link, or the name does not end in such digits.
 */
export function publishedFile({ row, url }: Pick<FetchOptions, 'row' | 'url'>): PublishedFile {
  if (url === null) {
    throw new UserError(`${row} has no published weights.`, 'Train the row, or give a file of weights.');
  }
  const name = URL.canParse(url) ? path.posix.basename(new URL(url).pathname) : '';
  const hash = /-([0-9a-f]{8})\.(?:pth|safetensors)$/.exec(name)?.[1];
  if (hash !== undefined) return { url, name, hash };
  throw new UserError(
    `The link to the weights of ${row}, ${url}, does not end in 8 hexadecimal digits with which the file could be checked.`,
    'Download and check it yourself, then give the file with --weights.',
  );
}

async function fetchPart(options: FetchOptions, { url, hash }: PublishedFile, part: string): Promise<string> {
  const alternative = `download it elsewhere and give it with fcn weights fetch ${options.row} --from FILE`;
  await download({ ...options, url, part, alternative });
  const sha256 = await sha256File(part, options.signal);
  if (sha256.startsWith(hash)) return sha256;
  await discardPart(part);
  throw new UserError(
    `The download from ${url} has SHA-256 ${sha256}, which should begin with ${hash}: it is damaged or not the published file.`,
    'It was removed. Run the same command again.',
  );
}

async function importPart(
  from: string,
  { name, hash }: PublishedFile,
  part: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const sha256 = await hashIfExists(from, signal);
  if (sha256 === null) throw new UserError(`${from} does not exist.`, `Give the file that was published as ${name}.`);
  if (!sha256.startsWith(hash)) {
    throw new UserError(
      `${from} has SHA-256 ${sha256}, which should begin with ${hash}: it is damaged or not ${name}.`,
      'Download the file again.',
    );
  }
  await discardPart(part);
  await writeFileAtomic(part, createReadStream(from, { highWaterMark: 1 << 20 }));
  // The copy must be what was checked.
  const copied = await sha256File(part, signal);
  if (copied === sha256) return sha256;
  await discardPart(part);
  throw new UserError(`${from} was changed while it was being read.`, 'Run the same command again.');
}

/** SHA-256 of a file; null if it does not exist. */
async function hashIfExists(file: string, signal: AbortSignal | undefined): Promise<string | null> {
  try {
    return await sha256File(file, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw explainFileError(error, file, 'read');
  }
}
