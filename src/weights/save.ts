import { allocateBlock, release } from '../support/block.js';
import { writeSafetensors } from './safetensors.js';
import { elementCount, hwioToOihw, oihwShape, type WritableTensor } from './tensor.js';

/** A parameter, a running statistic or a buffer of the optimizer, under its published name, the state_dict key. */
export interface NamedWeights extends Pick<WritableTensor, 'name' | 'dtype' | 'shape'> {
  /** `hwio`: a float32 convolution weight as on the engine, whose shape and values are written as OIHW. Absent: written as is. */
  readonly layout?: 'hwio';
  /** Row-major. A function is called when the tensor is written, so that one tensor at a time is copied from the engine. */
  readonly data: ArrayBufferView | (() => ArrayBufferView | Promise<ArrayBufferView>);
}

/**
 * Writes weights as safetensors, atomically, under their published names and in the published layout, which `readCheckpoint` and
 * Python's safetensors read.
 * @throws UserError if the folder cannot be written or the disk is full.
 */
export async function saveWeights(
  file: string,
  tensors: Iterable<NamedWeights>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const weights = [...tensors];
  // Tensors are written one by one, so one array serves all that are converted to OIHW.
  const largest = Math.max(0, ...weights.map(({ layout, shape }) => (layout ? elementCount(shape) : 0)));
  const memory = allocateBlock(largest * Float32Array.BYTES_PER_ELEMENT);
  const scratch = new Float32Array(memory);
  try {
    await writeSafetensors(
      file,
      weights.map((one) => inPublishedLayout(one, scratch)),
      metadata,
    );
  } finally {
    release([memory]);
  }
}

function inPublishedLayout({ name, dtype, shape, layout, data }: NamedWeights, scratch: Float32Array): WritableTensor {
  const fetch = async () => (typeof data === 'function' ? await data() : data);
  if (!layout) return { name, dtype, shape, bytes: async () => bytesOf(await fetch()) };
  if (shape.length !== 4 || dtype !== 'float32') throw new Error(`${name} is not a float32 convolution weight.`);
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
