import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder } from '../../support/files.js';
import { packageRoot } from '../../support/package.js';
import { EngineUnavailableError } from '../engine.js';
import { npmPackageFolder, runTool } from '../tool.js';
import { NODE_PACKAGE } from './release.js';

export const BINDING_FILE = 'tfjs_binding.node';
export const HOST_FILE = 'host.node';
export const OPERATIONS_FILE = 'operations.node';
const ADDON_FILES: readonly string[] = [BINDING_FILE, HOST_FILE, OPERATIONS_FILE];

const FLAGS = ['-O3', '-std=c++17', '-shared', '-fPIC', '-DNAPI_VERSION=8'];
const PLATFORM_FLAGS: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  // Node's own symbols are found when the addon is loaded into it.
  darwin: ['-undefined', 'dynamic_lookup'],
  // The older kind of search path also serves what the libraries themselves load.
  linux: ['-Wl,--disable-new-dtags'],
};

interface AddonSource {
  readonly output: string;
  readonly module: string;
  readonly files: readonly string[];
}

function bindingSource(): AddonSource {
  const folder = path.join(npmPackageFolder(NODE_PACKAGE), 'binding');
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.cc'))
    .sort();
  return { output: BINDING_FILE, module: 'tfjs_binding', files: files.map((name) => path.join(folder, name)) };
}

function nativeFolder(...parts: string[]): string {
  return path.join(packageRoot(), 'src', 'engines', 'native', ...parts);
}

function hostSource(): AddonSource {
  return { output: HOST_FILE, module: 'fcn_host', files: [nativeFolder('host.cc')] };
}

/** The operations that this package adds to TensorFlow's own. */
function operationsSource(): AddonSource {
  return { output: OPERATIONS_FILE, module: 'fcn_operations', files: operationsFiles('.cc') };
}

function operationsFiles(extension: '.cc' | '.h'): string[] {
  const names = readdirSync(nativeFolder('operations')).filter((name) => name.endsWith(extension));
  return names.sort().map((name) => nativeFolder('operations', name));
}

/** Hash of all that decides what the compiled addons do, the compiler and TensorFlow's headers apart. */
export function addonRecipe(): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([FLAGS, PLATFORM_FLAGS[process.platform] ?? []]));
  const sources = [bindingSource(), hostSource(), operationsSource()].flatMap((source) => source.files);
  for (const file of [...sources, ...operationsFiles('.h')]) hash.update(readFileSync(file));
  return hash.digest('hex');
}

/** The start of a recipe: enough to tell those in one cache apart. */
export function recipeName(recipe: string): string {
  return recipe.slice(0, 12);
}

/**
 * Folder of this package's addons inside that of a build. Named by their recipe: several versions of this package share a
 * build, and none compiles the addons of another away.
 */
export function addonFolder(recipe: string = addonRecipe()): string {
  return `addon-${recipeName(recipe)}`;
}

/** What a build consists of besides TensorFlow's own library: paths inside its folder. */
export function addonFiles(recipe: string = addonRecipe()): string[] {
  return ADDON_FILES.map((name) => path.join(addonFolder(recipe), name));
}

/**
 * The first C++ compiler that runs: CXX where set, else the usual names.
 * @throws EngineUnavailableError when there is none.
 */
export async function findCompiler(environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const chosen = environment['CXX'];
  const candidates = chosen ? [chosen] : ['g++', 'c++', 'clang++'];
  for (const candidate of candidates) {
    const { outcome } = await runTool(candidate, ['--version']);
    if (outcome === 'success') return candidate;
  }
  const looked = chosen ? `CXX=${chosen} does not run` : `none of ${candidates.join(', ')} is in PATH`;
  throw new EngineUnavailableError(
    'compiler',
    `No C++ compiler for the TensorFlow engine: ${looked}.`,
    'Install one (Debian and Ubuntu: apt-get install g++), then run fcn engines install; or use --engine wasm.',
  );
}

/** First line of what the compiler says of its version. */
export async function compilerVersion(compiler: string): Promise<string> {
  const { stdout } = await runTool(compiler, ['--version']);
  return stdout.split('\n', 1)[0]!.trim();
}

interface AddonBuild {
  readonly compiler: string;
  /** Where the addons go. */
  readonly folder: string;
  /** TensorFlow's headers: the folder that holds tensorflow/c/c_api.h. */
  readonly include: string;
  /** Absolute paths of the libraries to link with. */
  readonly libraries: readonly string[];
  /** Folders in which the addon looks for libraries when it is loaded. */
  readonly searchPath: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Compiles TensorFlow.js's addon against a TensorFlow, and the two addons of this package beside it. All use Node-API,
 * whose binary interface is stable: one build serves all versions of Node.
 * @throws Error with the compiler's output when it fails.
 */
export async function compileAddons(build: AddonBuild): Promise<void> {
  await makeFolder(build.folder);
  const link = [...build.libraries, ...build.searchPath.map((folder) => `-Wl,-rpath,${folder}`)];
  await Promise.all([
    compile(build, bindingSource(), [`-I${build.include}`], link),
    compile(build, hostSource(), [], []),
    compile(build, operationsSource(), [`-I${build.include}`], link),
  ]);
}

async function compile(
  build: AddonBuild,
  source: AddonSource,
  include: readonly string[],
  link: readonly string[],
): Promise<void> {
  const output = path.join(build.folder, source.output);
  const temporary = `${output}.part`;
  const result = await runTool(
    build.compiler,
    [
      ...FLAGS,
      ...(PLATFORM_FLAGS[process.platform] ?? []),
      `-DNODE_GYP_MODULE_NAME=${source.module}`,
      `-I${path.join(npmPackageFolder('node-api-headers'), 'include')}`,
      ...include,
      ...source.files,
      '-o',
      temporary,
      ...link,
    ],
    build.signal ? { signal: build.signal } : {},
  );
  if (result.outcome !== 'success') {
    throw new Error(`Compiling ${source.output} with ${build.compiler} failed:\n${result.stderr.trim()}`);
  }
  await rename(temporary, output);
}
