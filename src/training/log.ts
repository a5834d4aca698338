import { appendFile, readFile } from 'node:fs/promises';
import { explainFileError, writeFileAtomic } from '../support/files.js';
import { unlessMissing } from './checkpoint.js';
import type { TrainingProgress } from './checkpoint-schema.js';
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

/** A line of log.jsonl about training: means over the steps since the line before. A reader gives NaN for null. */
export interface LogLine {
  /** Steps done, from 1. */
  readonly iteration: number;
  /** Of the last step. */
  readonly learningRate: number;
  readonly loss: number;
  readonly decodeLoss: number;
  readonly auxiliaryLoss: number;
  /** Percent. */
  readonly accuracy: number;
  readonly secondsPerIteration: number;
  /** The part of these spent waiting for data. */
  readonly dataSeconds: number;
  /** Between steps. */
  readonly liveTensorBytes: number;
  /** The highest in any of the steps. */
  readonly peakLiveTensorBytes: number;
  /** Resident main memory of the process when the line was written. */
  readonly processBytes: number;
}

/** A line of log.jsonl about an evaluation at a single scale during training. Figures are fractions. */
export interface ValidationLine {
  readonly mode: 'val';
  /** Steps done when the weights were saved. */
  readonly iteration: number;
  readonly mIoU: number;
  readonly mAcc: number;
  readonly aAcc: number;
}

/** Accumulates a line of the log over its steps. */
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

  /** The sums so far, from which a new interval can continue. */
  get state(): TrainingProgress['interval'] {
    return this.sums;
  }

  /** Ends the interval: its means for the log. */
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

/** Appends a line of JSON. @throws UserError if the file cannot be written. */
export async function appendLine(file: string, line: LogLine | ValidationLine): Promise<void> {
  await appendFile(file, `${JSON.stringify(line)}\n`).catch((error) => {
    throw explainFileError(error, file, 'write');
  });
}

/**
 * Cuts off a log's lines after the last saved iteration, and a half-written last line: they are written again. Damaged lines
 * before that are removed; `note` gets a message about them, because their iterations are not repeated.
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
  // If nothing is saved, everything is written again.
  const before = lastIteration === 0 ? [] : lines.slice(0, after === -1 ? lines.length : after);
  const damaged = before.flatMap((line, i) => (Number.isNaN(iterationOf(line)) ? [i + 1] : []));
  if (damaged.length > 0) {
    const numbers = `line${damaged.length === 1 ? '' : 's'} ${damaged.join(', ')}`;
    note?.(`${file} is damaged in ${numbers}, removed now: what it said of iterations up to ${lastIteration} is lost.`);
  }
  const sound = before.filter((line) => !Number.isNaN(iterationOf(line)));
  const [found = 0, expected] = [sound.map(iterationOf).at(-1), lastIteration - (lastIteration % logEvery)];
  if (damaged.length === 0 && found < expected) {
    note?.(`${file} ends at iteration ${found}: what it said of iterations up to ${expected} is lost.`);
  }
  const cut = sound.map((line) => `${line}\n`).join('');
  if (cut !== text) await writeFileAtomic(file, cut);
}

/** A log's text; empty if there is none. @throws UserError if it cannot be read. */
function logText(file: string): Promise<string> {
  return unlessMissing(file, 'read', readFile(file, 'utf8'), '');
}

/** The evaluations in a log, oldest first; none if there is no log. @throws UserError if it cannot be read. */
export async function validationLines(file: string): Promise<ValidationLine[]> {
  const lines = (await logText(file)).split('\n').filter((line) => !Number.isNaN(iterationOf(line)));
  return lines.map((line) => JSON.parse(line)).filter(({ mode }) => mode === 'val');
}

/** The iteration of a line; NaN if it is no line of a log. */
function iterationOf(line: string): number {
  try {
    const { iteration } = (JSON.parse(line) ?? {}) as { iteration?: unknown };
    return typeof iteration === 'number' ? iteration : Number.NaN;
  } catch (error) {
    if (error instanceof SyntaxError) return Number.NaN;
    throw error;
  }
}
