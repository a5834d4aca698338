import os from 'node:os';
import path from 'node:path';
import { defaultWorkers, resultsAhead } from '../data/workers/prefetch.js';
import type { Engine } from '../engines/engine.js';
import type { Experiment } from '../experiments/experiment.js';
import { trainingMemory } from '../nn/memory.js';
import { UserError } from '../support/errors.js';
import { formatBytes } from '../support/format.js';
import { checkpointsBytes, freeDisk, stepMemory } from './estimate.js';
import type { Environment } from './record.js';
import type { Stage } from './stage-names.js';

export interface ResourcesOptions {
  readonly experiment: Experiment;
  readonly stages: readonly Stage[];
  /** Folder of the run directories; it need not be there. */
  readonly runs: string;
  /** Newest checkpoints that stay, besides the best. */
  readonly keepCheckpoints: number;
  /** Go on although it does not fit. */
  readonly force: boolean;
}

/** What is there, bytes. */
export interface Available {
  /** Main memory that this process may still take. */
  readonly memory: number;
  /** Memory of the GPU that computes; null where the processor does. */
  readonly device: number | null;
  readonly disk: number;
}

/** The heap of WebAssembly, whose addresses have 32 bits. */
const WASM_HEAP = 2 ** 32;

/** Main memory that an engine's tensors may still take; a container's limit included where Node tells it. */
function availableMemory({ name }: Engine): number {
  const free = process.availableMemory?.() ?? os.freemem();
  return name === 'wasm' ? Math.min(free, WASM_HEAP) : free;
}

/**
 * Refuses a run that cannot fit into memory or onto the disk, before it starts.
 * @throws UserError with what it needs and what there is, unless `force`.
 */
export async function requireResources(
  options: ResourcesOptions,
  engine: Engine,
  { gpus }: Environment,
): Promise<void> {
  if (options.force) return;
  const device = engine.device === 'gpu' ? (gpus[0]?.memoryBytes ?? null) : null;
  const disk = await freeDisk(path.resolve(options.runs));
  assertFits(options, { memory: availableMemory(engine), device, disk });
}

/** @throws UserError where the run needs more than there is. */
export function assertFits(
  { experiment, stages, runs, keepCheckpoints }: ResourcesOptions,
  available: Available,
): void {
  const { row, training } = experiment;
  const tensors = stepMemory(experiment, stages) ?? 0;
  const where = available.device === null ? 'memory' : 'GPU memory';
  // Batches that are made ahead wait in main memory; so do the tensors where no GPU holds them.
  const batches = stages.includes('train') ? batchesAhead(experiment) : 0;
  const needed = available.device === null ? tensors + batches : tensors;
  const free = available.device ?? available.memory;
  if (needed > free) {
    const ahead = needed === tensors ? '' : `, ${formatBytes(batches)} of batches made ahead`;
    throw new UserError(
      `${row} needs about ${formatBytes(needed)} of ${where} (${formatBytes(tensors)} of tensors in a training step${ahead}); ` +
        `${formatBytes(free)} are there.`,
      `${smallerBatch(experiment, stages, free - (needed - tensors))}Free some memory, or go on with --force.`,
    );
  }
  const checkpoints = stages.includes('train') ? checkpointsBytes(experiment, keepCheckpoints) : 0;
  if (checkpoints > available.disk) {
    throw new UserError(
      `${row} writes about ${formatBytes(checkpoints)} of checkpoints (every ${training.checkpointEvery} iterations, ${keepCheckpoints + 1} at a time) to ` +
        `${runs}, where ${formatBytes(available.disk)} are free.`,
      'Free some space, choose another folder with --runs, keep fewer (--keep 1), or go on with --force.',
    );
  }
}

/** Bytes of the training batches that workers make ahead. */
function batchesAhead({ data, training }: Experiment): number {
  const [height, width] = data.cropHw;
  const bytes = training.batch * height * width * 16;
  return bytes * resultsAhead(defaultWorkers(), bytes);
}

/** The largest batch whose step fits; nothing where none does, or where it is not training that needs the memory. */
function smallerBatch({ model, data, training }: Experiment, stages: readonly Stage[], free: number): string {
  if (!stages.includes('train')) return '';
  for (let batch = training.batch - 1; batch > 0; batch--) {
    if (trainingMemory(model, data.cropHw, batch, training.precision).peakBytes <= free) {
      return `A batch of ${batch} fits: --set training.batch=${batch} (a recorded deviation). `;
    }
  }
  return '';
}
