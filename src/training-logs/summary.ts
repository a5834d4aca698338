import path from 'node:path';
import { publishedImages } from '../data/description.js';
import type { ResolveOptions } from '../recipe/resolve.js';
import { selectRow } from '../recipe/select.js';
import { loadTables, type Row, type Table } from '../recipe/tables.js';
import { withoutNoise } from '../support/format.js';
import { type LogDifference, recipeDifferences, restartDifferences } from './differences.js';
import type { LoggedGpus, LogHeader } from './header.js';
import { type EpochLength, epochLength, type ImpliedBatch, impliedBatch } from './implied-batch.js';
import { type PublishedLog, readPublishedLog } from './read.js';

const nameOf = (file: string) => path.posix.basename(file.replaceAll('\\', '/'));

/**
 * The row that a published log is of; null if neither the file's name nor the log's header says.
 *
 * The published name of the file is certain. The name of the experiment comes second: some rows were trained under another name
 * than they were published under.
 * @param file As given; it may have another name than the published one.
 */
export function rowOfLog({ experimentName }: LogHeader, file: string, tables: readonly Table[]): Row | null {
  const rows = tables.flatMap((table) => table.rows);
  const name = nameOf(file);
  const idInName = /^(.+?)[_-]\d{8}_\d{6}\.log\.json$/.exec(name)?.[1] ?? null;
  return (
    rows.find(({ log }) => log !== null && nameOf(log) === name) ??
    rows.find(({ id }) => id === experimentName) ??
    rows.find(({ id }) => id === idInName) ??
    null
  );
}

function lastIterationOf({ train, validation }: PublishedLog): number {
  return Math.max(train.at(-1)?.iteration ?? 0, validation.at(-1)?.iteration ?? 0);
}

/**
 * Iterations of a log's schedule: as the log states them, else as its row has them, else up to its last line. The schedule of a
 * log that counts by epoch is not its row's, which is in iterations.
 */
export function scheduleOfLog(log: PublishedLog, row: Row | null): number {
  const { header, reading } = log;
  const { epochs } = reading;
  const byEpoch = epochs === null || header.epochs === null ? undefined : header.epochs * epochs.iterationsPerEpoch;
  const stated = header.recipe.get('training.iterations') ?? byEpoch;
  const expected = stated ?? (epochs === null ? row?.recipe.training.iterations : undefined);
  return Math.max(typeof expected === 'number' ? expected : 1, lastIterationOf(log));
}

/** mIoU of the last evaluation, percent, and the most memory of one GPU, GiB; null: not logged. */
export interface LoggedFigures {
  readonly mIoU: number | null;
  readonly memoryGB: number | null;
}

export function loggedFigures({ train, validation }: PublishedLog): LoggedFigures {
  const mIoU = validation.at(-1)?.mIoU ?? Number.NaN;
  const memory = train.map(({ memoryBytes }) => memoryBytes).filter(Number.isFinite);
  return {
    mIoU: Number.isNaN(mIoU) ? null : withoutNoise(mIoU * 100),
    memoryGB: memory.length === 0 ? null : memory.reduce((most, bytes) => Math.max(most, bytes)) / 2 ** 30,
  };
}

/** What a log shows besides its curve. */
export interface LogSummary extends Pick<LogHeader, 'experimentName' | 'seed' | 'dataset'> {
  /** The row with whose recipe and data set the log is compared; null if none is known. */
  readonly row: string | null;
  readonly gpu: LoggedGpus | null;
  /** Of the whole schedule: see `scheduleOfLog`. */
  readonly iterations: number;
  /** The last iteration that was logged. */
  readonly lastIteration: number;
  readonly statedRecipe: Readonly<Record<string, unknown>>;
  readonly epoch: EpochLength | null;
  /** Null if the log has too few epochs, or the number of images of the data set is unknown. */
  readonly implied: ImpliedBatch | null;
  /** Mean over the lines, waiting for data included; null: not logged. */
  readonly secondsPerIteration: number | null;
  /** Iterations whose loss is not finite: left out of the curve. */
  readonly nonFinite: readonly number[];
  readonly trainingLines: number;
  readonly evaluations: number;
  readonly reading: PublishedLog['reading'];
  readonly differences: readonly LogDifference[];
}

/** Iterations whose loss is not finite. */
export function nonFiniteIterations({ train }: PublishedLog): number[] {
  return train.filter(({ loss }) => !Number.isFinite(loss)).map(({ iteration }) => iteration);
}

/**
 * Summarizes a log and compares it with a row's recipe.
 * @param row Null: compared with nothing.
 * @param seed The seed that is expected.
 */
export function summarizeLog(log: PublishedLog, row: Row | null, seed = 0): LogSummary {
  const { header, train, validation, reading } = log;
  const epoch = epochLength(log);
  const images = row === null ? undefined : publishedImages(row.recipe.data.dataset)['train'];
  const implied = epoch === null || images === undefined ? null : impliedBatch(epoch, images);
  const lastIteration = lastIterationOf(log);
  const seconds = train.map(({ secondsPerIteration }) => secondsPerIteration).filter(Number.isFinite);
  return {
    row: row?.id ?? null,
    experimentName: header.experimentName,
    seed: header.seed,
    gpu: header.gpu,
    dataset: header.dataset,
    iterations: scheduleOfLog(log, row),
    lastIteration,
    statedRecipe: Object.fromEntries(header.recipe),
    epoch,
    implied,
    secondsPerIteration: seconds.length === 0 ? null : seconds.reduce((sum, one) => sum + one, 0) / seconds.length,
    nonFinite: nonFiniteIterations(log),
    trainingLines: train.length,
    evaluations: validation.length,
    reading,
    differences: [
      ...(row === null ? [] : recipeDifferences({ log, row, epoch, implied, lastIteration, seed })),
      ...restartDifferences(log),
    ],
  };
}

/** A log's summary beside a row that the user named. */
export interface DescribedLog extends LogSummary {
  readonly file: string;
  /** The row that the user named; `row` is the one with which the log is compared. */
  readonly besideRow: string;
  /** The row that the log is of; null if it does not say. */
  readonly ofRow: string | null;
  readonly figures: LoggedFigures;
}

/**
 * Summarizes the log of a training. It is compared with the row that it is of, since images, batch and schedule of another row say
 * nothing about it; if it does not say its row, with the row that the user named.
 * @throws UserError if the row or the file is wrong.
 */
export function describeLog(file: string, options: ResolveOptions): DescribedLog {
  const row = selectRow(options.row, options.file);
  const log = readPublishedLog(file);
  // The named row's own table comes first: it may have a row under a published name.
  const own = rowOfLog(log.header, file, [row.table, ...loadTables()]);
  const summary = summarizeLog(log, own ?? row, options.seed);
  return { file, besideRow: row.id, ofRow: own?.id ?? null, figures: loggedFigures(log), ...summary };
}
