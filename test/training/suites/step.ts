import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Engine, EngineName } from '../../../src/engines/engine.js';
import { createKernels } from '../../../src/kernels/create.js';
import { loadInferenceNetwork, loadParameters } from '../../../src/network/load.js';
import { UserError } from '../../../src/support/errors.js';
import { saveCheckpoint, takeSnapshot, writeSnapshot } from '../../../src/training/checkpoint.js';
import { openCheckpoint, type TrainingCheckpoint } from '../../../src/training/checkpoint-read.js';
import { restoreStep } from '../../../src/training/pretrained.js';
import { MomentumOptimizer, TrainingStep } from '../../../src/training/step.js';
import { readCheckpoint } from '../../../src/weights/load.js';
import { withEngine } from '../../helpers/engines.js';
import { colourBatch, tinyExperiment } from '../../helpers/experiments.js';
import { assertClose } from '../../helpers/numeric.js';
import { fcnRecipe, trainingRecipe } from '../../helpers/recipes.js';

/** Tests of one training step and of checkpoints on an engine. */
export function stepSuite(engineName: EngineName): void {
  const onEngine = withEngine(engineName);
  const start = (engine: Engine, experiment = tinyExperiment()) => {
    const step = new TrainingStep(engine, experiment);
    step.segmentor.initialise(experiment.seed, false);
    return step;
  };

  onEngine('the optimizer follows PyTorch’s update, momentum and weight decay included', async (t, engine) => {
    const { tf } = engine;
    const step = start(engine);
    const { parameters } = step.segmentor;
    const path_ = 'decode_head.conv_seg.bias';
    parameters.set(path_, tf.tensor1d([1, -2, 3]));
    const optimizer = new MomentumOptimizer(tf, createKernels(engine), parameters);
    const options = { momentum: 0.9, weightDecay: 0.1 };
    optimizer.update(path_, tf.tensor1d([0.5, 0.5, 0.5]), { ...options, learningRate: 0.1 });
    // v = g + 0.1·p = (0.6, 0.3, 0.8); p ← p − 0.1·v. Measured: 7.6e-8 off, and 1.1e-7 after the next, roundings of 3.
    assertClose(t, parameters.get(path_).dataSync(), [0.94, -2.03, 2.92], { absolute: 3e-7 });
    optimizer.update(path_, tf.tensor1d([0, 0, 0]), { ...options, learningRate: 0.2 });
    // v = 0.9·v + 0.1·p = (0.634, 0.067, 1.012); p ← p − 0.2·v.
    assertClose(t, parameters.get(path_).dataSync(), [0.8132, -2.0434, 2.7176], { absolute: 4e-7 });
    optimizer.dispose();
    step.dispose();
  });

  onEngine('the tensor count and the live bytes stay constant from the second step on', async (t, engine) => {
    const step = start(engine);
    await step.run(colourBatch(0), 0);
    const { numTensors, numBytes } = engine.tf.memory();
    for (let iteration = 1; iteration < 4; iteration++) {
      await step.run(colourBatch(iteration), iteration);
      t.is(engine.tf.memory().numTensors, numTensors);
      t.is(engine.tf.memory().numBytes, numBytes);
    }
    t.true(step.peakLiveBytes > numBytes);
    step.dispose();
  });

  onEngine('disposing a step leaves nothing behind', async (t, engine) => {
    const before = engine.tf.memory().numTensors;
    const step = start(engine);
    await step.run(colourBatch(0), 0);
    step.dispose();
    t.is(engine.tf.memory().numTensors, before);
  });

  onEngine('the same seed gives the same losses, another seed different ones', async (t, engine) => {
    const losses = async (seed: number) => {
      const step = start(engine, tinyExperiment({ seed }));
      const values: number[] = [];
      for (const iteration of [0, 1, 2]) values.push((await step.run(colourBatch(iteration), iteration)).loss);
      step.dispose();
      return values;
    };
    t.deepEqual(await losses(1), await losses(1));
    t.notDeepEqual(await losses(1), await losses(2));
  });

  onEngine('it learns: the loss falls well under that of guessing', async (t, engine) => {
    const model = fcnRecipe(18, { width: 8, classes: 3 });
    const step = start(engine, tinyExperiment({ model, training: trainingRecipe({ learningRate: 0.05 }) }));
    let last = await step.run(colourBatch(0), 0);
    t.true(last.decodeLoss > 0.9, `it starts near ln 3 = 1.10: ${last.decodeLoss}`);
    for (let iteration = 1; iteration < 60; iteration++) last = await step.run(colourBatch(iteration % 4), iteration);
    t.true(last.decodeLoss < 0.6, `decode loss after 60 steps: ${last.decodeLoss}`);
    t.true(last.accuracy > 70, `accuracy after 60 steps: ${last.accuracy}`);
    step.dispose();
  });

  onEngine('a loss that is not finite stops the run before a parameter moves', async (t, engine) => {
    const step = start(engine);
    const { parameters } = step.segmentor;
    // Not the image: a ReLU may turn NaN into 0.
    parameters.set('decode_head.conv_seg.bias', engine.tf.fill([3], Number.NaN));
    const filter = () => [...parameters.get('decode_head.conv_seg.weight').dataSync()];
    const before = filter();
    const error = await t.throwsAsync(step.run(colourBatch(0), 7), { instanceOf: UserError });
    t.regex(error!.message, /not finite .* iteration 7, learning rate 0\.009374; batch: image0, image1/);
    t.deepEqual(filter(), before);
    step.dispose();
  });

  onEngine('a checkpoint comes back: parameters, state_dict names, counters and velocities', async (t, engine) => {
    const directory = await mkdtemp(path.join(tmpdir(), 'fcn-'));
    const step = start(engine);
    await step.run(colourBatch(0), 0);
    const files = await saveCheckpoint(directory, 1, { ...step, row: 'tiny' });
    const checkpoint = await readCheckpoint(files.weights);
    t.deepEqual(checkpoint.tensors.get('backbone.stem.0.weight')!.shape, [2, 3, 3, 3]);
    const counter = checkpoint.tensors.get('backbone.stem.1.num_batches_tracked')!;
    t.deepEqual([counter.dtype, counter.shape, [...counter.toFloat32()]], ['int64', [], [1]]);
    const other = start(engine, tinyExperiment({ seed: 5 }));
    const report = await loadParameters(engine, other.segmentor, files.weights);
    t.deepEqual([report.missing, report.unexpected, report.wrongShape], [[], [], []]);
    for (const { path: name } of step.segmentor.parameters.specs) {
      t.deepEqual(
        other.segmentor.parameters.get(name).dataSync(),
        step.segmentor.parameters.get(name).dataSync(),
        name,
      );
    }
    const velocities = await readCheckpoint(files.optimizer);
    t.is(velocities.tensors.size, step.optimizer.state().size);
    step.dispose();
    other.dispose();
    await rm(directory, { recursive: true });
  });

  onEngine('a resumed training continues its counts of skipped steps', async (t, engine) => {
    const directory = await mkdtemp(path.join(tmpdir(), 'fcn-'));
    const step = start(engine);
    const result = await step.run(colourBatch(0), 0);
    const zero = { loss: 0, decodeLoss: 0, auxiliaryLoss: 0, accuracy: 0, dataMilliseconds: 0, stepMilliseconds: 0 };
    const progress = {
      seconds: 1,
      skippedSteps: 25,
      skippedInARow: 19,
      skippedSamples: [],
      smoothedLoss: 1,
      peakLiveTensorBytes: 1,
      peakProcessBytes: 1,
      result,
      interval: { steps: 0, peakLiveTensorBytes: 0, ...zero },
    };
    await writeSnapshot(await takeSnapshot(directory, 1, { ...step, row: 'tiny' }, progress));
    step.dispose();
    const other = start(engine, tinyExperiment({ seed: 5 }));
    await restoreStep(engine, other, (await openCheckpoint(directory, 1)) as TrainingCheckpoint);
    t.deepEqual([other.skipped, other.skippedInARow], [25, 19]);
    other.dispose();
    await rm(directory, { recursive: true });
  });

  onEngine('weights of another width are refused with the parameter and both shapes', async (t, engine) => {
    const directory = await mkdtemp(path.join(tmpdir(), 'fcn-'));
    const step = start(engine);
    const files = await saveCheckpoint(directory, 0, { ...step, row: 'tiny' });
    step.dispose();
    const kernels = createKernels(engine);
    const error = await t.throwsAsync(
      loadInferenceNetwork(engine, kernels, fcnRecipe(18, { width: 8, classes: 3 }), files.weights),
      { instanceOf: UserError },
    );
    t.regex(error!.message, /backbone\.stem\.0\.weight has shape \[2,3,3,3\], the network needs \[4,3,3,3\]/);
    await rm(directory, { recursive: true });
  });
}
