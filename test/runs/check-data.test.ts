import { rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { readSplit } from '../../src/data/datasets/read-split.js';
import { resolve } from '../../src/experiments/resolve.js';
import { type CheckDataOptions, checkData } from '../../src/runs/check-data.js';
import { UserError } from '../../src/support/errors.js';
import { generated } from '../helpers/datasets.js';

async function workplace(t: ExecutionContext, row: string, id: string, overrides: readonly string[] = []) {
  const { dataset, dataRoot, directory } = await generated(t, id);
  const experiment = resolve({ row, profile: 'smoke', overrides });
  const check = async (changes: Partial<CheckDataOptions> = {}) => {
    const said: string[] = [];
    await checkData({
      experiment,
      stages: ['train', 'evaluate'],
      dataRoot,
      checkData: 'fast',
      skipBad: 0,
      checkedData: new Map(),
      signal: new AbortController().signal,
      note: (text) => said.push(text),
      display: 'silent',
      ...changes,
    });
    return said;
  };
  const [train, val] = [await readSplit(dataset, 'train', dataRoot), await readSplit(dataset, 'val', dataRoot)];
  return { check, directory, train, val };
}

const CITYSCAPES = ['fcn_r18-d8_512x1024_80k_cityscapes', 'cityscapes'] as const;
const VOC = ['fcn_r50-d8_512x512_20k_voc12aug', 'voc2012-aug'] as const;

test('images and labels that lack their other half are found, a sample each, and mentioned where they may be left out', async (t) => {
  const { check, train, val } = await workplace(t, ...CITYSCAPES);
  t.deepEqual(await check(), []);
  await rm(train[0]!.image);
  await rm(val[0]!.label);
  await truncate(val[1]!.image, 4);
  await truncate(val[1]!.label, 4);
  const error = await t.throwsAsync<UserError>(check({ skipBad: 2 }), { instanceOf: UserError });
  t.is(error!.message, `4 files of 7 samples cannot be used: ${train[0]!.label} is the label of no image, and 3 more.`);
  t.regex(error!.next!, /fcn datasets verify cityscapes .* --skip-bad N/);
  const said = await check({ skipBad: 3 });
  t.deepEqual(said, [`${error!.message} They are left out (--skip-bad 3).`]);
});

test('a pair that is gone shows in the number of images; images of two splits are told of', async (t) => {
  const { check, directory, train, val } = await workplace(t, ...CITYSCAPES);
  await rm(train[0]!.image);
  await rm(train[0]!.label);
  t.deepEqual(await check(), [`Note: ${directory}: the split "train" has 5 images, 6 were generated.`]);
  t.deepEqual(await check({ stages: ['evaluate'] }), []);

  const voc = await workplace(t, ...VOC);
  const lists = path.join(voc.directory, 'ImageSets/Segmentation');
  const names = [...voc.val, voc.train[0]!, voc.train[0]!].map(({ name }) => name);
  await writeFile(path.join(lists, 'val.txt'), names.join('\n'));
  const said = (await voc.check()).join('\n');
  t.true(said.includes(`val.txt names ${voc.train[0]!.name} more than once.`), said);
  t.true(said.includes(`${voc.train[0]!.image} is in the split "train" and in "val".`), said);
  t.is(val.length, 2);
});

test('an image that a list names and that does not exist is found, but not beyond the recipe’s limit', async (t) => {
  const { check, val } = await workplace(t, ...VOC);
  await rm(val.at(-1)!.image);
  await t.throwsAsync(check(), { instanceOf: UserError, message: /jpg does not exist, but .*val\.txt names it\.$/ });
  const limited = await workplace(t, ...VOC, ['evaluation.limit=1']);
  await rm(limited.val.at(-1)!.image);
  t.deepEqual(await limited.check(), []);
});

test('what was found once is not looked for again, also where it stops a run', async (t) => {
  const { check, val } = await workplace(t, ...CITYSCAPES);
  const image = val[0]!.image;
  await truncate(image, 4);
  const checkedData = new Map<string, UserError | null>();
  const first = await t.throwsAsync(check({ checkedData }));
  await rm(image);
  t.is(await t.throwsAsync(check({ checkedData })), first);
  t.deepEqual(await check({ checkedData, checkData: 'off' }), []);
});
