import type { Tensor } from '@tensorflow/tfjs-core';
import { BATCH_COUNTER, type ParameterSpec } from '../nn/parameters.js';
import type { Segmentor } from '../nn/segmentor.js';
import { allocateBlock } from '../support/block.js';
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

/** Copies the network and the optimizer after `iteration` steps into main memory; steps may go on after that. */
export function takeSnapshot(
  directory: string,
  iteration: number,
  { segmentor, optimizer, row }: { segmentor: Segmentor; optimizer: MomentumOptimizer; row: string },
  progress: TrainingProgress | null = null,
): Snapshot {
  const velocities = optimizer.state();
  const weights = stateDict(segmentor, iteration);
  const momentum = segmentor.parameters.specs
    .filter((spec) => velocities.has(spec.path))
    .map((spec) => entry(spec, velocities.get(spec.path)!));
  const { memory, copies } = copyTogether([...weights, ...momentum]);
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

/** What is to be copied: `read` gives the engine's own array, which may be its memory that the next step writes into. */
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

/**
 * Copies all values into one block, which goes back to the system whole when it is freed.
 */
function copyTogether(entries: readonly Entry[]): { readonly memory: ArrayBuffer; readonly copies: NamedWeights[] } {
  let bytes = 0;
  const offsets = entries.map(({ shape, dtype }) => {
    const offset = bytes;
    bytes += Math.ceil((elementCount(shape) * bytesPerElement[dtype]) / ALIGNMENT) * ALIGNMENT;
    return offset;
  });
  const memory = allocateBlock(bytes);
  const copies = entries.map(({ read, ...named }, i) => {
    const values = read();
    const ofType = values instanceof Float32Array ? Float32Array : BigInt64Array;
    new Uint8Array(memory, offsets[i], values.byteLength).set(
      new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    );
    return { ...named, data: new ofType(memory, offsets[i], values.length) };
  });
  return { memory, copies };
}
