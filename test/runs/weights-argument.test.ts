import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { OverridesNeeded } from '../../src/recipe/overrides.js';
import { resolve } from '../../src/recipe/resolve.js';
import { recipeRun } from '../../src/runs/run-recipe.js';
import { findWeights, findWeightsFile, requireInitialWeights } from '../../src/runs/weights-argument.js';
import { UserError } from '../../src/support/errors.js';
import { writeSnapshot } from '../../src/training/checkpoint.js';
import { markBest } from '../../src/training/checkpoint-folder.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';
import { writeRun } from '../helpers/runs.js';

const ROW = 'camvid_r18-d8';
const OTHER = 'fcn_r50-d8_512x1024_40k_cityscapes';

async function writeTrained(runs: string, row: string, run: string, iterations: readonly number[], startedAt: string) {
  const { directory } = await writeRun(runs, { row }, { run, startedAt }, []);
  const folder = path.join(directory, 'checkpoints');
  for (const iteration of iterations) {
    const data = Float32Array.of(iteration);
    const tensor = { name: 'conv.weight', dtype: 'float32' as const, shape: [1], data };
    const memory = data.buffer as ArrayBuffer;
    const content = { weights: [tensor], optimizer: [tensor], memory, progress: null };
    await writeSnapshot({ directory: folder, iteration, metadata: {}, ...content });
  }
  return folder;
}

/** Two runs of a row with checkpoints, then one that evaluated; and a run of another row. */
async function prepared(t: ExecutionContext) {
  const root = await temporaryFolder(t);
  const runs = path.join(root, 'runs');
  const old = await writeTrained(runs, ROW, '20250101-000000-aaaaaaaa', [5, 10], '2025-01-01T00:00:00.000Z');
  const folder = await writeTrained(runs, ROW, '20250102-000000-bbbbbbbb', [20, 40, 100], '2025-01-02T00:00:00.000Z');
  await writeTrained(runs, ROW, '20250103-000000-cccccccc', [], '2025-01-03T00:00:00.000Z');
  await writeTrained(runs, OTHER, '20250102-000000-dddddddd', [3], '2025-01-02T00:00:00.000Z');
  await markBest(folder, { iteration: 40, mIoU: 0.312 });
  return { root, runs, old, folder };
}

const file = (folder: string, iteration: number) => path.join(folder, `iteration-${iteration}.safetensors`);

test('weights are a file, published, or a checkpoint of a run in any form that names one', async (t) => {
  const { root, runs, old, folder } = await prepared(t);
  const found = async (given: string) => (await findWeights(given, runs)).file;
  t.deepEqual(await findWeights('published', runs), {
    file: 'published',
    run: null,
    trainedBy: null,
    described: null,
    isFile: true,
  });
  const last = [
    '20250102-000000-bbbbbbbb',
    `${ROW}/20250102`,
    path.dirname(folder),
    path.join(folder, '..', 'record.json'),
  ];
  for (const name of [ROW, ...last]) {
    t.is(path.resolve(await found(name)), file(folder, 100), name);
    t.is(path.resolve(await found(`${name}:last`)), file(folder, 100), name);
  }
  t.is(await found(`${ROW}:best`), file(folder, 40), 'of a row: its newest run with checkpoints');
  t.is(await found('20250101'), file(old, 10));
  const { run, trainedBy, described } = await findWeights(`${ROW}/20250102:best`, runs);
  t.deepEqual(trainedBy, { row: ROW, run: '20250102-000000-bbbbbbbb', iteration: 40 });
  t.like(run, { row: ROW, id: '20250102-000000-bbbbbbbb' });
  t.is(described, `Weights: ${ROW}/20250102-000000-bbbbbbbb\n  iteration 40 of 4000 (best, mIoU 31.20)`);

  await writeFiles(root, { [ROW]: 'a file', 'x:best': 'another' });
  t.is(await found(path.join(root, ROW)), path.join(root, ROW), 'a file of that name wins');
  t.is(await found(path.join(root, 'x:best')), path.join(root, 'x:best'));
  t.is(await findWeightsFile(`${ROW}:best`, runs), file(folder, 40));
  await t.throwsAsync(findWeightsFile('published', runs), { instanceOf: UserError, message: /of a row/ });
});

test('the file of a checkpoint in a run directory is that of the run, if it is as the run wrote it', async (t) => {
  const { root, runs, folder } = await prepared(t);
  const found = await findWeights(file(folder, 20), runs);
  t.like(found, { file: file(folder, 20), isFile: true });
  t.deepEqual(found.trainedBy, { row: ROW, run: '20250102-000000-bbbbbbbb', iteration: 20 });
  t.is(found.described, `Weights: ${ROW}/20250102-000000-bbbbbbbb\n  iteration 20 of 4000`);
  const request = { row: undefined, profile: 'full', isProfileGiven: false } as const;
  t.is(recipeRun(found, request), found.run);
  t.is(recipeRun(found, { ...request, row: ROW }), found.run);
  t.is(recipeRun(found, { ...request, row: OTHER }), null, 'the recipe of another row');
  t.is(recipeRun(found, { ...request, profile: 'smoke', isProfileGiven: true }), null);
  t.is(recipeRun({ ...found, isFile: false }, { ...request, row: OTHER }), found.run, 'a conflict, which is an error');

  const copy = path.join(root, 'iteration-20.safetensors');
  copyFileSync(file(folder, 20), copy);
  t.like(await findWeights(copy, runs), { file: copy, run: null, trainedBy: null });
  writeFileSync(file(folder, 20), 'changed');
  t.like(await findWeights(file(folder, 20), runs), { run: null, trainedBy: null });
});

test('a name that means several runs, or a checkpoint that is not there, is an error that says which', async (t) => {
  const { root, runs, old, folder } = await prepared(t);
  const message = async (given: string) =>
    (await t.throwsAsync(findWeights(given, runs), { instanceOf: UserError }))!.message;
  const both = await message('20250102');
  t.true(both.includes(`${ROW}/20250102-000000-bbbbbbbb`) && both.includes(`${OTHER}/20250102-000000-dddddddd`), both);
  t.like(
    await findWeights('none.pth', runs),
    { file: 'none.pth', run: null },
    'whoever reads it says that it is missing',
  );
  t.regex(await message('camvid_r81-d8'), /^camvid_r81-d8 is no file\. No run is called camvid_r81-d8 under/);
  t.deepEqual(
    await findWeights(root, runs),
    { file: root, run: null, trainedBy: null, described: null, isFile: true },
    'a folder that is no run',
  );
  t.regex(await message('20250103'), /camvid_r18-d8\/20250103-000000-cccccccc has no checkpoint/);
  t.regex(await message('20250101:best'), /has no best checkpoint: none was evaluated during training\.$/);
  writeFileSync(file(folder, 100), 'changed');
  t.regex(await message(ROW), /The checkpoint of iteration 100 of .* cannot be used: .* differs from what was written/);
  rmSync(file(old, 10));
  t.regex(await message('20250101'), /cannot be used: .*iteration-10\.safetensors is missing\./);
});

test('initial weights of a row, or of another size of the network, are an error that names the run and the change', async (t) => {
  const { runs } = await prepared(t);
  const stages = ['train'] as const;
  const from = async (...overrides: string[]) =>
    (await t.throwsAsync(requireInitialWeights(resolve({ row: ROW, overrides }), { stages, runs }), {
      instanceOf: OverridesNeeded,
    }))!;
  const ofRow = await from(`initialWeights=${ROW}:best`);
  t.regex(ofRow.message, /^model\.initialWeights is camvid_r18-d8:best, the newest run of that name: /);
  t.is(ofRow.next, `Add --set initialWeights=${ROW}/20250102-000000-bbbbbbbb:best.`);
  const narrow = await from('initialWeights=20250102-000000-bbbbbbbb', 'width=16');
  t.is(
    narrow.message,
    `None of the weights of ${ROW}/20250102-000000-bbbbbbbb fit: the run has width=64, this recipe width=16.`,
  );
  t.deepEqual(narrow.overrides, ['width=64']);
});
