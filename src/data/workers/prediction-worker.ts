import { workerData } from 'node:worker_threads';
import { decodeAnyRgb, decodeAnyRgbBytes } from '../decode.js';
import type { ImageView, RgbImage } from '../image.js';
import { makeViews } from '../samples.js';
import { serve } from './pool.js';

export interface PredictionWorkerData {
  readonly imageScaleWh: readonly [number, number];
}

export interface ImageTask {
  /** A file, or what errors call the image. */
  readonly name: string;
  /** The encoded image; null: the file holds it. */
  readonly bytes: Uint8Array | null;
  /** Multi-scale ratios, one for each view. */
  readonly ratios: readonly number[];
}

/** An image without a label, and its view at each ratio. */
export interface PredictionSample {
  readonly image: RgbImage;
  readonly views: readonly ImageView[];
}

serve<ImageTask, PredictionSample>(async ({ name, bytes, ratios }) => {
  const { imageScaleWh } = workerData as PredictionWorkerData;
  const decoded = bytes === null ? decodeAnyRgb(name) : decodeAnyRgbBytes(name, asBuffer(bytes));
  const { height, width, data } = await decoded;
  // A decoder's buffer may be part of a larger one, which cannot be transferred.
  const image = { height, width, data: Uint8Array.from(data) };
  const views = makeViews(image, imageScaleWh, ratios);
  const buffers = [image.data, ...views.map((view) => view.image)].map(({ buffer }) => buffer as ArrayBuffer);
  return { result: { image, views }, transfer: buffers };
});

/** A message between threads makes plain arrays of buffers. */
function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
