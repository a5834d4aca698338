import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { explainFileError, writeFileAtomic } from '../../support/files.js';
import { sha256File } from '../../support/hash.js';
import { recipeName } from './addon.js';
import type { Variant } from './release.js';

/** Each recipe of addons has a manifest of its own; all of them list the one library. */
const MANIFEST_FILE = /^manifest-[0-9a-f]+\.json$/;

export function manifestFile(folder: string, recipe: string): string {
  return path.join(folder, `manifest-${recipeName(recipe)}.json`);
}

/** One file of a build: an absolute path where it was left in another package, else relative to the build's folder. */
export interface InstalledFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Time of last change, whole milliseconds since 1970: with the size, a quick sign that the file is still the same. */
  readonly modified: number;
}

/** What a finished build consists of. Written last: a folder without one is an install that was broken off. */
export interface InstallManifest {
  readonly schema: 1;
  readonly tensorflow: string;
  readonly variant: Variant;
  readonly platform: string;
  /** Version of the npm package whose source the addon was compiled from. */
  readonly tfjsNode: string;
  readonly source:
    | { readonly kind: 'wheel'; readonly file: string; readonly sha256: string }
    | { readonly kind: 'package'; readonly folder: string };
  /** Wheels of NVIDIA's run-time libraries, for the CUDA build. */
  readonly runtimeWheels: readonly string[];
  /** Hash of the addon's source and compiler flags: another one means that it must be compiled again. */
  readonly recipe: string;
  readonly compiler: string;
  readonly files: readonly InstalledFile[];
  /** ISO 8601. */
  readonly installedAt: string;
}

export type InstallState =
  | { readonly kind: 'complete'; readonly manifest: InstallManifest }
  | { readonly kind: 'absent' }
  | { readonly kind: 'damaged'; readonly reason: string; readonly manifest: InstallManifest | null };

export async function writeManifest(folder: string, manifest: InstallManifest): Promise<void> {
  await writeFileAtomic(manifestFile(folder, manifest.recipe), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** What a file is now, for the manifest. */
export async function describeFile(folder: string, file: string, signal?: AbortSignal): Promise<InstalledFile> {
  const absolute = path.resolve(folder, file);
  const { size, mtimeMs } = await stat(absolute);
  return { path: file, bytes: size, sha256: await sha256File(absolute, signal), modified: Math.trunc(mtimeMs) };
}

/**
 * Whether a build with the addons of a recipe is whole, from its manifest and the sizes and times of its files; nothing is
 * read or loaded.
 */
export async function inspectInstall(folder: string, recipe: string): Promise<InstallState> {
  const file = manifestFile(folder, recipe);
  const manifest = await readManifest(file);
  if (manifest === 'absent') return { kind: 'absent' };
  if (manifest === 'unreadable') return { kind: 'damaged', reason: `${file} is not a manifest`, manifest: null };
  for (const file of manifest.files) {
    const reason = await changeOf(folder, file);
    if (reason) return { kind: 'damaged', reason, manifest };
  }
  return { kind: 'complete', manifest };
}

/**
 * The manifest with the files' times brought up to date where every file still has its bytes (a cache that was copied or
 * restored); null where one has not.
 */
export async function refreshManifest(
  folder: string,
  manifest: InstallManifest,
  signal?: AbortSignal,
): Promise<InstallManifest | null> {
  const files: InstalledFile[] = [];
  for (const file of manifest.files) {
    const found = await stat(path.resolve(folder, file.path)).catch(() => null);
    if (found?.size !== file.bytes) return null;
    const now = await describeFile(folder, file.path, signal);
    if (now.sha256 !== file.sha256) return null;
    files.push(now);
  }
  return { ...manifest, files };
}

/** The manifests of a build's folder, of whatever recipe. */
export async function listManifests(folder: string): Promise<InstallManifest[]> {
  const names = (await readFolder(folder)).filter((name) => MANIFEST_FILE.test(name)).sort();
  const manifests = await Promise.all(names.map((name) => readManifest(path.join(folder, name))));
  return manifests.filter((manifest) => typeof manifest !== 'string');
}

async function readFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw explainFileError(error, folder, 'read');
  }
}

function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}

async function readManifest(file: string): Promise<InstallManifest | 'absent' | 'unreadable'> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (isAbsent(error)) return 'absent';
    throw explainFileError(error, file, 'read');
  }
  try {
    const manifest = JSON.parse(text) as Partial<InstallManifest>;
    return manifest.schema === 1 && Array.isArray(manifest.files) ? (manifest as InstallManifest) : 'unreadable';
  } catch {
    return 'unreadable';
  }
}

async function changeOf(folder: string, file: InstalledFile): Promise<string | null> {
  const absolute = path.resolve(folder, file.path);
  try {
    const { size, mtimeMs } = await stat(absolute);
    if (size !== file.bytes) return `${absolute} has ${size} bytes, ${file.bytes} expected`;
    if (Math.trunc(mtimeMs) !== file.modified) return `${absolute} was changed since it was installed`;
    return null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return `${absolute} is missing`;
    throw explainFileError(error, absolute, 'read');
  }
}
