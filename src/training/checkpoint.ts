import path from 'node:path';
import { BATCH_COUNTER, type ParameterSpec } from '../nn/parameters.js';
import type { Segmentor } from '../nn/segmentor.js';
import { writeFileAtomic } from '../support/files.js';
import { type NamedWeights, saveWeights } from '../weights/save.js';
import type { MomentumOptimizer } from './optimizer.js';

/** Where one checkpoint's files are. */
export interface CheckpointFiles {
  /** Parameters and running statistics under their published names. */
  readonly weights: string;
  /** Momentum buffers, under the names of their parameters. */
  readonly optimizer: string;
  /** Iteration and file names; written last, so that a checkpoint is complete where it exists. */
  readonly state: string;
}

function checkpointFiles(directory: string, iteration: number): CheckpointFiles {
  const stem = path.join(directory, `iteration-${iteration}`);
  return { weights: `${stem}.safetensors`, optimizer: `${stem}.optimizer.safetensors`, state: `${stem}.json` };
}

/**
 * Writes the network and the optimizer after `iteration` steps, each file atomically.
 * @throws UserError when the disk is full or the folder cannot be written.
 */
export async function saveCheckpoint(
  directory: string,
  iteration: number,
  { segmentor, optimizer, row }: { segmentor: Segmentor; optimizer: MomentumOptimizer; row: string },
): Promise<CheckpointFiles> {
  const files = checkpointFiles(directory, iteration);
  const { specs } = segmentor.parameters;
  const metadata = { format: 'pt', row, iteration: String(iteration) };
  await saveWeights(files.weights, stateDict(segmentor, iteration), metadata);
  const velocities = optimizer.state();
  const moved = specs.filter((spec) => velocities.has(spec.path));
  await saveWeights(
    files.optimizer,
    moved.map((spec) => entry(spec, () => velocities.get(spec.path)!.dataSync<'float32'>())),
    metadata,
  );
  const state = {
    iteration,
    weights: path.basename(files.weights),
    optimizer: path.basename(files.optimizer),
  };
  await writeFileAtomic(files.state, `${JSON.stringify(state, null, 2)}\n`);
  return files;
}

function entry(spec: ParameterSpec, data: () => Float32Array): NamedWeights {
  const layout = spec.kind === 'filter' ? ({ layout: 'hwio' } as const) : {};
  return { name: spec.path, dtype: 'float32', shape: spec.shape, ...layout, data };
}

/** Every entry of the published state_dict, in its order: each running variance is followed by the batch counter. */
function stateDict({ parameters }: Segmentor, iteration: number): NamedWeights[] {
  return parameters.specs.flatMap((spec) => {
    const values = entry(spec, () => parameters.get(spec.path).dataSync<'float32'>());
    if (spec.kind !== 'runningVariance') return [values];
    const name = spec.path.replace(/[^.]+$/, BATCH_COUNTER);
    return [values, { name, dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(iteration)) }];
  });
}
