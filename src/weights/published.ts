import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { findOrFetch, keepChecked } from '../support/cached-file.js';
import { type DownloadProgress, discardPart, download, type Fetcher, mirrored } from '../support/download.js';
import { UserError } from '../support/errors.js';
import { explainFileError, sha256File, sha256Once, writeFileAtomic } from '../support/files.js';
import { withLock } from '../support/lock.js';
import { cacheDirectory } from '../support/package.js';

/** A published file, as its link says. */
interface PublishedFile {
  readonly url: string;
  readonly name: string;
  /** The first 8 hexadecimal digits of its SHA-256. */
  readonly hash: string;
}

/** A published file, or one of several of the same content. */
export interface FileRequest {
  /** What it is, for messages: "the weights of ROW". */
  readonly subject: string;
  readonly owner: { readonly row: string } | { readonly backbone: string };
  /** Any of them will do; the first is fetched if none is in the cache. */
  readonly files: readonly [PublishedFile, ...PublishedFile[]];
  /** The command that fetches it, and takes a file that was downloaded elsewhere with --from; null if none is known. */
  readonly command: string | null;
}

export interface FetchSettings {
  /** A file that was downloaded already and is used instead of the network. */
  readonly from?: string | undefined;
  /** Never use the network. */
  readonly offline?: boolean | undefined;
  /** Default: the project's cache folder. */
  readonly cache?: string | undefined;
  readonly fetcher?: Fetcher | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called before a download, with the whole size in bytes, null if the server does not say, and the server's name. */
  readonly onStart?: ((start: { readonly total: number | null; readonly host: string }) => void) | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Called if another process is fetching the same file. */
  readonly onWait?: (() => void) | undefined;
}

export interface FetchedFile {
  /** The link, whatever mirror it came from. */
  readonly url: string;
  /** In the cache. */
  readonly file: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
  readonly source: 'cache' | 'download' | 'given file';
}

/** Where published files are in the cache: fetched ones in the first; users may put backbones into the second, too. */
const FOLDERS = ['weights', 'pretrained'] as const;

/**
 * A published file from the cache, a given file or the network. Wherever it is from, its SHA-256 begins with the digits in its
 * published name.
 * @throws UserError if it cannot be downloaded or read, or has another hash; or `offline` is set and it is not in the cache. The
 * signal's reason on abort, after which the next call resumes the download.
 */
export async function fetchFile(request: FileRequest, settings: FetchSettings = {}): Promise<FetchedFile> {
  const { from, offline = false, signal, onWait } = settings;
  const place = cachedPath(request.files[0], settings);
  if (from !== undefined) {
    const work = () => importFile(from, request, settings);
    return withLock(`${place}.lock`, work, { ...(signal && { signal }), ...(onWait && { onWait }) });
  }
  const find = async () => {
    const cached = await findCached(request, settings);
    if (cached === null && offline) throw await notInCache(request, settings);
    return cached;
  };
  return findOrFetch(place, { find, fetch: () => downloadFile(request, settings), signal, onWait });
}

/** A row's published weights. */
interface PublishedWeights {
  readonly row: string;
  /** The link; null if none are published. */
  readonly url: string | null;
  /** As of `FileRequest`. */
  readonly command: string | null;
}

/**
 * The request for a row's published weights.
 * @throws UserError if it has no link, or the name of the file does not end in digits of its SHA-256.
 */
export function weightsRequest({ row, url, command }: PublishedWeights): FileRequest {
  if (url === null) {
    throw new UserError(`${row} has no published weights.`, 'Train the row, or give a file of weights.');
  }
  const file = fileOf(url);
  if (file !== null) {
    return { subject: `the weights of ${row}`, owner: { row }, files: [file], command };
  }
  throw new UserError(
    `The link to the weights of ${row}, ${url}, does not end in 8 hexadecimal digits with which the file could be checked.`,
    'Download and check it yourself, then give the file with --weights.',
  );
}

/** The published file of a link; null if its name does not end in digits of its SHA-256. */
export function fileOf(url: string): PublishedFile | null {
  const name = URL.canParse(url) ? path.posix.basename(new URL(url).pathname) : '';
  const hash = /-([0-9a-f]{8})\.(?:pth|safetensors)$/.exec(name)?.[1];
  return hash === undefined ? null : { url, name, hash };
}

/** Where a published file is kept once it is fetched. */
function cachedPath({ name }: PublishedFile, { cache = cacheDirectory() }: FetchSettings): string {
  return path.join(cache, FOLDERS[0], name);
}

/** The places of the cache where a file of the request may be, with the digits that its SHA-256 must begin with. */
export function cachedPlaces(
  { files }: Pick<FileRequest, 'files'>,
  { cache = cacheDirectory() }: Pick<FetchSettings, 'cache'> = {},
): (PublishedFile & { readonly file: string })[] {
  return files.flatMap((one) => FOLDERS.map((folder) => ({ ...one, file: path.join(cache, folder, one.name) })));
}

/**
 * The file of the request that is in the cache; null if none is, or only with another hash.
 * @throws UserError if one cannot be read; the signal's reason on abort.
 */
export async function findCached(request: FileRequest, settings: FetchSettings = {}): Promise<FetchedFile | null> {
  for (const { file, url, hash } of cachedPlaces(request, settings)) {
    const sha256 = await hashIfExists(file, settings.signal);
    if (sha256?.startsWith(hash)) return describe(url, file, sha256, 'cache');
  }
  return null;
}

async function downloadFile(request: FileRequest, settings: FetchSettings): Promise<FetchedFile> {
  const { onStart, onProgress, fetcher, signal } = settings;
  const [wanted] = request.files;
  const file = cachedPath(wanted, settings);
  const part = `${file}.part`;
  const url = mirrored(wanted.url);
  let announced = false;
  await download({
    url,
    part,
    alternative: `download it elsewhere and ${howToGive(request, file)}`,
    signal,
    ...(fetcher && { fetcher }),
    ...(onProgress && { onProgress }),
    onStart: (total) => {
      // Once, however often the connection breaks.
      if (!announced) onStart?.({ total, host: new URL(url).host });
      announced = true;
    },
  });
  const sha256 = await keepChecked(part, file, async () => {
    const found = await sha256File(part, signal);
    if (found.startsWith(wanted.hash)) return found;
    throw new UserError(
      `The download from ${url} has SHA-256 ${found}, which should begin with ${wanted.hash}: it is damaged or not the published file.`,
      'It was removed. Run the same command again.',
    );
  });
  return describe(wanted.url, file, sha256, 'download');
}

async function importFile(from: string, { files }: FileRequest, settings: FetchSettings): Promise<FetchedFile> {
  const { signal } = settings;
  const sha256 = await hashIfExists(from, signal);
  const names = files.map(({ name }) => name).join(' or ');
  if (sha256 === null) throw new UserError(`${from} does not exist.`, `Give the file that was published as ${names}.`);
  const published = files.find(({ hash }) => sha256.startsWith(hash));
  if (published === undefined) {
    const digits = files.map(({ hash }) => hash).join(' or ');
    throw new UserError(
      `${from} has SHA-256 ${sha256}, which should begin with ${digits}: it is damaged or not ${names}.`,
      'Download the file again.',
    );
  }
  const file = cachedPath(published, settings);
  const part = `${file}.part`;
  await discardPart(part);
  await writeFileAtomic(part, createReadStream(from, { highWaterMark: 1 << 20 }));
  // The copy must be what was checked.
  await keepChecked(part, file, async () => {
    if ((await sha256File(part, signal)) === sha256) return;
    throw new UserError(`${from} was changed while it was being read.`, 'Run the same command again.');
  });
  return describe(published.url, file, sha256, 'given file');
}

async function describe(
  url: string,
  file: string,
  sha256: string,
  source: FetchedFile['source'],
): Promise<FetchedFile> {
  return { url, file, bytes: (await stat(file)).size, sha256, source };
}

/** What to say if a file is needed that `findCached` has not found and that may not be fetched. */
export async function notInCache(request: FileRequest, settings: FetchSettings = {}): Promise<UserError> {
  const {
    subject,
    files: [wanted],
  } = request;
  const place = cachedPath(wanted, settings);
  let state = 'is not in the cache';
  for (const { file, hash } of cachedPlaces(request, settings)) {
    const sha256 = await hashIfExists(file, settings.signal);
    if (sha256 === null) continue;
    state = `is damaged in the cache (${file} has SHA-256 ${sha256}, which should begin with ${hash})`;
    break;
  }
  return new UserError(
    `${wanted.name}, ${subject}, ${state}, and --offline (FCN_OFFLINE) forbids fetching it.`,
    `Get it from ${wanted.url} (its SHA-256 begins with ${wanted.hash}), then ${howToGive(request, place)}.`,
  );
}

function howToGive({ command }: FileRequest, place: string): string {
  return command === null ? `put it at ${place}` : `run ${command} --from FILE or put it at ${place}`;
}

/** SHA-256 of a file; null if it does not exist. */
async function hashIfExists(file: string, signal: AbortSignal | undefined): Promise<string | null> {
  try {
    return await sha256Once(file, signal);
  } catch (error) {
    // Without a folder for it there is no file either.
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw explainFileError(error, file, 'read');
  }
}
