import { readdir, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { makeFolder, sha256File } from '../../support/files.js';
import { endSentence } from '../../support/format.js';
import { EngineUnavailableError } from '../engine.js';
import { runTool } from '../tool.js';
import { downloadFolder, type Job, report } from './job.js';
import { nvidiaRequirements, nvidiaWheels } from './nvidia.js';
import { KNOWN_WHEELS, type Variant } from './release.js';

/** Free bytes needed before a download: the wheels, and what is unpacked from them. */
const NEEDED_BYTES: Readonly<Record<Variant, number>> = { cpu: 1.3e9, gpu: 9e9 };

/** Downloads NVIDIA's run-time libraries for a CUDA build of TensorFlow. */
export async function fetchNvidia(job: Job, wheel: string): Promise<string[]> {
  report(job, 'fetch', "Downloading NVIDIA's run-time libraries");
  const requirements = await nvidiaRequirements(wheel);
  await pipDownload({ ...(await pipOptions(job)), requirements });
  return nvidiaWheels(downloadFolder(job));
}

async function pipOptions(job: Job) {
  return {
    python: await findPython(),
    platformTags: job.source.platformTags,
    folder: downloadFolder(job),
    signal: job.options.signal,
  };
}

/** Downloads TensorFlow's wheel, unless an interrupted installation left a complete one. */
export async function fetchWheel(job: Job): Promise<string> {
  const { source, version } = job;
  const prefix = `${source.project.replaceAll('-', '_')}-${version}-`;
  for (const [name, sha256] of Object.entries(job.options.knownWheels ?? KNOWN_WHEELS)) {
    const file = path.join(downloadFolder(job), name);
    if (name.startsWith(prefix) && (await hasHash(file, sha256))) return file;
  }
  const options = await pipOptions(job);
  report(job, 'fetch', `Downloading ${source.project} ${version} with pip`);
  const wheels = await pipDownload({ ...options, requirements: [`${source.project}==${version}`] });
  const wheel = wheels.find((file) => path.basename(file).startsWith(prefix));
  if (!wheel) throw new UserError(`pip downloaded no ${prefix}… wheel to ${downloadFolder(job)}.`);
  return wheel;
}

async function hasHash(file: string, sha256: string): Promise<boolean> {
  const found = await stat(file).catch(() => null);
  return found !== null && (await sha256File(file)) === sha256;
}

/** The wheel's SHA-256. @throws UserError if it is not the known one; a downloaded wheel is then removed. */
export async function checkHash(wheel: string, isGiven: boolean, job: Job): Promise<string> {
  const expected = (job.options.knownWheels ?? KNOWN_WHEELS)[path.basename(wheel)];
  const sha256 = await sha256File(wheel, job.options.signal);
  if (expected === undefined || sha256 === expected) return sha256;
  if (!isGiven) await rm(wheel, { force: true });
  throw new UserError(
    `${wheel} has SHA-256 ${sha256}, expected ${expected}: it is damaged or not the published file.`,
    isGiven ? 'Download it again.' : 'It was removed. Run the same command again.',
  );
}

/** @throws UserError if the disk has not enough space for what is still to be downloaded and unpacked. */
export async function checkSpace(job: Job): Promise<void> {
  const { bavail, bsize } = await statfs(job.root);
  const free = bavail * bsize;
  const present = (await bytesBelow(job.folder)) + (await bytesBelow(downloadFolder(job)));
  const needed = Math.max(0, NEEDED_BYTES[job.variant] - present);
  if (free < needed) {
    throw new UserError(
      `Not enough disk space for TensorFlow in ${job.root}: ${gigabytes(free)} GB free, ${gigabytes(needed)} GB needed.`,
      'Free some space, or choose another folder with FCN_CACHE_DIR, then run the same command again.',
    );
  }
}

/** Sum of the sizes of all files below a folder; 0 if it does not exist. */
async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  let sum = 0;
  for (const entry of entries) {
    const file = path.join(folder, entry.name);
    sum += entry.isDirectory() ? await bytesBelow(file) : (await stat(file)).size;
  }
  return sum;
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}

/**
 * The first Python that runs and has pip.
 * @throws EngineUnavailableError that names what is missing.
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
      'No Python to download TensorFlow: neither python3 nor python runs.',
      next,
    );
  }
  throw new EngineUnavailableError('pip', `No pip to download TensorFlow: ${found} -m pip does not run.`, next);
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
async function pipDownload(download: PipDownload): Promise<string[]> {
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
