import { allocateBlock, release } from '../support/block.js';
import type { StoredDtype } from './convert.js';
import { hwioToOihw, oihwShape } from './layout.js';
import { writeSafetensors } from './safetensors.js';
import { elementCount, type WritableTensor } from './tensor.js';

/** Values of one parameter, running statistic or optimizer buffer. */
export interface NamedWeights {
  /** As published: the state_dict key. */
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  /**
   * `hwio`: a float32 convolution weight as the engine has it; it is written as OIHW, shape and values. Absent: written as
   * it is.
   */
  readonly layout?: 'hwio';
  /** Row-major; or what fetches them when their turn comes, so that one tensor at a time is copied off the engine. */
  readonly data: ArrayBufferView | (() => ArrayBufferView | Promise<ArrayBufferView>);
}

/**
 * Writes weights as safetensors, atomically, under their published names and in the published layout, so that
 * `readCheckpoint`, and Python's safetensors with PyTorch, read them back by name.
 * @throws UserError when the folder cannot be written or the disk is full.
 */
export async function saveWeights(
  file: string,
  tensors: Iterable<NamedWeights>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const weights = [...tensors];
  // One tensor is written after the other: one array serves for all that are not written as they are.
  const largest = Math.max(0, ...weights.map(({ layout, shape }) => (layout ? elementCount(shape) : 0)));
  const memory = allocateBlock(largest * Float32Array.BYTES_PER_ELEMENT);
  const scratch = new Float32Array(memory);
  try {
    await writeSafetensors(
      file,
      weights.map((one) => published(one, scratch)),
      metadata,
    );
  } finally {
    release([memory]);
  }
}

function published({ name, dtype, shape, layout, data }: NamedWeights, scratch: Float32Array): WritableTensor {
  const fetch = async () => (typeof data === 'function' ? await data() : data);
  if (!layout) return { name, dtype, shape, bytes: async () => bytesOf(await fetch()) };
  if (shape.length !== 4 || dtype !== 'float32') throw new Error(`${name} is no float32 convolution weight.`);
  const hwio = shape as readonly [number, number, number, number];
  const bytes = async () => {
    const values = await fetch();
    if (!(values instanceof Float32Array)) throw new Error(`${name} is not given as a Float32Array.`);
    return bytesOf(hwioToOihw(values, hwio, scratch.subarray(0, values.length)));
  };
  return { name, dtype, shape: oihwShape(hwio), bytes };
}

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
