import { readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type { Batch } from '../../src/data/image.js';
import { createEvaluationLoader, createTrainingLoader } from '../../src/data/loader.js';
import { SkippedSamples } from '../../src/data/problem.js';
import { readSplit } from '../../src/data/split.js';
import { UserError } from '../../src/support/errors.js';
import { generated } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';

const RECIPE = {
  dataset: 'cityscapes',
  imageScaleWh: [64, 64],
  ratioRange: [1, 1],
  cropHw: [32, 32],
  categoryMaximumRatio: 1,
  flipProbability: 0.5,
} as const;

test('a sample counts once, over its run’s end too, and one too many is an error that names its file', async (t) => {
  const file = path.join(await temporaryFolder(t), 'skipped.jsonl');
  const bad = (name: string, split = 'train') => ({ split, name, reason: `/data/${name}.png: truncated.` });
  const first = await SkippedSamples.open(file, 2);
  await first.add(bad('a'));
  await first.add(bad('a'));
  await first.add(bad('b', 'val'));
  t.deepEqual([first.names('train'), first.names('val')], [['a'], ['b']]);

  // As a process that died while it wrote leaves it.
  await writeFile(file, `${await readFile(file, 'utf8')}{"split":"train","na`);
  const second = await SkippedSamples.open(file, 2);
  t.deepEqual([second.names('train'), second.names('val')], [['a'], ['b']]);
  await second.add(bad('b', 'val'));
  const error = await t.throwsAsync(second.add(bad('c')), { instanceOf: UserError });
  t.is(error?.message, '/data/c.png: truncated: one more than the 2 bad samples that --skip-bad 2 leaves out.');
});

test('a line that a dying process cut off spoils no later one; a limit of 0 lets known samples be, and no further one', async (t) => {
  const file = path.join(await temporaryFolder(t), 'skipped.jsonl');
  const bad = (name: string) => ({ split: 'val', name, reason: `/data/${name}.png: truncated.` });
  await writeFile(file, '{"split":"val","na');
  const first = await SkippedSamples.open(file, 1);
  t.deepEqual(first.toleranceOf('val'), { limit: 1, known: [] });
  await first.add(bad('a'));
  const second = await SkippedSamples.open(file, 0);
  t.deepEqual(second.toleranceOf('val'), { limit: 0, known: ['a'] });
  await second.add(bad('a'));
  await t.throwsAsync(second.add(bad('b')), { instanceOf: UserError });
  t.deepEqual(second.names('val'), ['a']);
});

test('the sample in place of a bad one is the same whatever the workers and the start', async (t) => {
  const { dataset, dataRoot } = await generated(t, 'cityscapes', 8);
  const [first] = await readSplit(dataset, 'train', dataRoot);
  await truncate(first!.label, 20);
  const read = async (workers: number, startIteration: number) => {
    const skipped = await SkippedSamples.open(path.join(await temporaryFolder(t), 'skipped.jsonl'), 1);
    const options = { dataset, recipe: RECIPE, dataRoot, seed: 3, batch: 2, startIteration, workers, skipped };
    const loader = await createTrainingLoader(options);
    const batches: Batch[] = [];
    for (let i = startIteration; i < 6; i++) batches.push(await loader.next());
    await loader.close();
    return { batches, skipped };
  };
  const { batches, skipped } = await read(1, 0);
  t.deepEqual(skipped.names('train'), [first!.name]);
  t.false(batches.some(({ names }) => names.includes(first!.name)));
  t.deepEqual((await read(2, 0)).batches, batches);
  t.deepEqual((await read(2, 3)).batches, batches.slice(3));
});

test('an evaluation leaves a bad image out and goes on with the next', async (t) => {
  const { dataset, dataRoot } = await generated(t, 'cityscapes', 8);
  const entries = await readSplit(dataset, 'val', dataRoot);
  await truncate(entries[0]!.image, 100);
  const options = {
    dataset,
    recipe: { imageScaleWh: [64, 64], mode: 'whole', cropHw: null, strideHw: null, ratios: [1], limit: null } as const,
    dataRoot,
    ratios: [1],
    limit: null,
  };
  const skipped = await SkippedSamples.open(path.join(await temporaryFolder(t), 'skipped.jsonl'), 1);
  const loader = await createEvaluationLoader({ ...options, skipped });
  const names: string[] = [];
  for await (const { name } of loader) names.push(name);
  await loader.close();
  t.deepEqual(
    names,
    entries.slice(1).map(({ name }) => name),
  );
  t.deepEqual(skipped.names('val'), [entries[0]!.name]);

  const strict = await createEvaluationLoader(options);
  const error = await t.throwsAsync<UserError>(strict[Symbol.asyncIterator]().next(), { instanceOf: UserError });
  await strict.close();
  t.true(error!.message.startsWith(entries[0]!.image));
  t.regex(error!.next!, /--skip-bad N/);
});
