import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Experiment } from '../experiments/experiment.js';
import { explainFileError, makeFolder, writeFileAtomic } from '../support/files.js';
import { readJson } from '../support/read-json.js';
import type { Environment } from './record.js';
import { STAGE_NAMES, type Stage } from './stage-names.js';

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
