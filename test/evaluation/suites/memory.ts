import type { EngineName } from '../../../src/engines/engine.js';
import { liveTensors } from '../../../src/engines/memory.js';
import { Predictor } from '../../../src/evaluation/inference.js';
import { inferenceMemory } from '../../../src/evaluation/inference-memory.js';
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
  // 117 windows, of which fewer are computed.
  {
    row: 'fcn_r18-d8_512x1024_80k_cityscapes',
    overrides: ['width=4', 'evaluation.mode=slide', 'evaluation.cropHw=[33, 33]', 'evaluation.strideHw=[8, 8]'],
    size: [97, 129],
    views: [[97, 129]],
    flip: false,
  },
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

/** Compares the estimate for more windows than it computes with that of all of them, in strips as high as the image and in lower ones. */
export function testManyWindows(name: EngineName): void {
  withEngine(name)(`${name}: what many windows take of main memory is what all of them take`, async (t, engine) => {
    const overrides = ['width=4', 'evaluation.mode=slide', 'evaluation.cropHw=[32, 32]', 'evaluation.strideHw=[6, 6]'];
    const experiment = resolve({ row: 'fcn_r18-d8_512x1024_80k_cityscapes', overrides });
    const size = [64, 96] as const;
    for (const stripElements of [2 ** 21, 2 ** 15]) {
      const options = { experiment, size, views: [size], flip: false, stripElements };
      const { residentBytes, addressedBytes } = await inferenceMemory(engine, options);
      const all = await engine.withShapes(async (twin) => {
        const kernels = createKernels(twin);
        const network = randomNetwork(twin, kernels, experiment);
        const recipe = experiment.evaluation;
        const predictor = new Predictor({ engine: twin, kernels, network, recipe, stripElements });
        const views = [{ ratio: 1, height: size[0], width: size[1], image: new Float32Array() }];
        await predictor.predict({ size, flip: false, views });
        network.dispose();
        return { residentBytes: twin.residentBytes(), addressedBytes: twin.addressedBytes() };
      });
      for (const [estimated, exact] of [
        [residentBytes, all.residentBytes],
        [addressedBytes, all.addressedBytes],
      ] as const) {
        // Lower strips are taken for those in the middle of the image, where most windows overlap.
        if (exact === null) t.is(estimated, null);
        else t.true(estimated! > 0.9 * exact && estimated! < 1.3 * exact, `${estimated} of ${exact}`);
      }
    }
  });
}
