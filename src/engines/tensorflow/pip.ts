import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { makeFolder } from '../../support/files.js';
import { endSentence } from '../../support/format.js';
import { runTool } from '../tool.js';
import { EngineUnavailableError } from '../unavailable.js';

/**
 * The first Python that runs and has pip.
 * @throws EngineUnavailableError naming what is missing.
 */
export async function findPython(): Promise<string> {
  let found: string | null = null;
  for (const candidate of ['python3', 'python']) {
    if ((await runTool(candidate, ['--version'])).outcome !== 'success') continue;
    found ??= candidate;
    if ((await runTool(candidate, ['-m', 'pip', '--version'])).outcome === 'success') return candidate;
  }
  const next =
    'Install it (Debian and Ubuntu: apt-get install python3-pip) and run fcn engines install, give a wheel or an installed TensorFlow with --from, or use --engine wasm.';
  if (found === null) {
    throw new EngineUnavailableError(
      'python',
      'No Python to fetch TensorFlow with: neither python3 nor python runs.',
      next,
    );
  }
  throw new EngineUnavailableError('pip', `No pip to fetch TensorFlow with: ${found} -m pip does not run.`, next);
}

export interface PipDownload {
  readonly python: string;
  /** As pip takes them: "tensorflow-cpu==2.21.0". */
  readonly requirements: readonly string[];
  readonly platformTags: readonly string[];
  /** Where the wheels go, and pip's temporary files. */
  readonly folder: string;
  readonly signal?: AbortSignal;
}

/**
 * Fetches wheels with pip, without what they depend on: those for CPython 3.11 or for any Python.
 * @returns paths of all wheels in the folder.
 * @throws EngineUnavailableError when the index cannot be reached; UserError when there is no such release.
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
    { environment: { TMPDIR: temporary }, ...(download.signal ? { signal: download.signal } : {}) },
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
      `Disk full while fetching ${wanted} into ${download.folder}.`,
      'Free some space, or choose another folder with FCN_CACHE_DIR, then run the same command again.',
    );
  }
  if (NO_CONNECTION.test(output)) {
    return new EngineUnavailableError(
      'network',
      `pip cannot fetch ${wanted}: ${endSentence(last)}`,
      'Run fcn engines install again with a connection, give a wheel or an installed TensorFlow with --from, or use --engine wasm.',
    );
  }
  return new UserError(
    `pip cannot fetch ${wanted} for ${download.platformTags[0]}: ${endSentence(last)}`,
    'Name another release with --tensorflow, or give a wheel or an installed TensorFlow with --from.',
  );
}
