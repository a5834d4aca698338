import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { ImageView } from '../../src/data/image.js';
import type { Engine } from '../../src/engines/engine.js';
import type { InferenceMode, Window } from '../../src/evaluation/windows.js';
import type { InferenceNetwork } from '../../src/network/inference.js';

/** A map of values in float64, [height, width, channels], row-major. */
export interface Field {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly data: Float64Array;
}

export const FAKE_CLASSES = 5;

/**
 * Logits of a network that can be computed by hand: at every eighth pixel a mix of its colours, plus terms that differ from
 * left to right and from top to bottom, so that a mirrored or shifted view gives other logits.
 */
function fakeLogits({ height, width, data }: Field): Field {
  const rows = Math.ceil(height / 8);
  const columns = Math.ceil(width / 8);
  const logits = new Float64Array(rows * columns * FAKE_CLASSES);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      for (let k = 0; k < FAKE_CLASSES; k++) {
        let value = 0.3 * Math.sin(k + x) + 0.2 * Math.cos(2 * k + y);
        for (let c = 0; c < 3; c++) value += Math.cos(k * 3 + c) * data[(8 * y * width + 8 * x) * 3 + c]!;
        logits[(y * columns + x) * FAKE_CLASSES + k] = value;
      }
    }
  }
  return { height: rows, width: columns, channels: FAKE_CLASSES, data: logits };
}

/** The network of `fakeLogits` as the program sees it. */
export function fakeNetwork({ tf }: Engine, alignCorners: boolean): InferenceNetwork {
  return {
    classes: FAKE_CLASSES,
    alignCorners,
    async logits(images: Tensor4D) {
      const [, height, width] = images.shape;
      const logits = fakeLogits({ height, width, channels: 3, data: Float64Array.from(images.dataSync()) });
      return tf.tensor4d(Float32Array.from(logits.data), [1, logits.height, logits.width, FAKE_CLASSES]);
    },
    dispose() {},
  };
}

function sourceOf(d: number, input: number, output: number, alignCorners: boolean): number {
  return alignCorners ? (d * (input - 1)) / (output - 1) : Math.max(((d + 0.5) * input) / output - 0.5, 0);
}

/** Bilinear resize, pixel by pixel. */
export function resize(field: Field, height: number, width: number, alignCorners: boolean): Field {
  const { channels } = field;
  const data = new Float64Array(height * width * channels);
  const at = (y: number, x: number, c: number) =>
    field.data[(Math.min(y, field.height - 1) * field.width + Math.min(x, field.width - 1)) * channels + c]!;
  for (let y = 0; y < height; y++) {
    const sourceY = sourceOf(y, field.height, height, alignCorners);
    const top = Math.floor(sourceY);
    for (let x = 0; x < width; x++) {
      const sourceX = sourceOf(x, field.width, width, alignCorners);
      const left = Math.floor(sourceX);
      const [v, u] = [sourceY - top, sourceX - left];
      for (let c = 0; c < channels; c++) {
        data[(y * width + x) * channels + c] =
          (1 - v) * ((1 - u) * at(top, left, c) + u * at(top, left + 1, c)) +
          v * ((1 - u) * at(top + 1, left, c) + u * at(top + 1, left + 1, c));
      }
    }
  }
  return { height, width, channels, data };
}

function crop(field: Field, { top, left, height, width }: Window): Field {
  const { channels } = field;
  const data = new Float64Array(height * width * channels);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * field.width + left) * channels;
    data.set(field.data.subarray(start, start + width * channels), y * width * channels);
  }
  return { height, width, channels, data };
}

function mirror(field: Field): Field {
  const { height, width, channels } = field;
  const data = new Float64Array(field.data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        data[(y * width + x) * channels + c] = field.data[(y * width + width - 1 - x) * channels + c]!;
  return { height, width, channels, data };
}

/** The original's loop: windows by start positions, logits and counts summed into whole maps. */
function inferenceLogits(image: Field, mode: InferenceMode, alignCorners: boolean): Field {
  const { height, width } = image;
  if (mode.mode === 'whole') return resize(fakeLogits(image), height, width, alignCorners);
  const [cropHeight, cropWidth] = mode.cropHw!;
  const [strideHeight, strideWidth] = mode.strideHw!;
  const rows = Math.floor(Math.max(height - cropHeight + strideHeight - 1, 0) / strideHeight) + 1;
  const columns = Math.floor(Math.max(width - cropWidth + strideWidth - 1, 0) / strideWidth) + 1;
  const sum = new Float64Array(height * width * FAKE_CLASSES);
  const count = new Float64Array(height * width);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const bottom = Math.min(row * strideHeight + cropHeight, height);
      const right = Math.min(column * strideWidth + cropWidth, width);
      const top = Math.max(bottom - cropHeight, 0);
      const left = Math.max(right - cropWidth, 0);
      const window = { top, left, height: bottom - top, width: right - left };
      const logits = resize(fakeLogits(crop(image, window)), window.height, window.width, alignCorners);
      for (let y = 0; y < window.height; y++) {
        for (let x = 0; x < window.width; x++) {
          const pixel = (top + y) * width + left + x;
          count[pixel]! += 1;
          for (let k = 0; k < FAKE_CLASSES; k++)
            sum[pixel * FAKE_CLASSES + k]! += logits.data[(y * window.width + x) * FAKE_CLASSES + k]!;
        }
      }
    }
  }
  return {
    height,
    width,
    channels: FAKE_CLASSES,
    data: sum.map((value, i) => value / count[Math.floor(i / FAKE_CLASSES)]!),
  };
}

function softmax(field: Field): Field {
  const data = field.data.slice();
  for (let i = 0; i < data.length; i += field.channels) {
    const pixel = data.subarray(i, i + field.channels);
    const largest = Math.max(...pixel);
    const total = pixel.reduce((sum, value) => sum + Math.exp(value - largest), 0);
    for (let k = 0; k < pixel.length; k++) pixel[k] = Math.exp(pixel[k]! - largest) / total;
  }
  return { ...field, data };
}

export interface ReferenceOptions {
  readonly size: readonly [number, number];
  readonly views: readonly ImageView[];
  readonly flip: boolean;
  readonly mode: InferenceMode;
  readonly alignCorners: boolean;
}

/** Mean class probabilities of the fake network at the image's own size, in float64. */
export function referenceProbabilities({ size, views, flip, mode, alignCorners }: ReferenceOptions): Float64Array {
  const maps = views.flatMap((view) =>
    (flip ? [false, true] : [false]).map((flipped) => {
      const { height, width } = view;
      const upright: Field = { height, width, channels: 3, data: Float64Array.from(view.image) };
      const logits = inferenceLogits(flipped ? mirror(upright) : upright, mode, alignCorners);
      const own = softmax(resize(logits, size[0], size[1], alignCorners));
      return (flipped ? mirror(own) : own).data;
    }),
  );
  return maps[0]!.map((_, i) => maps.reduce((sum, map) => sum + map[i]!, 0) / maps.length);
}
