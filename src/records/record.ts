import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { CONVOLUTION_MODES, CONVOLUTION_PATHS } from '../engines/engine.js';
import { loadSummarySchema } from '../network/load.js';
import { experimentSchema, namePart } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import { explainFileError, writeFileAtomic } from '../support/files.js';
import { compactJson } from '../support/json.js';
import { check, formatFinding } from '../support/yaml.js';
import { loadedBackboneSchema } from '../training/pretrained.js';

/** The stages of a run, in order. */
export const STAGE_NAMES = ['train', 'evaluate', 'evaluate-ms', 'benchmark'] as const;
export type Stage = (typeof STAGE_NAMES)[number];

const time = z.iso.datetime();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in hexadecimal');
const bytes = z.number().min(0);
const rate = z.number().positive();
const seconds = z.number().min(0);
const sizeHw = z.tuple([z.int(), z.int()]).readonly();

const names = z.array(z.string()).readonly();

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
  /** In 16-bit training: steps without an update, because a gradient overflowed. */
  skippedSteps: z.int().min(0),
  /** Names of unreadable samples, which others replaced. */
  skippedSamples: names,
  peakLiveTensorBytes: bytes,
  /** What the engine's pool of buffers took from the GPU at the end, live tensors included; absent if it has none. */
  allocatedBytes: bytes.optional(),
  peakProcessBytes: bytes,
  /** The backbone that training started from; absent in older records, or if there was none. */
  backbone: loadedBackboneSchema.optional(),
  /** The weights of a whole network from which training started; `reset`: parameters of classifiers that started anew. */
  initialWeights: loadSummarySchema.extend({ file: z.string(), sha256, reset: names }).optional(),
  /** The best of the evaluations during training, mIoU as a fraction; absent if there were none. */
  bestValidation: z.object({ iteration: z.int().min(1), mIoU: z.number() }).optional(),
  /** How each batch was divided among processes when training ended; absent if one process had it whole. */
  parts: z
    .strictObject({
      processes: z.int().min(1),
      /** Of each process. */
      threads: z.int().min(1),
      shards: z.int().min(1),
      imagesOfShard: z.int().min(1),
      /** Convolutions whose bits depend on the number of threads; absent if none do. */
      dependentOnThreads: z.array(z.string()).readonly().optional(),
      mpi: z.string().optional(),
      halves: z.boolean().optional(),
    })
    .optional(),
  /** The last of them; absent in older records, too. */
  lastValidation: z.object({ iteration: z.int().min(1), mIoU: z.number() }).optional(),
});

/** Figures are fractions; null for a class that is neither labelled nor predicted. */
const evaluationFields = z.object({
  images: z.int().min(1),
  /** Names of unreadable images, which were left out. */
  skippedImages: names,
  /** Images to evaluate, up to the recipe's limit; absent in some kept records. */
  splitImages: z.int().min(1).optional(),
  seconds,
  mIoU: z.number(),
  mAcc: z.number(),
  aAcc: z.number(),
  perClass: z.array(z.object({ name: z.string(), iou: z.number().nullable(), accuracy: z.number().nullable() })),
  /** Pixels, [label][prediction]. */
  confusion: z.array(z.array(z.int())),
  /** [classes] each: pixels of a class whose counterpart, prediction or label, is no class; absent if there are none. */
  outside: z.strictObject({ labels: counts, predictions: counts }).optional(),
  /** Threads that predicted, each with an engine; absent if the engine of the main thread did. */
  threads: z.int().min(2).optional(),
  /** Processes among which the images were divided; absent if there was one. */
  processes: z.int().min(2).optional(),
  /** How the weights fit the network; shapes as in the file. */
  loadReport: loadSummarySchema,
});

function areOfSameClasses({ perClass, confusion, outside }: z.output<typeof evaluationFields>): boolean {
  const lists = [confusion, ...confusion, ...(outside === undefined ? [] : [outside.labels, outside.predictions])];
  return perClass.length > 0 && lists.every(({ length }) => length === perClass.length);
}

const ofSameClasses = { path: ['confusion'], message: 'expected counts of the classes in perClass' };

const evaluation = evaluationFields
  .extend({
    /** The evaluation of the best checkpoint, if that is another than the last, which the figures are of. */
    best: evaluationFields
      .extend({ iteration: z.int().min(1), file: z.string(), sha256 })
      .refine(areOfSameClasses, ofSameClasses)
      .optional(),
  })
  .refine(areOfSameClasses, ofSameClasses);

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
    allocatedBytes: bytes.optional(),
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

export const environmentSchema = z.strictObject({
  engine: z.string(),
  device: z.enum(['cpu', 'gpu']),
  /** Whether every run gives the same bits; optional on a GPU. Absent in some kept records. */
  deterministic: z.boolean().optional(),
  /** How 3×3 convolutions were computed. Absent in records from before there was a choice: directly. */
  convolution: z.enum(CONVOLUTION_MODES).optional(),
  /**
   * Paths of fast convolutions in a run: how many shapes take each, how many were timed, and for how many of these the path with the fewest
   * operations lost. Runs with the same hash took the same paths. Absent if all were direct, outside runs and in earlier records.
   */
  convolutionPaths: z
    .strictObject({
      hash: z.string(),
      shapes: z.partialRecord(z.enum(CONVOLUTION_PATHS), z.int().min(1)),
      timed: z.int().min(0),
      overruled: z.int().min(0),
    })
    .optional(),
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
  /** Differences from the published recipe, by profile and overrides. */
  deviations: z.array(z.strictObject({ path: z.string(), published: z.unknown(), value: z.unknown() })),
  /**
   * Null if no stage read data. `synthetic`: generated by this program. `deviations`: how the splits that were read differ
   * from the published data set; absent if they do not.
   */
  dataset: z
    .strictObject({
      id: z.string(),
      fingerprint: sha256,
      synthetic: z.boolean(),
      deviations: z.array(dataDeviation).readonly().optional(),
    })
    .nullable(),
  /** The weights behind the figures, trained by this run or given to it. */
  weights: z
    .strictObject({
      file: z.string(),
      sha256,
      source: z.enum(['trained', 'given']),
      /** The dictionary of tensors in the file, if one was chosen. */
      key: z.string().optional(),
      /** The run that trained given weights, if they were given as a run's or by the path of its checkpoint, and after how many iterations. */
      trainedBy: z.strictObject({ row: namePart, run: namePart, iteration: z.int().min(0) }).optional(),
    })
    .nullable(),
  code: z.strictObject({ version: z.string(), commit: z.string().nullable() }),
  environment: environmentSchema,
  startedAt: time,
  endedAt: time,
  /**
   * When the run was resumed, and what had changed since its start (versions, hardware, data); absent if it never was.
   */
  continued: z.array(z.strictObject({ at: time, changed: z.array(z.string()) })).optional(),
  exitReason: z.enum(['completed', 'interrupted', 'failed']),
  /** Error message of a run that did not complete. */
  error: z.string().nullable(),
  /** Completed stages, with their duration. */
  stages: z.array(z.strictObject({ stage: z.enum(STAGE_NAMES), startedAt: time, seconds })),
  /** In the tables' units: GB of 2^30 bytes, images per second, mIoU in percent; null if not measured. */
  figures: z.strictObject({
    memoryGB: z.number().nullable(),
    fps: z.number().nullable(),
    mIoU: z.number().nullable(),
    mIoUMsFlip: z.number().nullable(),
  }),
  /** Results of each stage; null if it did not run. */
  details: z.strictObject({
    train: train.nullable(),
    evaluate: evaluation.nullable(),
    'evaluate-ms': evaluation.nullable(),
    benchmark: benchmark.nullable(),
  }),
});
export type RunRecord = z.output<typeof recordSchema>;
type RecordedWeights = NonNullable<RunRecord['weights']>;
export type TrainedBy = NonNullable<RecordedWeights['trainedBy']>;

/** "ROW/RUN after iteration 40". */
export function formatTrainedBy({ row, run, iteration }: TrainedBy): string {
  return `${row}/${run} after iteration ${iteration}`;
}

/** Writes a record after checking it against the schema. */
export async function writeRecord(file: string, record: RunRecord): Promise<void> {
  const checked = check(recordSchema, record);
  if ('finding' in checked) throw new Error(`Invalid record: ${formatFinding(checked.finding)}`);
  await writeFileAtomic(file, `${compactJson(checked.value)}\n`);
}

/** @throws UserError that names the file if it is not a record. */
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
    throw new UserError(`${file} is not JSON: ${(error as Error).message}.`, 'Fix or remove the file.', {
      cause: error,
    });
  }
  const checked = check(recordSchema, content);
  if ('value' in checked) return checked.value;
  throw new UserError(
    `${file} is not a record that this version reads: ${formatFinding(checked.finding)}`,
    'Remove the file, or run the row again.',
  );
}
