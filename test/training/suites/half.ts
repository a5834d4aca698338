import type { ExecutionContext } from 'ava';
import type { Engine, EngineName } from '../../../src/engines/engine.js';
import { TrainingStep } from '../../../src/training/step.js';
import { withEngine } from '../../helpers/engines.js';
import { colourBatch, tinyExperiment } from '../../helpers/experiments.js';
import { fcnRecipe, trainingRecipe } from '../../helpers/recipes.js';

const MODEL = fcnRecipe(18, { width: 8, classes: 3 });

function start(engine: Engine, changes: Parameters<typeof trainingRecipe>[0]): TrainingStep {
  const training = trainingRecipe({ lossScale: 512, learningRate: 0.05, ...changes });
  const step = new TrainingStep(engine, tinyExperiment({ model: MODEL, training }));
  step.segmentor.initialise(0, false);
  return step;
}

/** Its weights multiply the gradient of the logits on the way back, in 16 bits. */
const CLASSIFIER = 'decode_head.conv_seg.weight';

/** Whether a step is skipped whose loss has this scale and whose classifier's weights are this factor larger. */
async function skips(
  t: ExecutionContext,
  engine: Engine,
  { precision, lossScale, factor }: { precision: 'fp16' | 'bf16'; lossScale: number; factor: number },
): Promise<boolean> {
  const step = start(engine, { precision, lossScale });
  const { parameters } = step.segmentor;
  parameters.set(CLASSIFIER, engine.tf.mul(parameters.get(CLASSIFIER), factor));
  const values = () => CHANGED.map((path) => parameters.get(path).dataSync().slice());
  const before = values();
  const { loss } = await step.run(colourBatch(0), 0);
  t.true(Number.isFinite(loss));
  const { skipped } = step;
  t.true(skipped === 0 || skipped === 1);
  for (const [i, after] of values().entries()) {
    if (skipped === 1) t.deepEqual(after, before[i], CHANGED[i]);
    else t.notDeepEqual(after, before[i], CHANGED[i]);
  }
  step.dispose();
  return skipped === 1;
}

/** The classifier's own gradient does not overflow, those of the convolutions before it do. */
const CHANGED = [CLASSIFIER, 'decode_head.convs.0.conv.weight', 'backbone.layer1.0.conv1.weight'];

/**
 * Tests of training in the 16-bit float of an engine. If it has none on this machine, they are skipped.
 * @param learning How many steps are taken, and the loss that is then reached.
 */
export function halfSuite(
  engineName: EngineName,
  halfPrecision: 'fp16' | 'bf16' | null,
  learning = { steps: 60, loss: 0.6 },
): void {
  const onEngine = withEngine(engineName, halfPrecision !== null);
  const inHalf = (
    title: string,
    body: (t: ExecutionContext, engine: Engine, precision: 'fp16' | 'bf16') => Promise<void>,
  ) => onEngine(title, (t, engine) => body(t, engine, engine.halfPrecision!));

  inHalf('mixed precision starts from the same loss and learns as float32 does', async (t, engine, precision) => {
    const half = start(engine, { precision });
    const full = start(engine, { precision: 'fp32' });
    let losses = { half: 0, full: 0 };
    for (let iteration = 0; iteration < learning.steps; iteration++) {
      const batch = colourBatch(iteration % 4);
      losses = {
        half: (await half.run(batch, iteration)).decodeLoss,
        full: (await full.run(batch, iteration)).decodeLoss,
      };
      if (iteration === 0)
        // Images rounded to 2^-9 of their values, each another way. Measured in bfloat16: 5.7e-5.
        t.true(Math.abs(losses.half / losses.full - 1) < 2.2e-4, `${losses.half} against ${losses.full}`);
    }
    const { half: halfLoss, full: fullLoss } = losses;
    t.true(Math.max(halfLoss, fullLoss) < learning.loss, `at the end: ${halfLoss}, float32 ${fullLoss}`);
    t.is(half.skipped, 0);
    half.dispose();
    full.dispose();
  });

  inHalf('a step whose gradients overflow moves nothing, and is counted', async (t, engine, precision) => {
    // Of the largest finite number of each float, 65504 and 3.4e38: the gradient of a logit is up to 1 / 3072 pixels of it.
    const lossScale = precision === 'fp16' ? 2 ** 15 : 1e37;
    t.false(await skips(t, engine, { precision, lossScale, factor: 1 }));
    // Logits grow with the factor, too, and must not overflow float16 themselves.
    t.true(await skips(t, engine, { precision, lossScale, factor: precision === 'fp16' ? 1e5 : 1e6 }));
  });

  inHalf(
    'a step in 16 bits leaves no tensor and holds at most 0.85 of float32 at its peak',
    async (t, engine, precision) => {
      const sizeHw = [128, 192] as const;
      const batch = (seed: number) => colourBatch(seed, 2, ...sizeHw);
      const half = start(engine, { precision });
      await half.run(batch(0), 0);
      const { numTensors } = engine.tf.memory();
      half.resetPeak();
      await half.run(batch(1), 1);
      t.is(engine.tf.memory().numTensors, numTensors);
      const { peakLiveBytes } = half;
      half.dispose();
      const full = start(engine, { precision: 'fp32' });
      await full.run(batch(0), 0);
      full.resetPeak();
      await full.run(batch(1), 1);
      t.true(peakLiveBytes <= 0.85 * full.peakLiveBytes, `${peakLiveBytes} bytes, float32 ${full.peakLiveBytes}`);
      full.dispose();
    },
  );
}
