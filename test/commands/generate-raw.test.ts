import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { decodeLabels } from '../../src/data/decode.js';
import { loadDataset } from '../../src/data/description.js';
import { datasetFolder } from '../../src/data/split.js';
import { readRecord } from '../../src/records/record.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { smallDisk, withSmallDisk } from '../helpers/small-disk.js';

/** Of each data set a row, and what is downloaded. */
const SETS: Readonly<Record<string, { readonly row: string; readonly archives: readonly string[] }>> = {
  ade20k: { row: 'fcn_r50-d8_512x512_80k_ade20k', archives: ['ADEChallengeData2016.zip'] },
  camvid: { row: 'camvid_r18-d8', archives: ['camvid.zip'] },
  cityscapes: {
    row: 'fcn_r18-d8_512x1024_80k_cityscapes',
    archives: ['leftImg8bit_trainvaltest.zip', 'gtFine_trainvaltest.zip'],
  },
  'pascal-context': {
    row: 'fcn_r101-d8_480x480_40k_pascal_context',
    archives: ['VOCtrainval_03-May-2010.tar', 'trainval.tar.gz', 'trainval_merged.json'],
  },
  'pascal-context-59': {
    row: 'fcn_r101-d8_480x480_40k_pascal_context_59',
    archives: ['VOCtrainval_03-May-2010.tar', 'trainval.tar.gz', 'trainval_merged.json'],
  },
  'voc2012-aug': {
    row: 'fcn_r50-d8_512x512_20k_voc12aug',
    archives: ['VOCtrainval_11-May-2012.tar', 'benchmark.tgz'],
  },
};

/** Paths of a folder's files but hidden ones and the marker. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.') && entry.name !== 'synthetic.json')
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
}

for (const [id, { row, archives }] of Object.entries(SETS)) {
  test(`${id}: generated downloads are prepared, verified and trained on, with the labels of the generated set`, async (t) => {
    const cwd = await temporaryFolder(t);
    const run = async <Result = object>(...parameters: string[]): Promise<Result> => {
      const { code, stdout, stderr } = await fcn([...parameters, '--json'], { cwd });
      t.is(code, 0, `${parameters.join(' ')}: ${stdout}${stderr}`);
      return JSON.parse(stdout) as Result;
    };
    const settings = ['--images', '4', '--size', '64x128', '--seed', '5'];
    await run('datasets', 'generate', id, ...settings, '--data-root', 'generated');
    const raw = await run('datasets', 'generate', id, ...settings, '--raw', '--out', 'downloads');
    t.like(raw, { dataset: id, raw: true, train: 3, val: 1, written: archives.length });
    t.deepEqual((await readdir(path.join(cwd, 'downloads'))).sort(), [...archives, 'synthetic.json'].sort());

    const prepared = await run('datasets', 'prepare', id, '--from', 'downloads', '--data-root', 'prepared');
    t.like(prepared, { dataset: id, images: { train: 3, val: 1 }, synthetic: true });
    const dataset = await loadDataset(id);
    const generated = datasetFolder(dataset, path.join(cwd, 'generated'));
    const folder = datasetFolder(dataset, path.join(cwd, 'prepared'));
    const made = new Set(await filesOf(folder));
    for (const file of await filesOf(generated)) {
      // Not read by training: it is what the labels are made of.
      if (file.endsWith('_labelIds.png')) continue;
      t.true(made.has(file), file);
      const [expected, actual] = [path.join(generated, file), path.join(folder, file)];
      const isLabel = /annotations|gtFine|SegmentationClass/.test(file) && file.endsWith('.png');
      if (isLabel) t.deepEqual(await decodeLabels(actual), await decodeLabels(expected), file);
      else t.deepEqual(await readFile(actual), await readFile(expected), file);
    }
    t.like(await run('datasets', 'verify', id, '--data-root', 'prepared'), { problems: [], synthetic: true });

    const changes = ['width=4', 'iterations=1', 'training.batch=2', 'evaluation.limit=1'];
    const tiny = ['--profile', 'smoke', '--engine', 'wasm', ...changes.flatMap((change) => ['--set', change])];
    const stages = ['--stage', 'train', '--stage', 'evaluate'];
    const [outcome] = await run<readonly { kept: string }[]>(
      'reproduce',
      row,
      ...tiny,
      ...stages,
      '--data-root',
      'prepared',
    );
    t.like(readRecord(path.join(cwd, outcome!.kept)).dataset, { id, synthetic: true });
  });
}

test('made of the label maps, Pascal Context is not as published, and every record on it says so', async (t) => {
  const cwd = await temporaryFolder(t);
  await fcn(['datasets', 'generate', 'pascal-context', '--raw', '--images', '4', '--size', '64x64', '--out', 'raw'], {
    cwd,
  });
  const from = ['raw/VOCtrainval_03-May-2010.tar', 'raw/trainval.tar.gz'].flatMap((file) => ['--from', file]);
  const prepared = await fcn(['datasets', 'prepare', 'pascal-context-59', ...from], { cwd });
  t.is(prepared.code, 0, prepared.stderr);
  // As the published label maps, they have two and one more than the merged file.
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
  t.true(run.stderr.includes(`Note: datasets/data/VOCdevkit/VOC2010: ${other}: figures on it compare with nothing`));
  t.regex(run.stdout, /Compares with nothing published: .*, labels of trainval\.tar\.gz instead of /);
  const [record] = await readdir(path.join(cwd, 'results/records'));
  t.deepEqual(readRecord(path.join(cwd, 'results/records', record!)).dataset?.deviations, [
    { path: 'labels', published: 'trainval_merged.json', value: 'trainval.tar.gz' },
  ]);
});

withSmallDisk('a full disk leaves no half archive, and with more room the downloads are finished', async (t) => {
  const cwd = await temporaryFolder(t);
  // Less than the images and the archive of them take.
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

test('downloads are made under the data root, once, and not with other settings in the same place', async (t) => {
  const cwd = await temporaryFolder(t);
  const generate = (...parameters: string[]) =>
    fcn(['datasets', 'generate', 'pascal-context-59', '--size', '64x64', ...parameters], { cwd });
  const first = await generate('--raw', '--images', '2');
  t.is(first.code, 0, first.stderr);
  const folder = path.join(cwd, 'datasets/data/downloads/pascal-context');
  t.regex(
    first.stdout,
    /^\/.*downloads\/pascal-context: 1 training and 1 validation image .*, 3 of 3 files written now\.\n/,
  );
  t.regex(first.stdout, / {2}trainval\.tar\.gz {2}\d+ kB\n/);
  t.regex(first.stdout, /\nPrepare them with: fcn datasets prepare pascal-context-59 --from \/.*\n$/);
  t.regex(
    first.stderr,
    // With the three that only the label maps have.
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
