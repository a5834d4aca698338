import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { entriesIn, explainFileError, readTextIfPresent, sha256File, writeFileAtomic } from '../../support/files.js';
import { recipeName } from './addon.js';
import type { Variant } from './release.js';

/** Each recipe of addons has a manifest of its own; all list the same library. */
const MANIFEST_FILE = /^manifest-[0-9a-f]+\.json$/;

export function manifestFile(folder: string, recipe: string): string {
  return path.join(folder, `manifest-${recipeName(recipe)}.json`);
}

/** A file of a build. `path` is absolute if the file belongs to another package, else relative to the build's folder. */
export interface InstalledFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Time of the last change, whole milliseconds since 1970. A file with the same time and size is not read again. */
  readonly modified: number;
}

/** What a complete build consists of. Written last: a folder without a manifest is an interrupted installation. */
export interface InstallManifest {
  readonly schema: 1;
  readonly tensorflow: string;
  readonly variant: Variant;
  readonly platform: string;
  /** Version of the npm package with the addon's source. */
  readonly tfjsNode: string;
  readonly source:
    | { readonly kind: 'wheel'; readonly file: string; readonly sha256: string }
    | { readonly kind: 'package'; readonly folder: string };
  /** Wheels of NVIDIA's run-time libraries, for the CUDA build. */
  readonly runtimeWheels: readonly string[];
  /** `addonRecipe`. If it changes, the addons must be compiled again. */
  readonly recipe: string;
  /** The compiler of the addons: this machine's, or that of the package's compiled addons. */
  readonly compiler: string;
  readonly files: readonly InstalledFile[];
  /** ISO 8601. */
  readonly installedAt: string;
}

type InstallState =
  | { readonly kind: 'complete'; readonly manifest: InstallManifest }
  | { readonly kind: 'absent' }
  | { readonly kind: 'damaged'; readonly reason: string; readonly manifest: InstallManifest | null };

export async function writeManifest(folder: string, manifest: InstallManifest): Promise<void> {
  await writeFileAtomic(manifestFile(folder, manifest.recipe), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** A file as it is now. */
export async function describeFile(folder: string, file: string, signal?: AbortSignal): Promise<InstalledFile> {
  const absolute = path.resolve(folder, file);
  const { size, mtimeMs } = await stat(absolute);
  return { path: file, bytes: size, sha256: await sha256File(absolute, signal), modified: Math.trunc(mtimeMs) };
}

/**
 * Whether a build with the addons of a recipe is complete, by its manifest and the sizes and times of its files; loads nothing. Copies
 * of a cache (container layers, archives) often have other times. If only those differ, the recorded hashes decide, once: the new
 * times are recorded.
 */
export async function inspectInstall(folder: string, recipe: string, signal?: AbortSignal): Promise<InstallState> {
  const file = manifestFile(folder, recipe);
  const recorded = await readManifest(file);
  if (recorded === 'absent') return { kind: 'absent' };
  if (recorded === 'unreadable') return { kind: 'damaged', reason: `${file} is not a manifest`, manifest: null };

  let manifest = recorded;
  let changes = await changesOf(folder, manifest);
  if (changes.reason === null && changes.touched.length > 0) {
    manifest = await withNotedTimes(file, recorded);
    changes = await changesOf(folder, manifest);
  }
  if (changes.reason !== null) return { kind: 'damaged', reason: changes.reason, manifest };
  if (changes.touched.length === 0) return { kind: 'complete', manifest };

  const updated = await rehash(folder, manifest, changes.touched, signal);
  if (typeof updated === 'string') return { kind: 'damaged', reason: updated, manifest };
  await recordTimes(folder, recorded, updated);
  return { kind: 'complete', manifest: updated };
}

/** This process's manifests with the times of a read-only cache, by the manifest's path. */
const notes = new Map<string, InstallManifest>();

/** File with such a manifest for other processes of this user, as long as the system keeps temporary files. */
function noteFile(file: string): string {
  const name = createHash('sha256').update(path.resolve(file)).digest('hex').slice(0, 16);
  return path.join(os.tmpdir(), `fcn-engine-${process.getuid?.() ?? 'user'}-${name}.json`);
}

/** A manifest with the noted times, if there are any. Nothing else in a note is trusted. */
async function withNotedTimes(file: string, recorded: InstallManifest): Promise<InstallManifest> {
  const noted = notes.get(file) ?? (await readManifest(noteFile(file)).catch(() => 'unreadable' as const));
  if (typeof noted === 'string' || noted.installedAt !== recorded.installedAt) return recorded;
  const files = recorded.files.map((installed) => {
    const same = noted.files.find(({ path, sha256 }) => path === installed.path && sha256 === installed.sha256);
    return same === undefined ? installed : { ...installed, modified: same.modified };
  });
  return { ...recorded, files };
}

/** Replaces a manifest by one with new times, unless an installation has written another one meanwhile. */
async function recordTimes(folder: string, from: InstallManifest, updated: InstallManifest): Promise<void> {
  const file = manifestFile(folder, updated.recipe);
  if (JSON.stringify(await readManifest(file)) !== JSON.stringify(from)) return;
  try {
    await writeManifest(folder, updated);
  } catch (error) {
    // No permission, a read-only file system, a full disk: the build is complete all the same.
    if (!(error instanceof UserError)) throw error;
    notes.set(file, updated);
    // If this cannot be written either, every process hashes the files.
    await writeFileAtomic(noteFile(file), JSON.stringify(updated)).catch(() => {});
  }
}

/** A manifest with the present times of `files`; or, as a text, which of them has other bytes than recorded. */
async function rehash(
  folder: string,
  manifest: InstallManifest,
  files: readonly InstalledFile[],
  signal?: AbortSignal,
): Promise<InstallManifest | string> {
  const now = new Map<string, InstalledFile>();
  for (const { path: file, sha256 } of files) {
    const absolute = path.resolve(folder, file);
    const found = await describeFile(folder, file, signal).catch((error: unknown) => {
      throw explainFileError(error, absolute, 'read');
    });
    if (found.sha256 !== sha256) return `${absolute} was changed since it was installed`;
    now.set(file, found);
  }
  return { ...manifest, files: manifest.files.map((file) => now.get(file.path) ?? file) };
}

/**
 * The manifest with the present times of its files (of a cache that was copied or restored); null unless every file has the recorded
 * bytes.
 */
export async function refreshManifest(
  folder: string,
  manifest: InstallManifest,
  signal?: AbortSignal,
): Promise<InstallManifest | null> {
  if ((await changesOf(folder, manifest)).reason !== null) return null;
  const updated = await rehash(folder, manifest, manifest.files, signal);
  return typeof updated === 'string' ? null : updated;
}

/** All manifests in a build's folder. */
export async function listManifests(folder: string): Promise<InstallManifest[]> {
  const entries = await entriesIn(folder);
  const names = entries.map(({ name }) => name).filter((name) => MANIFEST_FILE.test(name));
  const manifests = await Promise.all(names.sort().map((name) => readManifest(path.join(folder, name))));
  return manifests.filter((manifest) => typeof manifest !== 'string');
}

async function readManifest(file: string): Promise<InstallManifest | 'absent' | 'unreadable'> {
  const text = await readTextIfPresent(file);
  if (text === null) return 'absent';
  try {
    const manifest = JSON.parse(text) as Partial<InstallManifest>;
    return manifest.schema === 1 && Array.isArray(manifest.files) ? (manifest as InstallManifest) : 'unreadable';
  } catch {
    return 'unreadable';
  }
}

interface Changes {
  /** What is wrong with the first changed or missing file; null if there is none. */
  readonly reason: string | null;
  /** Files of the right size, but with another time. */
  readonly touched: readonly InstalledFile[];
}

async function changesOf(folder: string, { files }: InstallManifest): Promise<Changes> {
  const touched: InstalledFile[] = [];
  for (const file of files) {
    const absolute = path.resolve(folder, file.path);
    try {
      const { size, mtimeMs } = await stat(absolute);
      if (size !== file.bytes) return { reason: `${absolute} has ${size} bytes, ${file.bytes} expected`, touched };
      if (Math.trunc(mtimeMs) !== file.modified) touched.push(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { reason: `${absolute} is missing`, touched };
      throw explainFileError(error, absolute, 'read');
    }
  }
  return { reason: null, touched };
}
