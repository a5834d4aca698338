import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { deviations, hashExperiment, isHashOf, recipeChanges, resolve } from '../../src/recipe/resolve.js';
import type { RunRecord } from '../../src/records/record.js';
import { recipeKey } from '../../src/records/verdict.js';
import { temporaryFolder } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';

const MINIMAL = `dataRoot: ..
recipe:
  model: { classes: 3, pretrained: ../backbone.pth }
  data: { dataset: mine.yaml, imageScaleWh: [640, 480] }
  training: { iterations: 25 }
rows:
  - { id: mine, parts: [R-18-D8], recipe: { model: { pretrained: ../backbone.pth } } }
`;

async function write(t: ExecutionContext, folder: string): Promise<string> {
  const file = path.join(await temporaryFolder(t), folder, 'experiment.yaml');
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, MINIMAL);
  return file;
}

test('the hash of a recipe does not depend on where its files are', async (t) => {
  const [one, other] = [await write(t, 'a'), await write(t, 'b/c')];
  const here = resolve({ file: one });
  const there = resolve({ file: path.relative('', other) });
  t.not(here.data.dataset, there.data.dataset);
  t.is(there.data.dataset, path.join(path.dirname(other), 'mine.yaml'));
  t.is(hashExperiment(here), hashExperiment(there));
  t.deepEqual(deviations(there, one), []);
});

test('the hash depends on the names of files and on every other value', async (t) => {
  const file = await write(t, 'a');
  const hash = hashExperiment(resolve({ file }));
  for (const override of ['dataset=other.yaml', 'pretrained=other.pth', 'pretrained=null', 'classes=4']) {
    t.not(hashExperiment(resolve({ file, overrides: [override] })), hash, override);
  }
  const moved = resolve({ file, overrides: ['dataset=elsewhere/mine.yaml'] });
  t.is(hashExperiment(moved), hash);
  t.is(moved.data.dataset, path.resolve('elsewhere/mine.yaml'));
});

test('links and published figures of a row of your own are not part of its hash, nor of what tells seeds apart', async (t) => {
  const { createHash } = await import('node:crypto');
  const { canonicalJson } = await import('../../src/recipe/resolve.js');
  const file = await write(t, 'a');
  const before = resolve({ file });
  const link = 'https://example.test/mine-01234567.pth';
  const more = `{ id: mine, weights: "${link}", log: "https://example.test/log.json", published: { mIoU: 50 },`;
  writeFileSync(file, MINIMAL.replace('{ id: mine,', more));
  const linked = resolve({ file });
  t.is(linked.weights, link);
  t.is(hashExperiment(linked), hashExperiment(before));
  const records = [before, linked].map((experiment) => ({ ...makeRecord({ row: 'camvid_r18-d8' }), experiment }));
  t.is(...(records.map((record) => recipeKey(record as RunRecord)) as [string, string]));
  // Of an earlier version.
  const dataset = { ...linked.data, dataset: 'mine.yaml' };
  const named = { ...linked, data: dataset, model: { ...linked.model, pretrained: 'backbone.pth' } };
  t.true(isHashOf(createHash('sha256').update(canonicalJson(named)).digest('hex'), linked));
});

test('the hash of a row of a named table has its links, as kept records do', (t) => {
  const experiment = resolve({ row: 'fcn_r18-d8_512x1024_80k_cityscapes' });
  t.not(hashExperiment({ ...experiment, log: null }), hashExperiment(experiment));
});

test('a changed file is named without its folder', async (t) => {
  const file = await write(t, 'a');
  const experiment = resolve({ file, overrides: ['dataset=/sets/other.yaml'] });
  const run = { profile: 'full', experiment, deviations: deviations(experiment, file) };
  t.deepEqual(recipeChanges(run), ['dataset=other.yaml']);
});

test('a hash that an earlier version took of the paths is still accepted', async (t) => {
  const { createHash } = await import('node:crypto');
  const { canonicalJson } = await import('../../src/recipe/resolve.js');
  const experiment = resolve({ file: await write(t, 'a') });
  const earlier = createHash('sha256').update(canonicalJson(experiment)).digest('hex');
  t.not(earlier, hashExperiment(experiment));
  t.true(isHashOf(earlier, experiment));
  t.false(isHashOf(earlier, { ...experiment, seed: 1 }));
});

test('a short file is completed: crop, batch, checkpoints, and the scale of the evaluation', async (t) => {
  const { table, data, training, evaluation, benchmark } = resolve({ file: await write(t, 'a') });
  t.is(table, 'Local');
  t.deepEqual(data.cropHw, [480, 512]);
  t.like(training, { batch: 4, checkpointEvery: 3 });
  t.deepEqual(evaluation.imageScaleWh, [640, 480]);
  t.is(benchmark.trainingBatch, 4);
});

test('all that is missing from a recipe is named at once', async (t) => {
  const file = await write(t, 'a');
  writeFileSync(file, 'rows:\n  - { id: mine }\n');
  t.throws(() => resolve({ file }), {
    message:
      /row mine: backbone, model\.depth, model\.classes, model\.pretrained, data\.dataset, data\.imageScaleWh and training\.iterations are missing\.$/,
  });
  writeFileSync(file, 'table: Mine\n');
  t.throws(() => resolve({ file }), { message: /:1: rows: is missing\.$/ });
  writeFileSync(file, 'tolerance: { reason: why }\nrows:\n  - { parts: [] }\n  - {}\n');
  t.throws(() => resolve({ file }), {
    message: /tolerance\.mIoU, tolerance\.mIoUMsFlip, rows\[0\]\.id and rows\[1\]\.id are missing/,
  });
});
