import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../../support/errors.js';
import { makeFolder, readTextIfPresent, writeFileAtomic } from '../../support/files.js';
import { packageRoot } from '../../support/package.js';
import { EngineUnavailableError } from '../engine.js';
import {
  ADDON_FILES,
  addonFolder,
  addonRecipe,
  besideAddons,
  compileAddons,
  compilerVersion,
  findCompiler,
} from './addon.js';
import { type InstallJob, report } from './job.js';
import { checkBuild, type Library } from './library.js';
import type { InstalledFile } from './manifest.js';
import { DEFAULT_TENSORFLOW_VERSION, platformName } from './release.js';
import { nvidiaLibraryFolders } from './requirement.js';

/** Compiled addons that may fit an installation, or why there are none. */
type AddonChoice =
  | { readonly kind: 'bundle'; readonly bundle: BundledAddons; readonly folder: string }
  | { readonly kind: 'compile'; readonly why: string };

/**
 * Whether an installation can use compiled addons, as far as is known before its library is there.
 * @throws EngineUnavailableError if it cannot, and there is no compiler.
 */
export async function chooseAddons(job: InstallJob): Promise<AddonChoice> {
  const folder = job.options.bundledAddons ?? bundleFolder();
  const bundle = await readBundle(folder);
  const why = whyUnfit(bundle, job);
  if (why === null) return { kind: 'bundle', bundle: bundle!, folder };
  await findCompiler(why);
  return { kind: 'compile', why };
}

/**
 * Puts the addons of a build in place: compiled ones if they fit its library and load here, else compiles them. They then load on this
 * machine.
 * @param files The files of the library.
 * @returns the compiler that made them.
 * @throws EngineUnavailableError if a compiler is needed and there is none; UserError if the library does not load.
 */
export async function prepareAddons(
  job: InstallJob,
  choice: AddonChoice,
  library: Library,
  files: readonly InstalledFile[],
): Promise<string> {
  const why = choice.kind === 'compile' ? choice.why : await useBundle(job, choice, files);
  if (choice.kind === 'bundle' && why === null) return choice.bundle.compiler;
  const compiler = await findCompiler(why ?? undefined);
  if (choice.kind === 'bundle') report(job, 'compile', `The addons of the package cannot be used: ${why}`);
  report(job, 'compile', `Compiling the addons with ${compiler}`);
  await compileAddons({
    compiler,
    folder: path.join(job.folder, addonFolder()),
    include: path.join(library.tensorflow, 'include'),
    libraries: job.source.libraries.map((name) => path.join(library.tensorflow, name)),
    searchPath: await searchPath(job.folder, library.tensorflow),
    signal: job.options.signal,
  });
  report(job, 'check', 'Checking that they run');
  await checkBuild(job.folder, job.version, job.options.signal);
  return compilerVersion(compiler);
}

/** Uses compiled addons. @returns why they cannot be used; null if they are. */
async function useBundle(
  job: InstallJob,
  { bundle, folder }: AddonChoice & { kind: 'bundle' },
  files: readonly InstalledFile[],
): Promise<string | null> {
  const why = whyOtherLibrary(bundle, files);
  if (why !== null) return why;
  report(job, 'check', 'Checking that the compiled addons of the package run here');
  try {
    await copyBundle(bundle, folder, path.join(job.folder, addonFolder()));
    await checkBuild(job.folder, job.version, job.options.signal);
    return null;
  } catch (error) {
    if (!(error instanceof UserError) || error instanceof EngineUnavailableError) throw error;
    return error.message.replace(/\.$/, '');
  }
}

/** Folders in which the addons look for libraries: relative to themselves if they are unpacked beside their folder. */
async function searchPath(folder: string, tensorflow: string): Promise<string[]> {
  const packages = path.dirname(tensorflow);
  const found = [path.basename(tensorflow), ...(await nvidiaLibraryFolders(packages))];
  return packages === folder ? found.map(besideAddons) : found.map((name) => path.join(packages, name));
}

const BUNDLE_FILE = 'addons.json';

const bundleSchema = z.strictObject({
  schema: z.literal(1),
  /** "linux-x64". */
  platform: z.string(),
  tensorflow: z.string(),
  /** `addonRecipe` of their source. */
  recipe: z.string(),
  compiler: z.string(),
  /** SHA-256 of TensorFlow's libraries that they were linked with, by file name. */
  libraries: z.record(z.string(), z.string()),
  /** SHA-256 of the addons, by file name. */
  addons: z.record(z.string(), z.string()),
  /** The newest version of each system library's symbols that they need: GLIBC 2.14. Empty if not known. */
  needs: z.record(z.string(), z.string()),
});

/** The compiled addons that the package brings for a platform, for one build of TensorFlow's library. Node-API: for every Node. */
export type BundledAddons = z.infer<typeof bundleSchema>;

/** The build of TensorFlow that they are for. */
export const BUNDLED_FOR = { variant: 'cpu', version: DEFAULT_TENSORFLOW_VERSION, given: null } as const;

/** Folder of the compiled addons for this platform. Only the packed package has it: `scripts/addons.mjs` makes it. */
export function bundleFolder(): string {
  return path.join(packageRoot(), 'addons', platformName());
}

/** What a folder of compiled addons holds; null if there is none. @throws UserError if its list cannot be read. */
export async function readBundle(folder: string): Promise<BundledAddons | null> {
  const file = path.join(folder, BUNDLE_FILE);
  const text = await readTextIfPresent(file);
  if (text === null) return null;
  try {
    return bundleSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new UserError(`${file} is damaged.`, 'Install this package again.', { cause: error });
  }
}

export async function writeBundle(folder: string, bundle: BundledAddons): Promise<void> {
  await writeFileAtomic(path.join(folder, BUNDLE_FILE), `${JSON.stringify(bundle, null, 2)}\n`);
}

/** Why compiled addons do not fit an installation, as far as is known before its library is; null if they do. */
export function whyUnfit(
  bundle: BundledAddons | null,
  { given, variant, version }: Pick<InstallJob, 'given' | 'variant' | 'version'>,
): string | null {
  if (bundle === null || bundle.platform !== platformName()) return `this copy of fcn has none for ${platformName()}`;
  if (variant !== 'cpu') return 'they are for the CPU build';
  if (bundle.tensorflow !== version) return `they are for TensorFlow ${bundle.tensorflow}`;
  if (given?.kind === 'package') return 'they need the library of a wheel';
  if (bundle.recipe !== addonRecipe()) return 'they were compiled from the source of another version';
  return null;
}

/** Why compiled addons do not fit a library, by the SHA-256 of its files; null if they do. */
export function whyOtherLibrary(
  bundle: BundledAddons,
  files: readonly { readonly path: string; readonly sha256: string }[],
): string | null {
  const fits = Object.entries(bundle.libraries).every(([name, sha256]) =>
    files.some((file) => path.basename(file.path) === name && file.sha256 === sha256),
  );
  return fits ? null : `they were compiled for another build of TensorFlow ${bundle.tensorflow}`;
}

/** Copies compiled addons. @throws UserError if one is missing, or is not what their list says. */
async function copyBundle(bundle: BundledAddons, from: string, to: string): Promise<void> {
  await makeFolder(to);
  for (const name of ADDON_FILES) {
    const file = path.join(from, name);
    const bytes = await readFile(file).catch((error: unknown) => {
      throw new UserError(`${file} cannot be read.`, 'Install this package again.', { cause: error });
    });
    if (createHash('sha256').update(bytes).digest('hex') !== bundle.addons[name]) {
      throw new UserError(`${file} is not the file that was packed.`, 'Install this package again.');
    }
    await writeFileAtomic(path.join(to, name), bytes);
  }
}
