import { loadDataset } from '../data/description.js';
import { createTrainingLoader } from '../data/loader.js';
import { type Engine, withDecidedPaths } from '../engines/engine.js';
import { createKernels } from '../kernels/create.js';
import type { ProcessGroup } from '../parallel/process-group.js';
import { type Processes, trainingPart } from '../parallel/processes.js';
import { pauses } from '../support/pauses.js';
import type { SkippedMessage, TrainOrder } from './orders.js';
import { requireSameBits } from './same-bits.js';
import { ShardedTrainingStep } from './sharded-step.js';
import { shareState } from './shared-state.js';
import { NonFiniteError } from './step.js';

/**
 * Trains as process 0 orders, on this process's images. Writes nothing.
 * @throws what a step throws, except for values that are not finite: process 0 meets the same ones and reports them.
 */
export async function followTraining(
  started: Engine,
  processes: Processes & { readonly group: ProcessGroup },
  order: TrainOrder,
): Promise<void> {
  const { experiment, dataRoot, startIteration, tolerance, hasVelocities, skippedInARow } = order;
  const { group } = processes;
  const engine = withDecidedPaths(started, new Map(order.paths));
  const { data, training, seed } = experiment;
  const part = trainingPart(processes, experiment, createKernels(engine).joinShards);
  const { own, imagesOfShard } = part.share;
  const step = new ShardedTrainingStep(engine, experiment, part);
  step.skippedInARow = skippedInARow;
  await shareState(engine, group, step, hasVelocities);
  await requireSameBits(engine, group, experiment);
  const loader = await createTrainingLoader({
    dataset: await loadDataset(data.dataset),
    recipe: data,
    dataRoot,
    seed,
    batch: training.batch,
    part: { first: own.begin * imagesOfShard, count: (own.end - own.begin) * imagesOfShard },
    startIteration,
    skipped: {
      toleranceOf: () => tolerance,
      add: async (sample) => group.send(0, { kind: 'skipped', sample } satisfies SkippedMessage as SkippedMessage),
    },
  });
  // Process 0 decides when to stop.
  const pause = pauses({ message: '' });
  try {
    for (let iteration = startIteration; ; iteration++) {
      const { kind } = await group.inbox.take();
      if (kind !== 'step') return;
      const batch = await loader.next();
      await step.run(batch, iteration, pause);
      loader.release(batch);
    }
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
  } finally {
    await loader.close();
    step.dispose();
  }
}
