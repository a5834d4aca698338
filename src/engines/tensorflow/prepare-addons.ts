import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { EngineUnavailableError } from '../engine.js';
import { addonFolder, besideAddons, compileAddons, compilerVersion, findCompiler } from './addon.js';
import {
  type BundledAddons,
  bundleFolder,
  copyBundle,
  readBundle,
  whyOtherLibrary,
  whyUnfit,
} from './bundled-addons.js';
import { type Job, report } from './job.js';
import { checkBuild, type Library } from './library.js';
import type { InstalledFile } from './manifest.js';
import { nvidiaLibraryFolders } from './nvidia.js';

/** Compiled addons that may fit an installation, or why there are none. */
type AddonChoice =
  | { readonly kind: 'bundle'; readonly bundle: BundledAddons; readonly folder: string }
  | { readonly kind: 'compile'; readonly why: string };

/**
 * Whether an installation can use compiled addons, as far as is known before its library is there.
 * @throws EngineUnavailableError if it cannot, and there is no compiler.
 */
export async function chooseAddons(job: Job): Promise<AddonChoice> {
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
  job: Job,
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
  job: Job,
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
