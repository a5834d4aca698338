import { stat } from 'node:fs/promises';
import path from 'node:path';
import { readTextIfPresent, sha256File, writeFileAtomic } from '../../support/files.js';
import { cacheDirectory } from '../../support/package.js';
import { EngineUnavailableError } from '../engine.js';

/** The npm package that brings Dawn, an implementation of WebGPU, as an addon for Node. */
export const WEBGPU_PACKAGE = 'webgpu';
/** The tested release. */
export const WEBGPU_VERSION = '0.6.2';
/** SHA-512 of its tarball, as npm names it. */
export const WEBGPU_INTEGRITY =
  'sha512-3L4GfmqJLvYUIEWJngEQY+2HQiUlAFkg8+P8NDDj3Xx5hHHIFO/r8JW+ynfqBj7kHN4mbnwO74uB+lrRtLhp4Q==';

/** The addon's file name. Its folder also holds the libraries that it loads on Windows. */
export const ADDON = 'dawn.node';

/** Folders of the package for the platforms that it supports, by Node's names. */
const FOLDERS: Readonly<Record<string, string>> = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'win32-x64': 'win32-x64',
  'win32-arm64': 'win32-arm64',
  'darwin-x64': 'darwin-universal',
  'darwin-arm64': 'darwin-universal',
};

/** @throws EngineUnavailableError if the package has no addon for the platform. */
export function platformFolder(platform = `${process.platform}-${process.arch}`): string {
  const folder = FOLDERS[platform];
  if (folder !== undefined) return folder;
  throw new EngineUnavailableError('platform', `The package ${WEBGPU_PACKAGE} has nothing for ${platform}.`);
}

/** Folder of the installed package, shared by projects. It need not exist. */
export function webgpuFolder(root = path.join(cacheDirectory(), 'engines', 'webgpu')): string {
  return path.join(root, `${WEBGPU_VERSION}-${process.platform}-${process.arch}`);
}

export interface WebgpuFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** What is installed. Written last: a folder without it is an interrupted installation. */
export interface WebgpuManifest {
  readonly schema: 1;
  readonly version: string;
  readonly integrity: string;
  readonly files: readonly WebgpuFile[];
  /** ISO 8601. */
  readonly installedAt: string;
}

const MANIFEST = 'manifest.json';

export async function writeWebgpuManifest(folder: string, manifest: WebgpuManifest): Promise<void> {
  await writeFileAtomic(path.join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
}

type PackageState =
  | { readonly kind: 'complete'; readonly folder: string; readonly manifest: WebgpuManifest }
  | { readonly kind: 'absent' }
  | { readonly kind: 'damaged'; readonly folder: string; readonly reason: string };

/** Whether the package is installed, by its manifest and the size of its files; `thorough`: by their bytes. Loads nothing. */
export async function inspectPackage(folder: string, thorough = false): Promise<PackageState> {
  const text = await readTextIfPresent(path.join(folder, MANIFEST));
  if (text === null) return { kind: 'absent' };
  const manifest = parseManifest(text);
  const damaged = (reason: string) => ({ kind: 'damaged', folder, reason }) as const;
  if (manifest === null) return damaged(`${path.join(folder, MANIFEST)} is not a manifest`);
  for (const { name, bytes, sha256 } of manifest.files) {
    const file = path.join(folder, name);
    const found = await stat(file).catch(() => null);
    if (found === null) return damaged(`${file} is missing`);
    if (found.size !== bytes) return damaged(`${file} has ${found.size} bytes, ${bytes} expected`);
    if (thorough && (await sha256File(file)) !== sha256) return damaged(`${file} was changed since it was installed`);
  }
  return { kind: 'complete', folder, manifest };
}

function parseManifest(text: string): WebgpuManifest | null {
  try {
    const manifest = JSON.parse(text) as Partial<WebgpuManifest>;
    return manifest.schema === 1 && Array.isArray(manifest.files) ? (manifest as WebgpuManifest) : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
