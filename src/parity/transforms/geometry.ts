import { z } from 'zod';
import { decodeLabels, decodeRgb } from '../../data/decode.js';
import type { LabelMap, RgbImage } from '../../data/image.js';
import { chooseCrop, flipHorizontally } from '../../data/transforms/crop.js';
import { distort, hsvToRgb, type PhotometricStep, rgbToHsv } from '../../data/transforms/photometric.js';
import { keepRatioSize, resizeBilinear, resizeNearest, scaleByRatio } from '../../data/transforms/resize.js';
import { type Collector, largestDifference, meanDifference, Worst } from '../check.js';
import { labelsOf, type ReferenceFolder, rgbOf } from '../reference-set.js';
import { TOLERANCES } from '../tolerances.js';

/**
 * The reference of the data transforms: its folder and its source images with labels, each a PNG or an array of bytes. Cases
 * name them by a letter.
 */
export class TransformReference {
  constructor(readonly top: ReferenceFolder) {}

  /** Whether a source image and its labels are there. */
  has(letter: string): boolean {
    return [`in_${letter}`, `in_${letter}_label`].every((name) =>
      ['png', 'npy'].some((type) => this.top.has(`${name}.${type}`)),
    );
  }

  async image(letter: string): Promise<RgbImage> {
    const name = `in_${letter}`;
    return this.top.has(`${name}.npy`) ? rgbOf(this.top, `${name}.npy`) : decodeRgb(this.top.file(`${name}.png`));
  }

  async labels(letter: string): Promise<LabelMap> {
    const name = `in_${letter}_label`;
    return this.top.has(`${name}.npy`) ? labelsOf(this.top, `${name}.npy`) : decodeLabels(this.top.file(`${name}.png`));
  }
}

const side = z.int().min(0);
const pair = z.tuple([side, side]);

const sizesSchema = z.array(
  z.object({ wh: pair, img_scale_wh: pair, ratio: z.number(), scale_wh: pair, out_wh: pair }),
);

/** Keep-ratio sizes, and the scales that they fit into. */
export function checkSizes(folder: ReferenceFolder, findings: Collector): void {
  const worst = new Worst();
  for (const { wh, img_scale_wh: base, ratio, scale_wh, out_wh } of folder.json('rescale_sizes.json', sizesSchema)) {
    const at = `${wh.join('×')} at ${ratio}`;
    const scale = scaleByRatio(base, ratio);
    const { height, width } = keepRatioSize({ height: wh[1], width: wh[0] }, scale);
    worst.add(largestDifference(scale, scale_wh), at).add(largestDifference([width, height], out_wh), at);
  }
  findings.add('keep-ratio sizes', TOLERANCES.exactPixels, worst);
}

const pictures = { src: z.string(), img: z.string(), seg: z.string() };

const resizeSchema = z.array(z.object({ ...pictures, img_scale_wh: pair, ratio: z.number(), out_hw: pair }));

/** Bilinear resize of images and nearest resize of labels. */
export async function checkResize(folder: ReferenceFolder, findings: Collector, reference: TransformReference) {
  const [images, labels] = [new Worst(), new Worst()];
  for (const { src, img, seg, img_scale_wh, ratio, out_hw } of folder.json('cases.json', resizeSchema)) {
    const image = await reference.image(src);
    const size = keepRatioSize(image, scaleByRatio(img_scale_wh, ratio));
    images.add(largestDifference([size.height, size.width], out_hw), `${img}: size`);
    images.add(largestDifference(resizeBilinear(image, size).data, rgbOf(folder, img).data), img);
    const resized = resizeNearest(await reference.labels(src), size);
    labels.add(largestDifference(resized.data, labelsOf(folder, seg).data), seg);
  }
  findings.add('resize, images', TOLERANCES.exactLevels, images);
  findings.add('resize, labels', TOLERANCES.exactLevels, labels);
}

const cropSchema = z.array(z.object({ ...pictures, crop_hw: pair, offset_yx: pair, out_hw: pair }));

/** Crops at given offsets; an image smaller than the crop stays smaller. */
export async function checkCrop(folder: ReferenceFolder, findings: Collector, reference: TransformReference) {
  const worst = new Worst();
  for (const { src, img, seg, crop_hw, offset_yx, out_hw } of folder.json('cases.json', cropSchema)) {
    const image = await reference.image(src);
    const source = await reference.labels(src);
    const rule = { cropHw: crop_hw, maximumRatio: 1 };
    const { box, labels } = chooseCrop(source, source, rule, (draw) => offset_yx[draw]!);
    worst.add(largestDifference([box.top, box.left, box.height, box.width], [...offset_yx, ...out_hw]), `${img}: box`);
    worst.add(largestDifference(labels.data, labelsOf(folder, seg).data), seg);
    worst.add(largestDifference(resizeBilinear(image, image, box).data, rgbOf(folder, img).data), img);
  }
  findings.add('crop', TOLERANCES.exactLevels, worst);
}

const categorySchema = z.array(
  z.object({
    ...pictures,
    seg_in: z.string(),
    crop_hw: pair,
    cat_max_ratio: z.number(),
    tried_offsets_yx: z.array(pair),
    used_offset_yx: pair,
  }),
);

/** The rule that redraws a crop if one class covers too much: which boxes it tries, and which it takes. */
export async function checkCategoryRule(folder: ReferenceFolder, findings: Collector, reference: TransformReference) {
  const worst = new Worst();
  for (const { src, img, seg, seg_in, ...rest } of folder.json('cat_cases.json', categorySchema)) {
    const source = labelsOf(folder, seg_in);
    const offsets = rest.tried_offsets_yx.flat();
    let draws = 0;
    const rule = { cropHw: rest.crop_hw, maximumRatio: rest.cat_max_ratio };
    const { box, labels } = chooseCrop(source, source, rule, (draw) => {
      draws++;
      // More boxes than the original tried: the first corner.
      return offsets[draw] ?? 0;
    });
    worst.add(draws - offsets.length, `${seg_in}: boxes tried`);
    worst.add(largestDifference([box.top, box.left], rest.used_offset_yx), `${seg_in}: box`);
    worst.add(largestDifference(labels.data, labelsOf(folder, seg).data), seg);
    const image = await reference.image(src);
    worst.add(largestDifference(resizeBilinear(image, image, box).data, rgbOf(folder, img).data), img);
  }
  findings.add('crop, category rule', TOLERANCES.exactLevels, worst);
}

const flipSchema = z.array(z.object({ ...pictures, direction: z.string() }));

/** Mirroring. No recipe flips vertically: such cases are left out. */
export async function checkFlip(folder: ReferenceFolder, findings: Collector, reference: TransformReference) {
  const worst = new Worst();
  for (const { src, img, seg, direction } of folder.json('cases.json', flipSchema)) {
    if (direction !== 'horizontal') continue;
    const image = await reference.image(src);
    flipHorizontally(image.data, image.width, 3);
    worst.add(largestDifference(image.data, rgbOf(folder, img).data), img);
    const labels = await reference.labels(src);
    flipHorizontally(labels.data, labels.width, 1);
    worst.add(largestDifference(labels.data, labelsOf(folder, seg).data), seg);
  }
  findings.add('flip, horizontal', TOLERANCES.exactLevels, worst);
}

/** Conversion to and from 8-bit HSV: OpenCV's scalar code rounds, its vector code truncates. */
export function checkHsv(folder: ReferenceFolder, findings: Collector): void {
  const compare = (quantity: string, from: string, to: string, convert: (image: RgbImage) => void) => {
    const image = rgbOf(folder, from);
    convert(image);
    const worst = new Worst().add(largestDifference(image.data, rgbOf(folder, to).data), to);
    findings.add(quantity, TOLERANCES.exactLevels, worst);
  };
  compare('RGB to HSV', 'rgb.npy', 'rgb_to_hsv.npy', ({ data }) => rgbToHsv(data));
  compare('HSV to RGB, rounded', 'hsv.npy', 'hsv_to_rgb_scalar.npy', ({ data, width }) => hsvToRgb(data, width, 0));
  compare('HSV to RGB, truncated', 'hsv.npy', 'hsv_to_rgb_vector.npy', ({ data, width }) =>
    hsvToRgb(data, width, width),
  );
}

export const photometricStep = z
  .object({ op: z.enum(['brightness', 'contrast', 'saturation', 'hue']), value: z.number() })
  .transform(({ op, value }): PhotometricStep => ({ operation: op, value }));

const photoSchema = z.array(
  z.object({
    src: z.string(),
    steps: z.array(z.intersection(photometricStep, z.object({ img: z.string() }))),
    out: z.string(),
  }),
);

/** Whether a step passes through 8-bit HSV. */
export function usesHsv({ operation }: PhotometricStep): boolean {
  return operation === 'saturation' || operation === 'hue';
}

/** Photometric distortion: each step from the reference's result of the step before, and whole chains. */
export async function checkPhotometric(folder: ReferenceFolder, findings: Collector, reference: TransformReference) {
  const worst = { affine: new Worst(), hsv: new Worst(), hsvMean: new Worst(), chain: new Worst() };
  for (const { src, steps, out } of folder.json('cases.json', photoSchema)) {
    let before = await reference.image(src);
    const whole = { ...before, data: Uint8Array.from(before.data) };
    for (const step of steps) {
      const after = rgbOf(folder, step.img);
      const at = `${step.img}, ${step.operation}`;
      distort(before, [step]);
      worst[usesHsv(step) ? 'hsv' : 'affine'].add(largestDifference(before.data, after.data), at);
      if (usesHsv(step)) worst.hsvMean.add(meanDifference(before.data, after.data), at);
      before = after;
    }
    distort(whole, steps);
    worst.chain.add(largestDifference(whole.data, rgbOf(folder, out).data), out);
  }
  findings.add('brightness, contrast', TOLERANCES.exactLevels, worst.affine);
  findings.add('saturation, hue', TOLERANCES.hsvStep, worst.hsv);
  findings.add('saturation, hue, mean', TOLERANCES.hsvStepMean, worst.hsvMean);
  findings.add('photometric chains', TOLERANCES.photometricChain, worst.chain);
}
