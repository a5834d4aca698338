import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { BATCH_COUNTER, type ParameterSpec } from '../network/parameters.js';
import type { Segmentor } from '../network/segmentor.js';
import { allocateBlock, release } from '../support/block.js';
import { UserError } from '../support/errors.js';
import { sha256File } from '../support/files.js';
import { readSealed, writeSealed } from '../support/json.js';
import { bytesPerElement } from '../weights/dtypes.js';
import { type NamedWeights, saveWeights } from '../weights/save.js';
import { elementCount } from '../weights/tensor.js';
import type { MomentumOptimizer } from './step.js';

/** Where one checkpoint's files are. */
export interface CheckpointFiles {
  /** Parameters and running statistics under their published names. */
  readonly weights: string;
  /** Momentum buffers, under the names of their parameters. */
  readonly optimizer: string;
  /** Iteration, checksums and what training counts; written last, so that a checkpoint is complete where it exists. */
  readonly state: string;
}

const sum = z.number();
const result = z.object({
  loss: z.number(),
  decodeLoss: z.number(),
  auxiliaryLoss: z.number(),
  accuracy: z.number(),
  learningRate: z.number(),
});

/** What training counts from step to step, besides the tensors. */
const progressSchema = z.object({
  /** Wall-clock seconds so far. */
  seconds: z.number(),
  /** Of 16-bit training: steps that moved nothing. */
  skippedSteps: z.int().min(0),
  /** Of these, the latest without any other between them; checkpoints of before do not have it. */
  skippedInARow: z.int().min(0).default(0),
  /** Exponential mean of the loss over about the last hundred steps: what the best checkpoint is chosen by. */
  smoothedLoss: z.number(),
  /** Names of the samples that could not be read, in whose place others were drawn; checkpoints of earlier versions lack it. */
  skippedSamples: z.array(z.string()).default([]),
  peakLiveTensorBytes: z.number(),
  peakProcessBytes: z.number(),
  /** Of the last step. */
  result,
  /** Sums over the steps since the last line of the log. */
  interval: z.object({
    steps: z.int().min(0),
    loss: sum,
    decodeLoss: sum,
    auxiliaryLoss: sum,
    accuracy: sum,
    dataMilliseconds: sum,
    stepMilliseconds: sum,
    /** The highest of any of the steps; checkpoints of earlier versions lack it. */
    peakLiveTensorBytes: z.number().default(0),
  }),
});
export type TrainingProgress = z.output<typeof progressSchema>;

const fileSchema = z.object({ file: z.string(), bytes: z.number(), sha256: z.string() });
const checkpointSchema = z.object({
  iteration: z.int().min(0),
  weights: fileSchema,
  optimizer: fileSchema,
  /** Null of a state that was kept for looking at it, not for going on. */
  progress: progressSchema.nullable(),
});

export interface Checkpoint {
  readonly iteration: number;
  readonly files: CheckpointFiles;
  readonly progress: TrainingProgress | null;
}

export function checkpointFiles(directory: string, iteration: number): CheckpointFiles {
  const stem = path.join(directory, `iteration-${iteration}`);
  return { weights: `${stem}.safetensors`, optimizer: `${stem}.optimizer.safetensors`, state: `${stem}.json` };
}

/**
 * Writes a snapshot, each file atomically, the one with the checksums last. Where one cannot be written, none stays.
 * @throws UserError when the disk is full or the folder cannot be written.
 */
export async function writeSnapshot(snapshot: Snapshot): Promise<CheckpointFiles> {
  const { directory, iteration, metadata, weights, optimizer, progress } = snapshot;
  const files = checkpointFiles(directory, iteration);
  try {
    await saveWeights(files.weights, weights, metadata);
    await saveWeights(files.optimizer, optimizer, metadata);
    const content: z.input<typeof checkpointSchema> = {
      iteration,
      weights: await describeFile(files.weights),
      optimizer: await describeFile(files.optimizer),
      progress,
    };
    await writeSealed(files.state, content);
  } catch (error) {
    // What is not complete is no checkpoint, and takes the room that the next one may need.
    for (const file of [files.weights, files.optimizer]) await rm(file, { force: true }).catch(() => {});
    throw error;
  }
  return files;
}

/**
 * Writes the network and the optimizer after `iteration` steps, each file atomically.
 * @throws UserError when the disk is full or the folder cannot be written.
 */
export async function saveCheckpoint(
  directory: string,
  iteration: number,
  state: { segmentor: Segmentor; optimizer: MomentumOptimizer; row: string },
): Promise<CheckpointFiles> {
  return writeSnapshot(await takeSnapshot(directory, iteration, state));
}

/**
 * What a checkpoint's JSON says; null where it is not there or not as it was written. The other files are not read.
 * @throws UserError where it cannot be read.
 */
export async function readDescription(state: string): Promise<z.output<typeof checkpointSchema> | null> {
  const content = await readSealed(state);
  if (content === null || content === 'damaged') return null;
  const parsed = checkpointSchema.safeParse(content);
  return parsed.success ? parsed.data : null;
}

/**
 * Checks every byte of a checkpoint. One that cannot be read is no better than a damaged one.
 * @returns the checkpoint, or what is wrong with it.
 */
export async function openCheckpoint(directory: string, iteration: number): Promise<Checkpoint | string> {
  const files = checkpointFiles(directory, iteration);
  const description = await unlessUnreadable(files.state, () => readDescription(files.state));
  if (typeof description === 'string') return description;
  if (description?.iteration !== iteration) return `${path.basename(files.state)} is not as it was written`;
  for (const name of ['weights', 'optimizer'] as const) {
    const wrong = await unlessUnreadable(files[name], () => differs(files[name], description[name]));
    if (wrong !== null) return wrong;
  }
  return { iteration, files, progress: description.progress };
}

/** What `read` returns; where the system refuses to read the file, that. */
async function unlessUnreadable<T>(file: string, read: () => Promise<T>): Promise<T | string> {
  try {
    return await read();
  } catch (error) {
    const { code } = (error instanceof UserError ? error.cause : error) as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return `${path.basename(file)} cannot be read (${code})`;
  }
}

async function differs(file: string, expected: z.output<typeof fileSchema>): Promise<string | null> {
  const name = path.basename(file);
  if (expected.file !== name) return `${name} is not the file that its checkpoint names`;
  const { size } = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return { size: null };
    throw error;
  });
  if (size === null) return `${name} is not there`;
  if (size !== expected.bytes) return `${name} has ${size} bytes, not ${expected.bytes}`;
  return (await sha256File(file)) === expected.sha256 ? null : `${name} is not as it was written`;
}

async function describeFile(file: string): Promise<z.input<typeof fileSchema>> {
  return { file: path.basename(file), bytes: (await stat(file)).size, sha256: await sha256File(file) };
}

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
