import test from 'ava';
import type { Engine } from '../../src/engines/engine.js';
import { startEngine } from '../../src/engines/selection.js';
import { type BenchmarkProgress, benchmark } from '../../src/measurement/benchmark.js';
import type { Experiment } from '../../src/recipe/experiment.js';
import { resolve } from '../../src/recipe/resolve.js';
import { ExitCode, InterruptedError } from '../../src/support/errors.js';
import { near } from '../helpers/numeric.js';

let engine: Engine;

test.before(async () => {
  engine = await startEngine({ engine: 'wasm' });
});

/** A network of width 4 on small images. */
function tiny(changes: Partial<Experiment> = {}): Experiment {
  const smoke = resolve({ row: 'fcn_r18-d8_512x1024_80k_cityscapes', profile: 'smoke' });
  return {
    ...smoke,
    model: { ...smoke.model, width: 4 },
    data: { ...smoke.data, cropHw: [64, 64] },
    evaluation: { ...smoke.evaluation, imageScaleWh: [128, 64] },
    benchmark: { warmup: 1, images: 2, trainingSteps: 3, trainingBatch: 2 },
    ...changes,
  };
}

test.serial('figures agree with each other, and no tensor is left behind', async (t) => {
  const before = engine.tf.memory().numTensors;
  const progress: BenchmarkProgress[] = [];
  const result = await benchmark({ experiment: tiny(), engine, onProgress: (item) => progress.push(item) });
  t.is(engine.tf.memory().numTensors, before);

  near(t, result.fps * result.secondsPerImage, 1);
  t.deepEqual(result.sizeHw, [64, 128]);
  t.deepEqual([result.images, result.warmup], [2, 1]);
  t.deepEqual([result.trainingBatch, result.trainingSteps], [2, 3]);
  t.true(result.trainingSecondsPerStep > 0);
  // At least the input batch and its labels: 2·64·64 pixels of three float32 and an int32.
  t.true(result.memory.liveTensorBytes > 2 * 64 * 64 * 16);
  t.true(result.memory.processPeakBytes > result.memory.liveTensorBytes);
  t.true(result.inferenceProcessPeakBytes > 0);
  t.is(result.memory.deviceBytes, null);
  const { convolutionGflopsBefore, convolutionGflopsAfter, trainingShare, inferenceShare } = result.roofline;
  for (const figure of [convolutionGflopsBefore, convolutionGflopsAfter, trainingShare, inferenceShare]) {
    t.true(Number.isFinite(figure) && figure > 0, `${figure}`);
  }
  t.deepEqual(
    progress.map(({ part, done, total }) => `${part} ${done}/${total}`),
    ['inference 1/3', 'inference 2/3', 'inference 3/3', 'training 1/3', 'training 2/3', 'training 3/3'],
  );
});

test.serial('slide rows are measured with their windows', async (t) => {
  const { evaluation } = tiny();
  const slide = { ...evaluation, mode: 'slide', cropHw: [48, 48], strideHw: [32, 32] } as const;
  const result = await benchmark({ experiment: tiny({ evaluation: slide }), engine });
  t.true(result.fps > 0);
});

test.serial('an abort stops between images and leaves no tensor', async (t) => {
  const before = engine.tf.memory().numTensors;
  const controller = new AbortController();
  const seen: string[] = [];
  const running = benchmark({
    experiment: tiny(),
    engine,
    signal: controller.signal,
    onProgress: ({ part, done }) => {
      seen.push(`${part} ${done}`);
      if (part === 'training') controller.abort(new InterruptedError('', ExitCode.tryAgain));
    },
  });
  const error = await t.throwsAsync(running, { instanceOf: InterruptedError });
  t.is(error.exitCode, ExitCode.tryAgain);
  t.regex(error.message, /after 1 of 3/);
  t.is(seen.at(-1), 'training 1');
  t.is(engine.tf.memory().numTensors, before);
});
