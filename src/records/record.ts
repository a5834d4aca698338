import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { experimentSchema, namePart } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import { explainFileError, writeFileAtomic } from '../support/files.js';
import { compactJson } from '../support/json.js';
import { check, formatFinding } from '../support/yaml.js';

/** The parts of a run, in their order. */
export const STAGE_NAMES = ['train', 'evaluate', 'evaluate-ms', 'benchmark'] as const;
export type Stage = (typeof STAGE_NAMES)[number];

const time = z.iso.datetime();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in hexadecimal');
const bytes = z.number().min(0);
const rate = z.number().positive();
const seconds = z.number().min(0);
const sizeHw = z.tuple([z.int(), z.int()]).readonly();

const names = z.array(z.string()).readonly();
const shape = z.array(z.int().min(0)).readonly();

const counts = z.array(z.int().min(0)).readonly();

const dataDeviation = z.strictObject({
  path: z.string(),
  published: z.union([z.string(), z.number()]),
  value: z.union([z.string(), z.number()]),
});

const train = z.object({
  iterations: z.int().min(1),
  seconds,
  finalLoss: z.number(),
  /** Of 16-bit training: steps that moved nothing, as a gradient had overflowed. */
  skippedSteps: z.int().min(0),
  /** Names of the samples that could not be read, in whose place others were drawn. */
  skippedSamples: names,
  peakLiveTensorBytes: bytes,
  peakProcessBytes: bytes,
});

interface ClassTables {
  readonly perClass: readonly unknown[];
  readonly confusion: readonly (readonly number[])[];
  readonly outside?: { readonly labels: readonly number[]; readonly predictions: readonly number[] } | undefined;
}

function areOfSameClasses({ perClass, confusion, outside }: ClassTables): boolean {
  const lists = [confusion, ...confusion, ...(outside === undefined ? [] : [outside.labels, outside.predictions])];
  return perClass.length > 0 && lists.every(({ length }) => length === perClass.length);
}

/** Figures are fractions; null for a class that is neither labelled nor predicted. */
const evaluationFields = z.object({
  images: z.int().min(1),
  /** Names of the images that could not be read and were left out. */
  skippedImages: names,
  /** Images that there were to evaluate, as far as the recipe's limit; not in every kept record. */
  splitImages: z.int().min(1).optional(),
  seconds,
  mIoU: z.number(),
  mAcc: z.number(),
  aAcc: z.number(),
  perClass: z.array(z.object({ name: z.string(), iou: z.number().nullable(), accuracy: z.number().nullable() })),
  /** Pixels, [label][prediction]. */
  confusion: z.array(z.array(z.int())),
  /** [classes] each: pixels predicted as a class whose label is none, and the other way round; absent where there are none. */
  outside: z.strictObject({ labels: counts, predictions: counts }).optional(),
  /** How the weights fitted the network, with shapes as in files. */
  loadReport: z.object({
    loaded: z.int().min(0),
    missing: names,
    unexpected: names,
    wrongShape: z.array(z.object({ path: z.string(), expected: shape, found: shape })).readonly(),
  }),
});

const evaluation = evaluationFields.refine(areOfSameClasses, {
  path: ['confusion'],
  message: 'expected counts of the classes in perClass',
});

const benchmark = z.object({
  fps: rate,
  secondsPerImage: seconds,
  images: z.int().min(1),
  warmup: z.int().min(0),
  sizeHw,
  inferenceProcessPeakBytes: bytes,
  trainingBatch: z.int().min(1),
  trainingSizeHw: sizeHw,
  trainingSteps: z.int().min(1),
  trainingSecondsPerStep: seconds,
  memory: z.object({
    liveTensorBytes: bytes,
    processPeakBytes: bytes,
    deviceBytes: bytes.nullable(),
  }),
  processPeaksIsolated: z.boolean(),
  roofline: z.object({
    convolutionGflopsBefore: rate,
    convolutionGflopsAfter: rate,
    trainingShare: rate,
    inferenceShare: rate,
  }),
});

/** What a run ran on. */
export const environmentSchema = z.strictObject({
  engine: z.string(),
  device: z.enum(['cpu', 'gpu']),
  /** Whether every run gives the same bits: on a GPU, whether that was asked for; not in every kept record. */
  deterministic: z.boolean().optional(),
  /** Library versions by name. */
  versions: z.record(z.string(), z.string()),
  node: z.string(),
  system: z.string(),
  processor: z.string(),
  cores: z.int().min(1),
  memoryBytes: bytes,
  gpus: z.array(z.object({ name: z.string(), driver: z.string(), memoryBytes: bytes.nullable() })),
});
export type Environment = z.output<typeof environmentSchema>;

export const recordSchema = z.strictObject({
  /** Version of this format. */
  format: z.literal(1),
  run: namePart,
  row: namePart,
  table: z.string().min(1),
  profile: z.string().min(1),
  seed: z.int().min(0),
  experiment: experimentSchema,
  experimentHash: sha256,
  /** What the user changed with --set. */
  overrides: z.array(z.string()),
  /** What differs from the published recipe, by profile and by overrides. */
  deviations: z.array(z.strictObject({ path: z.string(), published: z.unknown(), value: z.unknown() })),
  /**
   * Null where no stage read data. `synthetic`: painted by this program, not photographed. `deviations`: in what it differs from
   * the data set that the published figures are of, as far as splits were read; absent where in nothing.
   */
  dataset: z
    .strictObject({
      id: z.string(),
      fingerprint: sha256,
      synthetic: z.boolean(),
      deviations: z.array(dataDeviation).readonly().optional(),
    })
    .nullable(),
  /** The weights that the figures belong to: of this run's training, or given to it. */
  weights: z
    .strictObject({
      file: z.string(),
      sha256,
      source: z.enum(['trained', 'given']),
      /** Which of the file's dictionaries of tensors was asked for; absent where none was. */
      key: z.string().optional(),
    })
    .nullable(),
  code: z.strictObject({ version: z.string(), commit: z.string().nullable() }),
  environment: environmentSchema,
  startedAt: time,
  endedAt: time,
  /**
   * When a run that was interrupted was gone on with, and what of versions and hardware was then another one than at its
   * start; absent of a run that went through.
   */
  continued: z.array(z.strictObject({ at: time, changed: z.array(z.string()) })).optional(),
  exitReason: z.enum(['completed', 'interrupted', 'failed']),
  /** Of a run that did not complete: the message it ended with. */
  error: z.string().nullable(),
  /** The stages that completed, with the time each took. */
  stages: z.array(z.strictObject({ stage: z.enum(STAGE_NAMES), startedAt: time, seconds })),
  /** As the tables print them: GB of 2^30 bytes, images a second, mIoU in percent; null where not measured. */
  figures: z.strictObject({
    memoryGB: z.number().nullable(),
    fps: z.number().nullable(),
    mIoU: z.number().nullable(),
    mIoUMsFlip: z.number().nullable(),
  }),
  /** What each stage found; null where it did not run. */
  details: z.strictObject({
    train: train.nullable(),
    evaluate: evaluation.nullable(),
    'evaluate-ms': evaluation.nullable(),
    benchmark: benchmark.nullable(),
  }),
});
export type RunRecord = z.output<typeof recordSchema>;

function explain(file: string, record: unknown): RunRecord {
  const checked = check(recordSchema, record);
  if ('value' in checked) return checked.value;
  throw new UserError(
    `${file} is not a record that this version reads: ${formatFinding(checked.finding)}`,
    'Remove the file, or make it again by running the row again.',
  );
}

/** Writes a record, checked first: what is written can be read. */
export async function writeRecord(file: string, record: RunRecord): Promise<void> {
  const checked = check(recordSchema, record);
  if ('finding' in checked) {
    throw new Error(`Invalid record: ${formatFinding(checked.finding)}`);
  }
  await writeFileAtomic(file, `${compactJson(checked.value)}\n`);
}

/** @throws UserError that names the file where it is not a record. */
export function readRecord(file: string): RunRecord {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new UserError(`${file} is not JSON: ${(error as Error).message}.`, 'Remove the file or mend it.', {
      cause: error,
    });
  }
  return explain(file, content);
}
