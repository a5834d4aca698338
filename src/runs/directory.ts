import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Experiment } from '../recipe/experiment.js';
import { type Environment, environmentSchema, STAGE_NAMES, type Stage } from '../records/record.js';
import { explainFileError, makeFolder, writeFileAtomic } from '../support/files.js';
import { readJson, readSealed, writeSealed } from '../support/json.js';
import type { LockState } from '../support/lock-file.js';

const statusSchema = z.object({
  state: z.enum(['running', 'completed', 'interrupted', 'failed']),
  /** The stage that runs or at which the run ended; null before the first and after the last. */
  stage: z.enum(STAGE_NAMES).nullable(),
  processId: z.int(),
  updatedAt: z.iso.datetime(),
});

/** How far a run is: status.json of its directory. */
export type RunStatus = Readonly<z.output<typeof statusSchema>>;

/** Folder of one run: runs/ROW/RUN/. Nothing in it is ever half-written. */
export class RunDirectory {
  private constructor(
    /** Unique within the row: time of the start (UTC) and the start of the experiment's hash. */
    readonly id: string,
    readonly path: string,
  ) {}

  /**
   * Makes the directory with experiment.json and environment.json.
   * @throws UserError where the folder cannot be written.
   */
  static async create(
    runs: string,
    experiment: Experiment,
    experimentHash: string,
    environment: Environment,
    startedAt: Date,
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
        // The same recipe was started within the same second.
        if ((error as NodeJS.ErrnoException).code === 'EEXIST' && attempt < 100) continue;
        throw explainFileError(error, folder, 'write');
      }
      const directory = new RunDirectory(id, folder);
      await directory.write('experiment.json', experiment);
      await directory.write('environment.json', environment);
      return directory;
    }
  }

  /** A directory that was made before. */
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

/** How far the run of a directory is; null where that is not known. @throws UserError where it cannot be read. */
export async function readStatus(folder: string): Promise<RunStatus | null> {
  return statusSchema.safeParse(await readJson(path.join(folder, 'status.json'))).data ?? null;
}

/**
 * Makes sure that files can be written in a folder, so that a long run does not end at its last step.
 * @throws UserError where they cannot.
 */
export async function requireWritable(folder: string): Promise<void> {
  const probe = path.join(folder, `.probe-${randomBytes(4).toString('hex')}`);
  // A block's worth of bytes: an empty file can be made on a full disk.
  await writeFileAtomic(probe, Buffer.alloc(4096), folder);
  await rm(probe, { force: true });
}

/**
 * How a run stands. `killed`: its process is gone and left no word; `silent`: its process cannot be asked (on another machine,
 * in another container), and nothing was heard of it for some minutes; `unreadable`: its files cannot be read; `unknown`:
 * nothing in its directory says.
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

/** States of runs that may be removed. Those of `interrupted` and `killed` ones can be gone on with. */
export const CLEANABLE = [
  'failed',
  'interrupted',
  'killed',
  'unknown',
  'completed',
] as const satisfies readonly RunState[];

/** Minutes without a sign of life after which a process that cannot be asked counts as silent. */
const SILENT_AFTER_MINUTES = 10;

/**
 * How a run stands by what was last written of it and whether somebody holds its lock.
 * @param written Null where nothing says.
 * @param lock Null where nobody holds it.
 */
export function stateOf(written: RunStatus['state'] | null, lock: LockState | null): RunState {
  if (written === 'completed') return 'completed';
  const held = lock === null ? 'killed' : ofHolder(lock);
  // Somebody goes on with it, and has not said so yet.
  if (held === 'running') return 'running';
  if (written === null) return 'unknown';
  return written === 'running' ? held : written;
}

function ofHolder({ liveness, silentMilliseconds }: LockState): 'running' | 'killed' | 'silent' {
  if (liveness !== 'unknown') return liveness === 'alive' ? 'running' : 'killed';
  // A clock that is set back makes it negative: that says nothing of the run.
  return silentMilliseconds > SILENT_AFTER_MINUTES * 60_000 ? 'silent' : 'running';
}

/** What runs must have in common for one to be resumed as the other. */
const identitySchema = z.object({
  experimentHash: z.string(),
  stages: z.array(z.enum(STAGE_NAMES)),
  engine: z.string(),
  device: z.string(),
  /** Hash of the names of the data set's samples, which their order hangs on; null where no stage reads one. */
  dataset: z.string().nullable(),
  /** The weights that were given, as `weightsIdentity` gives it; null where there are none. */
  weights: z.string().nullable(),
});
export type RunIdentity = z.output<typeof identitySchema>;

const setupSchema = z.object({
  environment: environmentSchema,
  code: z.object({ version: z.string(), commit: z.string().nullable() }),
  /** Fingerprint of the data set's files, by their sizes; null where no stage reads one. */
  dataset: z.string().nullable(),
});
/** What may differ when a run is resumed; its end may then differ in the last bits. */
export type RunSetup = z.output<typeof setupSchema>;

const descriptionSchema = z.object({
  identity: identitySchema,
  setup: setupSchema,
  startedAt: z.iso.datetime(),
  /** One more than that of any run of the row that was there: clocks may be set back. */
  number: z.int().min(0),
  continued: z.array(z.object({ at: z.iso.datetime(), changed: z.array(z.string()) })),
});
/** run.json: what a run is, for resuming it. */
export type RunDescription = z.output<typeof descriptionSchema>;

const fileOf = (directory: string) => path.join(directory, 'run.json');

export async function writeDescription(directory: string, description: RunDescription): Promise<void> {
  await writeSealed(fileOf(directory), description);
}

/** What the run of a directory is; null where that is not there or not as it was written. */
export async function readDescription(directory: string): Promise<RunDescription | null> {
  const content = await readSealed(fileOf(directory));
  return content === null || content === 'damaged' ? null : (descriptionSchema.safeParse(content).data ?? null);
}
