import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { writeFileAtomic } from '../support/files.js';
import type { Stage } from './stage-names.js';

export const PROGRESS_FILE = 'progress.json';

/** How far a run's stage is: progress.json of its directory. */
export interface Progress {
  readonly stage: Stage;
  readonly done: number;
  /** Iterations of training, images of an evaluation, images and steps of a benchmark. */
  readonly total: number;
  readonly secondsLeft: number | null;
  /** Of the latest training step. */
  readonly loss: number | null;
  /** Fractions, of the images so far. */
  readonly mIoU: number | null;
  readonly mIoUMsFlip: number | null;
  readonly processId: number;
  readonly host: string;
  readonly updatedAt: string;
}

type Change = Partial<Omit<Progress, 'stage' | 'processId' | 'host' | 'updatedAt'>>;

/** Milliseconds between two writings. */
const INTERVAL = 2000;

/** What was last written; null where there is nothing, or nothing that can be read. */
export async function readProgress(directory: string): Promise<Progress | null> {
  try {
    return JSON.parse(await readFile(path.join(directory, PROGRESS_FILE), 'utf8')) as Progress;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof SyntaxError || code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
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
