import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { decodeLabels, decodeRgb } from '../../src/data/decode.js';
import type { LabelMap, RgbImage } from '../../src/data/image.js';
import { readBytes, readFloats } from './npy.js';
import { sharedPath } from './shared.js';

/** Reads the reference data of the data transforms: `folder` is a folder of the pipeline part. */
export class PipelineReference {
  constructor(private readonly folder: string) {}

  json<T>(name: string): T {
    return JSON.parse(readFileSync(path.join(this.folder, name), 'utf8')) as T;
  }

  /** An RGB image or a table of pixels: [height, width, 3] or [count, 3]. */
  image(name: string): RgbImage {
    const { shape, data } = readBytes(path.join(this.folder, name));
    return shape.length === 3 ? { height: shape[0]!, width: shape[1]!, data } : { height: 1, width: shape[0]!, data };
  }

  labels(name: string): LabelMap {
    const { shape, data } = readBytes(path.join(this.folder, name));
    return { height: shape[0]!, width: shape[1]!, data };
  }

  floats(name: string): { shape: readonly number[]; data: Float32Array } {
    return readFloats(path.join(this.folder, name));
  }

  /** A source image by its letter. */
  source(letter: string): Promise<RgbImage> {
    return decodeRgb(path.join(this.folder, '..', `in_${letter}.png`));
  }

  sourceLabels(letter: string): Promise<LabelMap> {
    return decodeLabels(path.join(this.folder, '..', `in_${letter}_label.png`));
  }
}

/** The reference data of one transform; where it is absent the test passes with a note, and null is returned. */
export function pipelineReference(t: ExecutionContext, transform: string): PipelineReference | null {
  const folder = sharedPath('oracle', 'pipeline', transform);
  if (folder) return new PipelineReference(folder);
  t.log(`Skipped: no reference data for ${transform} beside the checkout.`);
  t.pass();
  return null;
}

/** [height, width, 3] → [3, height, width], the reference's order of finished samples. */
export function toPlanes(data: Float32Array): Float32Array {
  const plane = data.length / 3;
  const result = new Float32Array(data.length);
  for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) result[c * plane + i] = data[i * 3 + c]!;
  return result;
}

export interface Difference {
  readonly largest: number;
  readonly mean: number;
  /** Share of the values that differ at all. */
  readonly share: number;
}

/** How far two arrays of the same length are apart. */
export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): Difference {
  if (actual.length !== expected.length) throw new RangeError(`${actual.length} values, expected ${expected.length}`);
  let largest = 0;
  let sum = 0;
  let differing = 0;
  for (let i = 0; i < actual.length; i++) {
    const distance = Math.abs(actual[i]! - expected[i]!);
    // NaN compares false with everything; it must not pass as equal.
    if (!(distance <= largest)) largest = distance;
    sum += distance;
    if (distance !== 0) differing++;
  }
  return { largest, mean: sum / actual.length, share: differing / actual.length };
}
