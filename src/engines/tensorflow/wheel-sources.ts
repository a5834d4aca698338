import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { DownloadError, discardPart, download, type Fetcher } from '../../support/download.js';
import { UserError } from '../../support/errors.js';
import { makeFolder } from '../../support/files.js';
import { endSentence } from '../../support/format.js';
import { EngineUnavailableError } from '../engine.js';
import { runTool } from '../tool.js';

/** The first Python that runs and has pip; null if there is none. */
export async function findPip(): Promise<string | null> {
  for (const candidate of ['python3', 'python']) {
    if ((await runTool(candidate, ['-m', 'pip', '--version'])).outcome === 'success') return candidate;
  }
  return null;
}

interface PipDownload {
  readonly python: string;
  /** In pip's form: "tensorflow-cpu==2.21.0". */
  readonly requirements: readonly string[];
  readonly platformTags: readonly string[];
  /** Folder for the wheels and pip's temporary files. */
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Downloads wheels for CPython 3.11 or any Python with pip, without their dependencies.
 * @returns paths of all wheels in the folder.
 * @throws EngineUnavailableError if the index cannot be reached; UserError if there is no such release.
 */
export async function pipDownload(download: PipDownload): Promise<string[]> {
  const temporary = path.join(download.folder, 'tmp');
  await makeFolder(temporary);
  const result = await runTool(
    download.python,
    [
      ...['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check', '--no-input'],
      ...['--implementation', 'cp', '--python-version', '3.11', '--abi', 'cp311', '--abi', 'abi3', '--abi', 'none'],
      ...download.platformTags.flatMap((tag) => ['--platform', tag]),
      ...['--dest', download.folder, '--progress-bar', 'off', ...download.requirements],
    ],
    { environment: { TMPDIR: temporary }, signal: download.signal },
  );
  if (result.outcome !== 'success') throw explainPipFailure(download, result.stderr);
  const names = await readdir(download.folder);
  return names.filter((name) => name.endsWith('.whl')).map((name) => path.join(download.folder, name));
}

const NO_CONNECTION =
  /NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|Max retries exceeded|Retrying \(Retry|Temporary failure in name resolution|Network is unreachable|IncompleteRead|ProtocolError/;

function explainPipFailure(download: PipDownload, output: string): Error {
  const wanted = download.requirements.join(', ');
  const errors = output.split('\n').filter((line) => line.startsWith('ERROR:'));
  const last = errors.at(-1)?.replace(/^ERROR:\s*/, '') ?? output.trim().split('\n').at(-1) ?? '';
  if (/No space left on device|Disk quota exceeded/.test(output)) {
    return new UserError(
      `Disk full while downloading ${wanted} to ${download.folder}.`,
      'Free some space, or choose another folder with FCN_CACHE_DIR, then run the same command again.',
    );
  }
  if (NO_CONNECTION.test(output)) {
    return new EngineUnavailableError(
      'network',
      `pip cannot download ${wanted}: ${endSentence(last)}`,
      'Run fcn engines install again with a connection, give a wheel or an installed TensorFlow with --from, or use --engine wasm.',
    );
  }
  return new UserError(
    `pip cannot download ${wanted} for ${download.platformTags[0]}: ${endSentence(last)}`,
    'Name another release with --tensorflow, or give a wheel or an installed TensorFlow with --from.',
  );
}

/** The simple repository API in JSON: PEP 691, https://packaging.python.org/en/latest/specifications/simple-repository-api. */
const MEDIA_TYPE = 'application/vnd.pypi.simple.v1+json';

/** The part of a project's page that is used here. */
const projectPage = z.object({
  files: z.array(
    z.object({
      filename: z.string(),
      url: z.string(),
      hashes: z.record(z.string(), z.string()),
      /** The reason, if its publisher advises against the file. */
      yanked: z.union([z.boolean(), z.string()]).optional(),
    }),
  ),
});

/** A file that an index offers. */
export interface IndexFile {
  readonly name: string;
  readonly url: string;
  /** Hexadecimal; null if the index does not say. */
  readonly sha256: string | null;
  readonly isYanked: boolean;
}

interface ListOptions {
  /** Address of the index: https. */
  readonly index: string;
  /** Folder for the page while it is read. */
  readonly folder: string;
  /** Advice on how to get the files without the index. */
  readonly alternative: string;
  readonly fetcher?: Fetcher | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * All files of a project.
 * @throws DownloadError if the index cannot be reached, does not know the project or does not answer in JSON; UserError if an address
 * is not https.
 */
export async function listIndexFiles(project: string, options: ListOptions): Promise<IndexFile[]> {
  const { index, folder, fetcher, alternative, signal } = options;
  const url = `${index.replace(/\/+$/, '')}/${project}/`;
  await makeFolder(folder);
  const part = path.join(folder, `${project}.index`);
  // An earlier attempt's page may be out of date.
  await discardPart(part);
  await download({ url, part, accept: MEDIA_TYPE, alternative, signal, ...(fetcher && { fetcher }) });
  const text = await readFile(part, 'utf8');
  await discardPart(part);
  return parsePage(text, url, alternative).map(({ filename, url: link, hashes, yanked }) => ({
    name: filename,
    // What is no address is refused if that file is wanted.
    url: URL.canParse(link, url) ? new URL(link, url).href : link,
    sha256: hashes['sha256']?.toLowerCase() ?? null,
    isYanked: yanked !== undefined && yanked !== false,
  }));
}

function parsePage(text: string, url: string, alternative: string) {
  try {
    return projectPage.parse(JSON.parse(text)).files;
  } catch (error) {
    throw new DownloadError(
      `${url} does not answer in the form of a package index in JSON (${MEDIA_TYPE}).`,
      `Name an index that does with --index, or ${alternative}.`,
      { cause: error },
    );
  }
}
