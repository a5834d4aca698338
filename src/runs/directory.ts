import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Experiment } from '../recipe/experiment.js';
import { type Environment, environmentSchema, STAGE_NAMES, type Stage } from '../records/record.js';
import { explainFileError, makeFolder, writeFileAtomic } from '../support/files.js';
import { writeSealed } from '../support/json.js';
import type { LockState } from '../support/lock-file.js';
import { type RunPaths, writePaths } from './convolution-paths.js';

export const statusSchema = z.object({
  state: z.enum(['running', 'completed', 'interrupted', 'failed']),
  /** The stage that is running or at which the run ended; null before the first and after the last. */
  stage: z.enum(STAGE_NAMES).nullable(),
  processId: z.int(),
  updatedAt: z.iso.datetime(),
});

/** The state of a run: status.json. */
export type RunStatus = Readonly<z.output<typeof statusSchema>>;

interface BegunWith {
  readonly environment: Environment;
  readonly paths: RunPaths['paths'];
  readonly startedAt: Date;
}

/** The folder of one run, runs/ROW/RUN/. Files in it are written atomically. */
export class RunDirectory {
  private constructor(
    /** Unique within the row: start time (UTC) and the first digits of the experiment's hash. */
    readonly id: string,
    readonly path: string,
  ) {}

  /**
   * Creates the directory with experiment.json, environment.json and the paths of fast convolutions.
   * @throws UserError if the folder cannot be written.
   */
  static async create(
    runs: string,
    experiment: Experiment,
    experimentHash: string,
    { environment, paths, startedAt }: BegunWith,
  ): Promise<RunDirectory> {
    const stamp = startedAt.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
    const first = `${stamp}-${experimentHash.slice(0, 8)}`;
    const parent = path.join(runs, experiment.row);
    for (let attempt = 1; ; attempt++) {
      const id = attempt === 1 ? first : `${first}-${attempt}`;
      const folder = path.join(parent, id);
      try {
        await makeFolder(parent);
        await mkdir(folder);
      } catch (error) {
        // The same recipe was started in the same second.
        if ((error as NodeJS.ErrnoException).code === 'EEXIST' && attempt < 100) continue;
        throw explainFileError(error, folder, 'write');
      }
      const directory = new RunDirectory(id, folder);
      await directory.write('experiment.json', experiment);
      await directory.write('environment.json', environment);
      if (paths !== null) await writePaths(folder, paths);
      return directory;
    }
  }

  /** An existing directory. */
  static at(folder: string): RunDirectory {
    return new RunDirectory(path.basename(folder), folder);
  }

  file(name: string): string {
    return path.join(this.path, name);
  }

  async writeStatus(state: RunStatus['state'], stage: Stage | null): Promise<void> {
    const status: RunStatus = { state, stage, processId: process.pid, updatedAt: new Date().toISOString() };
    await this.write('status.json', status);
  }

  private async write(name: string, value: unknown): Promise<void> {
    await writeFileAtomic(this.file(name), `${JSON.stringify(value, null, 2)}\n`);
  }
}

/**
 * Checks that files can be written in a folder, so that a long run does not fail at its last step.
 * @throws UserError if they cannot.
 */
export async function requireWritable(folder: string): Promise<void> {
  const probe = path.join(folder, `.probe-${randomBytes(4).toString('hex')}`);
  // Some bytes, because an empty file can be written on a full disk.
  await writeFileAtomic(probe, Buffer.alloc(4096), folder);
  await rm(probe, { force: true });
}

/**
 * States of a run. `killed`: its process ended without a status; `silent`: its process cannot be checked (on another machine, in
 * another container) and has given no sign of life for some minutes; `unreadable`: its files cannot be read; `unknown`: its
 * directory does not say.
 */
export const RUN_STATES = [
  'running',
  'completed',
  'interrupted',
  'failed',
  'killed',
  'silent',
  'unreadable',
  'unknown',
] as const;
export type RunState = (typeof RUN_STATES)[number];

/** States of runs that may be removed; `interrupted` and `killed` ones can also be resumed. */
export const CLEANABLE: readonly RunState[] = ['failed', 'interrupted', 'killed', 'unknown', 'completed'];

/** A process that cannot be checked is silent after so many minutes without a sign of life. */
const SILENT_AFTER_MINUTES = 10;

/**
 * The state of a run, from its last written status and its lock.
 * @param written Null if unknown.
 * @param lock Null if nobody holds it.
 */
export function stateOf(written: RunStatus['state'] | null, lock: LockState | null): RunState {
  if (written === 'completed') return 'completed';
  const holder = lock === null ? 'killed' : ofHolder(lock);
  // A process is resuming it, but has not written a status yet.
  if (holder === 'running') return 'running';
  if (written === null) return 'unknown';
  return written === 'running' ? holder : written;
}

function ofHolder({ liveness, silentMilliseconds }: LockState): 'running' | 'killed' | 'silent' {
  if (liveness !== 'unknown') return liveness === 'alive' ? 'running' : 'killed';
  // Negative if the clock was set back.
  return silentMilliseconds > SILENT_AFTER_MINUTES * 60_000 ? 'silent' : 'running';
}

/** What must be equal for a run to be resumed. */
const identitySchema = z.object({
  experimentHash: z.string(),
  stages: z.array(z.enum(STAGE_NAMES)),
  engine: z.string(),
  device: z.string(),
  /** Hash of the data set's sample names, which determine their order; null if no stage reads data. */
  dataset: z.string().nullable(),
  /** Hash of the content of the files that the recipe names; absent if it names none, and in runs of earlier versions. */
  files: z.string().optional(),
  /** `weightsIdentity` of given weights; null if there are none. */
  weights: z.string().nullable(),
  /** `bitsOf` the processes that train; null if one has each batch whole, as in runs of earlier versions. */
  shard: z.string().nullable().default(null),
});
export type RunIdentity = z.output<typeof identitySchema>;

const setupSchema = z.object({
  environment: environmentSchema,
  code: z.object({ version: z.string(), commit: z.string().nullable() }),
  /** Fingerprint of the data set's files, by their sizes; null if no stage reads data. */
  dataset: z.string().nullable(),
});
/** What may differ when a run is resumed; its results may then differ in the last bits. */
export type RunSetup = z.output<typeof setupSchema>;

export const descriptionSchema = z.object({
  identity: identitySchema,
  setup: setupSchema,
  startedAt: z.iso.datetime(),
  /** Differences from the published recipe; absent in runs of earlier versions. */
  deviations: z.array(z.object({ path: z.string(), published: z.unknown(), value: z.unknown() })).optional(),
  /**
   * Where the data sets were, an absolute path: commands that take the run's weights look there, too. Absent if no stage reads
   * data, and in runs of earlier versions.
   */
  dataRoot: z.string().optional(),
  /** Numbers the runs of a row in order, as clocks may be set back. */
  number: z.int().min(0),
  continued: z.array(z.object({ at: z.iso.datetime(), changed: z.array(z.string()) })),
});
/** The content of run.json. */
export type RunDescription = z.output<typeof descriptionSchema>;

/** What identifies a run and makes it resumable. */
export const DESCRIPTION_FILE = 'run.json';

export async function writeDescription(directory: string, description: RunDescription): Promise<void> {
  await writeSealed(path.join(directory, DESCRIPTION_FILE), description);
}
