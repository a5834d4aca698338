import { z } from 'zod';
import type { Dataset } from '../../data/dataset.js';
import { IGNORE_INDEX, type LabelMap, type RgbImage } from '../../data/image.js';
import { convertToTrainingIds } from '../../data/samples.js';
import { openWorkspace } from '../../data/simd/open-workspace.js';
import { augment, augmentInto } from '../../data/training-samples.js';
import { normalise, normaliseInto } from '../../data/transforms/normalise.js';
import { makeView, makeViews } from '../../data/views.js';
import type { DataRecipe } from '../../recipe/experiment.js';
import { UserError } from '../../support/errors.js';
import { type Collector, largestDifference, Worst } from '../check.js';
import { labelsOf, type ReferenceFolder } from '../reference-set.js';
import { TOLERANCES } from '../tolerances.js';
import { photometricStep, type TransformReference, usesHsv } from './geometry.js';

const side = z.int().min(1);
const pair = z.tuple([side, side]).readonly();
const offsets = z.tuple([z.int().min(0), z.int().min(0)]);

const normalizeSchema = z.object({ cases: z.array(z.object({ src: z.string().nullable(), img: z.string() })) });

/** Row i is the grey level i. */
const RAMP: RgbImage = {
  height: 256,
  width: 1,
  data: Uint8Array.from({ length: 3 * 256 }, (_, i) => Math.floor(i / 3)),
};

/** Normalising: of images, and of every level (`src` null). */
export async function checkNormalise(folder: ReferenceFolder, findings: Collector, reference: TransformReference) {
  const worst = new Worst();
  for (const { src, img } of folder.json('cases.json', normalizeSchema).cases) {
    if (src !== null && !reference.has(src)) {
      findings.missing(`normalise ${src}`);
      continue;
    }
    const image = src === null ? RAMP : await reference.image(src);
    worst.add(largestDifference(normalise(image), folder.floats(img).data), img);
  }
  findings.add('normalise', TOLERANCES.normalised, worst);
}

const padSchema = z.array(
  z.object({
    src: z.string(),
    size_hw: pair,
    pad_val: z.literal(0),
    seg_pad_val: z.literal(IGNORE_INDEX),
    img: z.string(),
    seg: z.string(),
  }),
);

/** Padding at the bottom and the right: images with 0 after normalising, labels with 255. */
export async function checkPad(folder: ReferenceFolder, findings: Collector, reference: TransformReference) {
  const [images, labels] = [new Worst(), new Worst()];
  for (const { src, size_hw, img, seg } of folder.json('cases.json', padSchema)) {
    const padded = pad(await reference.image(src), await reference.labels(src), size_hw);
    images.add(largestDifference(padded.image, folder.floats(img).data), img);
    labels.add(largestDifference(padded.labels, labelsOf(folder, seg).data), seg);
  }
  findings.add('pad, images', TOLERANCES.normalised, images);
  findings.add('pad, labels', TOLERANCES.exactLevels, labels);
}

function pad(image: RgbImage, labels: LabelMap, [height, width]: readonly [number, number]) {
  const padded = { image: new Float32Array(height * width * 3), labels: new Uint8Array(height * width) };
  normaliseInto(image, padded.image, 0, width);
  padded.labels.fill(IGNORE_INDEX);
  for (let y = 0; y < labels.height; y++) {
    padded.labels.set(labels.data.subarray(y * labels.width, (y + 1) * labels.width), y * width);
  }
  return padded;
}

const transform = z.object({
  type: z.string(),
  img_scale: pair.optional(),
  crop_size: pair.optional(),
  cat_max_ratio: z.number().optional(),
  reduce_zero_label: z.boolean().optional(),
});

const fullSchema = z.object({
  pipelines: z.record(z.string(), z.object({ pipeline: z.array(transform) })),
  cases: z.array(
    z.object({
      tag: z.string(),
      src: z.string(),
      ratio: z.number(),
      tried_offsets_yx: z.array(offsets),
      flip: z.boolean(),
      photo: z.object({ steps: z.array(photometricStep) }),
      img: z.string(),
      seg: z.string(),
    }),
  ),
});

/** Whole training pipelines: resize, crop, flip, distort, normalise, pad; in JavaScript and with the pixel code. Samples with an HSV step are checked separately. */
export async function checkTrainingSamples(
  folder: ReferenceFolder,
  findings: Collector,
  reference: TransformReference,
) {
  const { pipelines, cases } = folder.json('cases.json', fullSchema);
  const worst = { labels: new Worst(), plain: new Worst(), distorted: new Worst() };
  for (const { tag, src, ratio, tried_offsets_yx, flip, photo, img, seg } of cases) {
    const steps = pipelines[tag]?.pipeline;
    const find = (type: string) => steps?.find((step) => step.type === type);
    const { img_scale } = find('Resize') ?? {};
    const { crop_size, cat_max_ratio } = find('RandomCrop') ?? {};
    if (img_scale === undefined || crop_size === undefined || cat_max_ratio === undefined) {
      throw new UserError(`${folder.path}: the pipeline ${tag} has no Resize or RandomCrop with its parameters.`);
    }
    const recipe: DataRecipe = {
      dataset: tag,
      imageScaleWh: img_scale,
      ratioRange: [ratio, ratio],
      cropHw: crop_size,
      categoryMaximumRatio: cat_max_ratio,
      flipProbability: Number(flip),
    };
    const image = await reference.image(src);
    const labels = await reference.labels(src);
    if (find('LoadAnnotations')?.reduce_zero_label) convertToTrainingIds(labels, ZERO_LABEL, src);
    const draws = tried_offsets_yx.flat();
    const cropDraw = (draw: number) => draws[draw] ?? 0;
    const choices = { ratio, cropDraw, flip, photometric: photo.steps };
    const sample = augment({ image, labels }, recipe, choices);
    const made = [pad(sample.image, sample.labels, crop_size)];
    const workspace = openWorkspace();
    if (workspace !== null) {
      const [height, width] = crop_size;
      const images = new Float32Array(height * width * 3);
      const ids = new Int32Array(height * width);
      augmentInto(workspace, { image, labels }, recipe, choices, { images, labels: ids, pixel: 0, height, width });
      made.push({ image: images, labels: Uint8Array.from(ids) });
    }
    for (const padded of made) {
      const difference = largestDifference(toPlanes(padded.image), folder.floats(img).data);
      worst[photo.steps.some(usesHsv) ? 'distorted' : 'plain'].add(difference, img);
      worst.labels.add(largestDifference(padded.labels, labelsOf(folder, seg).data), seg);
    }
  }
  findings.add('training samples, labels', TOLERANCES.exactLevels, worst.labels);
  if (worst.plain.compared) findings.add('training samples', TOLERANCES.normalised, worst.plain);
  if (worst.distorted.compared) findings.add('training samples with HSV', TOLERANCES.distorted, worst.distorted);
}

/** [height, width, 3] → [3, height, width], the order of the reference's finished samples. */
function toPlanes(data: Float32Array): Float32Array {
  const plane = data.length / 3;
  const result = new Float32Array(data.length);
  for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) result[c * plane + i] = data[i * 3 + c]!;
  return result;
}

const viewsSchema = z.object({
  src: z.string(),
  img_scale_wh: pair,
  cases: z.array(z.object({ ratio: z.number(), size_hw: pair, flip: z.boolean(), img: z.string() })),
});

/** The inputs of multi-scale + flip inference, in JavaScript and as evaluation makes them. */
export async function checkTestViews(folder: ReferenceFolder, findings: Collector, reference: TransformReference) {
  const { src, img_scale_wh: scale, cases } = folder.json('cases.json', viewsSchema);
  const image = await reference.image(src);
  const worst = new Worst();
  for (const { ratio, size_hw, flip, img } of cases) {
    for (const view of [makeView(image, scale, ratio), ...makeViews(image, scale, [ratio], openWorkspace())]) {
      worst.add(largestDifference([view.height, view.width], size_hw), `${img}: size`);
      const planes = toPlanes(view.image);
      if (flip) {
        for (let row = 0; row < planes.length; row += view.width) planes.subarray(row, row + view.width).reverse();
      }
      worst.add(largestDifference(planes, folder.floats(img).data), img);
    }
  }
  findings.add('test views', TOLERANCES.normalised, worst);
}

/** Every value except 0 and 255 is a class, so that only the reduction is compared. */
const ZERO_LABEL: Dataset = {
  id: 'reference',
  name: 'Reference',
  folder: '',
  classes: Array.from({ length: 254 }, (_, k) => `class ${k}`),
  palette: Array.from({ length: 254 }, () => [0, 0, 0] as const),
  ignoreIndex: IGNORE_INDEX,
  reduceZeroLabel: true,
  published: null,
  splits: {},
  obtain: '',
};

const zeroLabelSchema = z.object({
  in: z.array(z.int().min(0).max(255)),
  out: z.union([z.array(z.int()), z.int()]),
});

/**
 * Zero-label reduction of single values. In some sets `out` is one number (the original got a list instead of an array and
 * collapsed it): that counts as not in the set. The training samples and the metrics also contain the reduction.
 */
export function checkZeroLabel(folder: ReferenceFolder, findings: Collector): void {
  const quantity = 'zero-label reduction';
  const { in: values, out } = folder.json('reduce_zero_label.json', zeroLabelSchema);
  if (!Array.isArray(out)) {
    findings.missing(quantity);
    return;
  }
  const labels: LabelMap = { height: 1, width: values.length, data: Uint8Array.from(values) };
  convertToTrainingIds(labels, ZERO_LABEL, 'reduce_zero_label.json');
  findings.add(quantity, TOLERANCES.exactLevels, new Worst().add(largestDifference(labels.data, out), 'values'));
}
