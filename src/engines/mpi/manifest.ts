import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../../support/errors.js';
import { isThere, writeFileAtomic } from '../../support/files.js';
import { tensorflowState } from '../selection.js';
import { LOOPBACK_FILE, MPI_ADDON_FILE, mpiRecipe } from './source.js';

const schema = z.strictObject({
  schema: z.literal(1),
  /** `mpiRecipe` of the source. */
  recipe: z.string(),
  /** Folder of the compiled files, in that of the build of TensorFlow. */
  folder: z.string(),
  /** The compiler of this MPI, mpicxx. */
  compiler: z.string(),
  /** The MPI library's name and version, as it gives them itself. */
  library: z.string(),
});

/** The addon for MPI that is in use with a build of TensorFlow. */
export type MpiManifest = Readonly<z.output<typeof schema>>;

/** A manifest, and absolute paths of what it lists. */
export interface InstalledMpi extends MpiManifest {
  readonly addon: string;
  readonly loopback: string;
}

const manifestFile = (build: string) => path.join(build, 'mpi.json');

export async function writeMpiManifest(build: string, manifest: MpiManifest): Promise<void> {
  await writeFileAtomic(manifestFile(build), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** The addon in use with the native engine, or why there is none. */
export async function mpiState(): Promise<InstalledMpi | { readonly problem: string }> {
  const state = await tensorflowState();
  if (state.kind !== 'ready') return { problem: 'the native engine is not installed' };
  const text = await readFile(manifestFile(state.folder), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return { problem: 'the operations for MPI are not compiled' };
  const parsed = schema.safeParse(JSON.parse(text));
  if (!parsed.success) return { problem: `${manifestFile(state.folder)} is of another version` };
  if (parsed.data.recipe !== mpiRecipe()) return { problem: 'the operations for MPI are those of another version' };
  const at = (name: string) => path.join(state.folder, parsed.data.folder, name);
  const installed = { ...parsed.data, addon: at(MPI_ADDON_FILE), loopback: at(LOOPBACK_FILE) };
  const present = (await isThere(installed.addon)) && (await isThere(installed.loopback));
  return present ? installed : { problem: `${installed.addon} is missing` };
}

/** @throws UserError if there is no addon that can be used. */
export async function requireMpi(): Promise<InstalledMpi> {
  const state = await mpiState();
  if (!('problem' in state)) return state;
  throw new UserError(
    `Several processes need MPI, but ${state.problem}.`,
    'Install it with fcn engines install --mpi.',
  );
}
