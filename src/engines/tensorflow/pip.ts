import { readdir } from 'node:fs/promises';
import path from 'node:path';
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
