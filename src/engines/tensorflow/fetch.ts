import { readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { DownloadError, discardPart, download } from '../../support/download.js';
import { UserError } from '../../support/errors.js';
import { explainFileError, sha256File } from '../../support/files.js';
import { endSentence, formatNumber } from '../../support/format.js';
import { EngineUnavailableError } from '../engine.js';
import { downloadFolder, type InstallJob, report } from './job.js';
import { KNOWN_WHEELS, type Variant } from './release.js';
import { chooseWheel, nvidiaRequirements, nvidiaWheels, parseRequirement } from './requirement.js';
import { findPip, type IndexFile, listIndexFiles, pipDownload } from './wheel-sources.js';

/** Free bytes needed before a download: the wheels, and what is unpacked from them. */
const NEEDED_BYTES: Readonly<Record<Variant, number>> = { cpu: 1.3e9, gpu: 9e9 };

const ALTERNATIVE = 'give a wheel or an installed TensorFlow with --from';

/** Downloads NVIDIA's run-time libraries for a CUDA build of TensorFlow. */
export async function fetchNvidia(job: InstallJob, wheel: string): Promise<string[]> {
  await fetchRequirements(job, await nvidiaRequirements(wheel));
  return nvidiaWheels(downloadFolder(job));
}

/** Downloads TensorFlow's wheel, unless an interrupted installation left a complete one. */
export async function fetchWheel(job: InstallJob): Promise<string> {
  const { source, version } = job;
  const prefix = `${source.project.replaceAll('-', '_')}-${version}-`;
  for (const [name, sha256] of Object.entries(job.options.knownWheels ?? KNOWN_WHEELS)) {
    const file = path.join(downloadFolder(job), name);
    if (name.startsWith(prefix) && (await hasHash(file, sha256))) return file;
  }
  const wheels = await fetchRequirements(job, [`${source.project}==${version}`]);
  const wheel = wheels.find((file) => path.basename(file).startsWith(prefix));
  if (!wheel) throw new UserError(`No ${prefix}… wheel was downloaded to ${downloadFolder(job)}.`);
  return wheel;
}

/**
 * Downloads a wheel for each requirement from the package index that --index names; if none is named, with pip, which knows an index.
 * @returns paths of wheels, those of the requirements among them.
 * @throws EngineUnavailableError if neither is possible; UserError if there is no such release or a wheel is not what the index says.
 */
async function fetchRequirements(job: InstallJob, requirements: readonly string[]): Promise<string[]> {
  const index = indexAddress(job);
  if (index === null) {
    const python = await findPip();
    if (python === null) throw noIndex();
    report(job, 'fetch', `pip downloads ${formatNumber(requirements.length, 'package')}`);
    const { platformTags } = job.source;
    return pipDownload({ python, requirements, platformTags, folder: downloadFolder(job), signal: job.options.signal });
  }
  const files = await findOnIndex(job, index, requirements).catch((error) => {
    throw error instanceof DownloadError ? withoutIndex(error) : error;
  });
  const wheels: string[] = [];
  for (const file of files) wheels.push(await downloadWheel(job, file));
  return wheels;
}

function withoutIndex(error: DownloadError): EngineUnavailableError {
  return new EngineUnavailableError(
    'network',
    endSentence(error.message),
    `Run fcn engines install again with a connection, name a mirror with --index, ${ALTERNATIVE}, or use --engine wasm.`,
    { cause: error },
  );
}

function noIndex(): EngineUnavailableError {
  return new EngineUnavailableError(
    'network',
    'No package index is known: there is no pip here, and --index names none.',
    `Name an index by the address that pip --index-url takes, as in fcn engines install --index URL; or ${ALTERNATIVE}, or use --engine wasm.`,
  );
}

/** The package index of --index; null if none is named. @throws UserError if it cannot be used. */
function indexAddress({ options: { index } }: InstallJob): string | null {
  if (index === undefined) return null;
  const { protocol, username, password } = URL.canParse(index)
    ? new URL(index)
    : { protocol: '', username: '', password: '' };
  if (username !== '' || password !== '') {
    throw new UserError(
      '--index: an address with a user name or password cannot be used.',
      `Download the wheel with pip download, and ${ALTERNATIVE}.`,
    );
  }
  if (protocol === 'https:') return index;
  throw new UserError(`--index: ${index} is not an https address.`, 'Give the address that pip --index-url takes.');
}

/** The files on the index that meet the requirements. */
async function findOnIndex(job: InstallJob, index: string, requirements: readonly string[]): Promise<IndexFile[]> {
  const { fetcher, signal } = job.options;
  const { platformTags } = job.source;
  const found: IndexFile[] = [];
  for (const text of requirements) {
    const requirement = parseRequirement(text);
    report(job, 'fetch', `Looking up ${text} on ${new URL(index).host}`);
    const files = await listIndexFiles(requirement.project, {
      index,
      folder: downloadFolder(job),
      alternative: ALTERNATIVE,
      fetcher,
      signal,
    });
    const file = chooseWheel(files, requirement, platformTags);
    if (file === null) {
      throw new UserError(
        `${index} has no wheel of ${text} for CPython 3.11 on ${platformTags[0]}.`,
        `Name another release with --tensorflow, or ${ALTERNATIVE}.`,
      );
    }
    found.push(file);
  }
  return found;
}

/** Downloads a wheel, or resumes an earlier attempt. @throws UserError if its SHA-256 is not what the index says. */
async function downloadWheel(job: InstallJob, { name, url, sha256: expected }: IndexFile): Promise<string> {
  const { fetcher, signal } = job.options;
  const wheel = path.join(downloadFolder(job), name);
  if (expected !== null && (await hasHash(wheel, expected))) return wheel;
  const part = `${wheel}.part`;
  const text = `Downloading ${name}`;
  report(job, 'fetch', text);
  try {
    await download({
      url,
      part,
      alternative: ALTERNATIVE,
      signal,
      onProgress: (progress) => job.options.onProgress?.({ step: 'fetch', text, download: progress }),
      ...(fetcher && { fetcher }),
    });
  } catch (error) {
    throw error instanceof DownloadError ? new EngineUnavailableError('network', error.message, error.next) : error;
  }
  const sha256 = await sha256File(part, signal);
  if (expected !== null && sha256 !== expected) {
    await discardPart(part);
    throw new UserError(
      `The download from ${url} has SHA-256 ${sha256}; the index says ${expected}.`,
      'It was removed. Run the same command again.',
    );
  }
  await rename(part, wheel).catch((error) => {
    throw explainFileError(error, wheel, 'write');
  });
  await discardPart(part);
  return wheel;
}

async function hasHash(file: string, sha256: string): Promise<boolean> {
  const found = await stat(file).catch(() => null);
  return found !== null && (await sha256File(file)) === sha256;
}

/** The wheel's SHA-256. @throws UserError if it is not the known one; a downloaded wheel is then removed. */
export async function checkHash(wheel: string, isGiven: boolean, job: InstallJob): Promise<string> {
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
export async function checkSpace(job: InstallJob): Promise<void> {
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
