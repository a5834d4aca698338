import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { loadDataset } from '../../src/data/description.js';
import type { Batch, EvaluationSample } from '../../src/data/image.js';
import { createEvaluationLoader, createTrainingLoader, type TrainingLoaderOptions } from '../../src/data/loader.js';
import { encodePng } from '../../src/data/png-write.js';
import { makeEvaluationSample } from '../../src/data/samples.js';
import { readSplit } from '../../src/data/split.js';
import { makeBatch } from '../../src/data/training-samples.js';
import { Prefetch, resultsAhead } from '../../src/data/workers/pool.js';
import { generateDataset } from '../../src/datasets/generate/generate.js';
import type { DataRecipe, EvaluationRecipe } from '../../src/recipe/experiment.js';
import { temporaryFolder } from '../helpers/folder.js';

const RECIPE: DataRecipe = {
  dataset: 'cityscapes',
  imageScaleWh: [128, 64],
  ratioRange: [0.5, 2],
  cropHw: [48, 64],
  categoryMaximumRatio: 0.75,
  flipProbability: 0.5,
};
const EVALUATION: EvaluationRecipe = {
  imageScaleWh: [128, 64],
  mode: 'whole',
  cropHw: null,
  strideHw: null,
  ratios: [0.5, 1, 1.75],
  limit: null,
};

async function smallSet(t: Parameters<typeof temporaryFolder>[0]) {
  const dataRoot = await temporaryFolder(t);
  const size = { height: 64, width: 128 };
  const dataset = await loadDataset('cityscapes');
  const directory = path.join(dataRoot, 'cityscapes');
  await generateDataset({ dataset, directory, images: 8, size, seed: 1 });
  return { dataRoot, dataset };
}

async function batches(options: TrainingLoaderOptions, count: number): Promise<Batch[]> {
  const loader = await createTrainingLoader(options);
  try {
    const read: Batch[] = [];
    for (let i = 0; i < count; i++) read.push(await loader.next());
    return read;
  } finally {
    await loader.close();
  }
}

test('a batch is the same whatever the workers, the prefetch and the start', async (t) => {
  const { dataset, dataRoot } = await smallSet(t);
  const options = { dataset, recipe: RECIPE, dataRoot, seed: 5, batch: 2, startIteration: 0 };
  const one = await batches({ ...options, workers: 1, prefetch: 1 }, 6);
  const two = await batches({ ...options, workers: 2, prefetch: 5 }, 6);
  t.deepEqual(two, one);
  const late = await batches({ ...options, startIteration: 4 }, 2);
  t.deepEqual(late, one.slice(4));
  const other = await batches({ ...options, seed: 6 }, 1);
  t.notDeepEqual(other[0]!.images, one[0]!.images);

  const [first] = one;
  t.deepEqual([first!.count, first!.height, first!.width], [2, 48, 64]);
  t.is(first!.images.length, 2 * 48 * 64 * 3);
  t.is(first!.labels.length, 2 * 48 * 64);
  t.true(first!.labels.every((label) => (label >= 0 && label < 19) || label === 255));
  // Six images make three batches an epoch.
  t.is(new Set(one.slice(0, 3).flatMap(({ names }) => names)).size, 6);
  const entries = await readSplit(dataset, 'train', dataRoot);
  const here = one[5]!.names.map((name) => entries.find((entry) => entry.name === name)!);
  t.deepEqual(await makeBatch(here, { dataset, recipe: RECIPE, seed: 5 }, 5), { batch: one[5], bad: [] });
  // In arrays that held another batch, and padding.
  const used = { images: one[5]!.images.map(() => 7), labels: one[5]!.labels.map(() => 7) };
  const again = await makeBatch(here, { dataset, recipe: RECIPE, seed: 5 }, 5, used);
  t.is(again.batch.images, used.images);
  t.deepEqual(again.batch, one[5]);
});

test('samples of an evaluation come in order, limited, with every view, and again on a second pass', async (t) => {
  const { dataset, dataRoot } = await smallSet(t);
  const entries = await readSplit(dataset, 'val', dataRoot);
  const options = { dataset, recipe: EVALUATION, dataRoot, ratios: EVALUATION.ratios, limit: null, workers: 2 };
  const loader = await createEvaluationLoader(options);
  t.is(loader.length, 2);
  for (let pass = 0; pass < 2; pass++) {
    const read: EvaluationSample[] = [];
    for await (const sample of loader) read.push(sample);
    t.deepEqual(
      read.map(({ name }) => name),
      entries.map(({ name }) => name),
    );
    t.deepEqual(read[1], await makeEvaluationSample(entries[1]!, dataset, [128, 64], EVALUATION.ratios));
    t.deepEqual(
      read[0]!.views.map(({ ratio, height, width, image }) => [ratio, height, width, image.length]),
      [
        [0.5, 32, 64, 32 * 64 * 3],
        [1, 64, 128, 64 * 128 * 3],
        [1.75, 112, 224, 112 * 224 * 3],
      ],
    );
    t.is(read[0]!.label.length, 64 * 128);
  }
  await loader.close();
  const limited = await createEvaluationLoader({ ...options, limit: 1 });
  t.is(limited.length, 1);
  await limited.close();
});

test('a broken file is the error of the batch that needs it, and of every later one', async (t) => {
  const { dataset, dataRoot } = await smallSet(t);
  const [entry] = await readSplit(dataset, 'train', dataRoot);
  const image = await readFile(entry!.image);
  const options = { dataset, recipe: RECIPE, dataRoot, seed: 0, batch: 6, startIteration: 0 };
  const failure = async () => {
    const loader = await createTrainingLoader(options);
    const error = await t.throwsAsync<Error & { next?: string; exitCode?: number }>(loader.next(), {
      name: 'UserError',
    });
    await t.throwsAsync(loader.next(), { is: error! });
    await loader.close();
    t.is(error?.exitCode, 2);
    t.truthy(error?.next);
    return error!.message;
  };
  await writeFile(entry!.image, image.subarray(0, image.length / 2));
  t.true((await failure()).startsWith(`${entry!.image}: the image cannot be decoded`));
  await writeFile(entry!.image, image);
  const bad = new Uint8Array(64 * 128);
  bad[3 * 128 + 5] = 77;
  const size = { height: 64, width: 128 };
  const grey = { colourType: 'grey', filter: 'none', level: 1 } as const;
  await writeFile(entry!.label, await encodePng(bad, size, grey));
  t.true((await failure()).startsWith(`${entry!.label}: label value 77 at column 5, row 3 is no class of Cityscapes`));
  await writeFile(entry!.label, await encodePng(new Uint8Array(64 * 64), { height: 64, width: 64 }, grey));
  t.regex(await failure(), /is 64×64 pixels, but its image .* is 128×64/);
});

test('batches in released arrays are the same', async (t) => {
  const { dataset, dataRoot } = await smallSet(t);
  // Some samples are smaller than the crop and padded.
  const recipe = { ...RECIPE, cropHw: [60, 120] as const };
  const options = { dataset, recipe, dataRoot, seed: 5, batch: 2, startIteration: 0, workers: 1, prefetch: 2 };
  const expected = await batches(options, 6);
  const loader = await createTrainingLoader(options);
  for (const batch of expected) {
    const read = await loader.next();
    t.deepEqual(read, batch);
    loader.release(read);
  }
  await loader.close();
});

test('a split smaller than a batch and a closed loader are errors', async (t) => {
  const { dataset, dataRoot } = await smallSet(t);
  const options = { dataset, recipe: RECIPE, dataRoot, seed: 0, batch: 7, startIteration: 0 };
  await t.throwsAsync(createTrainingLoader(options), {
    name: 'UserError',
    message: /has 6 images, too few for a batch of 7/,
  });
  const loader = await createTrainingLoader({ ...options, batch: 2 });
  await loader.next();
  const waiting = loader.next();
  await loader.close();
  await t.throwsAsync(Promise.all([waiting, loader.next()]), { message: /closed/ });
});

test('no more is begun than the reader may be ahead', async (t) => {
  const begun: number[] = [];
  const prefetch = new Prefetch(
    async (index) => {
      begun.push(index);
      return index;
    },
    3,
    5,
  );
  t.deepEqual(begun, [0, 1, 2]);
  t.is(await prefetch.next(), 0);
  t.deepEqual(begun, [0, 1, 2, 3]);
  for (const expected of [1, 2, 3, 4]) t.is(await prefetch.next(), expected);
  t.deepEqual(begun, [0, 1, 2, 3, 4]);
  await t.throwsAsync(prefetch.next(), { instanceOf: RangeError });
  // 77 MB views of the largest ratio: one sample ahead, however many workers.
  t.is(resultsAhead(8, 218e6), 1);
  t.is(resultsAhead(8, 1e6), 9);
  t.is(resultsAhead(8, 1e12), 1);
});
