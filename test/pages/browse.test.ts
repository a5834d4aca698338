import { readFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import sharp from 'sharp';
import { readIndices } from '../../src/data/png-read.js';
import { TrainingOrder } from '../../src/data/samples.js';
import { readSplit } from '../../src/data/split.js';
import { makeBatch } from '../../src/data/training-samples.js';
import { denormalise, normalise } from '../../src/data/transforms/normalise.js';
import { browse, firstSamples } from '../../src/pages/browse/browse.js';
import { resolve } from '../../src/recipe/resolve.js';
import { generated } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';
import { unbalanced } from '../helpers/markup.js';

/** A small recipe of VOC: a batch of four crops of 64×64. */
const RECIPE = {
  row: 'fcn_r50-d8_512x512_20k_voc12aug',
  seed: 5,
  overrides: ['data.cropHw=[64,64]', 'data.imageScaleWh=[256,64]', 'training.batch=4'],
};

test('de-normalised bytes are the bytes that were normalised; padding is the mean colour', (t) => {
  const data = Uint8Array.from({ length: 256 * 3 }, (_, i) => Math.floor(i / 3));
  t.deepEqual(denormalise(normalise({ height: 1, width: 256, data })), data);
  t.deepEqual([...denormalise(new Float32Array(3))], [124, 116, 104]);
});

test('samples are those of the first batches of training, pixel by pixel', async (t) => {
  const set = await generated(t, 'voc2012-aug', 12, 96);
  const experiment = resolve(RECIPE);
  const { samples, batch } = await firstSamples(experiment, { ...set, samples: 6 });
  t.is(batch, 4);
  t.is(samples.length, 6);
  const entries = await readSplit(set.dataset, 'train', set.dataRoot);
  const order = new TrainingOrder(5, entries.length, 4);
  for (const [i, sample] of samples.entries()) {
    const iteration = Math.floor(i / 4);
    const position = i % 4;
    t.deepEqual([sample.iteration, sample.position], [iteration, position]);
    const chosen = Array.from(order.at(iteration), (number) => entries[number]!);
    const { batch: made } = await makeBatch(
      chosen,
      { dataset: set.dataset, recipe: experiment.data, seed: 5 },
      iteration,
    );
    t.is(sample.name, made.names[position]!);
    const labels = Uint8Array.from(made.labels.subarray(position * 4096, (position + 1) * 4096));
    t.deepEqual(readIndices(sample.png).data, labels);
    const { data: shown, info } = await sharp(sample.png).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
    t.deepEqual([info.width, info.height, info.channels], [64, 64, 4]);
    // The class's colour, opaque; nothing where ignored.
    const wrong = labels.findIndex((id, at) => {
      const expected = id === 255 ? [0, 0, 0, 0] : [...set.dataset.palette[id]!, 255];
      return expected.some((value, channel) => shown[at * 4 + channel] !== value);
    });
    t.is(wrong, -1);
    t.is(sample.counts[255], labels.filter((id) => id === 255).length);
    const image = denormalise(made.images.subarray(position * 4096 * 3, (position + 1) * 4096 * 3));
    const jpeg = await sharp(sample.jpeg).raw().toBuffer();
    const error = image.reduce((sum, value, at) => sum + Math.abs(value - jpeg[at]!), 0) / image.length;
    t.true(error < 6, `the JPEG is off by ${error} levels on average`);
  }
});

test('the page is one valid file that needs no other', async (t) => {
  const set = await generated(t, 'voc2012-aug', 12, 96);
  const out = path.join(await temporaryFolder(t), 'new', 'folder');
  // What could end a tag or the script.
  const dataset = { ...set.dataset, classes: ['</script><b>"', ...set.dataset.classes.slice(1)] };
  const progress: string[] = [];
  const onProgress = (done: number, total: number) => progress.push(`${done}/${total}`);
  const result = await browse({ ...set, dataset, recipe: RECIPE, samples: 3, out, onProgress });
  t.deepEqual(progress, ['1/3', '2/3', '3/3']);
  t.is(result.file, path.join(out, 'index.html'));
  const page = await readFile(result.file, 'utf8');
  t.is(Buffer.byteLength(page), result.bytes);
  t.true(page.startsWith('<!doctype html>\n<html lang="en">'));
  t.deepEqual(unbalanced(page), []);
  const sources = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, source]) => source!);
  t.is(sources.length, 6);
  t.true(sources.every((source) => /^data:image\/(jpeg|png);base64,[A-Za-z0-9+/]+=*$/.test(source)));
  t.notRegex(page, /https?:|@import|url\(/);
  t.is(page.match(/<\/script>/g)?.length, 2);
  t.true(page.includes('&lt;/script&gt;&lt;b&gt;&quot;'));
  const json = /<script id="classes" type="application\/json">(.*)<\/script>/.exec(page)?.[1];
  t.deepEqual(JSON.parse(json!)[0], ['</script><b>"', '0 0 0']);
  t.regex(page, /Pascal VOC 2012 \+ Aug, synthetic, split “train”/);
  t.regex(page, /fcn_r50-d8_512x512_20k_voc12aug/);
  t.regex(page, /prefers-color-scheme: dark/);
  for (const { name } of result.samples) t.true(page.includes(`<strong>${name}</strong>`));
  // The same seed gives the same page.
  const again = await browse({ ...set, dataset, recipe: RECIPE, samples: 3, out });
  t.is(await readFile(again.file, 'utf8'), page);
});

test('without a row it is the first of the data set, and a small data set has smaller batches', async (t) => {
  const set = await generated(t, 'pascal-context-59', 4, 64);
  const out = await temporaryFolder(t);
  const overrides = ['data.cropHw=[48,48]', 'data.imageScaleWh=[64,64]'];
  const result = await browse({ ...set, recipe: { overrides }, samples: 4, out });
  t.is(result.row, 'fcn_r101-d8_480x480_40k_pascal_context_59');
  t.deepEqual(
    result.samples.map(({ iteration, position }) => [iteration, position]),
    [
      [0, 0],
      [0, 1],
      [0, 2],
      [1, 0],
    ],
  );
  t.regex(await readFile(result.file, 'utf8'), /batches of 3 \(16 in the recipe; there are no more images\)/);
});

test('a row of another data set, or none, is an error that says what to do', async (t) => {
  const set = await generated(t, 'camvid', 4, 64);
  const options = { ...set, samples: 1, out: await temporaryFolder(t) };
  const other = await t.throwsAsync<Error & { next?: string }>(browse({ ...options, recipe: RECIPE }), {
    name: 'UserError',
    message: /trains on Pascal VOC 2012 \+ Aug \(voc2012-aug\), not on CamVid \(camvid\)/,
  });
  t.regex(other?.next ?? '', /browse voc2012-aug/);
  await t.throwsAsync(browse({ ...options, dataset: { ...set.dataset, id: 'mine' }, recipe: {} }), {
    name: 'UserError',
    message: /No row of the package trains on mine/,
  });
});
