import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { isThere } from '../../support/files.js';
import { EngineUnavailableError } from '../engine.js';
import { addonFiles } from './addon.js';
import { prepareEnvironment } from './environment.js';
import { checkHash, checkSpace, fetchNvidia, fetchWheel } from './fetch.js';
import { downloadFolder, type InstallJob, report } from './job.js';
import { type InstallManifest, listManifests, refreshManifest } from './manifest.js';
import { isNvidiaRuntime, nvidiaWheels } from './requirement.js';
import { unpackWheel } from './wheel.js';

/** TensorFlow's library, ready to link with. */
export interface Library {
  readonly source: InstallManifest['source'];
  readonly runtimeWheels: readonly string[];
  /** Folder with TensorFlow's libraries and its include folder. */
  readonly tensorflow: string;
  /** Files to list in the manifest, relative to the build's folder or absolute. */
  readonly files: readonly string[];
}

/**
 * Gets TensorFlow's library from an installed package, an earlier installation, or a wheel.
 * @throws as `installTensorflow`.
 */
export async function obtainLibrary(job: InstallJob): Promise<Library> {
  if (job.given?.kind === 'package') return usePackage(job, job.given.folder);
  return (await reuseLibrary(job)) ?? (await useWheel(job));
}

/** Uses the library of an installed TensorFlow in place; nothing is copied. */
function usePackage(job: InstallJob, tensorflow: string): Library {
  return {
    source: { kind: 'package', folder: tensorflow },
    runtimeWheels: [],
    tensorflow,
    files: job.source.libraries.map((name) => path.join(tensorflow, name)),
  };
}

/** The library of an earlier installation of the same release, by whatever version of this package. */
async function reuseLibrary(job: InstallJob): Promise<Library | null> {
  if (job.options.force) return null;
  for (const manifest of await listManifests(job.folder)) {
    const library = await libraryOf(job, manifest);
    if (library !== null) return library;
  }
  return null;
}

/** The library in a manifest, if it was unpacked from a wheel and is complete. */
async function libraryOf(job: InstallJob, manifest: InstallManifest): Promise<Library | null> {
  if (manifest.source.kind !== 'wheel') return null;
  const addons = addonFiles(manifest.recipe);
  const files = manifest.files.filter(({ path }) => !addons.includes(path));
  const library = await refreshManifest(job.folder, { ...manifest, files }, job.options.signal);
  const tensorflow = path.join(job.folder, 'tensorflow');
  if (library === null || !(await hasHeaders(path.join(tensorflow, 'include')))) return null;
  return {
    source: manifest.source,
    runtimeWheels: manifest.runtimeWheels,
    tensorflow,
    files: files.map((file) => file.path),
  };
}

/** Whether the headers that the addons include exist, and those that kernels.h includes. */
async function hasHeaders(include: string): Promise<boolean> {
  const kernels = path.join(include, 'tensorflow', 'c', 'kernels.h');
  if (!(await isThere(kernels)) || !(await isThere(path.join(include, 'tensorflow', 'c', 'c_api.h')))) return false;
  const included = (await readFile(kernels, 'utf8')).matchAll(/^#include "(.+)"/gm);
  const present = await Promise.all([...included].map(([, header]) => isThere(path.join(include, header!))));
  return present.every(Boolean);
}

async function useWheel(job: InstallJob): Promise<Library> {
  const given = job.given?.kind === 'wheel' ? job.given.file : null;
  if (given === null) await checkSpace(job);
  const wheel = given ?? (await fetchWheel(job));
  const sha256 = await checkHash(wheel, given !== null, job);

  const needed = new Set(job.source.libraries.map((name) => `tensorflow/${name}`));
  const files = (await unpack(job, wheel, (member) => needed.has(member) || isHeader(member))).filter((member) =>
    needed.has(member),
  );
  if (files.length < needed.size) {
    throw new UserError(`${wheel} lacks ${[...needed].filter((name) => !files.includes(name)).join(', ')}.`);
  }
  const runtime = job.variant === 'gpu' ? await addNvidiaRuntime(job, wheel) : { wheels: [], files: [] };
  return {
    source: { kind: 'wheel', file: path.basename(wheel), sha256 },
    runtimeWheels: runtime.wheels,
    tensorflow: path.join(job.folder, 'tensorflow'),
    files: [...files, ...runtime.files],
  };
}

/** kernels.h includes a header from this folder. */
const PLUGGABLE_DEVICE = 'tensorflow/core/common_runtime/next_pluggable_device/c';

/** Whether the headers of the C API include this member of the wheel. */
function isHeader(member: string): boolean {
  const folders = ['tensorflow/c', 'tensorflow/core/platform', PLUGGABLE_DEVICE, 'tsl', 'xla/tsl'];
  return member.endsWith('.h') && folders.some((folder) => member.startsWith(`tensorflow/include/${folder}/`));
}

async function unpack(job: InstallJob, wheel: string, select: (member: string) => boolean): Promise<string[]> {
  const text = `Unpacking ${path.basename(wheel)}`;
  report(job, 'unpack', text, 0);
  return unpackWheel(wheel, job.folder, {
    select,
    onProgress: (done, total) => report(job, 'unpack', text, total === 0 ? 1 : done / total),
    signal: job.options.signal,
  });
}

/** Unpacks NVIDIA's wheels: those in the folder of a given wheel, for a machine without a network; else downloaded ones. */
async function addNvidiaRuntime(job: InstallJob, wheel: string): Promise<{ wheels: string[]; files: string[] }> {
  const folder = path.dirname(wheel);
  const given = folder === downloadFolder(job) ? [] : await nvidiaWheels(folder);
  const wheels = given.length > 0 ? given : await fetchNvidia(job, wheel);
  const files: string[] = [];
  for (const runtime of wheels) files.push(...(await unpack(job, runtime, isNvidiaRuntime)));
  return { wheels: wheels.map((file) => path.basename(file)), files };
}

/** Loads the addons. Runs in a process of its own, since a library may end the process. */
const LOAD_PROGRAM = `
const [binding, host, operations] = process.argv.slice(1);
require(host);
const { TF_Version } = require(binding);
require(operations);
process.stdout.write(TF_Version);
`;

/**
 * Checks that a build loads on this machine and is the expected release.
 * @throws EngineUnavailableError if the processor lacks instructions that the library uses; UserError otherwise.
 */
export async function checkBuild(folder: string, version: string, signal?: AbortSignal): Promise<void> {
  const environment: NodeJS.ProcessEnv = {};
  prepareEnvironment(false, environment);
  const { execa } = await import('execa');
  const result = await execa(
    process.execPath,
    ['-e', LOAD_PROGRAM, ...addonFiles().map((file) => path.join(folder, file))],
    { reject: false, stdin: 'ignore', env: environment, ...(signal ? { cancelSignal: signal } : {}) },
  );
  signal?.throwIfAborted();
  if (result.signal === 'SIGILL') {
    throw new EngineUnavailableError(
      'platform',
      'The processor lacks instructions that the TensorFlow library needs (AVX).',
    );
  }
  if (result.exitCode !== 0) {
    const reason = /^Error: .*$/m.exec(result.stderr)?.[0] ?? result.stderr.trim().split('\n').at(-1) ?? '';
    throw new UserError(`The TensorFlow library does not load: ${reason}`, 'Try another release with --tensorflow.');
  }
  if (result.stdout.trim() !== version) {
    throw new UserError(`The library is TensorFlow ${result.stdout.trim()}, ${version} was expected.`);
  }
}
