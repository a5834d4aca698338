import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import type { Engine } from '../engines/engine.js';
import { type PeakMemory, peakOfSize } from '../engines/memory.js';
import { createKernels } from '../kernels/create.js';
import type { Communicator } from '../parallel/communicator.js';
import { divideBatch } from '../parallel/shards.js';
import type { Experiment } from '../recipe/experiment.js';
import { ShardedTrainingStep } from './sharded-step.js';
import { memoryOfSteps } from './step.js';

/** Stands for several processes on an engine that knows shapes only: what the others would give has the shapes of this one's. */
function shapesOfOthers(size: number, joinShards: (parts: readonly Tensor3D[]) => Tensor3D): Communicator {
  return {
    rank: 0,
    size,
    gatherShards: async (parts) => joinShards(Array.from({ length: size }, () => parts).flat()),
    async sum([first, ...others]: readonly Tensor[]) {
      for (const other of others) other.dispose();
      return first!;
    },
    gatherNumbers: async (values) => Array.from({ length: size }, () => values).flat(),
  };
}

/**
 * Memory of the tensors that one of several processes holds in a training step on its shards of a batch, without computing it: as
 * `trainingMemory`.
 * @param sizeHw [height, width] of the training crop.
 * @param processes Processes among which the recipe's batch is divided.
 */
export function shardedTrainingMemory(
  engine: Engine,
  experiment: Experiment,
  sizeHw: readonly [number, number],
  processes: number,
): Promise<PeakMemory> {
  const { training, benchmark } = experiment;
  const { imagesOfShard } = divideBatch(training.batch, processes, benchmark.trainingBatch);
  return peakOfSize(sizeHw, training.batch / processes, (smaller) =>
    engine.withShapes((twin) => {
      const own = Math.ceil(smaller.images / imagesOfShard);
      const step = new ShardedTrainingStep(twin, experiment, {
        communicator: shapesOfOthers(processes, createKernels(twin).joinShards),
        share: { shards: own * processes, imagesOfShard, own: { begin: 0, end: own } },
      });
      return memoryOfSteps(twin, step, smaller.size(sizeHw), own * imagesOfShard);
    }),
  );
}
