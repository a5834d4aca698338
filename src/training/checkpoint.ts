import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Tensor } from '@tensorflow/tfjs-core';
import { BATCH_COUNTER, type ParameterSpec } from '../network/parameters.js';
import type { Segmentor } from '../network/segmentor.js';
import { allocateBlock, release } from '../support/block.js';
import { explainFileError, sha256File } from '../support/files.js';
import { writeSealed } from '../support/json.js';
import { type NamedWeights, saveWeights } from '../weights/convert.js';
import { bytesPerElement } from '../weights/dtypes.js';
import { elementCount } from '../weights/tensor.js';
import type { CheckpointDescription, FileDescription, TrainingProgress } from './checkpoint-schema.js';
import type { MomentumOptimizer } from './step.js';

/** Paths of one checkpoint's files. */
export interface CheckpointFiles {
  /** Parameters and running statistics under their published names. */
  readonly weights: string;
  /** Momentum buffers, under the names of their parameters. */
  readonly optimizer: string;
  /** Iteration, checksums and progress; written last, so that a checkpoint is complete if this file exists. */
  readonly state: string;
}

export function checkpointFiles(directory: string, iteration: number): CheckpointFiles {
  const stem = path.join(directory, `iteration-${iteration}`);
  return { weights: `${stem}.safetensors`, optimizer: `${stem}.optimizer.safetensors`, state: `${stem}.json` };
}

/**
 * Writes a snapshot, each file atomically, the one with the checksums last. If one cannot be written, none stays.
 * @throws UserError if the disk is full or the folder cannot be written.
 */
export async function writeSnapshot(snapshot: Snapshot): Promise<CheckpointFiles> {
  const { directory, iteration, metadata, weights, optimizer, progress } = snapshot;
  const files = checkpointFiles(directory, iteration);
  try {
    await saveWeights(files.weights, weights, metadata);
    await saveWeights(files.optimizer, optimizer, metadata);
    const content: CheckpointDescription = {
      iteration,
      weights: await describeFile(files.weights),
      optimizer: await describeFile(files.optimizer),
      progress,
    };
    await writeSealed(files.state, content);
  } catch (error) {
    // An incomplete checkpoint is useless and takes the room that the next one may need.
    for (const file of [files.weights, files.optimizer]) await rm(file, { force: true }).catch(() => {});
    throw error;
  }
  return files;
}

/**
 * Writes the network and the optimizer after `iteration` steps, without progress: for inspection.
 * @throws UserError if the disk is full or the folder cannot be written.
 */
export async function saveCheckpoint(
  directory: string,
  iteration: number,
  state: { segmentor: Segmentor; optimizer: MomentumOptimizer; row: string },
): Promise<CheckpointFiles> {
  return writeSnapshot(await takeSnapshot(directory, iteration, state));
}

/** The result of `work` on a file, or `otherwise` if the file is missing. @throws UserError if the system refuses. */
export function unlessMissing<T, U>(
  file: string,
  action: 'read' | 'write',
  work: Promise<T>,
  otherwise: U,
): Promise<T | U> {
  return work.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return otherwise;
    throw explainFileError(error, file, action);
  });
}

async function describeFile(file: string): Promise<FileDescription> {
  return { file: path.basename(file), bytes: (await stat(file)).size, sha256: await sha256File(file) };
}

/** A checkpoint's values in main memory: they do not change while they are written. */
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

/** Copies the network and the optimizer after `iteration` steps into main memory; then the next step may run. */
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

/** A tensor to copy: `read` gives an array that nobody else uses. */
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

/** Bytes: enough for elements of any dtype. */
const ALIGNMENT = 8;

/** Most bytes of copied arrays that wait for their release, except for a single larger one. */
const MOST_UNRELEASED = 2 ** 24;

/**
 * Copies all values into one block, which the system gets back whole once it is freed. The engine's arrays are released during
 * the copy: left to garbage collection, they would fragment the C library's heap for many steps.
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
