import { copyFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { decodeLabels } from '../../src/data/decode.js';
import { encodePng } from '../../src/data/png-write.js';
import { readSplit } from '../../src/data/split.js';
import { resolve } from '../../src/recipe/resolve.js';
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

test('images that lack their label are found, a sample each, and mentioned where they may be left out', async (t) => {
  const { check, directory, train, val } = await workplace(t, ...CITYSCAPES);
  t.deepEqual(await check(), []);
  await rm(train[0]!.image);
  await rm(val[0]!.label);
  await truncate(val[1]!.image, 4);
  await truncate(val[1]!.label, 4);
  const error = await t.throwsAsync<UserError>(check({ skipBad: 1 }), { instanceOf: UserError });
  t.is(
    error!.message,
    `3 files of 7 samples cannot be used: ${val[0]!.label} does not exist: ${val[0]!.image} has no label, and 2 more.`,
  );
  t.regex(error!.next!, /fcn datasets verify cityscapes .* --skip-bad N/);
  const said = await check({ skipBad: 2 });
  t.deepEqual(said, [
    `Note: ${directory}: the split "train" has 5 images, 6 were generated.`,
    `Note: ${train[0]!.label} is the label of no image.`,
    'Note: traffic light and person occur in no label of train.',
    `${error!.message} They are left out (--skip-bad 2).`,
  ]);
});

test('labels of no image stop no run; many of them are one note', async (t) => {
  const { check, directory, train } = await workplace(t, ...CITYSCAPES);
  for (const name of ['a', 'b', 'c', 'd']) {
    await copyFile(train[0]!.label, path.join(path.dirname(train[0]!.label), `${name}_gtFine_labelTrainIds.png`));
  }
  const [spare, ...others] = await check();
  const folder = path.relative(directory, path.dirname(train[0]!.label));
  t.is(
    spare,
    `Note: 4 labels belong to no image, such as ${['a', 'b', 'c']
      .map((name) => `${folder}/${name}_gtFine_labelTrainIds.png`)
      .join(', ')
      .replace(/, ([^,]*)$/, ' and $1')}.`,
  );
  t.deepEqual(others, []);
});

test('a class that no training label holds is told before a training, and only then', async (t) => {
  const { check, train } = await workplace(t, ...CITYSCAPES);
  for (const { label } of train) {
    const { data, ...size } = await decodeLabels(label);
    // Roads become sidewalks.
    const ids = data.map((id) => (id === 0 ? 1 : id));
    await writeFile(label, await encodePng(ids, size, { colourType: 'grey', filter: 'none', level: 1 }));
  }
  for (const checkData of ['fast', 'full'] as const) {
    t.deepEqual(await check({ checkData }), ['Note: road occurs in no label of train.']);
  }
  t.deepEqual(await check({ stages: ['evaluate'] }), []);
  // What is wrong with pixels is found by the full check, and does not hide what others hold.
  await truncate(train[0]!.label, 200);
  t.deepEqual(await check(), ['Note: road, traffic light and person occur in no label of train that can be read.']);
});

test('a pair that is gone shows in the number of images; images of two splits are told of', async (t) => {
  const { check, directory, train, val } = await workplace(t, ...CITYSCAPES);
  await rm(train[0]!.image);
  await rm(train[0]!.label);
  t.deepEqual(await check(), [
    `Note: ${directory}: the split "train" has 5 images, 6 were generated.`,
    'Note: traffic light and person occur in no label of train.',
  ]);
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
