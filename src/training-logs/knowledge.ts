import path from 'node:path';
import { publishedImages } from '../data/description.js';
import { recipeValues } from '../recipe/overrides.js';
import type { Row, Table } from '../recipe/tables.js';
import { formatNumber, withoutNoise } from '../support/format.js';
import { learningRate as rateAt } from '../training/step.js';
import { type EpochLength, epochLength, type ImpliedBatch, impliedBatch } from './implied-batch.js';
import { formatGpus, type LoggedGpus, type LogHeader } from './lines.js';
import type { PublishedLog } from './read.js';

const nameOf = (file: string) => path.posix.basename(file.replaceAll('\\', '/'));

/**
 * The row that a published log is of; null where neither its name nor its header tells.
 *
 * The name under which it is published says it for certain. The name of the experiment does where it is that of a row: some
 * rows were trained under another name than they are published under.
 * @param file As it was given; it may be called otherwise than the published one.
 */
export function rowOfLog({ experimentName }: LogHeader, file: string, tables: readonly Table[]): Row | null {
  const rows = tables.flatMap((table) => table.rows);
  const name = nameOf(file);
  const called = /^(.+?)[_-]\d{8}_\d{6}\.log\.json$/.exec(name)?.[1] ?? null;
  return (
    rows.find(({ log }) => log !== null && nameOf(log) === name) ??
    rows.find(({ id }) => id === experimentName) ??
    rows.find(({ id }) => id === called) ??
    null
  );
}

/**
 * Iterations of a log's schedule: as it states them, as its row has them, or up to its last line where neither is known. One by
 * epoch is not its row's, whose schedule is in iterations.
 */
export function scheduleOfLog(
  { header, train, validation, reading: { epochs } }: PublishedLog,
  row: Row | null,
): number {
  const byEpoch = epochs === null || header.epochs === null ? undefined : header.epochs * epochs.iterationsPerEpoch;
  const stated = header.recipe.get('training.iterations') ?? byEpoch;
  const expected = stated ?? (epochs === null ? row?.recipe.training.iterations : undefined);
  const logged = Math.max(train.at(-1)?.iteration ?? 0, validation.at(-1)?.iteration ?? 0);
  return Math.max(typeof expected === 'number' ? expected : 1, logged);
}

/** Of the last evaluation, percent, and most of one GPU, GB; null where they were not logged. */
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

/** Something in which a log is not of its row's recipe, or not of one piece. */
export interface LogDifference {
  /** A path of the recipe, or what else is compared. */
  readonly what: string;
  /** As it is there: "in the row", "here" (the seed), "in the first header" (of a training that was resumed). */
  readonly expected: unknown;
  readonly where: 'in the row' | 'here' | 'in the first header';
  /** As the log has it, or as its lines come to. */
  readonly log: unknown;
  /** What in the log says so: a sentence without its full stop. */
  readonly because: string;
}

/** All that a log says besides its curve. */
export interface LogKnowledge {
  /** The row whose recipe and data set it is judged by; null where none is known. */
  readonly row: string | null;
  readonly experimentName: string | null;
  readonly seed: number | null;
  readonly gpu: LoggedGpus | null;
  readonly dataset: string | null;
  /** Of the whole schedule, stated or up to the last line. */
  readonly iterations: number;
  /** The last iteration that was logged. */
  readonly lastIteration: number;
  readonly statedRecipe: Readonly<Record<string, unknown>>;
  readonly epoch: EpochLength | null;
  /** Null where the log has too few epochs, or the images of the data set are not known. */
  readonly implied: ImpliedBatch | null;
  /** Mean over the lines, waiting for data included; null where it was not logged. */
  readonly secondsPerIteration: number | null;
  /** Lines of the training whose loss is not finite: left out of the curve. By iteration. */
  readonly nonFinite: readonly number[];
  readonly trainingLines: number;
  readonly evaluations: number;
  readonly reading: PublishedLog['reading'];
  readonly differences: readonly LogDifference[];
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
const gpusOf = ({ recipe }: Row) => recipe.training.batch / recipe.benchmark.trainingBatch;

const fits = ({ above, below }: ImpliedBatch, batch: number) => batch > above && batch < below;

/** Of a learning rate: the log rounds it to five decimals. */
const ROUNDING = 6e-6;
const RATE_TOLERANCE = 0.01;

/** What the log's config states otherwise than the row. */
function statedDifferences({ header }: PublishedLog, row: Row, implied: ImpliedBatch | null): LogDifference[] {
  const published = recipeValues(row.recipe);
  return [...header.recipe].flatMap(([what, log]) => {
    if (same(published.get(what), log)) return [];
    const gpus = header.gpu?.count ?? 0;
    const images = formatNumber(header.imagesPerGpu ?? 0, 'image');
    const stated = `its config states ${images} a GPU, and it had ${formatNumber(gpus, 'GPU')}`;
    const contradicted = implied !== null && !fits(implied, log as number);
    const because =
      what !== 'training.batch'
        ? 'its config states it'
        : contradicted
          ? `${stated}, which its epochs contradict${gpus > 1 ? ': not all of them may have been used' : ''}`
          : stated;
    return [{ what, expected: published.get(what), where: 'in the row', log, because }];
  });
}

function batchDifference(epoch: EpochLength | null, implied: ImpliedBatch | null, row: Row): LogDifference[] {
  if (epoch === null || implied === null) return [];
  const { batch } = row.recipe.training;
  if (fits(implied, batch)) return [];
  const perEpoch = (epoch.least + epoch.most) / 2;
  const counted = epoch.resumed
    ? `resumed, it counts ${epoch.epochs} epochs in ${epoch.iterations} iterations`
    : `it is in epoch ${epoch.epochs} after ${epoch.iterations} iterations`;
  return [
    {
      what: 'training.batch',
      expected: batch,
      where: 'in the row',
      log: implied.batch ?? Number(implied.estimate.toFixed(1)),
      because:
        `${counted}, and the data set has ${implied.images} images; ` +
        `at ${batch} images a step it would have had about ${Math.round(perEpoch * batch)}`,
    },
  ];
}

function validationDifference({ reading, header }: PublishedLog, row: Row): LogDifference[] {
  const [counted, ...others] = reading.validationCounts;
  const images = publishedImages(row.recipe.data.dataset)['val'];
  if (counted === undefined || others.length > 0 || images === undefined) return [];
  // Each GPU counts its own part, of which the last may be filled up.
  const parts = Array.from({ length: Math.max(header.gpu?.count ?? 0, gpusOf(row), 1) }, (_, i) => i + 1);
  if (parts.some((part) => Math.ceil(images / part) === counted)) return [];
  return [
    {
      what: 'validation images',
      expected: images,
      where: 'in the row',
      log: counted,
      because: `its evaluations count ${counted} images or batches`,
    },
  ];
}

function scheduleDifference(log: PublishedLog, lastIteration: number, row: Row): LogDifference[] {
  const { iterations } = row.recipe.training;
  if (log.header.recipe.has('training.iterations')) return [];
  // An evaluation may have been logged in place of the last line.
  const [before, last] = log.train.slice(-2);
  const spacing = last === undefined ? 0 : last.iteration - before!.iteration;
  if (lastIteration <= iterations && lastIteration + spacing >= iterations) return [];
  const what = 'training.iterations';
  const because = `its last line is of iteration ${lastIteration}`;
  return [{ what, expected: iterations, where: 'in the row', log: lastIteration, because }];
}

/** The learning rate of the first line, beside that of the recipe at its iteration. */
function rateDifference({ train, header }: PublishedLog, row: Row): LogDifference[] {
  // What the config states is named already.
  if (header.recipe.has('training.learningRate')) return [];
  const first = train.find(({ learningRate }) => Number.isFinite(learningRate));
  const { training } = row.recipe;
  if (first === undefined || first.iteration > training.iterations) return [];
  const expected = rateAt(training, first.iteration - 1);
  if (Math.abs(first.learningRate - expected) <= RATE_TOLERANCE * expected + ROUNDING) return [];
  return [
    {
      what: 'training.learningRate',
      expected: Number(expected.toPrecision(4)),
      where: 'in the row',
      log: first.learningRate,
      because: `its first line, of iteration ${first.iteration}, has it; the row's is that of its schedule there`,
    },
  ];
}

function classDifference({ validation, header }: PublishedLog, row: Row): LogDifference[] {
  if (header.recipe.has('model.classes')) return [];
  const listed = header.classes ?? validation.at(-1)?.perClass.size ?? 0;
  const { classes } = row.recipe.model;
  if (listed === 0 || listed === classes) return [];
  const because = header.classes === null ? 'its last evaluation names so many' : 'its header lists so many';
  return [{ what: 'model.classes', expected: classes, where: 'in the row', log: listed, because }];
}

/** A training that was begun with one thing and resumed with another. */
function restartDifferences({ header, restarts }: PublishedLog): LogDifference[] {
  const said = {
    seed: header.seed,
    GPUs: header.gpu?.count ?? null,
    batch: header.recipe.get('training.batch') ?? null,
  };
  return (['seed', 'GPUs', 'batch'] as const).flatMap((what) => {
    const later = restarts
      .map(({ seed, gpu, recipe }) =>
        what === 'seed' ? seed : what === 'GPUs' ? (gpu?.count ?? null) : (recipe.get('training.batch') ?? null),
      )
      .filter((value) => value !== null && value !== said[what]);
    if (later.length === 0 || said[what] === null) return [];
    const because = 'a later header says so';
    return [
      { what: `${what} when resumed`, expected: said[what], where: 'in the first header', log: later[0], because },
    ];
  });
}

/**
 * What a log says besides its curve, and where it is not of a row's recipe.
 * @param row By whose recipe and data set it is judged; null: nothing is.
 * @param seed What the row's seed is taken for.
 */
export function logKnowledge(log: PublishedLog, row: Row | null, seed = 0): LogKnowledge {
  const { header, train, validation, reading } = log;
  const epoch = epochLength(log);
  const images = row === null ? undefined : publishedImages(row.recipe.data.dataset)['train'];
  const implied = epoch === null || images === undefined ? null : impliedBatch(epoch, images);
  const lastIteration = Math.max(train.at(-1)?.iteration ?? 0, validation.at(-1)?.iteration ?? 0);
  const seconds = train.map(({ secondsPerIteration }) => secondsPerIteration).filter(Number.isFinite);
  const differences: LogDifference[] = [];
  if (row !== null) {
    const gpus = gpusOf(row);
    differences.push(
      ...batchDifference(epoch, implied, row),
      ...(header.gpu === null || !Number.isInteger(gpus) || header.gpu.count === gpus
        ? []
        : [
            {
              what: 'GPUs',
              expected: gpus,
              where: 'in the row' as const,
              log: header.gpu.count,
              because: `its header states ${formatGpus(header.gpu)}`,
            },
          ]),
      ...statedDifferences(log, row, implied),
      ...scheduleDifference(log, lastIteration, row),
      ...rateDifference(log, row),
      ...classDifference(log, row),
      ...validationDifference(log, row),
      ...(header.seed === null || header.seed === seed
        ? []
        : [
            {
              what: 'seed',
              expected: seed,
              where: 'here' as const,
              log: header.seed,
              because: "the log's header states it",
            },
          ]),
    );
  }
  differences.push(...restartDifferences(log));
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
    nonFinite: train.filter(({ loss }) => !Number.isFinite(loss)).map(({ iteration }) => iteration),
    trainingLines: train.length,
    evaluations: validation.length,
    reading,
    differences,
  };
}
