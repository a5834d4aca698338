import type { Tensor3D } from '@tensorflow/tfjs-core';
import anyTest, { type TestFn } from 'ava';
import type { Engine, EngineName } from '../../../src/engines/engine.js';
import { createKernels } from '../../../src/kernels/create.js';
import type { Kernels } from '../../../src/kernels/kernels.js';
import type { TrainingPass } from '../../../src/nn/pass.js';
import type { ForwardLosses, Segmentor } from '../../../src/nn/segmentor.js';
import { Tape } from '../../../src/nn/tape.js';
import { MomentumOptimizer } from '../../../src/training/optimizer.js';
import { hwioToOihw } from '../../../src/weights/layout.js';
import { startTestEngine } from '../../helpers/engines.js';
import { readBytes, readFloats } from '../../helpers/npy.js';
import { type OracleCase, oracleCase, oracleSegmentor, readNhwc } from '../../helpers/oracle.js';

const test = anyTest as TestFn;

interface TrainJson {
  readonly first_losses_f64: Readonly<Record<string, number>>;
  readonly gradients: Readonly<Record<string, string>>;
  readonly grad_norms_f32: Readonly<Record<string, number>>;
}

interface LowRateJson {
  readonly lr: readonly number[];
  readonly losses_f64: readonly Readonly<Record<string, number>>[];
  readonly delta_norms_f64: Readonly<Record<string, number>>;
  readonly bn_norms_f64: Readonly<Record<string, number>>;
}

/** Cases without a ReLU or pool flip between float32 and float64: there the backbone's gradients are as sharp as the heads'. */
const STRICT = new Set(['r18', 'r18b']);

type Update = TrainingPass['update'];

/** One forward and backward pass on a case's batch. */
function pass(
  engine: Engine,
  kernels: Kernels,
  segmentor: Segmentor,
  oracle: OracleCase,
  update: Update,
): ForwardLosses {
  const { tf } = engine;
  const tape = new Tape(kernels);
  const input = readNhwc(oracle, 'train_input');
  const label = readBytes(oracle.file('train_label.npy'));
  const [n, , h, w] = label.shape as [number, number, number, number];
  const images = tape.value(tf.tensor4d(input.data, input.shape), null, false);
  const labels: Tensor3D = tf.tensor3d(Int32Array.from(label.data), [n, h, w], 'int32');
  const dropoutFactors = () => {
    throw new Error('These networks have no dropout.');
  };
  const shared: TrainingPass = { tf, kernels, tape, parameters: segmentor.parameters, update, dropoutFactors };
  const losses = segmentor.losses(shared, images, labels, 255);
  tape.backward();
  images.release();
  labels.dispose();
  return losses;
}

const norm = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  return Math.sqrt(sum);
};

function relativeDistance(actual: Float32Array, expected: Float32Array): number {
  return norm(actual.map((value, i) => value - expected[i]!)) / norm(expected);
}

function quantile(values: readonly number[], share: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))]!;
}

/** Tests the training of reference cases on an engine: losses, gradients, five low-rate steps, running statistics. */
export function trainingSuite(engineName: EngineName, names: readonly string[]): void {
  if (names.length === 0) {
    test('training parity', (t) => {
      t.log('skipped: the reference data is not beside the checkout');
      t.pass();
    });
  }
  for (const name of names) {
    test.serial(`${name}: first losses, accuracies and gradients`, async (t) => {
      const engine = await startTestEngine(engineName);
      if (engine === null) {
        t.log(`skipped: the ${engineName} engine is not installed`);
        t.pass();
        return;
      }
      const oracle = oracleCase(name);
      const kernels = createKernels(engine);
      const segmentor = await oracleSegmentor(engine, kernels, oracle);
      const expected = oracle.json<TrainJson>('train.json');
      const gradients = new Map<string, Float32Array>();
      const tensors = engine.tf.memory().numTensors;
      const losses = pass(engine, kernels, segmentor, oracle, (path, gradient) => {
        const values = gradient.dataSync<'float32'>();
        const shape = gradient.shape as [number, number, number, number];
        gradients.set(path, shape.length === 4 ? hwioToOihw(values, shape) : Float32Array.from(values));
        gradient.dispose();
      });
      t.is(engine.tf.memory().numTensors, tensors, 'no tensor outlives the pass');

      const first = expected.first_losses_f64;
      const loss = losses.decode.loss + losses.auxiliary.loss;
      // The original's own float32 loss is within 4e-7 of its float64 one; depth 101 multiplies another summation order's noise.
      t.true(Math.abs(loss / first['loss']! - 1) < 1e-5, `loss ${loss}, expected ${first['loss']}`);
      t.true(Math.abs(losses.decode.loss / first['decode.loss_seg']! - 1) < 1e-5);
      t.true(Math.abs(losses.auxiliary.loss / first['aux.loss_seg']! - 1) < 1e-5);
      // Percent of pixels: at most two of the batch's 12,288 or more may tie.
      t.true(Math.abs(losses.decode.accuracy - first['decode.acc_seg']!) < 0.02);
      t.true(Math.abs(losses.auxiliary.accuracy - first['aux.acc_seg']!) < 0.02);

      for (const [path, file] of Object.entries(expected.gradients)) {
        const distance = relativeDistance(gradients.get(path)!, readFloats(oracle.file(file)).data);
        // Heads: 1e-6 to 7e-6 is the original's own noise. Backbone: one ReLU or pool flip gives up to 5e-2 in all layers before it.
        const head = path.includes('_head.');
        const tolerance = head ? 1e-4 : STRICT.has(name) ? 1e-4 : 1e-1;
        t.true(distance < tolerance, `gradient of ${path}: relative distance ${distance}`);
      }
      const normErrors = Object.entries(expected.grad_norms_f32).map(([path, value]) =>
        Math.abs(norm(gradients.get(path)!) / value - 1),
      );
      t.is(normErrors.length, gradients.size, 'every parameter has a gradient');
      t.true(quantile(normErrors, 0.95) < (STRICT.has(name) ? 1e-4 : 1e-1));
      segmentor.dispose();
    });

    test.serial(`${name}: five steps at a low rate, and running statistics`, async (t) => {
      const engine = await startTestEngine(engineName);
      if (engine === null) {
        t.log(`skipped: the ${engineName} engine is not installed`);
        t.pass();
        return;
      }
      const oracle = oracleCase(name);
      const kernels = createKernels(engine);
      const segmentor = await oracleSegmentor(engine, kernels, oracle);
      const { parameters } = segmentor;
      const optimizer = new MomentumOptimizer(engine.tf, kernels, parameters);
      const expected = oracle.json<LowRateJson>('train_lowlr.json');
      const start = new Map(
        parameters.specs.map(({ path }) => [path, parameters.get(path).dataSync<'float32'>().slice()]),
      );
      expected.lr.forEach((learningRate, i) => {
        const step = { learningRate, momentum: 0.9, weightDecay: 5e-4 };
        const losses = pass(engine, kernels, segmentor, oracle, (path, gradient) =>
          optimizer.update(path, gradient, step),
        );
        const loss = losses.decode.loss + losses.auxiliary.loss;
        const published = expected.losses_f64[i]!['loss']!;
        // The original's own float32 losses are off by up to 2e-5 here.
        t.true(Math.abs(loss / published - 1) < 1e-4, `step ${i}: loss ${loss}, expected ${published}`);
      });
      const deltaErrors: number[] = [];
      for (const [path, published] of Object.entries(expected.delta_norms_f64)) {
        const before = start.get(path);
        if (before === undefined) continue;
        const after = parameters.get(path).dataSync<'float32'>();
        deltaErrors.push(Math.abs(norm(after.map((value, i) => value - before[i]!)) / published - 1));
      }
      // Deltas are differences of nearly equal float32 numbers: the original's own median is off by up to 3e-4.
      t.true(quantile(deltaErrors, 0.5) < 2e-3, `median ${quantile(deltaErrors, 0.5)}`);
      t.true(quantile(deltaErrors, 0.95) < (name === 'r101' ? 2e-1 : 1e-1), `95 %: ${quantile(deltaErrors, 0.95)}`);
      for (const [path, published] of Object.entries(expected.bn_norms_f64)) {
        if (!start.has(path)) continue;
        const value = norm(parameters.get(path).dataSync<'float32'>());
        t.true(Math.abs(value / published - 1) < 1e-4, `${path}: norm ${value}, expected ${published}`);
      }
      optimizer.dispose();
      segmentor.dispose();
    });
  }
}
