import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import sharp from 'sharp';
import { decodeLabels, decodeRgb } from '../../src/data/decode.js';
import { loadDataset } from '../../src/data/description.js';
import type { EvaluationSample } from '../../src/data/image.js';
import { readIndices } from '../../src/data/png-read.js';
import { startEngine } from '../../src/engines/selection.js';
import { describeCoverage } from '../../src/evaluation/confusion.js';
import { Predictor } from '../../src/evaluation/inference.js';
import { encodePrediction, requireLabelIds } from '../../src/evaluation/prediction-png.js';
import { type EvaluateSamplesOptions, evaluateSamples } from '../../src/evaluation/samples.js';
import type { EvaluationProgress } from '../../src/evaluation/tally.js';
import { createKernels } from '../../src/kernels/create.js';
import type { InferenceNetwork } from '../../src/network/inference.js';
import { ExitCode, InterruptedError, UserError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';
import { near } from '../helpers/numeric.js';

const dataset: EvaluateSamplesOptions['dataset'] = {
  name: 'Three colours',
  classes: ['red', 'green', 'blue'],
  palette: [
    [200, 0, 0],
    [0, 200, 0],
    [0, 0, 200],
  ],
};

/** A network that classifies a pixel by its strongest colour, at full resolution. */
async function colourPredictor(): Promise<Predictor> {
  const engine = await startEngine({ engine: 'wasm' });
  const network: InferenceNetwork = {
    classes: 3,
    alignCorners: false,
    logits: async (images) => images.clone(),
    dispose() {},
  };
  return new Predictor({
    engine,
    kernels: createKernels(engine),
    network,
    recipe: { mode: 'whole', cropHw: null, strideHw: null },
  });
}

/** A 2×2 image whose pixels have these strongest colours, and its labels. */
function sample(name: string, colours: readonly number[], label: readonly number[]): EvaluationSample {
  const image = Float32Array.from(colours.flatMap((colour) => [0, 1, 2].map((c) => (c === colour ? 1 : 0))));
  const view = { ratio: 1, height: 2, width: 2, image };
  return { name, height: 2, width: 2, label: Uint8Array.from(label), views: [view] };
}

function list(samples: readonly EvaluationSample[]) {
  return {
    length: samples.length,
    leftOut: [],
    async *[Symbol.asyncIterator]() {
      yield* samples;
    },
  };
}

test('figures of known predictions', async (t) => {
  const progress: EvaluationProgress[] = [];
  const samples = list([sample('one', [0, 0, 1, 1], [0, 0, 1, 0]), sample('two', [1, 1, 0, 0], [1, 255, 255, 255])]);
  const result = await evaluateSamples(samples, await colourPredictor(), {
    dataset,
    flip: false,
    onProgress: (item) => progress.push(item),
  });
  t.is(result.images, 2);
  t.deepEqual(result.confusion, [
    [2, 1, 0],
    [0, 2, 0],
    [0, 0, 0],
  ]);
  t.deepEqual(result.perClass, [
    { name: 'red', iou: 2 / 3, accuracy: 2 / 3 },
    { name: 'green', iou: 2 / 3, accuracy: 1 },
    { name: 'blue', iou: null, accuracy: null },
  ]);
  t.is(result.mIoU, 2 / 3);
  near(t, result.mAcc, 5 / 6);
  t.is(result.aAcc, 4 / 5);
  t.deepEqual(
    progress.map(({ done, total }) => [done, total]),
    [
      [1, 2],
      [2, 2],
    ],
  );
});

test('labels outside the classes are counted beside the matrix; without any, no counts are given', async (t) => {
  const result = async (label: readonly number[]) =>
    evaluateSamples(list([sample('one', [0, 0, 1, 1], label)]), await colourPredictor(), { dataset, flip: false });
  const { outside, perClass } = await result([0, 7, 7, 1]);
  t.deepEqual(outside, { labels: [1, 1, 0], predictions: [0, 0, 0] });
  t.is(perClass[0]!.iou, 1 / 2);
  t.false('outside' in (await result([0, 0, 1, 255])));
});

test('predictions are palette images of class ids, named after the images', async (t) => {
  const predictions = path.join(await temporaryFolder(t), 'predictions');
  const samples = list([sample('town/one', [0, 1, 2, 1], [0, 1, 2, 1])]);
  await evaluateSamples(samples, await colourPredictor(), { dataset, flip: true, predictions });
  const file = path.join(predictions, 'town', 'one.png');
  t.deepEqual(await readdir(path.dirname(file)), ['one.png']);
  t.deepEqual([...(await decodeLabels(file)).data], [0, 1, 2, 1]);
  t.deepEqual([...(await decodeRgb(file)).data.subarray(0, 6)], [200, 0, 0, 0, 200, 0]);
});

test('predictions of Cityscapes may be written as its label ids, grey', async (t) => {
  const cityscapes = await loadDataset('cityscapes');
  requireLabelIds(cityscapes);
  const ids = Uint8Array.from({ length: 19 }, (_, trainingId) => trainingId);
  const png = await encodePrediction(ids, 19, 1, cityscapes, true);
  t.deepEqual([...readIndices(png).data], [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]);
  t.false((await sharp(png).metadata()).isPalette);

  const predictions = await temporaryFolder(t);
  const name = 'ulm/ulm_000001_000019';
  const three = { ...dataset, classes: cityscapes.classes.slice(0, 3) };
  await evaluateSamples(list([sample(name, [0, 1, 2, 1], [0, 1, 2, 1])]), await colourPredictor(), {
    ...{ dataset: three, flip: false, predictions, labelIds: true },
  });
  t.deepEqual([...(await decodeLabels(path.join(predictions, `${name}.png`))).data], [7, 8, 11, 8]);
  for (const other of [three, await loadDataset('camvid')]) {
    t.throws(() => requireLabelIds(other), { instanceOf: UserError, message: /are not those of Cityscapes\.$/ });
  }
});

test('a mean over only some of the classes says so', (t) => {
  const class_ = (name: string, iou: number | null, accuracy: number | null) => ({ name, iou, accuracy });
  const sea = class_('sea', 0.5, 0.5);
  t.is(describeCoverage([sea]), null);
  t.is(describeCoverage([sea, class_('ice', null, null)]), 'mIoU over 1 of 2 classes: ice occurs in no label');
  t.is(
    describeCoverage([sea, class_('ice', 0, null)]),
    'mIoU over 2 of 2 classes: ice occurs in no label, but is predicted and counts as 0',
  );
  t.is(
    describeCoverage([sea, ...['a', 'b', 'c', 'd'].map((name, i) => class_(name, i === 2 ? 0 : null, null))]),
    'mIoU over 2 of 5 classes: a, b, c and 1 more class occur in no label; 1 of them is predicted and counts as 0',
  );
});

test('an abort stops between images', async (t) => {
  const controller = new AbortController();
  const done: number[] = [];
  const image = sample('one', [0, 0, 0, 0], [0, 0, 0, 0]);
  const running = evaluateSamples(list([image, image, image]), await colourPredictor(), {
    dataset,
    flip: false,
    signal: controller.signal,
    onProgress: (item) => {
      done.push(item.done);
      if (item.done === 2) controller.abort(new InterruptedError('', ExitCode.terminated));
    },
  });
  const error = await t.throwsAsync(running, { instanceOf: InterruptedError, message: /after 2 of 3/ });
  t.is(error.exitCode, ExitCode.terminated);
  t.deepEqual(done, [1, 2]);
});

test('an image that takes too long after an abort is abandoned, and the counts before it are kept', async (t) => {
  const controller = new AbortController();
  const image = sample('one', [0, 0, 0, 0], [0, 0, 0, 0]);
  const predictor = await colourPredictor();
  const predict = predictor.predict.bind(predictor);
  let images = 0;
  predictor.predict = async (views, pause) => {
    if (++images === 2) {
      controller.abort();
      // Longer than the thread may run without a pause.
      await sleep(250);
      await pause?.();
    }
    return predict(views, pause);
  };
  const counted: number[] = [];
  let saves = 0;
  const running = evaluateSamples(list([image, image, image]), predictor, {
    dataset,
    flip: false,
    signal: controller.signal,
    patienceMilliseconds: 0,
    onImage: async ({ done }) => void counted.push(done),
    onInterruption: async () => void saves++,
  });
  await t.throwsAsync(running, { instanceOf: InterruptedError, message: /after 1 of 3/ });
  t.deepEqual(counted, [1]);
  t.is(saves, 1);
});

test('labels without any class are refused', async (t) => {
  const samples = list([sample('one', [0, 0, 0, 0], [255, 255, 255, 255])]);
  await t.throwsAsync(evaluateSamples(samples, await colourPredictor(), { dataset, flip: false }), {
    instanceOf: UserError,
    message: /No pixel of the 1 validation images of Three colours/,
  });
});
