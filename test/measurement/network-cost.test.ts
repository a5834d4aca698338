import type { Tensor4D } from '@tensorflow/tfjs-core';
import test from 'ava';
import { startEngine } from '../../src/engines/selection.js';
import { createKernels } from '../../src/kernels/create.js';
import type { Kernels } from '../../src/kernels/kernels.js';
import { networkCost } from '../../src/measurement/network-cost.js';
import { FoldedNetwork } from '../../src/network/inference.js';
import { Segmentor } from '../../src/network/segmentor.js';
import type { TrainingPass } from '../../src/network/tape.js';
import { Tape } from '../../src/network/tape.js';
import { wholeBatch } from '../../src/network/whole-batch.js';
import type { Experiment, ModelRecipe } from '../../src/recipe/experiment.js';
import { resolveRow } from '../../src/recipe/resolve.js';
import { selectRows } from '../../src/recipe/select.js';
import { noPause } from '../../src/support/pauses.js';

// Odd sizes, so that every division by a stride rounds.
const SIZE: readonly [number, number] = [43, 61];

/** A row of each structure there is: depth, stem, strides and dilations. Crop size and classes are no structure. */
function structures(): Experiment[] {
  const rows = selectRows({ all: true }).map((row) => resolveRow(row, { overrides: ['width=4', 'training.batch=1'] }));
  const structure = ({ model }: Experiment) =>
    [model.depth, model.stem, model.strides, model.dilations, model.decodeHead.dilation].join(' ');
  return rows.filter((row, i) => rows.findIndex((other) => structure(other) === structure(row)) === i);
}

/** What one call of a convolution's kernel computed. */
interface Call {
  readonly filter: Tensor4D;
  readonly flops: number;
}

/** The kernels, which also note what their convolutions compute, from the tensors that go in and come out. */
function counting(kernels: Kernels, calls: Call[]): Kernels {
  const note = (filter: Tensor4D, y: Tensor4D): Tensor4D => {
    const [kernelHeight, kernelWidth, inputs] = filter.shape;
    calls.push({ filter, flops: 2 * y.size * kernelHeight * kernelWidth * inputs });
    return y;
  };
  return {
    ...kernels,
    convolution: (x, filter, geometry) => note(filter, kernels.convolution(x, filter, geometry)),
    convolutionBias: (x, filter, bias, geometry, relu) =>
      note(filter, kernels.convolutionBias(x, filter, bias, geometry, relu)),
    joinedConvolutionBias: (a, b, filter, bias, geometry, relu) =>
      note(filter, kernels.joinedConvolutionBias(a, b, filter, bias, geometry, relu)),
  };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

test.serial(
  'the operations shown are those that the real networks compute, for every structure of the tables',
  async (t) => {
    const engine = await startEngine({ engine: 'wasm' });
    const { tf } = engine;
    const variants = structures();
    t.is(variants.length, 10);
    for (const experiment of variants) {
      tf.engine().startScope();
      const calls: Call[] = [];
      const kernels = counting(createKernels(engine), calls);
      const model: ModelRecipe = experiment.model;
      const whole = { mode: 'whole', cropHw: null, strideHw: null, imageScaleWh: [SIZE[1], SIZE[0]] } as const;
      const cost = networkCost({
        ...experiment,
        data: { ...experiment.data, cropHw: SIZE },
        evaluation: { ...experiment.evaluation, ...whole },
      });
      const segmentor = new Segmentor(tf, kernels, model);
      segmentor.initialise(0, true);
      const { parameters, architecture } = segmentor;
      const tape = new Tape(kernels);
      const pass: TrainingPass = {
        tf,
        kernels,
        tape,
        parameters,
        precision: 'fp32',
        lossScale: 1,
        ...wholeBatch(kernels, () => undefined),
        update: () => undefined,
        dropoutFactors: (_, count, channels) => new Float32Array(count * channels).fill(1),
        pause: noPause,
      };
      await segmentor.logits(pass, tape.value(tf.zeros([1, ...SIZE, 3]), null, { needsGradient: false }));
      const trained = new Map(calls.splice(0).map(({ filter, flops }) => [filter.id, flops]));
      for (const { path, flopsAtCrop } of cost.convolutions) {
        t.is(trained.get(parameters.get(`${path}.weight`).id), flopsAtCrop, `${experiment.row}: ${path}`);
      }
      t.is(sum([...trained.values()]), cost.total.flopsAtCrop, `${experiment.row}: in training`);
      const trainedParameters = parameters.specs.filter(({ kind }) => !kind.startsWith('running'));
      t.is(sum(trainedParameters.map(({ path }) => parameters.get(path).size)), cost.total.parameters);

      const network = new FoldedNetwork(tf, kernels, architecture, (path) => parameters.get(path).clone());
      await network.logits(tf.zeros([1, ...SIZE, 3]));
      t.deepEqual(cost.testHw, SIZE);
      t.is(sum(calls.map(({ flops }) => flops)), cost.total.flopsAtTest, `${experiment.row}: at the test`);
      tf.engine().endScope();
    }
  },
);

test.serial('slide inference is counted over its windows, and modules add up to the total', (t) => {
  const [row] = selectRows({ patterns: ['fcn_r50-d8_769x769_40k_cityscapes'] });
  const { windows, testHw, modules, total, convolutions } = networkCost(resolveRow(row!));
  t.is(windows, 8);
  t.deepEqual(testHw, [1025, 2049]);
  t.deepEqual(
    modules.map(({ module }) => module),
    ['stem', 'layer1', 'layer2', 'layer3', 'layer4', 'decode_head', 'auxiliary_head'],
  );
  for (const figure of ['parameters', 'flopsAtCrop', 'flopsAtTest'] as const) {
    t.is(sum(modules.map((cost) => cost[figure] ?? 0)), total[figure]);
  }
  // All windows are as large as the crop.
  for (const { path, flopsAtCrop, flopsAtTest } of convolutions) {
    t.is(flopsAtTest, path.startsWith('auxiliary_head.') ? null : 8 * flopsAtCrop, path);
  }
  t.is(modules.at(-1)!.flopsAtTest, null, 'the auxiliary head is for training only');
});
