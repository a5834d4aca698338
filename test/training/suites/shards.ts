import { createHash } from 'node:crypto';
import type { Batch } from '../../../src/data/image.js';
import type { Engine, EngineName } from '../../../src/engines/engine.js';
import { liveTensors } from '../../../src/engines/memory.js';
import { createKernels } from '../../../src/kernels/create.js';
import { singleProcess } from '../../../src/parallel/communicator.js';
import { divideBatch, shareOf } from '../../../src/parallel/shards.js';
import type { Experiment } from '../../../src/recipe/experiment.js';
import { shardedTrainingMemory } from '../../../src/training/sharded-memory.js';
import { ShardedTrainingStep } from '../../../src/training/sharded-step.js';
import { TrainingStep } from '../../../src/training/step.js';
import { withEngine } from '../../helpers/engines.js';
import { colourBatch, tinyExperiment } from '../../helpers/experiments.js';
import { linkedProcesses } from '../../helpers/linked-processes.js';
import { assertClose } from '../../helpers/numeric.js';
import { trainingRecipe } from '../../helpers/recipes.js';

const IMAGES = 8;
const STEPS = 3;

/** A hash of the weights, running statistics and velocities. */
export function stateHash(step: TrainingStep): string {
  const hash = createHash('sha256');
  const { parameters } = step.segmentor;
  for (const { path } of parameters.specs) {
    hash.update(parameters.get(path).dataSync());
    hash.update(step.optimizer.state().get(path)?.dataSync() ?? '');
  }
  return hash.digest('hex');
}

function partOf({ count, height, width, images, labels, names }: Batch, rank: number, size: number): Batch {
  const own = count / size;
  const pixels = height * width;
  return {
    count: own,
    height,
    width,
    images: images.slice(rank * own * pixels * 3, (rank + 1) * own * pixels * 3),
    labels: labels.slice(rank * own * pixels, (rank + 1) * own * pixels),
    names: names.slice(rank * own, (rank + 1) * own),
  };
}

/** The state of each of `size` processes after some steps on the same batches. */
async function train(
  engine: Engine,
  experiment: Experiment,
  size: number,
  images = IMAGES,
): Promise<{ hashes: string[]; loss: number }> {
  const division = divideBatch(images, size, 2);
  const kernels = createKernels(engine);
  const communicators =
    size === 1 ? [singleProcess(kernels.joinShards)] : linkedProcesses(size, division.shards, kernels);
  const steps = communicators.map((communicator, rank) => {
    const step = new ShardedTrainingStep(engine, experiment, {
      communicator,
      share: shareOf(division, rank, size),
    });
    step.segmentor.initialise(experiment.seed, false);
    return step;
  });
  let loss = 0;
  for (let iteration = 0; iteration < STEPS; iteration++) {
    const batch = colourBatch(iteration, images);
    const results = await Promise.all(steps.map((step, rank) => step.run(partOf(batch, rank, size), iteration)));
    loss = results[0]!.loss;
  }
  const hashes = steps.map(stateHash);
  for (const step of steps) step.dispose();
  return { hashes, loss };
}

/** Bytes of tensors in a step in shards of two images. */
async function estimatedAndHeld(engine: Engine, images: number): Promise<[estimated: number, held: number]> {
  const experiment = tinyExperiment({ training: trainingRecipe({ batch: images }) });
  const { peakBytes } = await shardedTrainingMemory(engine, experiment, experiment.data.cropHw, 1);
  const step = new ShardedTrainingStep(engine, experiment, {
    communicator: singleProcess(createKernels(engine).joinShards),
    share: shareOf(divideBatch(images, 1, 2), 0, 1),
  });
  const before = liveTensors(engine).bytes;
  step.segmentor.initialise(experiment.seed, false);
  step.resetPeak();
  for (let i = 0; i < 2; i++) await step.run(colourBatch(0, images), 0);
  const held = step.peakLiveBytes - before;
  step.dispose();
  return [peakBytes, held];
}

/** Tests of steps on a batch that is divided into shards. */
export function shardsSuite(engineName: EngineName): void {
  const onEngine = withEngine(engineName);

  onEngine('1, 2 and 4 processes end with the same bits', async (t, engine) => {
    const before = engine.tf.memory().numTensors;
    const experiment = tinyExperiment();
    const { hashes } = await train(engine, experiment, 1);
    for (const size of [2, 4]) {
      t.deepEqual(
        (await train(engine, experiment, size)).hashes,
        Array.from({ length: size }, () => hashes[0]!),
      );
    }
    t.is(engine.tf.memory().numTensors, before);
  });

  onEngine('a batch may be one shard', async (t, engine) => {
    t.deepEqual(await train(engine, tinyExperiment(), 1, 2), await train(engine, tinyExperiment(), 1, 2));
  });

  onEngine('a batch in shards has the loss of the whole one', async (t, engine) => {
    const experiment = tinyExperiment();
    const { loss } = await train(engine, experiment, 1);
    const whole = new TrainingStep(engine, experiment);
    whole.segmentor.initialise(experiment.seed, false);
    let last = 0;
    for (let iteration = 0; iteration < STEPS; iteration++) {
      last = (await whole.run(colourBatch(iteration, IMAGES), iteration)).loss;
    }
    whole.dispose();
    assertClose(t, [loss], [last], { relative: 1e-3 }, 'loss');
  });

  onEngine('the memory of a step in shards is what was estimated', async (t, engine) => {
    for (const images of [2, 8]) {
      const [estimated, held] = await estimatedAndHeld(engine, images);
      t.is(estimated, held, `${images} images`);
    }
  });
}
