import { workerData } from 'node:worker_threads';
import { UserError } from '../../support/errors.js';
import { decodeAnyRgb, decodeAnyRgbBytes } from '../decode.js';
import type { ImageView, RgbImage, Size } from '../image.js';
import { openWorkspace } from '../simd/open-workspace.js';
import { keepRatioSize, scaleByRatio } from '../transforms/resize.js';
import { makeViews } from '../views.js';
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
  requireViews(name, image, imageScaleWh, ratios);
  const views = makeViews(image, imageScaleWh, ratios, openWorkspace());
  const buffers = [image.data, ...views.map((view) => view.image)].map(({ buffer }) => buffer as ArrayBuffer);
  return { result: { image, views }, transfer: buffers };
});

/** @throws UserError if an image is so long and narrow that nothing of it is left in a view: engines fail on empty images. */
function requireViews(name: string, image: Size, scaleWh: readonly [number, number], ratios: readonly number[]): void {
  for (const ratio of ratios) {
    const scale = scaleByRatio(scaleWh, ratio);
    const { height, width } = keepRatioSize(image, scale);
    if (height > 0 && width > 0) continue;
    throw new UserError(
      `${name}: an image of ${image.width}×${image.height} pixels is too narrow: fitted into ${scale.join('×')}, it has none left.`,
      'Cut it into images that are less long.',
    );
  }
}

/** A message between threads makes plain arrays of buffers. */
function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
