import type { Engine } from '../../src/engines/engine.js';
import { TrainingStep } from '../../src/training/step.js';
import { withEngine } from '../helpers/engines.js';
import { colourBatch, tinyExperiment } from '../helpers/experiments.js';
import { fcnRecipe, trainingRecipe } from '../helpers/recipes.js';

const onEngine = withEngine('tensorflow');

/** A step in 16 bits; null where the machine has no 16-bit convolutions. */
function start(engine: Engine, changes: Parameters<typeof trainingRecipe>[0] = {}): TrainingStep | null {
  if (engine.halfPrecision === null) return null;
  const training = trainingRecipe({ precision: engine.halfPrecision, lossScale: 512, learningRate: 0.05, ...changes });
  const step = new TrainingStep(engine, tinyExperiment({ model: fcnRecipe(18, { width: 8, classes: 3 }), training }));
  step.segmentor.initialise(0, false);
  return step;
}

const LACKING = 'Skipped: this machine has no 16-bit convolutions.';

onEngine('mixed precision starts from the same loss and learns as float32 does', async (t, engine) => {
  const half = start(engine);
  if (half === null) return t.log(LACKING);
  const full = start(engine, { precision: 'fp32' })!;
  let losses = { half: 0, full: 0 };
  for (let iteration = 0; iteration < 60; iteration++) {
    const batch = colourBatch(iteration % 4);
    losses = { half: half.run(batch, iteration).decodeLoss, full: full.run(batch, iteration).decodeLoss };
    if (iteration === 0)
      t.true(Math.abs(losses.half / losses.full - 1) < 0.02, `${losses.half} against ${losses.full}`);
  }
  t.true(losses.half < 0.6 && losses.full < 0.6, `after 60 steps: ${losses.half}, float32 ${losses.full}`);
  t.is(half.skipped, 0);
  half.dispose();
  full.dispose();
});

onEngine('a step whose gradients overflow moves nothing, and is counted', async (t, engine) => {
  const step = start(engine, { lossScale: 1e40 });
  if (step === null) return t.log(LACKING);
  const path = 'decode_head.conv_seg.weight';
  const before = step.segmentor.parameters.get(path).dataSync().slice();
  step.run(colourBatch(0), 0);
  t.is(step.skipped, 1);
  t.deepEqual(step.segmentor.parameters.get(path).dataSync(), before);
  step.dispose();
});

onEngine('a step in 16 bits leaves no tensor and holds less at its peak', async (t, engine) => {
  const wide = (seed: number) => colourBatch(seed, 2, 128, 192);
  const half = start(engine);
  if (half === null) return t.log(LACKING);
  half.run(wide(0), 0);
  const { numTensors } = engine.tf.memory();
  half.resetPeak();
  half.run(wide(1), 1);
  t.is(engine.tf.memory().numTensors, numTensors);
  const { peakLiveBytes } = half;
  half.dispose();
  const full = start(engine, { precision: 'fp32' })!;
  full.run(wide(0), 0);
  t.true(peakLiveBytes < 0.9 * full.peakLiveBytes, `${peakLiveBytes} bytes, float32 ${full.peakLiveBytes}`);
  full.dispose();
});
