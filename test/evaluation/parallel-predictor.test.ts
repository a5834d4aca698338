import test, { type ExecutionContext } from 'ava';
import type { ImageView } from '../../src/data/image.js';
import { liveTensors } from '../../src/engines/memory.js';
import { startEngine } from '../../src/engines/selection.js';
import { EngineCopy } from '../../src/evaluation/copies/copy.js';
import { ParallelPredictor } from '../../src/evaluation/copies/parallel-predictor.js';
import { imageRows, Predictor, resizedColumns } from '../../src/evaluation/inference.js';
import { LogitMap } from '../../src/evaluation/logit-map.js';
import { rowsOf } from '../../src/evaluation/rows.js';
import { type InferenceMode, inferenceWindows } from '../../src/evaluation/windows.js';
import { createKernels } from '../../src/kernels/create.js';
import { architecture } from '../../src/network/architecture.js';
import { FoldedNetwork, type SharedWeights, shareWeights } from '../../src/network/inference.js';
import { NonFiniteOutputError } from '../../src/network/overflow.js';
import { Segmentor } from '../../src/network/segmentor.js';
import type { ModelRecipe } from '../../src/recipe/experiment.js';
import { InterruptedError, UserError } from '../../src/support/errors.js';
import { noPause, pauses } from '../../src/support/pauses.js';
import { Draws, Purpose } from '../../src/support/random.js';
import { fcnRecipe } from '../helpers/recipes.js';

const WHOLE: InferenceMode = { mode: 'whole', cropHw: null, strideHw: null };
const SLIDE: InferenceMode = { mode: 'slide', cropHw: [65, 65], strideHw: [43, 43] };
const MODEL = fcnRecipe(18, { width: 4 });
const ALIGNED = fcnRecipe(18, { width: 4, alignCorners: true });

/** A view with normal values. */
function view(height: number, width: number): ImageView {
  const image = new Float32Array(height * width * 3);
  new Draws(height, Purpose.benchmark, width).fillNormal(image, 1);
  return { ratio: 1, height, width, image };
}

/** A network with drawn weights, folded in this thread and for others. */
async function folded(model: ModelRecipe) {
  const engine = await startEngine({ engine: 'wasm' });
  const kernels = createKernels(engine);
  const segmentor = new Segmentor(engine.tf, kernels, model);
  segmentor.initialise(5, true);
  const source = (path: string) => segmentor.parameters.get(path).clone();
  const described = architecture(model);
  const weights = shareWeights(engine.tf, kernels, described, source);
  const network = new FoldedNetwork(engine.tf, kernels, described, source);
  segmentor.dispose();
  return { engine, kernels, network, weights };
}

/** Starts two threads, which end with the test. */
async function started(t: ExecutionContext, recipe: InferenceMode, model: ModelRecipe, weights: SharedWeights) {
  const predictor = ParallelPredictor.start({ engine: 'wasm', model, recipe, copies: 2, viewsOfImage: 1 });
  t.teardown(() => predictor.close());
  predictor.use(weights);
  return predictor;
}

test.serial(
  'whole: several images at a time, single scale and multi-scale + flip, get the classes of one thread',
  async (t) => {
    const { engine, kernels, network, weights } = await folded(MODEL);
    const single = new Predictor({ engine, kernels, network, recipe: WHOLE });
    const parallel = await started(t, WHOLE, MODEL, weights);
    t.is(parallel.atATime, 3);
    // Logits of 250 × 460 pixels are more than a strip.
    const images = [
      { size: [250, 460] as const, views: [view(64, 117)], flip: false },
      { size: [64, 96] as const, views: [view(32, 48), view(64, 96), view(112, 168)], flip: true },
      { size: [40, 56] as const, views: [view(40, 56)], flip: false },
    ];
    const predicted = await Promise.all(images.map((image) => parallel.predict(image)));
    for (const [i, image] of images.entries()) {
      const expected = await single.predict(image);
      t.true(new Set(expected).size > 1, 'several classes');
      t.deepEqual(predicted[i], expected);
    }
    network.dispose();
  },
);

test.serial(
  'slide: the windows of one image, single scale and multi-scale + flip, get the classes of one thread',
  async (t) => {
    const { engine, kernels, network, weights } = await folded(ALIGNED);
    const single = new Predictor({ engine, kernels, network, recipe: SLIDE });
    const parallel = await started(t, SLIDE, ALIGNED, weights);
    for (const flip of [false, true]) {
      const image = { size: [97, 129] as const, views: flip ? [view(49, 65), view(97, 129)] : [view(97, 129)], flip };
      t.deepEqual(await parallel.predict(image), await single.predict(image));
    }
    network.dispose();
  },
);

for (const [title, recipe, model] of [
  ['whole', WHOLE, MODEL],
  ['slide, aligned', SLIDE, ALIGNED],
] as const) {
  test.serial(
    `${title}: a copy of the engine gives the same bits, in logits of windows and in rows of the image`,
    async (t) => {
      const { engine, kernels, network, weights } = await folded(model);
      const before = liveTensors(engine).count;
      const copy = new EngineCopy(engine, model, weights);
      const whole = view(97, 129);
      const image = new Float32Array(new SharedArrayBuffer(whole.image.byteLength));
      image.set(whole.image);
      const windows = inferenceWindows(recipe, [97, 129]);
      const context = { engine, kernels, alignCorners: network.alignCorners };
      for (const flip of [false, true]) {
        const upright = engine.tf.tensor4d(whole.image, [1, 97, 129, 3]);
        const images = flip ? engine.tf.reverse(upright, 2) : upright;
        const map = await LogitMap.compute(engine, kernels, network, images, windows, { flip, pause: noPause });
        const shared = [];
        for (const window of windows) {
          shared.push(await copy.logits({ kind: 'logits', view: { height: 97, width: 129, image }, flip, window }));
        }
        const tensors = shared.map(({ values, shape }) => engine.tf.tensor4d(values, [1, ...shape]));
        const parts = windows.map((window, i) => ({
          window,
          rows: resizedColumns(context, rowsOf(engine, tensors[i]!), tensors[i]!.shape[2], window.width),
          height: tensors[i]!.shape[1],
        }));
        const lazy = LogitMap.of(engine, { width: 129, flip, alignCorners: network.alignCorners }, parts, tensors);
        for (const [from, to] of [
          [0, 20],
          [20, 150],
          [150, 194],
        ] as const) {
          const [expected, found] = [map, lazy].map((one) => {
            const rows = imageRows(context, one.rows, whole, [194, 258])(from, to);
            const values = rows.dataSync();
            rows.dispose();
            return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
          });
          t.true(expected!.equals(found!), `rows ${from} to ${to}`);
        }
        map.dispose();
        lazy.dispose();
        images.dispose();
        upright.dispose();
      }
      t.is(liveTensors(engine).count - before, 2 * weights.length, 'the copy keeps its weights only');
      network.dispose();
    },
  );
}

test.serial('an overflow in a thread is the error of one thread; the first image with one decides', async (t) => {
  const { weights } = await folded(MODEL);
  const parallel = await started(t, WHOLE, MODEL, weights);
  const broken = view(32, 64);
  broken.image[100] = Number.POSITIVE_INFINITY;
  const good = { size: [32, 64] as const, views: [view(32, 64)], flip: false };
  const overflowing = parallel.predict({ ...good, views: [broken] });
  const other = parallel.predict(good);
  const error = await t.throwsAsync(overflowing, { instanceOf: NonFiniteOutputError });
  t.is(error.message.split(' for ')[0], error.message, 'the image is named by the caller');
  t.is(error.exitCode, 3);
  t.is((await other).length, 32 * 64, 'other images are predicted');
});

test.serial('an aborted prediction ends while threads compute', async (t) => {
  const { weights } = await folded(MODEL);
  const parallel = await started(t, WHOLE, MODEL, weights);
  const controller = new AbortController();
  const pause = pauses({ signal: controller.signal, message: 'Ended.' });
  const image = { size: [512, 1024] as const, views: [view(512, 1024)], flip: true };
  const running = parallel.predict(image, pause, () => controller.abort(new InterruptedError('')));
  await t.throwsAsync(running, { instanceOf: InterruptedError, message: 'Ended.' });
});

test.serial('a thread whose engine or network cannot be started, and one that ends, are errors', async (t) => {
  const { weights } = await folded(MODEL);
  const image = { size: [32, 64] as const, views: [view(32, 64)], flip: false };
  const unknown = { engine: 'none' as 'wasm', model: MODEL, recipe: WHOLE, copies: 2, viewsOfImage: 1 };
  const refused = ParallelPredictor.start(unknown);
  refused.use(weights);
  await t.throwsAsync(refused.predict(image), { instanceOf: UserError, message: /^Unknown engine "none"/ });
  await refused.close();
  const misfit = await started(t, WHOLE, fcnRecipe(18, { width: 8 }), weights.slice(1));
  await t.throwsAsync(misfit.predict(image), { instanceOf: Error }, 'the network cannot be made of these weights');
  const closed = await started(t, WHOLE, MODEL, weights);
  const rejected = t.throwsAsync(closed.predict(image), { message: 'The workers were closed.' });
  await closed.close();
  await rejected;
});
