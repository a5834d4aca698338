import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { STAGE_NAMES, type Stage } from '../records/record.js';
import { writeFileAtomic } from '../support/files.js';
import { readJson } from '../support/json.js';

export const PROGRESS_FILE = 'progress.json';

const maybe = z.number().nullable().catch(null);

const schema = z.object({
  stage: z.enum(STAGE_NAMES),
  done: z.number(),
  /** Iterations of training, images of an evaluation, images and steps of a benchmark. */
  total: z.number(),
  secondsLeft: maybe,
  /** Of the latest training step. */
  loss: maybe,
  /** Fractions, of the images so far. */
  mIoU: maybe,
  mIoUMsFlip: maybe,
  processId: z.int(),
  host: z.string(),
  updatedAt: z.iso.datetime(),
});

/** How far a run's stage is: progress.json of its directory. */
export type Progress = Readonly<z.output<typeof schema>>;

type Change = Partial<Omit<Progress, 'stage' | 'processId' | 'host' | 'updatedAt'>>;

/** Milliseconds between two writings. */
const INTERVAL = 2000;

/** What was last written; null where there is nothing, or nothing that this version wrote. @throws UserError where it cannot be read. */
export async function readProgress(directory: string): Promise<Progress | null> {
  return schema.safeParse(await readJson(path.join(directory, PROGRESS_FILE))).data ?? null;
}

/** Keeps progress.json up to date while a stage runs, for those who watch. */
export class ProgressFile {
  private last = Number.NEGATIVE_INFINITY;
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly directory: string,
    private readonly beforeWrite: () => Promise<void>,
    private state: Progress,
  ) {}

  /** Goes on from what earlier stages have noted. `beforeWrite` may refuse that more is. */
  static async open(directory: string, stage: Stage, beforeWrite = async () => {}): Promise<ProgressFile> {
    const before = await readProgress(directory);
    const { loss = null, mIoU = null, mIoUMsFlip = null } = before ?? {};
    const now = { processId: process.pid, host: os.hostname(), updatedAt: new Date().toISOString() };
    return new ProgressFile(directory, beforeWrite, {
      stage,
      done: 0,
      total: 0,
      secondsLeft: null,
      loss,
      mIoU,
      mIoUMsFlip,
      ...now,
    });
  }

  /** May be called at any rate; writes now and then. */
  update(change: Change): void {
    this.state = { ...this.state, ...change };
    const now = performance.now();
    if (now - this.last < INTERVAL) return;
    this.last = now;
    // One that fails is made good by the next, at the latest by `finish`, which says what is wrong.
    this.writing = this.writing.then(() => this.write()).catch(() => undefined);
  }

  /**
   * Writes how far it came.
   * @throws UserError where that cannot be written; what `beforeWrite` throws.
   */
  async finish(): Promise<void> {
    await this.writing;
    await this.write();
  }

  private async write(): Promise<void> {
    await this.beforeWrite();
    const state: Progress = { ...this.state, updatedAt: new Date().toISOString() };
    await writeFileAtomic(path.join(this.directory, PROGRESS_FILE), `${JSON.stringify(state, null, 2)}\n`);
  }
}
