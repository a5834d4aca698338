import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { decodeLabels } from '../../src/data/decode.js';
import { loadDataset } from '../../src/data/description.js';
import { isSynthetic, readPrepared, readPreparing } from '../../src/data/markers.js';
import { readSplit } from '../../src/data/split.js';
import { type PrepareOptions, prepareDataset } from '../../src/datasets/prepare/prepare.js';
import { temporaryFolder } from './folder.js';
import { type RawDownloads, writePacked } from './raw-downloads.js';

/** Downloads of a data set, and how to prepare them. */
export interface Prepared {
  readonly raw: RawDownloads;
  /** Folder of the downloads. */
  readonly from: string;
  readonly dataRoot: string;
  /** The data set's folder. */
  readonly folder: string;
  readonly prepare: (changes?: Partial<PrepareOptions>) => ReturnType<typeof prepareDataset>;
}

/** Writes downloads into a temporary folder; nothing is prepared yet. */
export async function setUp(
  t: ExecutionContext,
  raw: RawDownloads,
  write: (folder: string, raw: RawDownloads) => Promise<void> = writePacked,
): Promise<Prepared> {
  const base = await temporaryFolder(t);
  const from = path.join(base, 'downloads');
  const dataRoot = path.join(base, 'data');
  await write(from, raw);
  const options: PrepareOptions = {
    dataset: raw.dataset,
    from: [from],
    dataRoot,
    again: false,
    show: async (stages) => {
      for (const { run } of stages) await run(() => undefined);
    },
  };
  const prepare = (changes: Partial<PrepareOptions> = {}) => prepareDataset({ ...options, ...changes });
  return { raw, from, dataRoot, folder: path.join(dataRoot, raw.folder), prepare };
}

/** Paths of all files in a folder but hidden ones. */
export async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .filter((file) => !file.startsWith('.'))
    .sort();
}

/** Asserts that labels, lists, splits, markers and hashes are as expected. */
export async function assertPrepared(t: ExecutionContext, { raw, folder, dataRoot }: Prepared): Promise<void> {
  for (const [file, expected] of Object.entries(raw.labels)) {
    const { height, width, data } = await decodeLabels(path.join(folder, file));
    t.deepEqual([height, width], [expected.height, expected.width], file);
    t.deepEqual([...data], [...expected.data], file);
  }
  for (const [file, text] of Object.entries(raw.lists))
    t.is(await readFile(path.join(folder, file), 'utf8'), text, file);
  const dataset = await loadDataset(raw.dataset);
  for (const [split, count] of Object.entries(raw.images)) {
    t.is((await readSplit(dataset, split, dataRoot)).length, count, split);
  }
  t.true(isSynthetic(folder));
  t.is(await readPreparing(folder), null);
  const prepared = await readPrepared(folder);
  t.is(prepared?.dataset, raw.dataset);
  const hashes = await readFile(path.join(folder, '.fcn-prepared.sha256'), 'utf8');
  t.is(createHash('sha256').update(hashes).digest('hex'), String(prepared?.sha256));
  for (const line of hashes.trimEnd().split('\n')) {
    const [sha256, file] = line.split('  ') as [string, string];
    t.is(
      createHash('sha256')
        .update(await readFile(path.join(folder, file)))
        .digest('hex'),
      sha256,
      file,
    );
  }
  t.false((await readdir(folder)).some((file) => file.startsWith('.fcn-preparing')));
}
