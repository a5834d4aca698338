import { workerData } from 'node:worker_threads';
import { decodeAnyRgb } from '../decode.js';
import type { ImageView, RgbImage } from '../image.js';
import { openWorkspace } from '../simd/open-workspace.js';
import { makeViews } from '../views.js';
import { serve } from './pool.js';

export interface PredictionWorkerData {
  readonly imageScaleWh: readonly [number, number];
  readonly ratios: readonly number[];
}

/** An image without a label, and its view at each ratio. */
export interface PredictionSample {
  readonly image: RgbImage;
  readonly views: readonly ImageView[];
}

serve<string, PredictionSample>(async (file) => {
  const { imageScaleWh, ratios } = workerData as PredictionWorkerData;
  const { height, width, data } = await decodeAnyRgb(file);
  // A decoder's buffer may be part of a larger one, which cannot be transferred.
  const image = { height, width, data: Uint8Array.from(data) };
  const views = makeViews(image, imageScaleWh, ratios, openWorkspace());
  const buffers = [image.data, ...views.map((view) => view.image)].map(({ buffer }) => buffer as ArrayBuffer);
  return { result: { image, views }, transfer: buffers };
});
