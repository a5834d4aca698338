import { setImmediate } from 'node:timers/promises';
import type { Tensor } from '@tensorflow/tfjs-core';
import { BATCH_COUNTER, type ParameterSpec } from '../nn/parameters.js';
import type { Segmentor } from '../nn/segmentor.js';
import { allocateBlock, release } from '../support/block.js';
import { bytesPerElement } from '../weights/dtype.js';
import type { NamedWeights } from '../weights/save.js';
import { elementCount } from '../weights/tensor.js';
import type { TrainingProgress } from './checkpoint.js';
import type { MomentumOptimizer } from './optimizer.js';

/** A checkpoint's values in main memory: nothing of it changes while it is written. */
export interface Snapshot {
  readonly directory: string;
  readonly iteration: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly weights: readonly NamedWeights[];
  readonly optimizer: readonly NamedWeights[];
  /** Holds the values of both. */
  readonly memory: ArrayBuffer;
  readonly progress: TrainingProgress | null;
}

/** Copies the network and the optimizer after `iteration` steps into main memory; steps may go on once that is done. */
export async function takeSnapshot(
  directory: string,
  iteration: number,
  { segmentor, optimizer, row }: { segmentor: Segmentor; optimizer: MomentumOptimizer; row: string },
  progress: TrainingProgress | null = null,
): Promise<Snapshot> {
  const velocities = optimizer.state();
  const weights = stateDict(segmentor, iteration);
  const momentum = segmentor.parameters.specs
    .filter((spec) => velocities.has(spec.path))
    .map((spec) => entry(spec, velocities.get(spec.path)!));
  const { memory, copies } = await copyTogether([...weights, ...momentum]);
  return {
    directory,
    iteration,
    metadata: { format: 'pt', row, iteration: String(iteration) },
    weights: copies.slice(0, weights.length),
    optimizer: copies.slice(weights.length),
    memory,
    progress,
  };
}

/** What is to be copied: `read` gives an array that nobody else has. */
interface Entry extends Omit<NamedWeights, 'data'> {
  readonly dtype: 'float32' | 'int64';
  readonly read: () => Float32Array | BigInt64Array;
}

function entry(spec: ParameterSpec, tensor: Tensor): Entry {
  const layout = spec.kind === 'filter' ? ({ layout: 'hwio' } as const) : {};
  return { name: spec.path, dtype: 'float32', shape: spec.shape, ...layout, read: () => tensor.dataSync<'float32'>() };
}

/** Every entry of the published state_dict, in its order: each running variance is followed by the batch counter. */
function stateDict({ parameters }: Segmentor, iteration: number): Entry[] {
  return parameters.specs.flatMap((spec): Entry[] => {
    const values = entry(spec, parameters.get(spec.path));
    if (spec.kind !== 'runningVariance') return [values];
    const name = spec.path.replace(/[^.]+$/, BATCH_COUNTER);
    return [values, { name, dtype: 'int64', shape: [], read: () => BigInt64Array.of(BigInt(iteration)) }];
  });
}

/** Of the elements of any dtype. */
const ALIGNMENT = 8;

/** Bytes of arrays that may be there at a time, besides a larger one. */
const MOST_UNRELEASED = 2 ** 24;

/**
 * Copies all values into one block, which goes back to the system whole when it is freed. The arrays that the engine gives are freed
 * while that goes on: left to garbage collection, they would lie in the middle of the C library's heap for many steps.
 */
async function copyTogether(
  entries: readonly Entry[],
): Promise<{ readonly memory: ArrayBuffer; readonly copies: NamedWeights[] }> {
  let bytes = 0;
  const offsets = entries.map(({ shape, dtype }) => {
    const offset = bytes;
    bytes += Math.ceil((elementCount(shape) * bytesPerElement[dtype]) / ALIGNMENT) * ALIGNMENT;
    return offset;
  });
  const memory = allocateBlock(bytes);
  const copies: NamedWeights[] = [];
  const arrays: ArrayBuffer[] = [];
  let unreleased = 0;
  for (const [i, { read, ...named }] of entries.entries()) {
    const values = read();
    const ofType = values instanceof Float32Array ? Float32Array : BigInt64Array;
    new Uint8Array(memory, offsets[i], values.byteLength).set(
      new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    );
    copies.push({ ...named, data: new ofType(memory, offsets[i], values.length) });
    arrays.push(values.buffer as ArrayBuffer);
    unreleased += values.byteLength;
    if (unreleased < MOST_UNRELEASED && i < entries.length - 1) continue;
    release(arrays.splice(0));
    unreleased = 0;
    await setImmediate();
  }
  return { memory, copies };
}
