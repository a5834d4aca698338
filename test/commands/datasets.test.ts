import { readdir, readFile, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';

const SIZE = ['--size', '64x96'];

test('commands generate, list, verify, count and browse a data set', async (t) => {
  const cwd = await temporaryFolder(t);
  const env = { FCN_DATA_ROOT: 'data', COLUMNS: '80' };
  const run = (...parameters: string[]) => fcn(['datasets', ...parameters], { cwd, env });

  const made = await run('generate', 'voc2012-aug', '--images', '8', ...SIZE);
  t.is(made.code, 0, made.stderr);
  t.regex(made.stdout, /VOC2012: 6 training and 2 validation images of at most 64x96, 8 written now\.\n$/);
  t.regex(made.stderr, /^> Generate Pascal VOC 2012 \+ Aug\n( {2}\d of 8 images\n)* {2}8 images\n$/);

  const listed = await run('list', '--json');
  const { datasets } = JSON.parse(listed.stdout) as { datasets: { id: string; present: boolean; images: object }[] };
  t.is(datasets.length, 6);
  t.deepEqual(
    datasets.filter(({ present }) => present).map(({ id, images }) => [id, images]),
    [['voc2012-aug', { train: 6, val: 2 }]],
  );
  const list = await run('list');
  t.regex(list.stdout, /│ voc2012-aug +│ 21 +│ 6 +│ 2 +│ complete, synthetic │/);
  t.regex(list.stdout, /│ ade20k +│ 150 +│ – of 20210 +│ – of 2000 +│ missing +│/);
  t.regex(
    list.stdout,
    /\nfcn datasets prepare makes one from its downloads, fcn datasets generate makes a synthetic one\.\n$/,
  );
  t.true(list.stdout.split('\n').every((line) => line.length <= 80 || !/[│┌└├]/.test(line)));

  const whole = await run('verify', 'voc2012-aug');
  t.is(whole.code, 0, whole.stderr);
  t.regex(whole.stdout, /✓ Nothing is wrong/);

  const shown = await run('show', 'voc2012-aug');
  t.is(shown.code, 0, shown.stderr);
  t.regex(shown.stdout, /^background +\d\d\.\d\d % +6 {2}█+$/m);
  t.true(shown.stdout.split('\n').every((line) => line.length <= 80));
  t.is((JSON.parse((await run('show', 'voc2012-aug', '--json')).stdout) as { images: number }).images, 6);

  const browsed = await run('browse', 'voc2012-aug', '--profile', 'smoke', '--samples', '2', '--out', 'page');
  t.is(browsed.code, 0, browsed.stderr);
  t.regex(browsed.stdout, /^page\/index\.html: 2 samples of fcn_r50-d8_512x512_20k_voc12aug, seed 0, \d+ kB\.\n$/);
  t.regex(await readFile(path.join(cwd, 'page', 'index.html'), 'utf8'), /profile smoke/);
});

test('verify exits with 1 if something is wrong, and with 2 if there is nothing to verify', async (t) => {
  const cwd = await temporaryFolder(t);
  const run = (...parameters: string[]) => fcn(['datasets', ...parameters, '--data-root', 'data'], { cwd });
  await run('generate', 'ade20k', '--images', '4', ...SIZE);
  const folder = path.join(cwd, 'data', 'ade', 'ADEChallengeData2016');
  const images = path.join(folder, 'images', 'training');
  const [first, second] = await readdir(images);
  await truncate(path.join(images, first!), 700);
  await rm(path.join(folder, 'annotations', 'training', second!.replace('.jpg', '.png')));

  const broken = await run('verify', 'ade20k');
  t.is(broken.code, 1);
  t.regex(broken.stdout, new RegExp(`✗ .*${first}: the image cannot be decoded`));
  t.regex(broken.stdout, new RegExp(`✗ .*${second} has no label`));
  t.regex(broken.stdout, /✗ 3 problems/);
  const json = await run('verify', 'ade20k', '--json');
  t.is(json.code, 1);
  t.is((JSON.parse(json.stdout) as { problems: unknown[] }).problems.length, 3);
  t.regex(json.stderr, /^> Verify ADE20K\n {2}\d+ checks\n$/);

  const counted = await run('show', 'ade20k');
  t.is(counted.code, 2);
  t.regex(counted.stderr, /^error: The image .* has no label/m);
  const absent = await run('verify', 'cityscapes');
  t.is(absent.code, 2);
  t.regex(absent.stderr, /error: Cityscapes: .*data.cityscapes.* does not exist\.\nnext: .*fcn datasets prepare/);
  const unknown = await run('verify', 'ade');
  t.is(unknown.code, 2);
  t.regex(unknown.stderr, /error: No data set is called "ade"/);
  const split = await run('show', 'ade20k', '--split', 'test');
  t.regex(split.stderr, /error: ADE20K has no split "test". Known: train, val\./);
});
