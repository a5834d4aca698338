import { readdir, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { explainFileError, makeFolder } from '../support/files.js';
import { sha256File } from '../support/hash.js';
import { withLock } from '../support/lock.js';
import { npmPackageVersion } from './npm.js';
import { tensorflowState } from './status.js';
import {
  addonRecipe,
  BINDING_FILE,
  compileAddons,
  compilerVersion,
  findCompiler,
  HOST_FILE,
} from './tensorflow/addon.js';
import { checkBuild } from './tensorflow/check.js';
import { buildName, installRoot, NODE_PACKAGE, parseBuildName, useBuild } from './tensorflow/location.js';
import {
  describeFile,
  type InstallManifest,
  inspectInstall,
  refreshManifest,
  writeManifest,
} from './tensorflow/manifest.js';
import { isNvidiaRuntime, nvidiaLibraryFolders, nvidiaRequirements } from './tensorflow/nvidia-runtime.js';
import { findPython, pipDownload } from './tensorflow/pip.js';
import {
  checkCLibrary,
  checkVersion,
  DEFAULT_TENSORFLOW_VERSION,
  KNOWN_WHEELS,
  platformName,
  type Variant,
  type WheelSource,
  wheelSource,
} from './tensorflow/release.js';
import { type GivenSource, readGivenSource } from './tensorflow/source.js';
import { unpackWheel } from './tensorflow/wheel.js';

export interface InstallOptions {
  /** TensorFlow release, "2.21.0"; the default is the release that is tested. */
  readonly version?: string;
  /** A TensorFlow wheel, or the folder of an installed TensorFlow, to take the library from instead of fetching it. */
  readonly from?: string;
  /** The CUDA build, with NVIDIA's run-time libraries. */
  readonly gpu?: boolean;
  /** Install anew even where the build is complete. */
  readonly force?: boolean;
  readonly onProgress?: (progress: InstallProgress) => void;
  readonly signal?: AbortSignal;
  /** Folder of the builds; the shared cache unless given. */
  readonly root?: string;
  /** Expected SHA-256 of wheels by file name; those of the tested releases unless given. */
  readonly knownWheels?: Readonly<Record<string, string>>;
}

export interface InstallProgress {
  readonly step: 'wait' | 'fetch' | 'unpack' | 'compile' | 'check';
  readonly text: string;
  /** Share of the step that is done, 0 to 1, where it is known. */
  readonly fraction?: number;
}

export interface InstallResult {
  /** False where the build was there already. */
  readonly installed: boolean;
  readonly folder: string;
  readonly manifest: InstallManifest;
}

/** Free bytes needed before a fetch: the wheels, and what is unpacked of them. */
const NEEDED_BYTES: Readonly<Record<Variant, number>> = { cpu: 1.3e9, gpu: 9e9 };

/**
 * Sets the native engine up: TensorFlow's library and the addon compiled against it, in a folder shared by projects.
 * Repeated, it finds the work done; broken off, it goes on where it stopped; a damaged build is made whole again. The
 * build becomes the one in use.
 * @throws EngineUnavailableError where this machine lacks what is needed (Python, pip, a compiler, the network, a
 * platform with a library); UserError for a wrong version, source or hash, or a full disk.
 */
export async function installTensorflow(options: InstallOptions = {}): Promise<InstallResult> {
  const variant: Variant = options.gpu ? 'gpu' : 'cpu';
  const source = wheelSource(variant);
  const given = options.from === undefined ? null : await readGivenSource(options.from, source);
  const version = chooseVersion(options.version, given);
  const root = options.root ?? installRoot();
  const build = buildName(version, variant);
  const folder = path.join(root, build);
  const job: Job = { options, variant, source, given, version, root, folder };

  return withLock(
    path.join(root, 'install.lock'),
    async () => {
      const present = options.force ? null : await findComplete(job);
      const manifest = present ?? (await install(job));
      await useBuild(root, build);
      return { installed: present === null, folder, manifest };
    },
    {
      onWait: (pid) => report(job, 'wait', `Another installation (process ${pid}) is under way: waiting for it`),
      ...(options.signal ? { signal: options.signal } : {}),
    },
  );
}

/**
 * Leaves the build in use alone where it can be used, whichever it is; else mends it, or installs the tested release
 * where there is none. What a set-up calls that must not change what the user has chosen.
 * @returns null where nothing had to be done.
 * @throws as `installTensorflow`.
 */
export async function ensureTensorflow(
  options: Pick<InstallOptions, 'onProgress' | 'signal'> = {},
): Promise<InstallResult | null> {
  const state = await tensorflowState();
  if (state.kind === 'ready') return null;
  if (state.kind === 'absent') return installTensorflow(options);
  const { version, variant } = parseBuildName(path.basename(state.folder));
  return installTensorflow({ ...options, version, gpu: variant === 'gpu' });
}

interface Job {
  readonly options: InstallOptions;
  readonly variant: Variant;
  readonly source: WheelSource;
  readonly given: GivenSource | null;
  readonly version: string;
  readonly root: string;
  readonly folder: string;
}

function report(job: Job, step: InstallProgress['step'], text: string, fraction?: number): void {
  job.options.onProgress?.({ step, text, ...(fraction === undefined ? {} : { fraction }) });
}

function chooseVersion(wanted: string | undefined, given: GivenSource | null): string {
  const asked = wanted === undefined ? null : checkVersion(wanted);
  if (given === null) return asked ?? DEFAULT_TENSORFLOW_VERSION;
  if (asked !== null && given.version !== null && asked !== given.version) {
    throw new UserError(`--from holds TensorFlow ${given.version}, but --tensorflow asks for ${asked}.`);
  }
  const version = given.version ?? asked;
  if (version === null) {
    throw new UserError('--from: the release of that TensorFlow cannot be told.', 'Name it with --tensorflow.');
  }
  return version;
}

/** The build's manifest where it is whole, was made from the same source, and its addon is of this package's recipe. */
async function findComplete(job: Job): Promise<InstallManifest | null> {
  const state = await inspectInstall(job.folder);
  if (state.kind === 'absent') return null;
  const { manifest } = state;
  if (manifest === null || manifest.recipe !== addonRecipe() || !isSameSource(job.given, manifest)) return null;
  if (state.kind === 'complete') return manifest;
  const refreshed = await refreshManifest(job.folder, manifest, job.options.signal);
  if (refreshed) await writeManifest(job.folder, refreshed);
  return refreshed;
}

function isSameSource(given: GivenSource | null, manifest: InstallManifest): boolean {
  if (given?.kind !== 'package') return manifest.source.kind === 'wheel';
  return manifest.source.kind === 'package' && manifest.source.folder === given.folder;
}

interface Library {
  readonly source: InstallManifest['source'];
  readonly runtimeWheels: readonly string[];
  /** Folder with TensorFlow's libraries and its include folder. */
  readonly tensorflow: string;
  /** Files to list in the manifest, relative to the build's folder or absolute. */
  readonly files: readonly string[];
}

async function install(job: Job): Promise<InstallManifest> {
  const { folder, options } = job;
  checkCLibrary();
  // Looked for first: without one, nothing need be fetched.
  const compiler = await findCompiler();
  try {
    await makeFolder(folder);
  } catch (error) {
    throw explainFileError(error, folder, 'write');
  }
  const library =
    job.given?.kind === 'package'
      ? usePackage(job, job.given.folder)
      : ((await reuseLibrary(job)) ?? (await useWheel(job)));

  report(job, 'compile', `Compiling the addon with ${compiler}`);
  await compileAddons({
    compiler,
    folder,
    include: path.join(library.tensorflow, 'include'),
    libraries: job.source.libraries.map((name) => path.join(library.tensorflow, name)),
    searchPath: await searchPath(folder, library.tensorflow),
    ...(options.signal ? { signal: options.signal } : {}),
  });

  report(job, 'check', 'Checking that it runs');
  await checkBuild(folder, job.version, options.signal);

  const files = [];
  for (const file of [...library.files, BINDING_FILE, HOST_FILE]) {
    files.push(await describeFile(folder, file, options.signal));
  }
  const manifest: InstallManifest = {
    schema: 1,
    tensorflow: job.version,
    variant: job.variant,
    platform: platformName(),
    tfjsNode: npmPackageVersion(NODE_PACKAGE),
    source: library.source,
    runtimeWheels: library.runtimeWheels,
    recipe: addonRecipe(),
    compiler: await compilerVersion(compiler),
    files,
    installedAt: new Date().toISOString(),
  };
  await writeManifest(folder, manifest);
  await rm(downloadFolder(job), { recursive: true, force: true });
  return manifest;
}

/** Folders in which the addon looks for libraries: relative to itself where they were unpacked beside it. */
async function searchPath(folder: string, tensorflow: string): Promise<string[]> {
  const packages = path.dirname(tensorflow);
  const found = [path.basename(tensorflow), ...(await nvidiaLibraryFolders(packages))];
  if (packages !== folder) return found.map((name) => path.join(packages, name));
  const own = process.platform === 'darwin' ? '@loader_path' : '$ORIGIN';
  return found.map((name) => `${own}/${name}`);
}

/** Takes the library of an installed TensorFlow where it lies: nothing is copied. */
function usePackage(job: Job, tensorflow: string): Library {
  return {
    source: { kind: 'package', folder: tensorflow },
    runtimeWheels: [],
    tensorflow,
    files: job.source.libraries.map((name) => path.join(tensorflow, name)),
  };
}

/** The library of an earlier installation of the same release, where only its addon is missing, damaged or outdated. */
async function reuseLibrary(job: Job): Promise<Library | null> {
  const state = job.options.force ? null : await inspectInstall(job.folder);
  const manifest = state === null || state.kind === 'absent' ? null : state.manifest;
  if (manifest?.source.kind !== 'wheel') return null;
  const files = manifest.files.filter(({ path }) => path !== BINDING_FILE && path !== HOST_FILE);
  const library = await refreshManifest(job.folder, { ...manifest, files }, job.options.signal);
  const tensorflow = path.join(job.folder, 'tensorflow');
  if (library === null || !(await exists(path.join(tensorflow, 'include', 'tensorflow', 'c', 'c_api.h')))) return null;
  return {
    source: manifest.source,
    runtimeWheels: manifest.runtimeWheels,
    tensorflow,
    files: files.map((file) => file.path),
  };
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null)) !== null;
}

async function useWheel(job: Job): Promise<Library> {
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

/** What the C API's headers include, of all the headers in the wheel. */
function isHeader(member: string): boolean {
  return /^tensorflow\/include\/(tensorflow\/c|tensorflow\/core\/platform|tsl|xla\/tsl)\/.*\.h$/.test(member);
}

async function unpack(job: Job, wheel: string, select: (member: string) => boolean): Promise<string[]> {
  const text = `Unpacking ${path.basename(wheel)}`;
  report(job, 'unpack', text, 0);
  return unpackWheel(wheel, job.folder, {
    select,
    onProgress: (done, total) => report(job, 'unpack', text, total === 0 ? 1 : done / total),
    ...(job.options.signal ? { signal: job.options.signal } : {}),
  });
}

/** NVIDIA's wheels: those in the folder of a given wheel serve, so that a machine without a network can be set up. */
async function addNvidiaRuntime(job: Job, wheel: string): Promise<{ wheels: string[]; files: string[] }> {
  const beside = path.dirname(wheel);
  const isFetched = beside === downloadFolder(job);
  const wheels =
    isFetched || (await nvidiaWheels(beside)).length === 0 ? await fetchNvidia(job, wheel) : await nvidiaWheels(beside);
  const files: string[] = [];
  for (const runtime of wheels) files.push(...(await unpack(job, runtime, isNvidiaRuntime)));
  return { wheels: wheels.map((file) => path.basename(file)), files };
}

async function nvidiaWheels(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names
    .filter((name) => /^nvidia_.*\.whl$/.test(name))
    .sort()
    .map((name) => path.join(folder, name));
}

async function fetchNvidia(job: Job, wheel: string): Promise<string[]> {
  report(job, 'fetch', "Fetching NVIDIA's run-time libraries");
  const requirements = await nvidiaRequirements(wheel);
  await pipDownload({ ...(await pipOptions(job)), requirements });
  return nvidiaWheels(downloadFolder(job));
}

function downloadFolder(job: Job): string {
  return path.join(job.root, 'downloads', path.basename(job.folder));
}

async function pipOptions(job: Job) {
  return {
    python: await findPython(),
    platformTags: job.source.platformTags,
    folder: downloadFolder(job),
    ...(job.options.signal ? { signal: job.options.signal } : {}),
  };
}

/** Fetches TensorFlow's wheel, unless a whole one is left over from an installation that was broken off. */
async function fetchWheel(job: Job): Promise<string> {
  const { source, version } = job;
  const prefix = `${source.project.replaceAll('-', '_')}-${version}-`;
  for (const [name, sha256] of Object.entries(job.options.knownWheels ?? KNOWN_WHEELS)) {
    const file = path.join(downloadFolder(job), name);
    if (name.startsWith(prefix) && (await hasHash(file, sha256))) return file;
  }
  const options = await pipOptions(job);
  report(job, 'fetch', `Fetching ${source.project} ${version} with pip`);
  const wheels = await pipDownload({ ...options, requirements: [`${source.project}==${version}`] });
  const wheel = wheels.find((file) => path.basename(file).startsWith(prefix));
  if (!wheel) throw new UserError(`pip fetched no ${prefix}… wheel into ${downloadFolder(job)}.`);
  return wheel;
}

async function hasHash(file: string, sha256: string): Promise<boolean> {
  const found = await stat(file).catch(() => null);
  return found !== null && (await sha256File(file)) === sha256;
}

/** @throws UserError where the wheel is one whose hash is known and has another; a fetched one is removed. */
async function checkHash(wheel: string, isGiven: boolean, job: Job): Promise<string> {
  const expected = (job.options.knownWheels ?? KNOWN_WHEELS)[path.basename(wheel)];
  const sha256 = await sha256File(wheel, job.options.signal);
  if (expected === undefined || sha256 === expected) return sha256;
  if (!isGiven) await rm(wheel, { force: true });
  throw new UserError(
    `${wheel} has SHA-256 ${sha256}, expected ${expected}: it is damaged or not the published file.`,
    isGiven ? 'Fetch it again.' : 'It was removed. Run the same command again.',
  );
}

async function checkSpace(job: Job): Promise<void> {
  const { bavail, bsize } = await statfs(job.root);
  const free = bavail * bsize;
  const needed = NEEDED_BYTES[job.variant];
  if (free < needed) {
    throw new UserError(
      `Not enough disk space for TensorFlow in ${job.root}: ${gigabytes(free)} GB free, ${gigabytes(needed)} GB needed.`,
      'Free some space, or choose another folder with FCN_CACHE_DIR, then run the same command again.',
    );
  }
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}
