import { appendFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { cleanableRuns, removeRuns } from '../../src/runs/clean.js';
import { findRun, type InspectedRun, inspectRun, inspectRuns, readLog } from '../../src/runs/inspect.js';
import { ProgressFile, readProgress } from '../../src/runs/progress.js';
import { followLog, watchRuns } from '../../src/runs/watch.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

const MINUTE = 60_000;
const ago = (minutes: number) => new Date(Date.now() - minutes * MINUTE).toISOString();
/** No system has so many processes. */
const NO_PROCESS = 2 ** 30;

interface Kind {
  readonly state?: string;
  readonly processId?: number;
  readonly host?: string;
  readonly minutes?: number;
}

function files({ state = 'running', processId = process.pid, host = os.hostname(), minutes = 0 }: Kind) {
  const updatedAt = ago(minutes);
  return {
    'status.json': JSON.stringify({ state, stage: 'train', processId, updatedAt }),
    'progress.json': JSON.stringify({
      ...{ stage: 'train', done: 30, total: 120, secondsLeft: 45, loss: 1.5, mIoU: null, mIoUMsFlip: null },
      ...{ processId, host, updatedAt },
    }),
    'experiment.json': JSON.stringify({ profile: 'full', seed: 7 }),
  };
}

/** A folder of runs of the row "a", each with the files of a kind. */
async function runsOf(t: ExecutionContext, kinds: Readonly<Record<string, Kind>>): Promise<string> {
  const folder = await temporaryFolder(t);
  for (const [run, kind] of Object.entries(kinds)) await writeFiles(path.join(folder, 'a', run), files(kind));
  return folder;
}

const states = (runs: readonly InspectedRun[]) => Object.fromEntries(runs.map(({ run, state }) => [run, state]));

test('a run is running, killed or silent by its process, its machine and its last sign of life', async (t) => {
  const folder = await runsOf(t, {
    alive: {},
    gone: { processId: NO_PROCESS },
    elsewhere: { host: 'other', processId: NO_PROCESS, minutes: 2 },
    quiet: { host: 'other', minutes: 60 },
    'clock-set-back': { host: 'other', minutes: -600 },
    done: { state: 'completed', processId: NO_PROCESS },
  });
  await writeFiles(path.join(folder, 'a', 'empty'), { 'experiment.json': '{"pro' });
  t.deepEqual(states(await inspectRuns(folder)), {
    alive: 'running',
    gone: 'killed',
    elsewhere: 'running',
    quiet: 'silent',
    'clock-set-back': 'running',
    done: 'completed',
    empty: 'unknown',
  });
  t.like(await inspectRun(path.join(folder, 'a', 'alive')), {
    row: 'a',
    profile: 'full',
    seed: 7,
    stage: 'train',
    done: 30,
    total: 120,
    secondsLeft: 45,
    loss: 1.5,
    mIoU: null,
  });
  t.is((await inspectRun(path.join(folder, 'a', 'done'))).secondsLeft, null);
  t.deepEqual(await inspectRuns(path.join(folder, 'nowhere')), []);
});

test('a run is found by name, its beginning, its row or its directory; a wrong name is answered', async (t) => {
  const folder = await runsOf(t, { '20250101-a': {}, '20250102-b': {}, '20250102-c': {} });
  await writeFiles(path.join(folder, 'b', '20250103-d'), files({}));
  const name = async (text?: string) => (await findRun(folder, text)).run;
  t.is(await name(), '20250103-d');
  t.is(await name('a'), '20250102-c');
  t.is(await name('20250101'), '20250101-a');
  t.is(await name(path.join(folder, 'a', '20250102-b')), '20250102-b');
  await t.throwsAsync(name('20250102'), {
    instanceOf: UserError,
    message: /could be 2 runs: a\/20250102-b, a\/20250102-c/,
  });
  const error = await t.throwsAsync<UserError>(name('20250101-e'), { instanceOf: UserError });
  t.regex(error!.next!, /Did you mean 20250101-a/);
  await t.throwsAsync(findRun(path.join(folder, 'none'), undefined), { message: /There are no runs/ });
});

test('cleaning takes the states that are asked for, and never a run that may be running', async (t) => {
  const folder = await runsOf(t, {
    alive: {},
    quiet: { host: 'other', minutes: 60 },
    failed: { state: 'failed', minutes: 0 },
    'failed-long-ago': { state: 'failed', minutes: 3 * 24 * 60 },
    interrupted: { state: 'interrupted' },
  });
  const all = await inspectRuns(folder);
  const chosen = async (...options: Parameters<typeof cleanableRuns>) =>
    (await cleanableRuns(...options)).map(({ run }) => run.run);
  t.deepEqual(await chosen(all, { states: ['failed'], olderThanDays: 0 }), ['failed', 'failed-long-ago']);
  t.deepEqual(await chosen(all, { states: ['running', 'silent'], olderThanDays: 0 }), []);
  const old = await cleanableRuns(all, { states: ['failed'], olderThanDays: 2 });
  t.deepEqual(
    old.map(({ run, bytes }) => [run.run, bytes > 100]),
    [['failed-long-ago', true]],
  );
  await removeRuns(old);
  t.deepEqual(Object.keys(states(await inspectRuns(folder))).sort(), ['alive', 'failed', 'interrupted', 'quiet']);
});

test('a log is read in whole lines, from its end too, and followed until its run ends', async (t) => {
  const folder = await runsOf(t, { one: { state: 'completed' } });
  const run = path.join(folder, 'a', 'one');
  t.deepEqual(await readLog(run, -1000), { entries: [], next: 0 });
  const line = (iteration: number) => `${JSON.stringify({ iteration })}\n`;
  await appendFile(path.join(run, 'log.jsonl'), `${line(1)}${line(2)}{"iter\n${line(3)}{"iteration":`);
  const { entries, next } = await readLog(run, 0);
  t.deepEqual(entries, [{ iteration: 1 }, { iteration: 2 }, { iteration: 3 }]);
  await appendFile(path.join(run, 'log.jsonl'), '4}\n');
  t.deepEqual((await readLog(run, next)).entries, [{ iteration: 4 }]);
  t.deepEqual((await readLog(run, -20)).entries, [{ iteration: 4 }]);

  const signal = new AbortController().signal;
  const followed: object[] = [];
  for await (const entry of followLog(run, { lines: 2, follow: true, signal })) followed.push(entry);
  t.deepEqual(followed, [{ iteration: 3 }, { iteration: 4 }]);
});

test('watching ends with the last run, or with the signal', async (t) => {
  const folder = await runsOf(t, { alive: {}, done: { state: 'completed' } });
  const controller = new AbortController();
  const looks: string[][] = [];
  const options = { runs: folder, name: undefined, seconds: 1, signal: controller.signal };
  const last = await watchRuns(options, (runs) => {
    looks.push(runs.map(({ run }) => run));
    controller.abort();
  });
  t.deepEqual([looks, states(last)], [[['alive']], { alive: 'running' }]);
  const ended = await watchRuns({ ...options, name: 'done', signal: new AbortController().signal }, () => undefined);
  t.deepEqual(states(ended), { done: 'completed' });
});

test('progress keeps what earlier stages found, and survives a damaged file', async (t) => {
  const folder = await temporaryFolder(t);
  const training = await ProgressFile.open(folder, 'train');
  training.update({ done: 3, total: 4, loss: 0.5 });
  await training.finish();
  const evaluation = await ProgressFile.open(folder, 'evaluate');
  evaluation.update({ done: 1, total: 2, mIoU: 0.25 });
  await evaluation.finish();
  t.like(await readProgress(folder), { stage: 'evaluate', done: 1, total: 2, loss: 0.5, mIoU: 0.25, mIoUMsFlip: null });
  await writeFiles(folder, { 'progress.json': '{' });
  t.is(await readProgress(folder), null);
});
