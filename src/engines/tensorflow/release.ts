import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { readTextIfPresent, writeFileAtomic } from '../../support/files.js';
import { cacheDirectory } from '../../support/package.js';
import { EngineUnavailableError } from '../engine.js';
import { npmPackageVersion } from '../tool.js';

/** The TensorFlow that is installed by default. */
export const DEFAULT_TENSORFLOW_VERSION = '2.21.0';

export type Variant = 'cpu' | 'gpu';

/**
 * The wheel with TensorFlow's library for a platform. Always the one for CPython 3.11, whatever Python the user has: its Python code is
 * not used, and a fixed file has a known hash.
 */
export interface WheelSource {
  /** Project on the Python package index. */
  readonly project: string;
  /** Platform tags to accept, newest first: releases use different ones. */
  readonly platformTags: readonly string[];
  /** The two shared libraries, in the wheel and in an installed package. */
  readonly libraries: readonly string[];
}

const LINUX_LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];

function linuxTags(architecture: string): string[] {
  return [`manylinux_2_27_${architecture}`, `manylinux_2_17_${architecture}`, `manylinux2014_${architecture}`];
}

const WHEELS: Readonly<Record<string, Partial<Record<Variant, WheelSource>>>> = {
  'linux-x64': {
    cpu: { project: 'tensorflow-cpu', platformTags: linuxTags('x86_64'), libraries: LINUX_LIBRARIES },
    gpu: { project: 'tensorflow', platformTags: linuxTags('x86_64'), libraries: LINUX_LIBRARIES },
  },
  'linux-arm64': {
    cpu: { project: 'tensorflow', platformTags: linuxTags('aarch64'), libraries: LINUX_LIBRARIES },
  },
  'darwin-arm64': {
    cpu: {
      project: 'tensorflow',
      platformTags: ['macosx_12_0_arm64'],
      libraries: ['libtensorflow_cc.2.dylib', 'libtensorflow_framework.2.dylib'],
    },
  },
};

/**
 * SHA-256 of wheels, by file name. Other releases are checked only against the wheel's own list of hashes, which finds damage, but not
 * a replaced wheel.
 */
export const KNOWN_WHEELS: Readonly<Record<string, string>> = {
  'tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl':
    '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
};

/** Name of this platform in Node's form: "linux-x64". */
export function platformName(): string {
  return `${process.platform}-${process.arch}`;
}

/** @throws EngineUnavailableError on a Linux without glibc, which the wheels need. */
export function checkCLibrary(): void {
  if (process.platform !== 'linux') return;
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  if (header.glibcVersionRuntime !== undefined) return;
  throw new EngineUnavailableError('platform', 'TensorFlow needs the C library glibc; this Linux has another one.');
}

/** @throws EngineUnavailableError if no release has a usable library for the platform. */
export function wheelSource(variant: Variant, platform: string = platformName()): WheelSource {
  const source = WHEELS[platform]?.[variant];
  if (source) return source;
  const what = variant === 'gpu' ? "TensorFlow's CUDA build has" : 'TensorFlow has';
  throw new EngineUnavailableError('platform', `${what} no library for ${platform} that this engine can use.`);
}

/** @throws UserError unless `version` looks like a release. */
export function checkVersion(version: string): string {
  if (/^\d+\.\d+\.\d+$/.test(version)) return version;
  throw new UserError(
    `"${version}" is not a TensorFlow version: expected three numbers, as in ${DEFAULT_TENSORFLOW_VERSION}.`,
  );
}

/** The npm package with the addon's source and the JavaScript part of the backend. */
export const NODE_PACKAGE = '@tensorflow/tfjs-node-gpu';

/** Folder of the TensorFlow builds for this version of the npm package, shared by projects. */
export function installRoot(): string {
  const name = `${platformName()}-tfjs-node-${npmPackageVersion(NODE_PACKAGE)}`;
  return path.join(cacheDirectory(), 'engines', 'tensorflow', name);
}

/** Name of a build's folder: "2.21.0-cpu". */
export function buildName(version: string, variant: Variant): string {
  return `${version}-${variant}`;
}

/** @throws Error unless `buildName` made the name. */
export function parseBuildName(name: string): { version: string; variant: Variant } {
  const match = /^(\d+\.\d+\.\d+)-(cpu|gpu)$/.exec(name);
  if (!match) throw new Error(`"${name}" is not the name of a TensorFlow build.`);
  return { version: match[1]!, variant: match[2] as Variant };
}

/** The command that installs a build again. */
export function installCommand(folder: string): string {
  const { version, variant } = parseBuildName(path.basename(folder));
  const release = version === DEFAULT_TENSORFLOW_VERSION ? '' : ` --tensorflow ${version}`;
  return `fcn engines install${variant === 'gpu' ? ' --gpu' : ''}${release}`;
}

/** File that names the build in use: the one installed last. */
function currentFile(root: string): string {
  return path.join(root, 'current');
}

/** Folder of the build in use; null if none was ever installed. */
export async function currentBuild(root: string = installRoot()): Promise<string | null> {
  const name = await readTextIfPresent(currentFile(root));
  return name === null ? null : path.join(root, name.trim());
}

export async function useBuild(root: string, build: string): Promise<void> {
  await writeFileAtomic(currentFile(root), `${build}\n`);
}
