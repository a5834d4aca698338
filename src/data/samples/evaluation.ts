import type { EvaluationSample, View } from '../batch.js';
import type { Dataset } from '../datasets/dataset.js';
import type { Entry } from '../datasets/read-split.js';
import type { RgbImage } from '../image.js';
import { normalise } from '../transforms/normalise.js';
import { resizeBilinear } from '../transforms/resize.js';
import { keepRatioSize, scaleByRatio } from '../transforms/size.js';
import { loadSample } from './load.js';

/** An image fitted into the test scale times a ratio (whole, not padded), normalised. */
export function makeView(image: RgbImage, imageScaleWh: readonly [number, number], ratio: number): View {
  const size = keepRatioSize(image, scaleByRatio(imageScaleWh, ratio));
  return { ratio, ...size, image: normalise(resizeBilinear(image, size)) };
}

/** Reads an image with its label and makes its view at each ratio. */
export async function makeEvaluationSample(
  entry: Entry,
  dataset: Dataset,
  imageScaleWh: readonly [number, number],
  ratios: readonly number[],
): Promise<EvaluationSample> {
  const { image, labels } = await loadSample(entry, dataset);
  return {
    name: entry.name,
    height: image.height,
    width: image.width,
    label: labels.data,
    views: ratios.map((ratio) => makeView(image, imageScaleWh, ratio)),
  };
}
