import { z } from 'zod';
import type {
  BenchmarkRecipe,
  DataRecipe,
  EvaluationRecipe,
  Experiment,
  HeadRecipe,
  ModelRecipe,
  PublishedFigures,
  TrainingRecipe,
} from './experiment.js';

/** Schemas of the recipe and of the files in experiments/. Every object is strict: an unknown key is an error. */

const count = z.int().min(1);
const countOrZero = z.int().min(0);
const positive = z.number().positive();
const fraction = z.number().min(0).max(1);
const pair = z.tuple([count, count]);
const perStage = z.tuple([count, count, count, count]);

const head = z.strictObject({
  input: z.int().min(0).max(3),
  channels: count,
  convolutions: count,
  concatenateInput: z.boolean(),
  dilation: count,
  dropout: z.number().min(0).lt(1),
  lossWeight: z.number().min(0),
}) satisfies z.ZodType<HeadRecipe>;

const model = z.strictObject({
  depth: z.literal([18, 50, 101]),
  stem: z.enum(['deep', '7x7']),
  width: count,
  strides: perStage,
  dilations: perStage,
  contractDilation: z.boolean(),
  classes: z.int().min(2).max(255),
  alignCorners: z.boolean(),
  decodeHead: head,
  auxiliaryHead: head,
  pretrained: z.string().min(1).nullable(),
}) satisfies z.ZodType<ModelRecipe>;

const data = z.strictObject({
  dataset: z.string().min(1),
  imageScaleWh: pair,
  ratioRange: z.tuple([positive, positive]),
  cropHw: pair,
  categoryMaximumRatio: fraction,
  flipProbability: fraction,
}) satisfies z.ZodType<DataRecipe>;

const training = z.strictObject({
  iterations: count,
  batch: count,
  learningRate: positive,
  minimumLearningRate: z.number().min(0),
  power: positive,
  momentum: z.number().min(0).lt(1),
  weightDecay: z.number().min(0),
  precision: z.enum(['fp32', 'fp16']),
  checkpointEvery: count,
  logEvery: count,
}) satisfies z.ZodType<TrainingRecipe>;

const evaluation = z.strictObject({
  imageScaleWh: pair,
  mode: z.enum(['whole', 'slide']),
  cropHw: pair.nullable(),
  strideHw: pair.nullable(),
  ratios: z.array(positive).min(1),
  limit: count.nullable(),
}) satisfies z.ZodType<EvaluationRecipe>;

const benchmark = z.strictObject({
  warmup: countOrZero,
  images: count,
  trainingSteps: count,
  trainingBatch: count,
}) satisfies z.ZodType<BenchmarkRecipe>;

const publishedFigure = z.number().positive().nullable();
const published = z.strictObject({
  memoryGB: publishedFigure,
  fps: publishedFigure,
  mIoU: publishedFigure,
  mIoUMsFlip: publishedFigure,
}) satisfies z.ZodType<PublishedFigures>;

/** The part of an experiment that a table's file, a profile and overrides can set. */
export const recipeSchema = z.strictObject({
  method: z.string().min(1),
  backbone: z.string().min(1),
  model,
  data,
  training,
  evaluation,
  benchmark,
});
export type Recipe = z.output<typeof recipeSchema>;

/** A resolved experiment, as it is stored in a run directory. */
export const experimentSchema = z.strictObject({
  ...recipeSchema.shape,
  row: z.string().min(1),
  table: z.string().min(1),
  profile: z.string().min(1),
  seed: countOrZero,
  published,
  weights: z.url().nullable(),
  log: z.url().nullable(),
}) satisfies z.ZodType<Experiment>;

const partialRecipe = z.strictObject({
  ...recipeSchema.partial().shape,
  model: z
    .strictObject({
      ...model.partial().shape,
      decodeHead: head.partial().optional(),
      auxiliaryHead: head.partial().optional(),
    })
    .optional(),
  data: data.partial().optional(),
  training: training.partial().optional(),
  evaluation: evaluation.partial().optional(),
  benchmark: benchmark.partial().optional(),
});
export type PartialRecipe = z.output<typeof partialRecipe>;

const parts = z.record(z.string(), partialRecipe);

/** experiments/base.yaml: what the recipes of all tables share. */
export const baseFileSchema = z.strictObject({ recipe: partialRecipe, parts });

/** One table: its shared recipe, then a line a row. A row's recipe is base, table, parts in order, and its own, merged. */
export const tableFileSchema = z.strictObject({
  table: z.string().min(1),
  /** How far a figure may lie from the published one and still count as reproduced, in the figure's unit. */
  tolerance: z.strictObject({ mIoU: positive, mIoUMsFlip: positive }).optional(),
  /** Address under which `weights` and `log` of a row lie, as DOWNLOADS/ROW/FILE. */
  downloads: z.url().optional(),
  recipe: partialRecipe.optional(),
  parts: parts.optional(),
  rows: z
    .array(
      z.strictObject({
        id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'expected letters, digits, ".", "_" and "-"'),
        parts: z.array(z.string()).optional(),
        recipe: partialRecipe.optional(),
        published: published.partial().optional(),
        weights: z.string().optional(),
        log: z.string().optional(),
      }),
    )
    .min(1),
});
export type TableFile = z.output<typeof tableFileSchema>;
