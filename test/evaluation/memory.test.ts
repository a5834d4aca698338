import test from 'ava';
import { makeView } from '../../src/data/views.js';
import { liveTensors } from '../../src/engines/memory.js';
import { startEngine } from '../../src/engines/selection.js';
import { Predictor } from '../../src/evaluation/inference.js';
import { createKernels } from '../../src/kernels/create.js';
import { randomNetwork } from '../../src/measurement/measure.js';
import { resolve } from '../../src/recipe/resolve.js';

test.serial(
  'multi-scale + flip in windows holds the sum of probabilities, and no map of logits as large as a view',
  async (t) => {
    t.timeout(60_000);
    const engine = await startEngine({ engine: 'wasm' });
    const plain = createKernels(engine);
    // An eighth of 2049×1025 and of 769×769.
    const overrides = [
      'model.width=4',
      'cropHw=[97, 97]',
      'imageScaleWh=[257, 129]',
      'evaluation.strideHw=[65, 65]',
    ].map((override) => override.replace(/^(cropHw|imageScaleWh)/, 'evaluation.$1'));
    const experiment = resolve({ row: 'fcn_r50-d8_769x769_40k_cityscapes', overrides });
    let peak = 0;
    const sample = () => {
      peak = Math.max(peak, liveTensors(engine).bytes);
    };
    const kernels = new Proxy(plain, {
      get(target, name, receiver) {
        const kernel: unknown = Reflect.get(target, name, receiver);
        if (typeof kernel !== 'function') return kernel;
        return (...inputs: unknown[]) => {
          const result: unknown = Reflect.apply(kernel, target, inputs);
          sample();
          return result;
        };
      },
    });
    const network = randomNetwork(engine, kernels, experiment);
    const before = liveTensors(engine);
    peak = 0;
    const { evaluation } = experiment;
    const data = Uint8Array.from({ length: 129 * 257 * 3 }, (_, i) => (i * 31) % 256);
    const views = evaluation.ratios.map((ratio) =>
      makeView({ height: 129, width: 257, data }, evaluation.imageScaleWh, ratio),
    );
    t.is(views.length, 6);
    const predictor = new Predictor({ engine, kernels, network, recipe: evaluation, stripElements: 2 ** 15 });
    const prediction = await predictor.predict({ size: [129, 257], views, flip: true });
    t.is(prediction.length, 129 * 257);
    t.deepEqual(liveTensors(engine), before, 'nothing is left');

    const float = 4;
    const { height, width } = views.at(-1)!;
    const sum = 129 * 257 * network.classes * float;
    const map = height * width * network.classes * float;
    const taken = peak - before.bytes;
    t.true(taken > sum, 'the sum is included');
    t.true(taken < map, `${taken} bytes; a map of the largest view alone takes ${map}`);
  },
);
