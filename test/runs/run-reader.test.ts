import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RunCatalogue } from '../../src/runs/catalogue.js';
import { inspectRun } from '../../src/runs/inspect.js';
import { findRunToResume } from '../../src/runs/resumption.js';
import { RunReader } from '../../src/runs/run-reader.js';
import { packageRoot } from '../../src/support/package.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';
import { writeRunning } from '../helpers/runs.js';

const [ROW, RUN] = ['fcn_r18-d8_512x1024_80k_cityscapes', '20261129-181359-6f43cd41'];

/**
 * A training that was interrupted, as the code of commit f6a40f3 left its directory; without its checkpoints. Not to be written
 * again: what users have on their disks is not either.
 */
async function runOfBefore(t: ExecutionContext): Promise<{ runs: string; folder: string }> {
  const text = readFileSync(path.join(packageRoot(), 'test', 'runs', 'written-before.jsonl'), 'utf8');
  const files = text.trimEnd().split('\n');
  const runs = await temporaryFolder(t);
  const folder = path.join(runs, ROW, RUN);
  const written = files.map((line) => JSON.parse(line) as { name: string; text: string });
  await writeFiles(folder, Object.fromEntries(written.map((file) => [file.name, file.text])));
  return { runs, folder };
}

test('a run directory that was written before the reader was made is read, file by file', async (t) => {
  const reader = new RunReader((await runOfBefore(t)).folder);
  t.true(reader.isRun());
  t.deepEqual([reader.row, reader.id], [ROW, RUN]);
  t.like(await reader.description(), { number: 1, startedAt: '2026-11-29T18:13:59.238Z', continued: [] });
  t.like(await reader.status(), { state: 'interrupted', stage: 'train' });
  t.like(await reader.progress(), { done: 1, total: 100 });
  t.like(reader.experiment(), { row: ROW, profile: 'smoke', seed: 0 });
  t.like(reader.environment(), { engine: 'wasm', device: 'cpu' });
  t.like(reader.record(), { row: ROW, run: RUN, exitReason: 'interrupted' });
  t.like(reader.log(), { validation: [] });
  t.deepEqual(
    reader.log().train.map(({ iteration }) => iteration),
    [1],
  );
  t.is((await reader.state()).state, 'interrupted');
  t.false(await reader.isCompleted());
});

test('a run directory that was written before is the one to resume, and is listed and reported', async (t) => {
  const { runs, folder } = await runOfBefore(t);
  const description = (await new RunReader(folder).description())!;
  const said: string[] = [];
  const found = await findRunToResume(path.dirname(folder), description, 'unfinished', (text) => said.push(text));
  t.deepEqual([found?.id, said], [RUN, []]);
  t.like(await inspectRun(folder), { row: ROW, run: RUN, state: 'interrupted', number: 1, done: 1 });
  const catalogue = new RunCatalogue({ runs, results: path.join(runs, 'none') }, (error) => t.fail(error.message));
  t.like((await catalogue.all())[0], { row: ROW, id: RUN, state: 'interrupted', number: 1 });
});

test('lists and reports say the same of how a run stands', async (t) => {
  const { runs, folder } = await runOfBefore(t);
  const state = async () => {
    const catalogue = new RunCatalogue({ runs, results: path.join(runs, 'none') }, (error) => t.fail(error.message));
    const [reported] = await catalogue.all();
    t.is(reported!.state, (await inspectRun(folder)).state);
    return reported!.state;
  };
  // The record of its last end is there still.
  await writeRunning(folder);
  t.is(await state(), 'running');
  await rm(path.join(folder, 'lock'));
  t.is(await state(), 'killed');
  await rm(path.join(folder, 'status.json'));
  t.is(await state(), 'interrupted', 'as its record says');
  await rm(path.join(folder, 'record.json'));
  t.is(await state(), 'unknown');
});
