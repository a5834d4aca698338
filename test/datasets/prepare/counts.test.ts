import test from 'ava';
import type { Dataset } from '../../../src/data/dataset.js';
import { loadDataset } from '../../../src/data/description.js';
import type { Download, FoundPart } from '../../../src/datasets/prepare/recipe.js';
import { checkCounts, expectedCounts } from '../../../src/datasets/prepare/recipe.js';
import { recipeOf } from '../../../src/datasets/prepare/recipes.js';
import { UserError } from '../../../src/support/errors.js';

/** Parts for which the downloads with these names were found. */
function parts(id: string, files: readonly string[]): FoundPart[] {
  const downloads = recipeOf(id).parts.flatMap((part): readonly Download[] => part.downloads);
  return files.map((file) => ({
    download: downloads.find((download) => download.file === file)!,
    location: `/downloads/${file}`,
    inventory: { files: new Map(), lists: new Map(), bytes: 0, sha256: null },
  }));
}

const VOC = 'VOCtrainval_03-May-2010.tar';
const MERGED = parts('pascal-context', [VOC, 'trainval_merged.json']);
const MAPS = parts('pascal-context', [VOC, 'trainval.tar.gz']);

const check = (
  dataset: Dataset,
  of: readonly FoundPart[],
  [train, val]: readonly [number, number],
  { accept = false, generated = null as Record<string, unknown> | null } = {},
) => checkCounts(dataset.name, { train, val }, expectedCounts(dataset, of, generated), accept);

test('each source of Pascal Context has its own numbers', async (t) => {
  const dataset = await loadDataset('pascal-context');
  t.deepEqual(check(dataset, MERGED, [4996, 5104]), []);
  t.deepEqual(check(dataset, MAPS, [4998, 5105]), []);
  for (const accept of [false, true]) {
    const swapped = t.throws<UserError>(() => check(dataset, MERGED, [4998, 5105], { accept }), {
      instanceOf: UserError,
    });
    t.regex(
      swapped?.message ?? '',
      /hold 4998 train images \(4996 expected\) and 5105 val images \(5104 expected\)\. Read in: /,
    );
    t.regex(swapped?.next ?? '', /fetch it again/);
    t.throws(() => check(dataset, MAPS, [4996, 5104], { accept }), {
      message: /hold 4996 train images \(4998 expected\) and 5104 val images \(5105 expected\)\./,
    });
    t.throws(() => check(dataset, MAPS, [4998, 5098], { accept }), {
      message: /hold 5098 val images \(5105 expected\)\./,
    });
  }
});

test('downloads that were generated differ from each other as the published ones do', async (t) => {
  const dataset = await loadDataset('pascal-context');
  const generated = { train: 30, val: 10 };
  t.deepEqual(check(dataset, MERGED, [30, 10], { generated }), []);
  t.deepEqual(check(dataset, MAPS, [32, 11], { generated }), []);
  const error = t.throws<UserError>(() => check(dataset, MAPS, [30, 10], { generated, accept: true }), {
    message: /hold 30 train images \(32 expected\) and .*; their synthetic\.json states the expected numbers\.$/,
  });
  t.regex(error?.next ?? '', /generate them again/);
});

test('an unconfirmed number gives a warning with both numbers, if the user accepts it', async (t) => {
  const dataset = await loadDataset('camvid');
  const of = parts('camvid', ['camvid.zip']);
  t.deepEqual(check(dataset, of, [367, 101]), []);
  const refused = t.throws<UserError>(() => check(dataset, of, [367, 233]), { instanceOf: UserError });
  t.regex(refused?.message ?? '', /hold 233 val images \(101 expected\)\. .*Nobody has confirmed/);
  t.regex(refused?.next ?? '', /--accept-counts/);
  const [warning, ...more] = check(dataset, of, [367, 233], { accept: true });
  t.is(warning, refused?.message);
  t.deepEqual(more, []);
});

test('without expected numbers, any number is accepted', async (t) => {
  const dataset = { ...(await loadDataset('camvid')), published: null };
  t.deepEqual(check(dataset, parts('camvid', ['camvid.zip']), [3, 1]), []);
});
