import { createHash } from 'node:crypto';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { isThere, makeFolder } from '../../support/files.js';
import { withLock } from '../../support/lock.js';
import { tensorflowState } from '../selection.js';
import { addonFolder, BINDING_FILE, COMPILER_FLAGS, PLATFORM_FLAGS } from '../tensorflow/addon.js';
import { wheelSource } from '../tensorflow/release.js';
import { npmPackageFolder, runTool } from '../tool.js';
import { type InstalledMpi, mpiState, writeMpiManifest } from './manifest.js';
import { LOOPBACK_FILE, loopbackSource, MPI_ADDON_FILE, mpiRecipe, mpiSources } from './source.js';

interface MpiInstallOptions {
  /** The MPI's C++ compiler, or the folder of it; default: mpicxx in PATH. */
  readonly mpi?: string | undefined;
  readonly force?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly note: (text: string) => void;
}

/** A C++ compiler of an MPI. */
interface MpiCompiler {
  readonly program: string;
  /** What it would run (the compiler, the MPI's folders and libraries), and the version in its headers. */
  readonly identity: string;
}

/**
 * Compiles this package's operations for MPI against an MPI of this machine, beside the native engine in use. They become those in
 * use. Does nothing if they are there.
 * @throws UserError if there is no native engine, no MPI, or they do not compile or load.
 */
export async function installMpi(options: MpiInstallOptions): Promise<{ installed: boolean; mpi: InstalledMpi }> {
  const state = await tensorflowState();
  if (state.kind !== 'ready') {
    throw new UserError(
      'The operations for MPI belong to the native engine, which is not installed.',
      'Run fcn engines install first.',
    );
  }
  const { folder: build, manifest } = state;
  if (manifest.variant !== 'cpu') {
    throw new UserError(
      'The operations for MPI work on processors, but the CUDA build of the native engine is in use.',
      'Run fcn engines install first.',
    );
  }
  const compiler = await findCompiler(options.mpi);
  const recipe = mpiRecipe();
  const name = `mpi-${createHash('sha256').update(recipe).update(compiler.identity).digest('hex').slice(0, 12)}`;
  return withLock(path.join(build, 'mpi.lock'), async () => {
    const folder = path.join(build, name);
    const addon = path.join(folder, MPI_ADDON_FILE);
    const isNew =
      options.force === true || !(await isThere(addon)) || !(await isThere(path.join(folder, LOOPBACK_FILE)));
    const source = manifest.source.kind === 'package' ? manifest.source.folder : path.join(build, 'tensorflow');
    if (isNew) {
      options.note(`Compiling the operations for MPI with ${compiler.program} …`);
      await compileMpi(compiler.program, folder, source, options.signal);
    }
    const library = await libraryOf(addon, path.join(build, addonFolder(), BINDING_FILE), options.signal);
    await writeMpiManifest(build, { schema: 1, recipe, folder: name, compiler: compiler.program, library });
    const installed = await mpiState();
    if ('problem' in installed) throw new Error(`The operations for MPI were just compiled, but ${installed.problem}.`);
    return { installed: isNew, mpi: installed };
  });
}

async function findCompiler(given: string | undefined): Promise<MpiCompiler> {
  const candidates =
    given === undefined ? ['mpicxx', 'mpic++'] : [given, path.join(given, 'mpicxx'), path.join(given, 'bin', 'mpicxx')];
  for (const program of candidates) {
    // Open MPI, MPICH and those that come from them know this option.
    const { outcome, stdout } = await runTool(program, ['-show']);
    if (outcome !== 'success' || stdout.trim() === '') continue;
    return { program, identity: `${stdout.trim()}\n${await headerVersion(program)}` };
  }
  const where =
    given === undefined
      ? 'Neither mpicxx nor mpic++ is in PATH'
      : `${given} is no C++ compiler of an MPI, nor a folder with mpicxx`;
  throw new UserError(
    `No MPI: ${where}.`,
    'Install one (Debian and Ubuntu: apt-get install openmpi-bin libopenmpi-dev), load its module, or name its mpicxx with --mpicxx PATH.',
  );
}

/** The macros of mpi.h that name the library and its version. */
async function headerVersion(program: string): Promise<string> {
  const { stdout } = await runTool(program, ['-dM', '-E', '-include', 'mpi.h', '-x', 'c++', '/dev/null']);
  return stdout
    .split('\n')
    .filter((line) => /^#define \w*(MAJOR_|MINOR_|RELEASE_|SUB|_NUM)?VERSION /.test(line) && /MPI/.test(line))
    .join('\n');
}

async function compileMpi(
  compiler: string,
  folder: string,
  tensorflow: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await makeFolder(folder);
  const libraries = wheelSource('cpu').libraries.map((name) => path.join(tensorflow, name));
  const includes = [path.join(npmPackageFolder('node-api-headers'), 'include'), path.join(tensorflow, 'include')];
  const common = [...COMPILER_FLAGS, ...(PLATFORM_FLAGS[process.platform] ?? [])];
  const addon = ['-DNODE_GYP_MODULE_NAME=fcn_mpi', ...includes.map((include) => `-I${include}`), ...mpiSources()];
  const search = `-Wl,-rpath,${tensorflow}`;
  await compile(
    compiler,
    [...common, ...addon],
    path.join(folder, MPI_ADDON_FILE),
    [...libraries, search, '-pthread', ...BIND_NOW],
    signal,
  );
  await compile(compiler, [...common, loopbackSource()], path.join(folder, LOOPBACK_FILE), ['-ldl'], signal);
}

async function compile(
  compiler: string,
  first: readonly string[],
  output: string,
  last: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const temporary = `${output}.part`;
  const { outcome, stderr } = await runTool(compiler, [...first, '-o', temporary, ...last], { signal });
  if (outcome !== 'success') {
    throw new UserError(
      `${compiler} cannot compile ${path.basename(output)}: ${
        stderr
          .trim()
          .split('\n')
          .find((line) => line.includes('error')) ?? stderr.trim()
      }`,
      'The MPI needs its headers for C++ (Debian: libopenmpi-dev or libmpich-dev) and a C++17 compiler.',
    );
  }
  await rename(temporary, output);
}

/** All symbols are looked up when the addon is loaded: one that is missing shows here, not in the middle of a run. */
const BIND_NOW = process.platform === 'linux' ? ['-Wl,-z,now'] : [];

/** Loads the addon in a process of its own. */
const LOAD_PROGRAM =
  'const [binding, addon] = process.argv.slice(1); require(binding); process.stdout.write(require(addon).library);';

/** What the MPI library says of itself, in one line. */
async function libraryOf(addon: string, binding: string, signal: AbortSignal | undefined): Promise<string> {
  const environment = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3' };
  const { outcome, stdout, stderr } = await runTool(process.execPath, ['-e', LOAD_PROGRAM, binding, addon], {
    signal,
    environment,
  });
  if (outcome === 'success') return stdout.replaceAll('\0', '').split(/[\n,]/, 1)[0]!.trim().replaceAll(/\s+/g, ' ');
  const reason = /^Error: .*$/m.exec(stderr)?.[0] ?? stderr.trim().split('\n').at(-1) ?? '';
  throw new UserError(
    `The operations for MPI do not load: ${reason}`,
    'Is the MPI’s library in the search path (LD_LIBRARY_PATH)?',
  );
}
