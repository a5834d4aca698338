import { readdir } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { selectRows } from '../../src/recipe/select.js';
import { writeDescription } from '../../src/runs/directory.js';
import { planRuns } from '../../src/runs/plan.js';
import { SeriesStart } from '../../src/runs/series.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';

const ROW = 'camvid_r18-d8';
const PLAN = planRuns({ rows: selectRows({ patterns: [ROW] }), profile: 'full', overrides: [], seed: 0, repeat: 2 });
const TIME = '2025-01-02T03:04:05.000Z';

async function writeRun(runs: string, id: string, state: string): Promise<void> {
  const { environment, code } = makeRecord({ row: ROW });
  const identity = {
    experimentHash: 'x',
    stages: [],
    engine: 'wasm',
    device: 'cpu',
    dataset: null,
    weights: null,
    shard: null,
  };
  const directory = path.join(runs, ROW, id);
  const setup = { environment, code, dataset: null };
  await writeDescription(directory, { identity, setup, startedAt: TIME, number: 1, continued: [] });
  const status = { state, stage: null, processId: 1, updatedAt: TIME };
  await writeFiles(directory, { 'status.json': JSON.stringify(status), 'record.json': '{}' });
}

test('what had completed when a series began is known until all of it has completed', async (t) => {
  const runs = await temporaryFolder(t);
  const open = (anew = false) => SeriesStart.open(runs, PLAN, { engine: 'wasm' }, anew);
  await writeRun(runs, 'before', 'completed');
  await writeRun(runs, 'unfinished', 'interrupted');
  t.deepEqual((await open()).completedBefore(PLAN[0]!), ['before']);
  // A run that was begun before the series is its own, too, where the series completes it.
  await writeRun(runs, 'unfinished', 'completed');
  await writeRun(runs, 'since', 'completed');
  const again = await open();
  t.deepEqual(again.completedBefore(PLAN[1]!), ['before']);
  await again.end();
  t.deepEqual(await readdir(runs), [ROW], 'nothing of the series is left');
  t.deepEqual([...(await open()).completedBefore(PLAN[0]!)].sort(), ['before', 'since', 'unfinished']);
});

test('a series that is begun anew forgets where it began', async (t) => {
  const runs = await temporaryFolder(t);
  const open = (anew: boolean) => SeriesStart.open(runs, PLAN, {}, anew);
  t.deepEqual((await open(false)).completedBefore(PLAN[0]!), []);
  await writeRun(runs, 'first', 'completed');
  t.deepEqual((await open(true)).completedBefore(PLAN[0]!), ['first']);
  t.deepEqual((await open(false)).completedBefore(PLAN[0]!), ['first']);
});
