import type { EngineName } from '../../../src/engines/engine.js';
import { liveTensors } from '../../../src/engines/memory.js';
import { inferenceMemory, Predictor } from '../../../src/evaluation/inference.js';
import { createKernels, PeakMeter } from '../../../src/kernels/create.js';
import { randomNetwork } from '../../../src/measurement/measure.js';
import { resolve } from '../../../src/recipe/resolve.js';
import { withEngine } from '../../helpers/engines.js';

type Size = readonly [number, number];

interface Case {
  readonly row: string;
  readonly overrides: readonly string[];
  readonly size: Size;
  readonly views: readonly Size[];
  readonly flip: boolean;
}

const SLIDE = ['evaluation.cropHw=[97, 97]', 'evaluation.strideHw=[65, 65]'];
/** Whole and slide, one view and several, both alignments, both heads; peaks in the network, the maps and the weights. */
export const CASES: readonly Case[] = [
  {
    row: 'fcn_r50-d8_512x1024_40k_cityscapes',
    overrides: ['width=8'],
    size: [128, 256],
    views: [[128, 256]],
    flip: false,
  },
  {
    row: 'fcn_r50-d8_512x1024_40k_cityscapes',
    overrides: ['width=32'],
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

/** Strips as small for these images as the default ones are for images of published sizes. */
const STRIP_ELEMENTS = 2 ** 15;

/** Compares the real predictor with its estimate. */
export function testInferenceMemory(name: EngineName, chosen: typeof CASES): void {
  const onEngine = withEngine(name);
  for (const { row, overrides, size, views, flip } of chosen) {
    const seen = `${views.map((view) => view.join('×')).join(', ')}${flip ? ', flipped' : ''}, ${overrides[0]}`;
    onEngine(`${name}: the memory of predicting with ${row} is what was estimated: ${seen}`, async (t, engine) => {
      const experiment = resolve({ row, overrides: [...overrides, 'pretrained=null'] });
      const before = liveTensors(engine);
      const options = { experiment, size, views, flip, stripElements: STRIP_ELEMENTS };
      const estimated = await inferenceMemory(engine, options);
      t.deepEqual(liveTensors(engine), before, 'nothing is left');

      const meter = new PeakMeter(engine);
      const kernels = createKernels(engine, meter);
      const network = randomNetwork(engine, kernels, experiment);
      const recipe = experiment.evaluation;
      const predictor = new Predictor({ engine, kernels, network, recipe, stripElements: STRIP_ELEMENTS });
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
      meter.reset();
      await predictor.predict(image);
      network.dispose();
      t.is(estimated.peakBytes, meter.bytes - before.bytes);
    });
  }
}
