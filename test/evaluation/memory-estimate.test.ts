import test from 'ava';
import { randomNetwork } from '../../src/benchmark/random-network.js';
import type { Engine } from '../../src/engines/engine.js';
import { Predictor } from '../../src/evaluation/inference.js';
import { inferenceMemory } from '../../src/evaluation/memory.js';
import { resolve } from '../../src/experiments/resolve.js';
import { createKernels } from '../../src/kernels/create.js';
import { startTestEngine } from '../helpers/engines.js';

type Size = readonly [number, number];

interface Case {
  readonly row: string;
  readonly overrides: readonly string[];
  readonly size: Size;
  readonly views: readonly Size[];
  readonly flip: boolean;
}

const SLIDE = ['evaluation.cropHw=[97, 97]', 'evaluation.strideHw=[65, 65]'];
/** Whole and slide, one view and several, both alignments, both heads; where the network, the maps and the weights are the peak. */
const CASES: readonly Case[] = [
  {
    row: 'fcn_r50-d8_512x1024_40k_cityscapes',
    overrides: ['width=8'],
    size: [128, 256],
    views: [[128, 256]],
    flip: false,
  },
  {
    row: 'fcn_r50-d8_512x1024_40k_cityscapes',
    overrides: ['width=64'],
    size: [64, 64],
    views: [[64, 64]],
    flip: false,
  },
  {
    row: 'fcn_r18-d8_512x1024_80k_cityscapes',
    overrides: ['width=4'],
    size: [128, 256],
    views: [
      [64, 128],
      [224, 448],
    ],
    flip: true,
  },
  {
    row: 'fcn_r50-d8_769x769_40k_cityscapes',
    overrides: ['width=4', ...SLIDE],
    size: [129, 257],
    views: [
      [129, 257],
      [225, 449],
    ],
    flip: true,
  },
  {
    row: 'fcn_d6_r50-d16_769x769_40k_cityscapes',
    overrides: ['width=8', ...SLIDE],
    size: [129, 257],
    views: [[129, 257]],
    flip: false,
  },
  { row: 'fcn_r101-d8_512x512_80k_ade20k', overrides: ['width=8'], size: [96, 128], views: [[128, 171]], flip: false },
];

/** Relative. It is below 0.0001 for all of these; what is small is left out of the estimate. */
const TOLERANCE = 0.01;

/** Largest sum of live bytes after any operation, over those of the start. */
async function peakOf(engine: Engine, work: () => Promise<void>): Promise<number> {
  const native = engine.native!;
  const { executeSingleOutput, executeMultipleOutputs } = native;
  let peak = 0;
  const sampled =
    <Inputs extends unknown[], Result>(run: (...inputs: Inputs) => Result) =>
    (...inputs: Inputs): Result => {
      const result = run.apply(native, inputs);
      peak = Math.max(peak, native.liveBytes);
      return result;
    };
  Object.assign(native, {
    executeSingleOutput: sampled(executeSingleOutput),
    executeMultipleOutputs: sampled(executeMultipleOutputs),
  });
  try {
    await work();
  } finally {
    Object.assign(native, { executeSingleOutput, executeMultipleOutputs });
  }
  return peak;
}

for (const { row, overrides, size, views, flip } of CASES) {
  const seen = `${views.map((view) => view.join('×')).join(', ')}${flip ? ', flipped' : ''}, ${overrides[0]}`;
  test.serial(`the memory of predicting with ${row} is what its shapes say: ${seen}`, async (t) => {
    const engine = await startTestEngine('tensorflow');
    if (engine?.device !== 'cpu') {
      t.log('Skipped: needs the tensorflow engine on a processor.');
      return t.pass();
    }
    const experiment = resolve({ row, overrides: [...overrides, 'pretrained=null'] });
    const kernels = createKernels(engine);
    const before = engine.native!.liveBytes;
    const network = randomNetwork(engine, kernels, experiment);
    // Strips as small for these images as those of published sizes are.
    const stripElements = 2 ** 15;
    const predictor = new Predictor({ engine, kernels, network, recipe: experiment.evaluation, stripElements });
    const weights = engine.native!.liveBytes - before;
    const image = {
      size,
      flip,
      views: views.map(([height, width], ratio) => ({
        ratio,
        height,
        width,
        image: new Float32Array(height * width * 3).fill(0.5),
      })),
    };
    const measured = (await peakOf(engine, async () => void (await predictor.predict(image)))) - before;
    network.dispose();
    const estimated = inferenceMemory({ experiment, size, views, flip, device: 'cpu', stripElements });
    t.is(estimated.weightBytes, weights);
    const { peakBytes } = estimated;
    t.true(Math.abs(peakBytes / measured - 1) <= TOLERANCE, `estimated ${peakBytes}, measured ${measured} bytes`);
  });
}
