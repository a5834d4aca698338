import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { explainFileError, sha256File, writeFileAtomic } from '../../support/files.js';
import { recipeName } from './addon.js';
import type { Variant } from './release.js';

/** Each recipe of addons has a manifest of its own; all of them list the one library. */
const MANIFEST_FILE = /^manifest-[0-9a-f]+\.json$/;

export function manifestFile(folder: string, recipe: string): string {
  return path.join(folder, `manifest-${recipeName(recipe)}.json`);
}

/** One file of a build: an absolute path where it was left in another package, else relative to the build's folder. */
interface InstalledFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Time of last change, whole milliseconds since 1970: where it and the size are the same, the file is not read. */
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

type InstallState =
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
 * loaded. Copies of a cache (layers of containers, archives) often have other times: where only those differ, the recorded
 * hashes decide, once: the new times are noted.
 */
export async function inspectInstall(folder: string, recipe: string, signal?: AbortSignal): Promise<InstallState> {
  const file = manifestFile(folder, recipe);
  const recorded = await readManifest(file);
  if (recorded === 'absent') return { kind: 'absent' };
  if (recorded === 'unreadable') return { kind: 'damaged', reason: `${file} is not a manifest`, manifest: null };

  let manifest = recorded;
  let changes = await changesOf(folder, manifest);
  if (changes.reason === null && changes.touched.length > 0) {
    manifest = await readNote(file, recorded);
    changes = await changesOf(folder, manifest);
  }
  if (changes.reason !== null) return { kind: 'damaged', reason: changes.reason, manifest };
  if (changes.touched.length === 0) return { kind: 'complete', manifest };

  const now = new Map<string, InstalledFile>();
  for (const installed of changes.touched) {
    const absolute = path.resolve(folder, installed.path);
    const found = await describeFile(folder, installed.path, signal).catch((error: unknown) => {
      throw explainFileError(error, absolute, 'read');
    });
    if (found.sha256 !== installed.sha256) {
      return { kind: 'damaged', reason: `${absolute} was changed since it was installed`, manifest };
    }
    now.set(installed.path, found);
  }
  const whole = { ...manifest, files: manifest.files.map((installed) => now.get(installed.path) ?? installed) };
  await noteWhole(folder, recorded, whole);
  return { kind: 'complete', manifest: whole };
}

/** Manifests with the times of a cache that cannot be written to, by the manifest's path: what this process has found out. */
const notes = new Map<string, InstallManifest>();

/** Where such a manifest is noted for other processes of this user, as long as the system keeps temporary files. */
function noteFile(file: string): string {
  const name = createHash('sha256').update(path.resolve(file)).digest('hex').slice(0, 16);
  return path.join(os.tmpdir(), `fcn-engine-${process.getuid?.() ?? 'user'}-${name}.json`);
}

/** A manifest with the times that were noted for it: nothing else of a note is believed. The manifest itself where there is none. */
async function readNote(file: string, recorded: InstallManifest): Promise<InstallManifest> {
  const noted = notes.get(file) ?? (await readManifest(noteFile(file)).catch(() => 'unreadable' as const));
  if (typeof noted === 'string' || noted.installedAt !== recorded.installedAt) return recorded;
  const files = recorded.files.map((installed) => {
    const same = noted.files.find(({ path, sha256 }) => path === installed.path && sha256 === installed.sha256);
    return same === undefined ? installed : { ...installed, modified: same.modified };
  });
  return { ...recorded, files };
}

/** Puts a manifest in the place of the one that it was made from, unless an installation has written another one meanwhile. */
async function noteWhole(folder: string, from: InstallManifest, whole: InstallManifest): Promise<void> {
  const file = manifestFile(folder, whole.recipe);
  if (JSON.stringify(await readManifest(file)) !== JSON.stringify(from)) return;
  try {
    await writeManifest(folder, whole);
  } catch (error) {
    // No permission, a read-only file system, a full disk: the build is whole all the same.
    if (!(error instanceof UserError)) throw error;
    notes.set(file, whole);
    // Where not even this can be written, every process hashes the files.
    await writeFileAtomic(noteFile(file), JSON.stringify(whole)).catch(() => {});
  }
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

interface Changes {
  /** What is wrong with the first file that cannot be the one that was installed; null where all may be. */
  readonly reason: string | null;
  /** Files of the right size with another time. */
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
