import { rm } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { makeFolder } from '../support/files.js';
import { withLock } from '../support/lock.js';
import { tensorflowState } from './selection.js';
import { addonFiles, addonRecipe } from './tensorflow/addon.js';
import {
  downloadFolder,
  type GivenSource,
  type InstallJob,
  type InstallOptions,
  readGivenSource,
  report,
} from './tensorflow/job.js';
import { obtainLibrary } from './tensorflow/library.js';
import {
  describeFile,
  type InstalledFile,
  type InstallManifest,
  inspectInstall,
  writeManifest,
} from './tensorflow/manifest.js';
import { chooseAddons, prepareAddons } from './tensorflow/prepare-addons.js';
import {
  buildName,
  checkCLibrary,
  checkVersion,
  currentBuild,
  DEFAULT_TENSORFLOW_VERSION,
  installRoot,
  NODE_PACKAGE,
  parseBuildName,
  platformName,
  useBuild,
  type Variant,
  wheelSource,
} from './tensorflow/release.js';
import { npmPackageVersion } from './tool.js';

export type { InstallOptions, InstallProgress } from './tensorflow/job.js';

interface InstallResult {
  /** False if the build was complete already. */
  readonly installed: boolean;
  readonly folder: string;
  readonly manifest: InstallManifest;
}

/**
 * Installs the native engine, TensorFlow's library and the addons compiled against it, in a folder that projects share. Resumes an
 * interrupted installation, repairs a damaged build, and does nothing if the build is complete. The build becomes the one in use.
 * @throws EngineUnavailableError if the platform is not supported, the package index cannot be reached, or addons must be compiled
 * and there is no compiler; UserError for a wrong version, source or hash, or a full disk.
 */
export async function installTensorflow(options: InstallOptions = {}): Promise<InstallResult> {
  const variant: Variant = options.gpu ? 'gpu' : 'cpu';
  const source = wheelSource(variant);
  const given = options.from === undefined ? null : await readGivenSource(options.from, source);
  const version = chooseVersion(options.version, given);
  const root = options.root ?? installRoot();
  const build = buildName(version, variant);
  const folder = path.join(root, build);
  const job: InstallJob = { options, variant, source, given, version, root, folder };
  // Checked before the lock, which needs a writable cache: there may be nothing to do.
  const inUse = options.force !== true && (await currentBuild(root)) === folder ? await findComplete(job) : null;
  if (inUse !== null) return { installed: false, folder, manifest: inUse };

  return withLock(
    path.join(root, 'install.lock'),
    async () => {
      const present = options.force ? null : await findComplete(job);
      const manifest = present ?? (await install(job));
      await useBuild(root, build);
      return { installed: present === null, folder, manifest };
    },
    {
      onWait: (pid) => report(job, 'wait', `Waiting for another installation (process ${pid})`),
      signal: options.signal,
    },
  );
}

/**
 * Keeps the build in use, whichever it is; repairs it if it cannot be used; installs the tested release if there is none. For a
 * set-up that must not change the user's choice.
 * @returns null if there was nothing to do.
 * @throws as `installTensorflow`.
 */
export async function ensureTensorflow(
  options: Pick<InstallOptions, 'index' | 'onProgress' | 'signal'> = {},
): Promise<InstallResult | null> {
  const state = await tensorflowState();
  if (state.kind === 'ready') return null;
  if (state.kind === 'absent') return installTensorflow(options);
  const { version, variant } = parseBuildName(path.basename(state.folder));
  return installTensorflow({ ...options, version, gpu: variant === 'gpu' });
}

function chooseVersion(wanted: string | undefined, given: GivenSource | null): string {
  const asked = wanted === undefined ? null : checkVersion(wanted);
  if (given === null) return asked ?? DEFAULT_TENSORFLOW_VERSION;
  if (asked !== null && given.version !== null && asked !== given.version) {
    throw new UserError(`--from holds TensorFlow ${given.version}, but --tensorflow asks for ${asked}.`);
  }
  const version = given.version ?? asked;
  if (version === null) {
    throw new UserError('--from: the release of that TensorFlow is unknown.', 'Name it with --tensorflow.');
  }
  return version;
}

/** The manifest, if the build is complete, has the addons of this package, and comes from the same source. */
async function findComplete(job: InstallJob): Promise<InstallManifest | null> {
  const state = await inspectInstall(job.folder, addonRecipe(), job.options.signal);
  return state.kind === 'complete' && isSameSource(job.given, state.manifest) ? state.manifest : null;
}

function isSameSource(given: GivenSource | null, manifest: InstallManifest): boolean {
  if (given?.kind !== 'package') return manifest.source.kind === 'wheel';
  return manifest.source.kind === 'package' && manifest.source.folder === given.folder;
}

async function install(job: InstallJob): Promise<InstallManifest> {
  const { folder } = job;
  checkCLibrary();
  // First, because without addons there is no point in downloading anything.
  const addons = await chooseAddons(job);
  await makeFolder(folder);
  const library = await obtainLibrary(job);

  const files = await describeFiles(job, library.files);
  const compiler = await prepareAddons(job, addons, library, files);
  const manifest: InstallManifest = {
    schema: 1,
    tensorflow: job.version,
    variant: job.variant,
    platform: platformName(),
    tfjsNode: npmPackageVersion(NODE_PACKAGE),
    source: library.source,
    runtimeWheels: library.runtimeWheels,
    recipe: addonRecipe(),
    compiler,
    files: [...files, ...(await describeFiles(job, addonFiles()))],
    installedAt: new Date().toISOString(),
  };
  await writeManifest(folder, manifest);
  await rm(downloadFolder(job), { recursive: true, force: true });
  return manifest;
}

async function describeFiles(job: InstallJob, names: readonly string[]): Promise<InstalledFile[]> {
  const files: InstalledFile[] = [];
  for (const name of names) files.push(await describeFile(job.folder, name, job.options.signal));
  return files;
}
