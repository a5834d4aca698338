import { readdir } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { readRecord } from '../../src/records/record.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { long } from '../helpers/long.js';
import { compareDownloads } from '../helpers/raw-sets.js';
import { smallDisk, withSmallDisk } from '../helpers/small-disk.js';

// Zip archives, and tar archives with .mat files; npm run test:long tests the others.
for (const id of ['cityscapes', 'voc2012-aug']) {
  test(`${id}: generated downloads are prepared and verified, with the labels of the generated set`, (t) =>
    compareDownloads(t, id, false));
}

long('Pascal Context made from label maps differs from the published set, and every record says so', async (t) => {
  const cwd = await temporaryFolder(t);
  await fcn(['datasets', 'generate', 'pascal-context', '--raw', '--images', '4', '--size', '64x64', '--out', 'raw'], {
    cwd,
  });
  const from = ['raw/VOCtrainval_03-May-2010.tar', 'raw/trainval.tar.gz'].flatMap((file) => ['--from', file]);
  const prepared = await fcn(['datasets', 'prepare', 'pascal-context-59', ...from], { cwd });
  t.is(prepared.code, 0, prepared.stderr);
  // Like the published label maps: two and one more than the merged file.
  t.regex(prepared.stdout, /: 5 train and 2 val images \(synthetic\)/);
  const other = 'labels of trainval.tar.gz instead of trainval_merged.json';
  t.true(prepared.stdout.includes(`\nNot as published: ${other}. Figures on it compare with nothing published.\n`));
  const verified = await fcn(['datasets', 'verify', 'pascal-context'], { cwd });
  t.is(verified.code, 0, verified.stdout);
  t.true(verified.stdout.includes(`\n  Not as published: ${other}.\n`));

  const row = 'fcn_r101-d8_480x480_40k_pascal_context_59';
  const changes = ['width=4', 'iterations=1', 'training.batch=2'].flatMap((change) => ['--set', change]);
  const tiny = ['--profile', 'smoke', '--engine', 'wasm', ...changes, '--stage', 'train'];
  const run = await fcn(['reproduce', row, ...tiny], { cwd });
  t.is(run.code, 0, run.stderr);
  t.true(run.stderr.includes(`Note: data/VOCdevkit/VOC2010: ${other}: figures on it compare with nothing`));
  t.regex(run.stdout, /Compares with nothing published: .*, labels of trainval\.tar\.gz instead of /);
  const [record] = await readdir(path.join(cwd, 'results/records'));
  t.deepEqual(readRecord(path.join(cwd, 'results/records', record!)).dataset?.deviations, [
    { path: 'labels', published: 'trainval_merged.json', value: 'trainval.tar.gz' },
  ]);
});

withSmallDisk('a full disk leaves no half-written archive; with more space the downloads are completed', async (t) => {
  const cwd = await temporaryFolder(t);
  // Less than the images and their archive need.
  const mounted = await smallDisk(t, cwd, '260k');
  const out = path.join(mounted.folder, 'downloads');
  const parameters = ['datasets', 'generate', 'camvid', '--raw', '--images', '12', '--size', '96x128', '--out', out];
  const full = await fcn(parameters, { cwd });
  t.is(full.code, 2);
  t.regex(full.stderr, /\nerror: Disk full while writing \/.*downloads.*\.\nnext: Free some space.*\n$/);
  t.deepEqual(
    (await readdir(out)).filter((name) => !name.startsWith('.')),
    ['synthetic.json'],
  );
  const prepare = ['datasets', 'prepare', 'camvid', '--from', out];
  const refused = await fcn(prepare, { cwd });
  t.is(refused.code, 2);
  t.regex(refused.stderr, /camvid\.zip \(the images and labels\) is neither packed nor unpacked/);
  await mounted.remount('size=2m');
  t.is((await fcn(parameters, { cwd })).code, 0);
  t.is((await fcn(prepare, { cwd })).code, 0);
});

test('downloads are made in the data root once, and not with other settings in the same place', async (t) => {
  const cwd = await temporaryFolder(t);
  const generate = (...parameters: string[]) =>
    fcn(['datasets', 'generate', 'pascal-context-59', '--size', '64x64', ...parameters], { cwd });
  const first = await generate('--raw', '--images', '2');
  t.is(first.code, 0, first.stderr);
  const folder = path.join(cwd, 'data/downloads/pascal-context');
  t.regex(
    first.stdout,
    /^data.downloads.pascal-context: 1 training and 1 validation image .*, 3 of 3 files written now\.\n/,
  );
  t.regex(first.stdout, / {2}trainval\.tar\.gz {2}\d+ kB\n/);
  t.regex(
    first.stdout,
    /\nPrepare them with:\n {2}fcn datasets prepare pascal-context-59 --from data.downloads.pascal-context\n$/,
  );
  t.regex(
    first.stderr,
    // With the three images that only the label maps have.
    /^> Images\n( {2}\d of 5 images\n)* {2}5 images\n> Archives\n {2}VOCtrainval_03-May-2010\.tar, .*\n$/,
  );
  t.regex((await generate('--raw', '--images', '2')).stdout, /all there already/);
  const other = await generate('--raw', '--images', '3');
  t.is(other.code, 2);
  t.regex(
    other.stderr,
    new RegExp(`^error: ${folder} holds synthetic data made with other settings .*\\nnext: .*--out`),
  );
  const alone = await generate('--out', 'downloads');
  t.is(alone.code, 2);
  t.regex(alone.stderr, /--raw/);
});
