import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { STAGE_NAMES, type Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { explainFileError, writeFileAtomic } from '../support/files.js';
import { readJson } from '../support/json.js';
import type { LogLine, ValidationLine } from '../training/log.js';

const PROGRESS_FILE = 'progress.json';

const maybe = z.number().nullable().catch(null);

const schema = z.object({
  stage: z.enum(STAGE_NAMES),
  done: z.number(),
  /** Iterations, images, or in a benchmark images and steps. */
  total: z.number(),
  secondsLeft: maybe,
  /** An evaluation that interrupts the training, in images; null if there is none now. */
  evaluation: z.object({ iteration: z.number(), done: z.number(), total: z.number() }).nullable().catch(null),
  /** Of the latest training step. */
  loss: maybe,
  /** Fractions, of the images so far. */
  mIoU: maybe,
  mIoUMsFlip: maybe,
  processId: z.int(),
  host: z.string(),
  updatedAt: z.iso.datetime(),
});

/** How far a run's stage is: progress.json. */
export type Progress = Readonly<z.output<typeof schema>>;

type Change = Partial<Omit<Progress, 'stage' | 'processId' | 'host' | 'updatedAt'>>;

/** Milliseconds between two writes. */
const INTERVAL = 2000;

/** Null if the file is missing or damaged. @throws UserError if it cannot be read. */
export async function readProgress(directory: string): Promise<Progress | null> {
  return schema.safeParse(await readJson(path.join(directory, PROGRESS_FILE))).data ?? null;
}

/** Updates progress.json while a stage is running. */
export class ProgressFile {
  private last = Number.NEGATIVE_INFINITY;
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly directory: string,
    private readonly beforeWrite: () => Promise<void>,
    private state: Progress,
  ) {}

  /** Keeps the figures of earlier stages. `beforeWrite` may refuse writing. */
  static async open(directory: string, stage: Stage, beforeWrite = async () => {}): Promise<ProgressFile> {
    const before = await readProgress(directory);
    const { loss = null, mIoU = null, mIoUMsFlip = null } = before ?? {};
    const start = { stage, done: 0, total: 0, secondsLeft: null, evaluation: null };
    const now = { processId: process.pid, host: os.hostname(), updatedAt: new Date().toISOString() };
    return new ProgressFile(directory, beforeWrite, { ...start, loss, mIoU, mIoUMsFlip, ...now });
  }

  /** May be called at any rate; writes at intervals. */
  update(change: Change): void {
    this.state = { ...this.state, ...change };
    const now = performance.now();
    if (now - this.last < INTERVAL) return;
    this.last = now;
    // The next write makes up for a failed one; `finish` reports the error.
    this.writing = this.writing.then(() => this.write()).catch(() => undefined);
  }

  /**
   * Writes the final state.
   * @throws UserError if that cannot be written; what `beforeWrite` throws.
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

export type { LogLine, ValidationLine };

/** The lines of a run's log, by iteration. */
export interface RunLog {
  readonly train: readonly LogLine[];
  /** Evaluations during training. */
  readonly validation: readonly ValidationLine[];
}

/** File name of a run's log: a JSON object per line, written by training. */
export const LOG_FILE = 'log.jsonl';

const NUMBERS = [
  'learningRate',
  'loss',
  'decodeLoss',
  'auxiliaryLoss',
  'accuracy',
  'secondsPerIteration',
  'dataSeconds',
  'liveTensorBytes',
  'peakLiveTensorBytes',
  'processBytes',
] as const;

/**
 * The objects of JSON lines. The last line may be incomplete: it is being written, or its writer was killed.
 * @throws UserError that names file and line of any other line that is no JSON object.
 */
function* jsonLines(text: string, file: string): Generator<{ line: number; value: Readonly<Record<string, unknown>> }> {
  const lines = text.split('\n');
  for (const [i, content] of lines.entries()) {
    if (content.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(content);
    } catch (error) {
      if (i === lines.length - 1) return;
      throw notALog(file, i + 1, (error as Error).message, error);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw notALog(file, i + 1, 'expected an object');
    }
    yield { line: i + 1, value: value as Record<string, unknown> };
  }
}

function notALog(file: string, line: number, message: string, cause?: unknown): UserError {
  return new UserError(
    `${file}:${line} is not a line of a training log: ${message}.`,
    'Give a log with one JSON object per line.',
    { cause },
  );
}

/** Drops the lines from an iteration on: the training was resumed before them. */
function dropFrom(lines: { readonly iteration: number }[], iteration: number): void {
  while (lines.length > 0 && lines.at(-1)!.iteration >= iteration) lines.pop();
}

/**
 * Parses a run's log. If training was resumed at an earlier iteration, the later lines count.
 * @throws UserError that names file and line of damage.
 */
export function parseLog(text: string, file: string): RunLog {
  const train: LogLine[] = [];
  const validation: ValidationLine[] = [];
  for (const { line, value } of jsonLines(text, file)) {
    const { iteration } = value;
    const validates = value['mode'] === 'val';
    // Lines of other kinds have neither a loss nor this mode.
    if (iteration === undefined || (value['loss'] === undefined && !validates)) continue;
    if (!Number.isSafeInteger(iteration) || (iteration as number) < 1) {
      throw notALog(file, line, `iteration ${JSON.stringify(iteration)} is not a positive whole number`);
    }
    const at = iteration as number;
    const number = (name: string) => (typeof value[name] === 'number' ? value[name] : Number.NaN);
    dropFrom(validation, at);
    if (validates) {
      const figures = { mIoU: number('mIoU'), mAcc: number('mAcc'), aAcc: number('aAcc') };
      validation.push({ mode: 'val', iteration: at, ...figures });
      continue;
    }
    dropFrom(train, at);
    const numbers = Object.fromEntries(NUMBERS.map((name) => [name, number(name)]));
    train.push({ iteration: at, ...(numbers as Record<(typeof NUMBERS)[number], number>) });
  }
  return { train, validation };
}

/** The log in a file; empty if nothing was logged yet. */
export function readLog(file: string): RunLog {
  return parseLog(readPiece(file, 0).bytes.toString('utf8'), file);
}

/**
 * The objects of a log's complete lines from a byte on (from the end if negative), oldest first, and the byte of the next line.
 * Empty if nothing was logged yet; damaged lines are left out.
 * @throws UserError if the log cannot be read.
 */
export function readEntries(file: string, from: number): { entries: object[]; next: number } {
  const { bytes, start } = readPiece(file, from);
  const end = bytes.lastIndexOf('\n') + 1;
  const whole = bytes.toString('utf8', 0, end).split('\n').slice(0, -1);
  // In the middle of a file, the first piece is only the end of a line.
  const entries = (from < 0 && start > 0 ? whole.slice(1) : whole).flatMap(parseEntry);
  return { entries, next: start + end };
}

/** A file's bytes from an offset on (from the end if negative), and the offset from the start; nothing if there is no file. */
function readPiece(file: string, from: number): { bytes: Buffer; start: number } {
  try {
    const descriptor = openSync(file, 'r');
    try {
      const { size } = fstatSync(descriptor);
      const start = from < 0 ? Math.max(0, size + from) : Math.min(from, size);
      const buffer = Buffer.alloc(size - start);
      let done = 0;
      for (let count = -1; done < buffer.length && count !== 0; done += count) {
        count = readSync(descriptor, buffer, done, buffer.length - done, start + done);
      }
      return { bytes: buffer.subarray(0, done), start };
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { bytes: Buffer.alloc(0), start: 0 };
    throw explainFileError(error, file, 'read');
  }
}

/** Nothing for a line that a killed process left incomplete. */
function parseEntry(line: string): object[] {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? [entry] : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}
