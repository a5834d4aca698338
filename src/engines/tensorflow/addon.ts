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
export const ADDON_FILES: readonly string[] = [BINDING_FILE, HOST_FILE, OPERATIONS_FILE];

export const COMPILER_FLAGS = ['-O3', '-std=c++17', '-shared', '-fPIC', '-DNAPI_VERSION=8'];
export const PLATFORM_FLAGS: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  // Node's symbols are resolved when it loads the addon.
  darwin: ['-undefined', 'dynamic_lookup'],
  // RPATH, unlike RUNPATH, also applies to what the libraries themselves load.
  linux: ['-Wl,--disable-new-dtags'],
};

interface AddonSource {
  readonly output: string;
  readonly module: string;
  readonly files: readonly string[];
}

function filesIn(folder: string, extension: '.cc' | '.h'): string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(extension));
  return names.sort().map((name) => path.join(folder, name));
}

function nativeFolder(): string {
  return path.join(packageRoot(), 'src', 'engines', 'native');
}

/** Folder of a build, relative to its addons: "$ORIGIN/../tensorflow". */
export function besideAddons(name: string): string {
  return `${process.platform === 'darwin' ? '@loader_path' : '$ORIGIN'}/../${name}`;
}

/** The sources of TensorFlow.js's binding, and of this package's two addons. */
function addonSources() {
  const binding = path.join(npmPackageFolder(NODE_PACKAGE), 'binding');
  const native = nativeFolder();
  const operations = path.join(native, 'operations');
  return {
    binding: { output: BINDING_FILE, module: 'tfjs_binding', files: filesIn(binding, '.cc') },
    host: { output: HOST_FILE, module: 'fcn_host', files: [path.join(native, 'host.cc')] },
    operations: { output: OPERATIONS_FILE, module: 'fcn_operations', files: filesIn(operations, '.cc') },
    headers: filesIn(operations, '.h'),
  } satisfies Record<string, AddonSource | string[]>;
}

/** Hash of everything that determines the compiled addons, except the compiler and TensorFlow's headers. */
export function addonRecipe(): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([COMPILER_FLAGS, PLATFORM_FLAGS[process.platform] ?? []]));
  const { binding, host, operations, headers } = addonSources();
  const files = [...binding.files, ...host.files, ...operations.files, ...headers];
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex');
}

/** The start of a recipe: enough to distinguish those in one cache. */
export function recipeName(recipe: string): string {
  return recipe.slice(0, 12);
}

/**
 * Folder of this package's addons in that of a build. Its name is their recipe, so that versions of this package that share a build do
 * not replace each other's addons.
 */
export function addonFolder(recipe: string = addonRecipe()): string {
  return `addon-${recipeName(recipe)}`;
}

/** Paths of the addons in the folder of a build: binding, host, operations. */
export function addonFiles(recipe: string = addonRecipe()): string[] {
  return ADDON_FILES.map((name) => path.join(addonFolder(recipe), name));
}

/**
 * The first C++ compiler that runs: CXX if set, else the usual names.
 * @param why Why the compiled addons of the package do not do: for the message.
 * @throws EngineUnavailableError if there is none.
 */
export async function findCompiler(why?: string): Promise<string> {
  const chosen = process.env['CXX'];
  const candidates = chosen ? [chosen] : ['g++', 'c++', 'clang++'];
  for (const candidate of candidates) {
    const { outcome } = await runTool(candidate, ['--version']);
    if (outcome === 'success') return candidate;
  }
  const tried = chosen ? `CXX=${chosen} does not run` : `none of ${candidates.join(', ')} is in PATH`;
  throw new EngineUnavailableError(
    'compiler',
    `No C++ compiler for the TensorFlow engine: ${tried}${why === undefined ? '' : `, and no compiled addons fit: ${why}`}.`,
    'Install one (Debian and Ubuntu: apt-get install g++), then run fcn engines install; or use --engine wasm.',
  );
}

/** First line of the compiler's --version. */
export async function compilerVersion(compiler: string): Promise<string> {
  const { stdout } = await runTool(compiler, ['--version']);
  return stdout.split('\n', 1)[0]!.trim();
}

interface AddonBuild {
  readonly compiler: string;
  /** Folder for the addons. */
  readonly folder: string;
  /** TensorFlow's headers: the folder that holds tensorflow/c/c_api.h. */
  readonly include: string;
  /** Absolute paths of the libraries to link with. */
  readonly libraries: readonly string[];
  /** Folders in which the loaded addon looks for libraries. */
  readonly searchPath: readonly string[];
  /** For other machines: needs the oldest versions of the system's libraries that are possible. */
  readonly portable?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Compiles TensorFlow.js's addon and the two addons of this package. All use Node-API, whose binary interface is stable, so one build
 * works with all versions of Node.
 * @throws Error with the compiler's output if it fails.
 */
export async function compileAddons(build: AddonBuild): Promise<void> {
  await makeFolder(build.folder);
  const link = [...build.libraries, ...build.searchPath.map((folder) => `-Wl,-rpath,${folder}`)];
  const { binding, host, operations } = addonSources();
  await Promise.all([
    compile(build, binding, [`-I${build.include}`], link),
    compile(build, host, [], []),
    compile(build, operations, [`-I${build.include}`], link),
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
      ...COMPILER_FLAGS,
      ...(PLATFORM_FLAGS[process.platform] ?? []),
      ...(build.portable ? ['-s', '-include', path.join(nativeFolder(), 'portable.h')] : []),
      `-DNODE_GYP_MODULE_NAME=${source.module}`,
      `-I${path.join(npmPackageFolder('node-api-headers'), 'include')}`,
      ...include,
      ...source.files,
      '-o',
      temporary,
      ...link,
    ],
    { signal: build.signal },
  );
  if (result.outcome !== 'success') {
    throw new Error(`Compiling ${source.output} with ${build.compiler} failed:\n${result.stderr.trim()}`);
  }
  await rename(temporary, output);
}
