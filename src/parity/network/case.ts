import { existsSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { decodeRgb } from '../../data/decode.js';
import { IGNORE_INDEX, type RgbImage } from '../../data/image.js';
import { MEAN_RGB, STD_RGB } from '../../data/transforms/normalise.js';
import type { HeadRecipe, ModelRecipe } from '../../recipe/experiment.js';
import { UserError } from '../../support/errors.js';
import { readCheckpoint } from '../../weights/load.js';
import { Collector, type Findings, largestDifference, Worst } from '../check.js';
import { type ReferenceFolder, rgbOf } from '../reference-set.js';
import { type Noise, TOLERANCES } from '../tolerances.js';

const count = z.int().min(1);
const pair = z.tuple([count, count]).readonly();
const four = z.tuple([count, count, count, count]).readonly();
const head = z.object({
  channels: count,
  num_convs: z.int().min(0),
  concat_input: z.boolean(),
  dilation: count,
});
const amount = z.number().min(0);
const amounts = z.record(z.string(), amount);

/** A case's `meta.json`. Pairs named `_wh` are [width, height], pairs named `_hw` [height, width]. */
export const caseSchema = z.object({
  width: z.object({ base_channels: count, stem_channels: count.optional() }),
  backbone: z.object({
    depth: z.union([z.literal(18), z.literal(50), z.literal(101)]),
    deep_stem: z.boolean(),
    strides: four,
    dilations: four,
    contract_dilation: z.boolean(),
  }),
  decode_head: head,
  auxiliary_head: head,
  num_classes: count,
  aux_num_classes: count.optional(),
  align_corners: z.boolean(),
  loss_weights: z.object({ decode: amount, aux: amount }),
  ignore_label: z.literal(IGNORE_INDEX),
  dropout: z.literal(0),
  test: z.object({
    img_scale_wh: pair,
    slide_crop_hw: pair,
    slide_stride_hw: pair,
    ratios: z.array(z.number().positive()).min(1),
    flip: z.literal('horizontal'),
  }),
  images: z.record(
    z.string().regex(/^\w+$/),
    z.object({
      image: z.string(),
      size_hw: pair,
      test_size_hw: pair,
      ms: z.array(z.object({ size_hw: pair, flip: z.boolean() })),
    }),
  ),
  argmax_margins: z.record(z.string(), z.object({ pixels: count, below_1e_4: z.int().min(0) })),
  /** `eval_<image>_encdec` of each image, and quantities of the training. */
  noise: z
    .object({
      first_loss_relative: amount.optional(),
      gradients_relative_l2: amounts.optional(),
      gradient_norms_relative: amounts.optional(),
      lowlr_loss_relative: z.array(amount).optional(),
      lowlr_delta_norms_relative: amounts.optional(),
    })
    .catchall(z.unknown())
    .optional(),
});

type CaseMeta = z.infer<typeof caseSchema>;

/** Published base channels: recipes give their heads' channels at this width. */
const PUBLISHED_WIDTH = 64;

/** One network of the reference: its recipe, its weights, and the folder of its inputs and outputs. */
export class NetworkCase {
  readonly name: string;
  readonly model: ModelRecipe;
  readonly noise: Noise;

  private constructor(
    readonly folder: ReferenceFolder,
    readonly meta: CaseMeta,
  ) {
    this.name = folder.name;
    this.model = modelOf(meta);
    this.noise = noiseOf(meta);
  }

  /** @throws UserError if `meta.json` is missing or describes a network of no published kind. */
  static read(folder: ReferenceFolder): NetworkCase {
    const meta = folder.json('meta.json', caseSchema);
    const file = path.join(folder.path, 'meta.json');
    const { base_channels: base, stem_channels: stem = base } = meta.width;
    if (stem !== base) throw new UserError(`${file}: width.stem_channels ${stem} is not base_channels ${base}.`);
    const { num_classes: classes, aux_num_classes: auxiliary = classes } = meta;
    if (auxiliary !== classes) {
      throw new UserError(`${file}: aux_num_classes ${auxiliary} is not num_classes ${classes}.`);
    }
    return new NetworkCase(folder, meta);
  }

  /** The file of the weights. @throws UserError if there is none. */
  weights(): string {
    const name = ['model.safetensors', 'model.pth'].find((name) => existsSync(path.join(this.folder.path, name)));
    if (name === undefined) throw new UserError(`${this.folder.path} has neither model.safetensors nor model.pth.`);
    return this.folder.file(name);
  }
}

function modelOf(meta: CaseMeta): ModelRecipe {
  const { backbone, loss_weights: weights } = meta;
  const width = meta.width.base_channels;
  const headOf = (recipe: CaseMeta['decode_head'], input: number, lossWeight: number): HeadRecipe => ({
    input,
    channels: (recipe.channels * PUBLISHED_WIDTH) / width,
    convolutions: recipe.num_convs,
    concatenateInput: recipe.concat_input,
    dilation: recipe.dilation,
    dropout: 0,
    lossWeight,
  });
  return {
    depth: backbone.depth,
    stem: backbone.deep_stem ? 'deep' : '7x7',
    width,
    strides: backbone.strides,
    dilations: backbone.dilations,
    contractDilation: backbone.contract_dilation,
    classes: meta.num_classes,
    alignCorners: meta.align_corners,
    decodeHead: headOf(meta.decode_head, 3, weights.decode),
    auxiliaryHead: headOf(meta.auxiliary_head, 2, weights.aux),
    pretrained: null,
  };
}

const logitsNoise = z.object({ max_abs: amount, max_abs_over_max: amount });

function noiseOf({ noise = {} }: CaseMeta): Noise {
  const logits = Object.values(noise).flatMap((value) => logitsNoise.safeParse(value).data ?? []);
  const gradients = Object.entries(noise.gradients_relative_l2 ?? {});
  const worst = (values: readonly number[]) => Math.max(0, ...values);
  const distances = (head: boolean) => gradients.filter(([name]) => isHead(name) === head).map(([, value]) => value);
  return {
    logits: worst(logits.map(({ max_abs_over_max: relative }) => relative)),
    logitsAbsolute: worst(logits.map(({ max_abs: absolute }) => absolute)),
    firstLoss: noise.first_loss_relative ?? 0,
    headGradient: worst(distances(true)),
    backboneGradient: worst(distances(false)),
    gradientNormMedian: noise.gradient_norms_relative?.['median'] ?? 0,
    trajectoryLoss: worst(noise.lowlr_loss_relative ?? []),
    deltaMedian: noise.lowlr_delta_norms_relative?.['median'] ?? 0,
    delta95: noise.lowlr_delta_norms_relative?.['p95'] ?? 0,
  };
}

/** Whether a parameter belongs to a head: there are few ReLUs between it and the loss. */
export function isHead(parameter: string): boolean {
  return !parameter.startsWith('backbone.');
}

/** A level of 0 to 255 that is normalised in float32 comes back within this. */
const ROUNDING = 1e-3;

/**
 * An image of a case: from its PNG file, an array of its levels, or the normalised `eval_<image>_input`. Null if the set has
 * none of them.
 * @throws UserError if its size differs from the case's, or the input is no normalised image.
 */
export async function caseImage(networkCase: NetworkCase, name: string): Promise<RgbImage | null> {
  const { folder, meta } = networkCase;
  const { image: file, size_hw: size } = meta.images[name]!;
  const input = `eval_${name}_input.npy`;
  const levels = file.replace(/\.[^.]+$/, '.npy');
  let image: RgbImage;
  let from: string;
  if (folder.has(file)) [image, from] = [await decodeRgb(folder.file(file)), file];
  else if (folder.has(levels)) [image, from] = [rgbOf(folder, levels), levels];
  else if (folder.has(input)) [image, from] = [denormalised(networkCase, input), input];
  else return null;
  if (image.height !== size[0] || image.width !== size[1]) {
    const found = `${image.height}×${image.width}`;
    throw new UserError(`${path.join(folder.path, from)} has ${found} pixels, meta.json says ${size.join('×')}.`);
  }
  return image;
}

function denormalised({ folder }: NetworkCase, file: string): RgbImage {
  const { shape, data } = readNhwc(folder, file);
  const levels = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const channel = i % 3;
    const level = data[i]! * STD_RGB[channel]! + MEAN_RGB[channel]!;
    levels[i] = Math.round(level);
    if (!(Math.abs(level - levels[i]!) < ROUNDING)) {
      throw new UserError(`${path.join(folder.path, file)}: element ${i} is no normalised level of 0 to 255.`);
    }
  }
  return { height: shape[1], width: shape[2], data: levels };
}

export interface NhwcArray {
  readonly shape: [number, number, number, number];
  readonly data: Float32Array;
}

/** A float32 .npy file of NCHW values, in NHWC order. @throws UserError if it does not have four axes. */
export function readNhwc(folder: ReferenceFolder, file: string): NhwcArray {
  const { shape, data } = folder.floats(file);
  if (shape.length !== 4) throw new UserError(`${folder.path}: ${file} has shape [${shape}], expected four axes.`);
  const [images, channels, height, width] = shape as [number, number, number, number];
  const pixels = height * width;
  const result = new Float32Array(data.length);
  for (let plane = 0, source = 0; plane < images * channels; plane++) {
    const channel = plane % channels;
    const start = (plane - channel) * pixels + channel;
    for (let pixel = 0; pixel < pixels; pixel++) result[start + pixel * channels] = data[source++]!;
  }
  return { shape: [images, height, width, channels], data: result };
}

/** Other containers of the same weights that a case may have. */
const OTHER_WEIGHTS = ['model.pth', 'model_legacy.pth'];

/** Compares the weights in all containers of a case. @throws UserError if one cannot be read. */
export async function weightsChecks(networkCase: NetworkCase): Promise<Findings> {
  const findings = new Collector(networkCase.name);
  const { folder } = networkCase;
  const used = networkCase.weights();
  const others = OTHER_WEIGHTS.filter((name) => folder.has(name) && folder.file(name) !== used);
  if (others.length === 0) return findings;
  const { tensors } = await readCheckpoint(used);
  for (const name of others) {
    const other = await readCheckpoint(folder.file(name));
    const worst = new Worst().add(other.tensors.size - tensors.size, 'number of tensors');
    for (const [key, tensor] of tensors) {
      const values = other.tensors.get(key)?.toFloat32() ?? new Float32Array();
      worst.add(largestDifference(values, tensor.toFloat32()), key);
    }
    findings.add(`weights in ${name}`, TOLERANCES.sameWeights, worst);
  }
  return findings;
}
