import { z } from 'zod';
import { fileJsonSchema } from '../support/json-schema.js';

/**
 * Schemas of the recipe and of the files in experiments/. Every object is strict: an unknown key is an error. Editors show the
 * descriptions.
 */

const count = z.int().min(1);
const countOrZero = z.int().min(0);
const positive = z.number().positive();
const fraction = z.number().min(0).max(1);
const pair = z.tuple([count, count]);
const perStage = z.tuple([count, count, count, count]);

/**
 * Far beyond any network that fits into a machine. Within these limits, what a network takes is computed in seconds, and its shapes fit
 * into the 32 bits that engines have for a size.
 */
const MOST = { width: 2 ** 14, headChannels: 2 ** 13, headConvolutions: 100 } as const;

const head = z.strictObject({
  input: z.int().min(0).max(3).describe('Stage of the ResNet, 0 to 3, whose output is the input.'),
  channels: count.max(MOST.headChannels).describe('Channels at width 64.'),
  convolutions: count.max(MOST.headConvolutions).describe('3×3 convolutions before the classifier.'),
  concatenateInput: z.boolean().describe('Whether another convolution follows on input and output together.'),
  dilation: count.describe('Of the convolutions; not of the one after the concatenation.'),
  dropout: z.number().min(0).lt(1).describe('Share of channels dropped in training.'),
  lossWeight: z.number().min(0).describe('Weight in the total loss.'),
});

const model = z.strictObject({
  depth: z.literal([18, 50, 101]).describe('Layers of the ResNet.'),
  stem: z.enum(['deep', '7x7']).describe('deep: three 3×3 convolutions; 7x7: one 7×7 convolution.'),
  width: count.max(MOST.width).describe('Base channels, 64 as published; scales stem, stages and heads.'),
  strides: perStage.describe('Of the first block of each stage.'),
  dilations: perStage.describe('Of the blocks of each stage.'),
  contractDilation: z.boolean().describe('Whether the first block of a dilated stage has half the dilation.'),
  classes: z.int().min(2).max(255).describe('As many as the data set has.'),
  alignCorners: z.boolean().describe('How logits are resized: corner to corner, or pixel centre to pixel centre.'),
  decodeHead: head,
  auxiliaryHead: head,
  pretrained: z
    .string()
    .min(1)
    .nullable()
    .describe(
      'Name of a published ImageNet backbone, an https link to NAME-HASH.pth (HASH: the first 8 digits of its SHA-256), path of a ' +
        'weights file, relative to this one, or null: from scratch.',
    ),
  initialWeights: z
    .string()
    .min(1)
    .nullable()
    .optional()
    .describe(
      'Fine-tuning: weights of a whole network, of which all that fits is loaded before training, in place of pretrained. ' +
        'A weights file, relative to this one; a run, as RUN, RUN:best or RUN:last; or published. Default: null, none.',
    ),
  reset: z
    .literal('classifier')
    .nullable()
    .optional()
    .describe(
      'classifier: the last convolution of both heads is not loaded from initialWeights, but starts anew. Default: null.',
    ),
});

const data = z.strictObject({
  dataset: z.string().min(1).describe('Id of a file in datasets/, or path of a YAML file, relative to this one.'),
  imageScaleWh: pair.describe('[width, height] that training images are fitted into, before the random ratio.'),
  ratioRange: z.tuple([positive, positive]).describe('[lowest, highest] random ratio of the scale.'),
  cropHw: pair.describe('[height, width] of the training crop.'),
  categoryMaximumRatio: fraction.describe(
    'If one class covers this share of the labelled pixels of a crop or more, or only one class occurs in it, another crop is drawn. The eleventh is taken as it is.',
  ),
  flipProbability: fraction.describe('Probability that a training image is mirrored.'),
});

const training = z.strictObject({
  iterations: count.describe('Steps of the optimizer.'),
  batch: count.describe('Images of one step, over all devices.'),
  learningRate: positive.describe('At the start; it falls polynomially.'),
  minimumLearningRate: z.number().min(0).describe('At the end.'),
  power: positive.describe('Exponent of the polynomial.'),
  momentum: z.number().min(0).lt(1).describe('Of the optimizer, stochastic gradient descent.'),
  weightDecay: z.number().min(0).describe('Of every parameter, batch norm and biases too.'),
  precision: z.enum(['fp32', 'fp16', 'bf16']).describe('Of the convolutions.'),
  lossScale: positive.describe('Static factor of the loss in 16-bit training; without effect in fp32.'),
  checkpointEvery: count.describe('Iterations between checkpoints.'),
  logEvery: count.describe('Iterations between lines of the log.'),
});

const evaluation = z.strictObject({
  imageScaleWh: pair.describe('[width, height] that images are fitted into.'),
  mode: z.enum(['whole', 'slide']).describe('whole: the image at once; slide: windows that overlap.'),
  cropHw: pair.nullable().describe('[height, width] of a window; null if whole.'),
  strideHw: pair.nullable().describe('[height, width] between windows; null if whole.'),
  ratios: z.array(positive).min(1).describe('Of the scale, in multi-scale evaluation.'),
  limit: count.nullable().describe('Number of images, from the start of the validation split; null: all.'),
});

const benchmark = z.strictObject({
  warmup: countOrZero.describe('Images that are not timed.'),
  images: count.describe('Images that are timed.'),
  trainingSteps: count.describe('Steps of the memory measurement.'),
  trainingBatch: count.describe('Images of such a step: those on one GPU when the published memory was measured.'),
});

const publishedFigure = z.number().positive().nullable();
const published = z.strictObject({
  memoryGB: publishedFigure.describe('Training memory of one GPU, GB of 2^30 bytes.'),
  fps: publishedFigure.describe('Images a second.'),
  mIoU: publishedFigure.describe('Single scale, percent.'),
  mIoUMsFlip: publishedFigure.describe('Multi-scale and mirrored, percent.'),
});

/** The part of an experiment that a table's file, a profile and overrides can set. */
export const recipeSchema = z.strictObject({
  method: z.string().min(1).describe('As the table shows it.'),
  backbone: z.string().min(1).describe('As the table shows it.'),
  model,
  data,
  training,
  evaluation,
  benchmark,
});
export type Recipe = z.output<typeof recipeSchema>;

/** A name that is safe as a part of a path. File systems take 255 bytes, of which records add other parts to a row's name. */
export const namePart = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'expected letters, digits, ".", "_" and "-"')
  .max(127, 'expected at most 127 characters');

/** A resolved experiment, as it is stored in a run directory. */
export const experimentSchema = z.strictObject({
  row: namePart.describe('Id of the row: the published config name.'),
  table: z.string().min(1).describe('Name of the table, as published; "Local" for rows without published figures.'),
  profile: z.string().min(1),
  seed: countOrZero,
  ...recipeSchema.shape,
  published,
  weights: z.url().nullable(),
  log: z.url().nullable(),
});

const partialRecipe = z
  .strictObject({
    ...recipeSchema.partial().shape,
    model: z
      .strictObject({
        ...model.partial().shape,
        decodeHead: head.partial().optional().describe('The head that predicts.'),
        auxiliaryHead: head.partial().optional().describe('A head that only training uses.'),
      })
      .optional(),
    data: data.partial().optional(),
    training: training.partial().optional(),
    evaluation: evaluation.partial().optional(),
    benchmark: benchmark.partial().optional(),
  })
  // The JSON Schema defines it once and refers to it.
  .meta({ id: 'recipe' });
export type PartialRecipe = z.output<typeof partialRecipe>;

const parts = z.record(z.string(), partialRecipe).describe('Pieces of a recipe that rows pick by name.');

/** experiments/base.yaml: what the recipes of all tables share. */
export const baseFileSchema = z.strictObject({ recipe: partialRecipe, parts });

/** A link to a backbone: the name of the file ends in the first 8 hexadecimal digits of its SHA-256. */
export const BACKBONE_LINK = /^https:\/\/[^?#]+-[0-9a-f]{8}\.(?:pth|safetensors)$/;

const backboneLink = z.string().regex(BACKBONE_LINK, 'expected https://…/NAME-HASH.pth, HASH 8 hexadecimal digits');

/** experiments/backbones.yaml: where published backbones are, by their names in recipes. */
export const backbonesFileSchema = z.strictObject({
  backbones: z.record(
    z.string().regex(/^[a-z-]+:\/\/\w+$/),
    z.strictObject({
      link: backboneLink.describe('The file that is fetched.'),
      bytes: count.optional().describe('Its size; leave it out if it is not known.'),
      alsoAccepted: backboneLink.optional().describe('Another file of the same network.'),
    }),
  ),
});

/** One table. The recipe of a row merges base, table, the row's parts in order, and its own values. */
export const tableFileSchema = z.strictObject({
  table: z
    .string()
    .min(1)
    .optional()
    .describe('Name of the table; default: "Local", for rows without published figures.'),
  position: count.optional().describe('Place among the published tables.'),
  tolerance: z
    .strictObject({
      mIoU: positive.describe('At a single scale.'),
      mIoUMsFlip: positive.describe('Multi-scale and mirrored.'),
      reason: z.string().min(1).optional().describe('Where the tolerance comes from.'),
    })
    .optional()
    .describe('How far a figure may be from the published one and still count as reproduced, in points of mIoU.'),
  hardware: z
    .strictObject({
      name: z.string().min(1).describe("A part of the GPU's name, as the driver gives it."),
      tolerance: positive.describe('How far memory and fps may be from the published ones, as a share of them.'),
      reason: z.string().min(1).describe('Where the tolerance comes from.'),
    })
    .optional()
    .describe('Hardware of the published memory and fps. Figures on the same hardware get a verdict.'),
  dataRoot: z
    .string()
    .min(1)
    .optional()
    .describe('Folder that holds the data sets, relative to this file; --data-root and FCN_DATA_ROOT replace it.'),
  downloads: z.url().optional().describe('Address of the weights and logs of rows, as ADDRESS/ROW/FILE.'),
  recipe: partialRecipe.optional().describe('What the recipes of all rows share.'),
  parts: parts.optional(),
  rows: z
    .array(
      z.strictObject({
        id: namePart.describe('Name of the row in commands, folders and records.'),
        parts: z.array(z.string()).optional().describe('Names of parts, of this file or of base.yaml, in order.'),
        recipe: partialRecipe.optional().describe("The row's own values."),
        published: published.partial().optional().describe('Figures as published.'),
        weights: z.string().optional().describe('Published weights: an address, or a file under downloads.'),
        log: z.string().optional().describe('Published training log: an address, or a file under downloads.'),
      }),
    )
    .min(1)
    .describe('The rows, each with a recipe of its own.'),
});
export type TableFile = z.output<typeof tableFileSchema>;

/** Kinds of experiment files. `table`: a table; `base`: what the package's tables share; `backbones`: links to published backbones. */
export const EXPERIMENT_FILES = ['table', 'base', 'backbones'] as const;
type ExperimentFile = (typeof EXPERIMENT_FILES)[number];

/** JSON Schema (draft 7, which editors support best) of an experiment file. */
export function experimentJsonSchema(kind: ExperimentFile): object {
  const [title, fileSchema] = {
    table: ['fcn: a table of experiments', tableFileSchema] as const,
    base: ['fcn: what all tables share', baseFileSchema] as const,
    backbones: ['fcn: published backbones', backbonesFileSchema] as const,
  }[kind];
  return fileJsonSchema(fileSchema, title);
}

/** Readonly at every level. */
type DeepReadonly<T> = T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T;

/**
 * The resolved recipe of one row, as frozen JSON data: hashed, and stored in every run. The schema describes each value. Sizes are
 * [height, width] if the name ends in `Hw`, and [width, height] if it ends in `Wh`.
 */
export type Experiment = DeepReadonly<z.output<typeof experimentSchema>>;
export type ModelRecipe = Experiment['model'];
export type HeadRecipe = ModelRecipe['decodeHead'];
export type DataRecipe = Experiment['data'];
export type TrainingRecipe = Experiment['training'];
export type EvaluationRecipe = Experiment['evaluation'];
/** Memory in GB (2^30 bytes), fps in images a second, mIoU in percent; null if the table has no such figure. */
export type PublishedFigures = Experiment['published'];
/** Of images and their gradients, in memory and in convolutions. Parameters and statistics are always float32. */
export type Precision = TrainingRecipe['precision'];

export type RecipeSection = Readonly<Record<string, unknown>>;

/** Whether a value of a file is a section of keys, not a list or a single value. */
export function isSection(value: unknown): value is RecipeSection {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
