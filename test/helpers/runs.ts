import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ResolveOptions } from '../../src/recipe/resolve.js';
import { type RunRecord, writeRecord } from '../../src/records/record.js';
import { RunCatalogue } from '../../src/runs/catalogue.js';
import { ownIdentity } from '../../src/support/process-identity.js';
import { makeRecord } from './record.js';

/**
 * The details of an evaluation whose confusion matrix is given; accuracy and IoU follow from it. Of as many images as the
 * validation split of Cityscapes has, as otherwise its figures compare with nothing published.
 */
export function evaluationOf(names: readonly string[], confusion: number[][]) {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const labels = confusion.map(sum);
  const predictions = names.map((_, k) => sum(confusion.map((row) => row[k]!)));
  const perClass = names.map((name, k) => ({
    name,
    iou: confusion[k]![k]! / (labels[k]! + predictions[k]! - confusion[k]![k]!),
    accuracy: confusion[k]![k]! / labels[k]!,
  }));
  return {
    images: 500,
    skippedImages: [],
    loadReport: { loaded: 100, missing: [], unexpected: [], wrongShape: [] },
    seconds: 2,
    mIoU: sum(perClass.map(({ iou }) => iou)) / names.length,
    mAcc: sum(perClass.map(({ accuracy }) => accuracy)) / names.length,
    aAcc: sum(names.map((_, k) => confusion[k]![k]!)) / sum(labels),
    perClass,
    confusion,
  };
}

/** A line of a log as training writes it, with a loss that falls. */
export function logLine(iteration: number, changes: Record<string, unknown> = {}): string {
  const loss = 3 / Math.sqrt(iteration) + 0.1 * Math.sin(iteration);
  return JSON.stringify({
    iteration,
    learningRate: 0.01 * (1 - iteration / 100_000),
    loss,
    decodeLoss: 0.7 * loss,
    auxiliaryLoss: 0.3 * loss,
    accuracy: 100 - 50 / Math.sqrt(iteration),
    secondsPerIteration: 0.5,
    dataSeconds: 0.1,
    liveTensorBytes: 1e8 + iteration,
    peakLiveTensorBytes: 2e8 + iteration,
    processBytes: 4e8 + iteration,
    ...changes,
  });
}

/** The log of so many iterations. */
export const logLines = (count: number) => Array.from({ length: count }, (_, i) => logLine(i + 1));

/** A catalogue of valid runs only: a broken one is an error. They are read when they are first asked for. */
export const catalogueOf = (folders: { runs: string; results: string }) =>
  new RunCatalogue(folders, (error) => {
    throw error;
  });

export interface WrittenRun {
  readonly directory: string;
  readonly record: RunRecord;
}

/** A run directory as a run leaves it: record, experiment, environment, status and log. */
export async function writeRun(
  runs: string,
  options: ResolveOptions,
  changes: Partial<RunRecord>,
  log: readonly string[],
): Promise<WrittenRun> {
  const record = makeRecord(options, changes);
  const directory = path.join(runs, record.row, record.run);
  await mkdir(directory, { recursive: true });
  const write = (name: string, value: unknown) => writeFile(path.join(directory, name), JSON.stringify(value));
  await write('experiment.json', record.experiment);
  await write('environment.json', record.environment);
  await write('status.json', { state: record.exitReason, stage: null, processId: 1, updatedAt: record.endedAt });
  await writeFile(path.join(directory, 'log.jsonl'), log.map((line) => `${line}\n`).join(''));
  await writeRecord(path.join(directory, 'record.json'), record);
  return { directory, record };
}

/** No system has so many processes. */
export const NO_PROCESS = 2 ** 30;

/** Makes a run directory one that a process executes: its status, and the lock it holds. */
export async function writeRunning(directory: string, processId = process.pid): Promise<void> {
  const status = { state: 'running', stage: 'train', processId, updatedAt: new Date().toISOString() };
  await writeFile(path.join(directory, 'status.json'), JSON.stringify(status));
  const started = processId === process.pid ? ownIdentity().started : null;
  const holder = { ...ownIdentity(), pid: processId, started, key: 'one' };
  await writeFile(path.join(directory, 'lock'), JSON.stringify(holder));
}
