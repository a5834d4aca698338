import path from 'node:path';
import { makeFolder, sha256File } from '../support/files.js';
import { tensorflowState } from './selection.js';
import {
  ADDON_FILES,
  addonRecipe,
  besideAddons,
  compileAddons,
  compilerVersion,
  findCompiler,
} from './tensorflow/addon.js';
import {
  BUNDLED_FOR,
  type BundledAddons,
  readBundle,
  whyOtherLibrary,
  whyUnfit,
  writeBundle,
} from './tensorflow/prepare-addons.js';
import { platformName, wheelSource } from './tensorflow/release.js';
import { runTool } from './tool.js';

type BundleResult =
  | { readonly kind: 'made' | 'present'; readonly bundle: BundledAddons }
  | { readonly kind: 'impossible'; readonly reason: string };

/**
 * Compiles the addons that the packed package brings for this platform, against the installed native engine: its library has the hash
 * that users get. Does nothing if they are there and fit.
 * @param folder Folder for the addons and their list.
 * @throws EngineUnavailableError if there is no compiler.
 */
export async function makeBundle(folder: string): Promise<BundleResult> {
  const state = await tensorflowState();
  if (state.kind !== 'ready') return { kind: 'impossible', reason: 'the native engine is not installed' };
  const { manifest, folder: build } = state;
  if (
    manifest.source.kind !== 'wheel' ||
    manifest.variant !== BUNDLED_FOR.variant ||
    manifest.tensorflow !== BUNDLED_FOR.version
  ) {
    const reason = `the build in use is not the CPU build of TensorFlow ${BUNDLED_FOR.version} from a wheel`;
    return { kind: 'impossible', reason };
  }
  const present = await readBundle(folder);
  if (
    present !== null &&
    whyUnfit(present, BUNDLED_FOR) === null &&
    whyOtherLibrary(present, manifest.files) === null
  ) {
    const found = await hashesOf(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (JSON.stringify(found) === JSON.stringify(present.addons)) return { kind: 'present', bundle: present };
  }

  const compiler = await findCompiler();
  const { libraries } = wheelSource('cpu');
  const tensorflow = path.join(build, 'tensorflow');
  await makeFolder(folder);
  await compileAddons({
    compiler,
    folder,
    include: path.join(tensorflow, 'include'),
    libraries: libraries.map((name) => path.join(tensorflow, name)),
    searchPath: [besideAddons('tensorflow')],
    portable: true,
  });
  const bundle: BundledAddons = {
    schema: 1,
    platform: platformName(),
    tensorflow: manifest.tensorflow,
    recipe: addonRecipe(),
    compiler: await compilerVersion(compiler),
    libraries: Object.fromEntries(
      libraries.map((name) => [name, manifest.files.find((file) => path.basename(file.path) === name)!.sha256]),
    ),
    addons: await hashesOf(folder),
    needs: await symbolVersions(ADDON_FILES.map((name) => path.join(folder, name))),
  };
  await writeBundle(folder, bundle);
  return { kind: 'made', bundle };
}

/** SHA-256 of the addons in a folder, by file name. */
async function hashesOf(folder: string): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const name of ADDON_FILES) hashes[name] = await sha256File(path.join(folder, name));
  return hashes;
}

/** The newest version of each library's symbols that files need, by objdump; empty without it (macOS). */
async function symbolVersions(files: readonly string[]): Promise<Record<string, string>> {
  const newest: Record<string, string> = {};
  for (const file of files) {
    const { stdout } = await runTool('objdump', ['-T', file]);
    for (const [, library, version] of stdout.matchAll(/\((GLIBC|GLIBCXX|CXXABI)_([\d.]+)\)/g)) {
      if (isNewer(version!, newest[library!])) newest[library!] = version!;
    }
  }
  return newest;
}

function isNewer(version: string, than: string | undefined): boolean {
  return than === undefined || version.localeCompare(than, 'en', { numeric: true }) > 0;
}
