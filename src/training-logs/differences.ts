import { publishedImages } from '../data/description.js';
import { recipeValues } from '../recipe/overrides.js';
import type { Row } from '../recipe/tables.js';
import { formatNumber } from '../support/format.js';
import { learningRate as learningRateAt } from '../training/step.js';
import { formatGpus, type LogHeader } from './header.js';
import type { EpochLength, ImpliedBatch } from './implied-batch.js';
import type { PublishedLog } from './read.js';

/** A difference between a log and the recipe of its row, or between two headers of the log. */
export interface LogDifference {
  /** A path of the recipe, or what else is compared. */
  readonly what: string;
  readonly expected: unknown;
  /** Where the expected value is from: the row, this run ("here": its seed), or the log's first header. */
  readonly where: 'in the row' | 'here' | 'in the first header';
  /** What the log has, or what its lines imply. */
  readonly log: unknown;
  /** What in the log shows it: a sentence without its full stop. */
  readonly because: string;
}

interface Compared {
  readonly log: PublishedLog;
  readonly row: Row;
  readonly epoch: EpochLength | null;
  readonly implied: ImpliedBatch | null;
  /** The last iteration that was logged. */
  readonly lastIteration: number;
  readonly seed: number;
}

/** How a log differs from the recipe of a row. */
export function recipeDifferences(compared: Compared): LogDifference[] {
  return [
    ...batchDifference(compared),
    ...gpuDifference(compared),
    ...statedDifferences(compared),
    ...scheduleDifference(compared),
    ...learningRateDifference(compared),
    ...classDifference(compared),
    ...validationDifference(compared),
    ...seedDifference(compared),
  ];
}

function fromRow(what: string, expected: unknown, log: unknown, because: string): LogDifference[] {
  return [{ what, expected, where: 'in the row', log, because }];
}

const gpusOf = ({ recipe }: Row) => recipe.training.batch / recipe.benchmark.trainingBatch;

const fits = ({ above, below }: ImpliedBatch, batch: number) => batch > above && batch < below;

function batchDifference({ epoch, implied, row }: Compared): LogDifference[] {
  const { batch } = row.recipe.training;
  if (epoch === null || implied === null || fits(implied, batch)) return [];
  const perEpoch = (epoch.least + epoch.most) / 2;
  const counted = epoch.resumed
    ? `resumed, it counts ${epoch.epochs} epochs in ${epoch.iterations} iterations`
    : `it is in epoch ${epoch.epochs} after ${epoch.iterations} iterations`;
  return fromRow(
    'training.batch',
    batch,
    implied.batch ?? Number(implied.estimate.toFixed(1)),
    `${counted}, and the data set has ${implied.images} images; ` +
      `at ${batch} images a step it would have had about ${Math.round(perEpoch * batch)}`,
  );
}

function gpuDifference({ log: { header }, row }: Compared): LogDifference[] {
  const gpus = gpusOf(row);
  if (header.gpu === null || !Number.isInteger(gpus) || header.gpu.count === gpus) return [];
  return fromRow('GPUs', gpus, header.gpu.count, `its header states ${formatGpus(header.gpu)}`);
}

/** Values that the log's config states and the row does not have. */
function statedDifferences({ log: { header }, row, implied }: Compared): LogDifference[] {
  const published = recipeValues(row.recipe);
  return [...header.recipe].flatMap(([what, stated]) => {
    const expected = published.get(what);
    if (JSON.stringify(expected) === JSON.stringify(stated)) return [];
    if (what !== 'training.batch') return fromRow(what, expected, stated, 'its config states it');
    const gpus = header.gpu?.count ?? 0;
    const images = formatNumber(header.imagesPerGpu ?? 0, 'image');
    const because = `its config states ${images} a GPU, and it had ${formatNumber(gpus, 'GPU')}`;
    if (implied === null || fits(implied, stated as number)) return fromRow(what, expected, stated, because);
    const unused = gpus > 1 ? ': not all of them may have been used' : '';
    return fromRow(what, expected, stated, `${because}, which its epochs contradict${unused}`);
  });
}

function scheduleDifference({ log: { header, train }, lastIteration, row }: Compared): LogDifference[] {
  const { iterations } = row.recipe.training;
  if (header.recipe.has('training.iterations')) return [];
  // An evaluation may have been logged in place of the last line.
  const [before, last] = train.slice(-2);
  const spacing = last === undefined ? 0 : last.iteration - before!.iteration;
  if (lastIteration <= iterations && lastIteration + spacing >= iterations) return [];
  return fromRow('training.iterations', iterations, lastIteration, `its last line is of iteration ${lastIteration}`);
}

/** The log rounds learning rates to five decimals. */
const LEARNING_RATE_ROUNDING = 6e-6;
const LEARNING_RATE_TOLERANCE = 0.01;

/** Compares the learning rate of the first line with that of the recipe at its iteration. */
function learningRateDifference({ log: { train, header }, row }: Compared): LogDifference[] {
  // `statedDifferences` compares what the config states.
  if (header.recipe.has('training.learningRate')) return [];
  const first = train.find(({ learningRate }) => Number.isFinite(learningRate));
  const { training } = row.recipe;
  if (first === undefined || first.iteration > training.iterations) return [];
  const expected = learningRateAt(training, first.iteration - 1);
  const difference = Math.abs(first.learningRate - expected);
  if (difference <= LEARNING_RATE_TOLERANCE * expected + LEARNING_RATE_ROUNDING) return [];
  return fromRow(
    'training.learningRate',
    Number(expected.toPrecision(4)),
    first.learningRate,
    `its first line, of iteration ${first.iteration}, has it; the row's is that of its schedule there`,
  );
}

function classDifference({ log: { validation, header }, row }: Compared): LogDifference[] {
  if (header.recipe.has('model.classes')) return [];
  const listed = header.classes ?? validation.at(-1)?.perClass.size ?? 0;
  const { classes } = row.recipe.model;
  if (listed === 0 || listed === classes) return [];
  const where = header.classes === null ? 'last evaluation' : 'header';
  return fromRow('model.classes', classes, listed, `its ${where} lists this many`);
}

function validationDifference({ log: { reading, header }, row }: Compared): LogDifference[] {
  const [counted, ...others] = reading.validationCounts;
  const images = publishedImages(row.recipe.data.dataset)['val'];
  if (counted === undefined || others.length > 0 || images === undefined) return [];
  // Each GPU counts its own part, and the last part may be padded.
  const parts = Array.from({ length: Math.max(header.gpu?.count ?? 0, gpusOf(row), 1) }, (_, i) => i + 1);
  if (parts.some((part) => Math.ceil(images / part) === counted)) return [];
  return fromRow('validation images', images, counted, `its evaluations count ${counted} images or batches`);
}

function seedDifference({ log: { header }, seed }: Compared): LogDifference[] {
  if (header.seed === null || header.seed === seed) return [];
  return [{ what: 'seed', expected: seed, where: 'here', log: header.seed, because: "the log's header states it" }];
}

function startOf({ seed, gpu, recipe }: LogHeader) {
  return { seed, GPUs: gpu?.count ?? null, batch: recipe.get('training.batch') ?? null };
}

/** What changed between the start of a training and a later one, which resumed it. */
export function restartDifferences({ header, restarts }: PublishedLog): LogDifference[] {
  const first = startOf(header);
  const later = restarts.map(startOf);
  return (['seed', 'GPUs', 'batch'] as const).flatMap((what): LogDifference[] => {
    const expected = first[what];
    const log = later.map((start) => start[what]).find((value) => value !== null && value !== expected);
    if (log === undefined || expected === null) return [];
    const because = 'a later header states it';
    return [{ what: `${what} when resumed`, expected, where: 'in the first header', log, because }];
  });
}
