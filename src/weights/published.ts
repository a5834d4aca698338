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
  /** Link to the published file; null where there is none. Its name ends in 8 hexadecimal digits: its SHA-256 begins so. */
  readonly url: string | null;
  /** Takes this file, downloaded already, instead of the network's. */
  readonly from?: string | undefined;
  /** Folder of what is kept; the project's cache folder if not given. */
  readonly cache?: string;
  readonly fetcher?: Fetcher;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Told when another process fetches the same file. */
  readonly onWait?: () => void;
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
 * The published weights of a row, from the cache or, where they are not there, from the network or a file: a file whose
 * SHA-256 begins as its published name says, always.
 * @throws UserError where the row has none, the network or the file does not give them, or they have another hash; the
 * signal's reason on abort, after which the next call goes on with the download.
 */
export async function fetchPublished(options: FetchOptions): Promise<PublishedWeights> {
  const { row, cache = cacheDirectory() } = options;
  const { url, name, hash } = publishedFile(options);
  const file = path.join(cache, 'weights', name);
  const done = async (source: PublishedWeights['source'], sha256: string) => {
    return { row, url, file, bytes: (await stat(file)).size, sha256, source };
  };
  const onWait = options.onWait && { onWait: options.onWait };
  const work = async () => {
    const cached = await hashIfThere(file, options.signal);
    if (options.from === undefined && cached?.startsWith(hash)) return done('cache', cached);
    const part = `${file}.part`;
    const fetched =
      options.from === undefined
        ? await fetchPart({ ...options, url, part, hash })
        : await importPart({ from: options.from, name, part, hash, signal: options.signal });
    await rename(part, file).catch((error) => {
      throw explainFileError(error, file, 'write');
    });
    await discardPart(part);
    return done(options.from === undefined ? 'download' : 'given file', fetched);
  };
  return withLock(`${file}.lock`, work, { ...(options.signal && { signal: options.signal }), ...onWait });
}

/**
 * The published file of a row's weights, by its link.
 * @returns The link, the file's name, and with which 8 hexadecimal digits its SHA-256 begins.
 * @throws UserError where there is no link, or its name does not tell.
 */
export function publishedFile({ row, url }: Pick<FetchOptions, 'row' | 'url'>): {
  url: string;
  name: string;
  hash: string;
} {
  if (url === null) {
    throw new UserError(`${row} has no published weights.`, 'Train the row, or give a file of weights.');
  }
  const name = URL.canParse(url) ? path.posix.basename(new URL(url).pathname) : '';
  const hash = /-([0-9a-f]{8})\.(?:pth|safetensors)$/.exec(name)?.[1];
  if (hash !== undefined) return { url, name, hash };
  throw new UserError(
    `The weights of ${row} are linked as ${url}, whose name does not end in 8 hexadecimal digits to check the file by.`,
    'Download and check it yourself, then give the file with --weights.',
  );
}

async function fetchPart(
  options: Omit<FetchOptions, 'url'> & { readonly url: string; readonly part: string; readonly hash: string },
): Promise<string> {
  const { row, url, part, hash, signal } = options;
  const alternative = `download it elsewhere and give it with fcn weights fetch ${row} --from FILE`;
  await download({ ...options, alternative });
  const sha256 = await sha256File(part, signal);
  if (sha256.startsWith(hash)) return sha256;
  await discardPart(part);
  throw new UserError(
    `What ${url} gave has SHA-256 ${sha256}, which should begin with ${hash}: it is damaged or not the published file.`,
    'It was removed. Run the same command again.',
  );
}

async function importPart({
  from,
  name,
  part,
  hash,
  signal,
}: Pick<FetchOptions, 'signal'> & {
  readonly from: string;
  readonly name: string;
  readonly part: string;
  readonly hash: string;
}): Promise<string> {
  const sha256 = await hashIfThere(from, signal);
  if (sha256 === null) throw new UserError(`${from} does not exist.`, `Give the file that was published as ${name}.`);
  if (!sha256.startsWith(hash)) {
    throw new UserError(
      `${from} has SHA-256 ${sha256}, which should begin with ${hash}: it is damaged or not ${name}.`,
      'Download the file again.',
    );
  }
  await discardPart(part);
  await writeFileAtomic(part, createReadStream(from, { highWaterMark: 1 << 20 }));
  // What is kept must be what was checked.
  const copied = await sha256File(part, signal);
  if (copied === sha256) return sha256;
  await discardPart(part);
  throw new UserError(`${from} was changed while it was being read.`, 'Run the same command again.');
}

/** SHA-256 of a file; null where it is not there. */
async function hashIfThere(file: string, signal: AbortSignal | undefined): Promise<string | null> {
  try {
    return await sha256File(file, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw explainFileError(error, file, 'read');
  }
}
