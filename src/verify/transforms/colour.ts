import { z } from 'zod';
import type { RgbImage } from '../../data/image.js';
import { hsvToRgb, rgbToHsv } from '../../data/transforms/hsv.js';
import { distort, type PhotometricStep } from '../../data/transforms/photometric.js';
import { type Collector, Worst } from '../check.js';
import { largestDifference, meanDifference } from '../compare.js';
import type { ReferenceFolder } from '../folder.js';
import { TOLERANCES } from '../tolerances.js';
import { rgbOf, type TransformReference } from './sources.js';

/** Conversion to and from 8-bit HSV: OpenCV rounds in its scalar code and truncates in its vector code. */
export function checkHsv(folder: ReferenceFolder, findings: Collector): void {
  const compare = (quantity: string, from: string, to: string, convert: (image: RgbImage) => void) => {
    const image = rgbOf(folder, from);
    convert(image);
    findings.add(
      quantity,
      TOLERANCES.exactLevels,
      new Worst().add(largestDifference(image.data, rgbOf(folder, to).data), to),
    );
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

/** Photometric distortion: each step from where the reference's step before it ended, and whole chains. */
export async function checkPhotometric(reference: TransformReference, folder: ReferenceFolder, findings: Collector) {
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
