import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../../support/errors.js';
import { makeFolder, readTextIfPresent, writeFileAtomic } from '../../support/files.js';
import { packageRoot } from '../../support/package.js';
import { ADDON_FILES, addonRecipe } from './addon.js';
import type { Job } from './job.js';
import { DEFAULT_TENSORFLOW_VERSION, platformName } from './release.js';

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
  { given, variant, version }: Pick<Job, 'given' | 'variant' | 'version'>,
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
export async function copyBundle(bundle: BundledAddons, from: string, to: string): Promise<void> {
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
