import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { decodeLabels } from '../../src/data/decode.js';
import { loadDataset } from '../../src/data/description.js';
import { datasetFolder } from '../../src/data/split.js';
import { readRecord } from '../../src/records/record.js';
import { fcn } from './command.js';
import { temporaryFolder } from './folder.js';

/** A row of each data set, and its downloads. */
export const RAW_SETS: Readonly<Record<string, { readonly row: string; readonly archives: readonly string[] }>> = {
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

/** Paths of a folder's files without hidden ones and the marker. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.') && entry.name !== 'synthetic.json')
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
}

/**
 * Generated downloads of a data set are prepared and verified, and have the labels of the generated set; `trained`: a row is trained and
 * evaluated on them, too.
 */
export async function compareDownloads(t: ExecutionContext, id: string, trained: boolean): Promise<void> {
  const { row, archives } = RAW_SETS[id]!;
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
    // Training does not read these: the labels are made from them.
    if (file.endsWith('_labelIds.png')) continue;
    t.true(made.has(file), file);
    const [expected, actual] = [path.join(generated, file), path.join(folder, file)];
    const isLabel = /annotations|gtFine|SegmentationClass/.test(file) && file.endsWith('.png');
    if (isLabel) t.deepEqual(await decodeLabels(actual), await decodeLabels(expected), file);
    else t.deepEqual(await readFile(actual), await readFile(expected), file);
  }
  t.like(await run('datasets', 'verify', id, '--data-root', 'prepared'), { problems: [], synthetic: true });

  if (!trained) return;
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
}
