import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../support/package.js';
import { COMPILER_FLAGS, PLATFORM_FLAGS } from '../tensorflow/addon.js';

/** The addon for MPI, and the library that keeps mpirun on the loopback address, in their folder. */
export const MPI_ADDON_FILE = 'mpi.node';
export const LOOPBACK_FILE = 'loopback.so';

function filesIn(folder: string, pattern: RegExp): string[] {
  const names = readdirSync(folder).filter((name) => pattern.test(name));
  return names.sort().map((name) => path.join(folder, name));
}

const native = (name: string) => path.join(packageRoot(), 'src', 'engines', 'native', name);

const isLoopback = (file: string) => path.basename(file) === 'loopback.cc';

/** What the addon takes of the other operations' source. */
const SHARED = ['operation.h', 'element.h', 'threads.h', 'threads.cc'];
const shared = () => SHARED.map((name) => path.join(native('operations'), name));

/** Source files of the addon. */
export function mpiSources(): string[] {
  const own = filesIn(native('mpi'), /\.cc$/).filter((file) => !isLoopback(file));
  return [...own, ...shared().filter((file) => file.endsWith('.cc'))];
}

/** Source file of the library for mpirun. */
export function loopbackSource(): string {
  return filesIn(native('mpi'), /\.cc$/).find(isLoopback)!;
}

/** Hash of what determines the addon, except the compiler, MPI and TensorFlow's headers. */
export function mpiRecipe(): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([COMPILER_FLAGS, PLATFORM_FLAGS[process.platform] ?? []]));
  for (const file of [...filesIn(native('mpi'), /\.(cc|h)$/), ...shared()]) hash.update(readFileSync(file));
  return hash.digest('hex');
}
