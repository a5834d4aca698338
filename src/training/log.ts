import { appendFile, readFile } from 'node:fs/promises';
import { explainFileError, writeFileAtomic } from '../support/files.js';
import type { TrainingProgress } from './checkpoint.js';
import type { StepResult } from './step.js';

const EMPTY: TrainingProgress['interval'] = {
  steps: 0,
  loss: 0,
  decodeLoss: 0,
  auxiliaryLoss: 0,
  accuracy: 0,
  dataMilliseconds: 0,
  stepMilliseconds: 0,
  peakLiveTensorBytes: 0,
};

/** A line of log.jsonl: means over the steps since the line before. Read back, a value that was no number is NaN. */
export interface LogLine {
  /** Steps done, from 1. */
  readonly iteration: number;
  /** Of the last of the steps. */
  readonly learningRate: number;
  readonly loss: number;
  readonly decodeLoss: number;
  readonly auxiliaryLoss: number;
  /** Percent. */
  readonly accuracy: number;
  readonly secondsPerIteration: number;
  /** Of these, waiting for data. */
  readonly dataSeconds: number;
  /** Between two steps. */
  readonly liveTensorBytes: number;
  /** The highest in any of the steps. */
  readonly peakLiveTensorBytes: number;
  /** Resident main memory of the process when the line was written. */
  readonly processBytes: number;
}

/** A line of log.jsonl: an evaluation at a single scale while training went on. Figures are fractions. */
export interface ValidationLine {
  readonly mode: 'val';
  /** Steps that its weights had seen. */
  readonly iteration: number;
  readonly mIoU: number;
  readonly mAcc: number;
  readonly aAcc: number;
}

/** Means of what is logged over the steps since the last line. */
export class LogInterval {
  constructor(private sums = EMPTY) {}

  add(
    { loss, decodeLoss, auxiliaryLoss, accuracy }: StepResult,
    milliseconds: { readonly data: number; readonly step: number },
    peakLiveTensorBytes: number,
  ): void {
    const { sums } = this;
    this.sums = {
      steps: sums.steps + 1,
      loss: sums.loss + loss,
      decodeLoss: sums.decodeLoss + decodeLoss,
      auxiliaryLoss: sums.auxiliaryLoss + auxiliaryLoss,
      accuracy: sums.accuracy + accuracy,
      dataMilliseconds: sums.dataMilliseconds + milliseconds.data,
      stepMilliseconds: sums.stepMilliseconds + milliseconds.step,
      peakLiveTensorBytes: Math.max(sums.peakLiveTensorBytes, peakLiveTensorBytes),
    };
  }

  /** The sums so far: what a new interval is begun with to go on. */
  get state(): TrainingProgress['interval'] {
    return this.sums;
  }

  take() {
    const { steps, dataMilliseconds, stepMilliseconds, ...sums } = this.sums;
    this.sums = EMPTY;
    return {
      loss: sums.loss / steps,
      decodeLoss: sums.decodeLoss / steps,
      auxiliaryLoss: sums.auxiliaryLoss / steps,
      accuracy: sums.accuracy / steps,
      secondsPerIteration: (dataMilliseconds + stepMilliseconds) / 1000 / steps,
      dataSeconds: dataMilliseconds / 1000 / steps,
      peakLiveTensorBytes: sums.peakLiveTensorBytes,
    };
  }
}

/** Appends a line of JSON. @throws UserError where the file cannot be written. */
export async function appendLine(file: string, line: LogLine | ValidationLine): Promise<void> {
  try {
    await appendFile(file, `${JSON.stringify(line)}\n`);
  } catch (error) {
    throw explainFileError(error, file, 'write');
  }
}

/**
 * Cuts off what a log says of iterations after the last one that is saved, and a line that was being written when the
 * process ended: they are written again. A damaged line before that is taken out. `note` is told of what is lost: its iterations
 * are not done again.
 * @param logEvery Iterations between two lines of training.
 */
export async function cutLog(
  file: string,
  lastIteration: number,
  logEvery: number,
  note?: (text: string) => void,
): Promise<void> {
  const text = await logText(file);
  const lines = text.split('\n').slice(0, -1);
  const after = lines.findIndex((line) => iterationOf(line) > lastIteration);
  // With nothing saved all of it is written again.
  const before = lastIteration === 0 ? [] : lines.slice(0, after === -1 ? lines.length : after);
  const damaged = before.flatMap((line, i) => (Number.isNaN(iterationOf(line)) ? [i + 1] : []));
  if (damaged.length > 0) {
    const numbers = `line${damaged.length === 1 ? '' : 's'} ${damaged.join(', ')}`;
    note?.(
      `${file} is damaged in ${numbers}: taken out. What it said of iterations up to ${lastIteration}, which are done, is lost.`,
    );
  }
  const sound = before.filter((line) => !Number.isNaN(iterationOf(line)));
  const [found = 0, expected] = [sound.map(iterationOf).at(-1), lastIteration - (lastIteration % logEvery)];
  if (damaged.length === 0 && found < expected) {
    note?.(`${file} ends at iteration ${found}: what it said of those up to ${expected}, which are done, is lost.`);
  }
  const cut = sound.map((line) => `${line}\n`).join('');
  if (cut !== text) await writeFileAtomic(file, cut);
}

/** A log's text; empty where there is none. @throws UserError where it cannot be read. */
async function logText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw explainFileError(error, file, 'read');
  }
}

/** Whether a log has the evaluation after an iteration; false where there is no log. @throws UserError where it cannot be read. */
export async function hasValidation(file: string, iteration: number): Promise<boolean> {
  const text = await logText(file);
  const lines = text.split('\n').filter((line) => iterationOf(line) === iteration);
  return lines.some((line) => (JSON.parse(line) as { mode?: unknown }).mode === 'val');
}

/** NaN of a line that is none of the log's. */
function iterationOf(line: string): number {
  try {
    const { iteration } = (JSON.parse(line) ?? {}) as { iteration?: unknown };
    return typeof iteration === 'number' ? iteration : Number.NaN;
  } catch (error) {
    if (error instanceof SyntaxError) return Number.NaN;
    throw error;
  }
}
