import { readFileSync } from 'node:fs';
import { appendFile, mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { checkpointPercents } from '../../src/records/checkpoint-figures.js';
import { type CleanOptions, cleanableRuns, removeRuns } from '../../src/runs/clean.js';
import { followLog, type InspectedRun, inspectRun, inspectRuns, watchRuns } from '../../src/runs/inspect.js';
import { formatLogEntry, formatRun, formatRunLine, formatRuns, LOG_HEADS } from '../../src/runs/list.js';
import { ProgressFile, readEntries, readProgress } from '../../src/runs/log.js';
import { Lock } from '../../src/support/lock.js';
import { ownIdentity, type ProcessIdentity } from '../../src/support/process-identity.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';
import { NO_PROCESS } from '../helpers/runs.js';

const MINUTE = 60_000;
const EVALUATION = { iteration: 30, done: 5, total: 20 };
const at = (minutes: number) => new Date(Date.now() - minutes * MINUTE);

interface Kind {
  readonly state?: string;
  /** Minutes since the last sign of life, of the run and of who holds its lock. */
  readonly minutes?: number;
  /** Null where nobody holds it. */
  readonly lock?: Partial<ProcessIdentity> | null;
}

/** The files of a run; null where there is to be none. */
function files({ state = 'running', minutes = 0, lock = {} }: Kind): Record<string, string> {
  const { host, pid: processId } = ownIdentity();
  const updatedAt = at(minutes).toISOString();
  return {
    'status.json': JSON.stringify({ state, stage: 'train', processId, updatedAt }),
    'progress.json': JSON.stringify({
      ...{
        stage: 'train',
        done: 30,
        total: 120,
        secondsLeft: 45,
        evaluation: EVALUATION,
        loss: 1.5,
        mIoU: null,
        mIoUMsFlip: null,
      },
      ...{ processId, host, updatedAt },
    }),
    'experiment.json': JSON.stringify({ profile: 'full', seed: 7 }),
    ...(lock !== null && { lock: JSON.stringify({ ...ownIdentity(), key: 'one', ...lock }) }),
  };
}

async function writeRun(folder: string, kind: Kind): Promise<void> {
  await writeFiles(folder, files(kind));
  const time = at(kind.minutes ?? 0);
  if (kind.lock !== null) await utimes(path.join(folder, 'lock'), time, time);
}

/** A folder of runs of the row "a", each with the files of a kind. */
async function runsOf(t: ExecutionContext, kinds: Readonly<Record<string, Kind>>): Promise<string> {
  const folder = await temporaryFolder(t);
  for (const [run, kind] of Object.entries(kinds)) await writeRun(path.join(folder, 'a', run), kind);
  return folder;
}

const states = (runs: readonly InspectedRun[]) => Object.fromEntries(runs.map(({ run, state }) => [run, state]));

test('a run is running, killed or silent by who holds its lock and by the last sign of life', async (t) => {
  const elsewhere = { host: 'other', space: null, started: null };
  const folder = await runsOf(t, {
    alive: {},
    gone: { lock: { pid: NO_PROCESS } },
    'number-used-again': { lock: { started: '1' } },
    unlocked: { lock: null },
    elsewhere: { lock: elsewhere, minutes: 2 },
    container: { lock: { space: 'another boot' }, minutes: 2 },
    quiet: { lock: elsewhere, minutes: 60 },
    'clock-set-back': { lock: elsewhere, minutes: -600 },
    done: { state: 'completed', lock: null },
    resumed: { state: 'interrupted' },
    interrupted: { state: 'interrupted', lock: { pid: NO_PROCESS } },
  });
  await writeFiles(path.join(folder, 'a', 'empty'), { 'experiment.json': '{"pro' });
  // Before its first sign of progress.
  await rm(path.join(folder, 'a', 'elsewhere', 'progress.json'));
  // Where the system does not tell when a process was started, numbers are all there is.
  const again = ownIdentity().started === null ? 'running' : 'killed';
  t.deepEqual(states(await inspectRuns(folder)), {
    alive: 'running',
    gone: 'killed',
    'number-used-again': again,
    unlocked: 'killed',
    elsewhere: 'running',
    container: 'running',
    quiet: 'silent',
    'clock-set-back': 'running',
    done: 'completed',
    resumed: 'running',
    interrupted: 'interrupted',
    empty: 'unknown',
  });
  t.is((await inspectRun(path.join(folder, 'a', 'gone'))).secondsLeft, null);
  t.is((await inspectRun(path.join(folder, 'a', 'elsewhere'))).host, 'other');
  t.like(await inspectRun(path.join(folder, 'a', 'alive')), {
    row: 'a',
    profile: 'full',
    seed: 7,
    stage: 'train',
    done: 30,
    total: 120,
    secondsLeft: 45,
    evaluation: EVALUATION,
    loss: 1.5,
    mIoU: null,
  });
  const alive = await inspectRun(path.join(folder, 'a', 'alive'));
  t.regex(formatRun(alive, null, [], 80), /^evaluation image 5\/20 after iteration 30$/m);
  // Two figures are called loss, each by a name of its own.
  t.regex(formatRun(alive, null, [], 80), /^last loss +1\.5000$/m);
  t.regex(formatRuns([alive], 120), /Last loss/);
  t.regex(formatRunLine(alive), /, last loss 1\.5000/);
  t.regex(formatRunLine(alive), /, evaluates image 5\/20 after iteration 30, 45 s left,/);
  t.is((await inspectRun(path.join(folder, 'a', 'done'))).evaluation, null);
  t.is((await inspectRun(path.join(folder, 'a', 'done'))).secondsLeft, null);
  t.deepEqual(await inspectRuns(path.join(folder, 'nowhere')), []);
});

test('a run whose files cannot be read, or hold something else, spoils no list', async (t) => {
  const folder = await runsOf(t, { fine: {}, folder: {}, other: { lock: null } });
  const run = (name: string) => path.join(folder, 'a', name);
  await rm(path.join(run('folder'), 'progress.json'));
  await mkdir(path.join(run('folder'), 'progress.json'));
  await writeFiles(run('other'), {
    'progress.json': '{"done":"many","loss":{}}',
    'status.json': '[]',
    'experiment.json': JSON.stringify({ profile: 'full\u001b[2J', seed: 1 }),
    'record.json': JSON.stringify({ error: 'Bad.\u001b]0;title\u0007\u202e', figures: { mIoU: 'high' } }),
  });
  const found = await inspectRuns(folder);
  t.deepEqual(states(found), { fine: 'running', folder: 'unreadable', other: 'unknown' });
  t.regex(found.find(({ run }) => run === 'folder')!.error!, /progress\.json is a folder, a file was expected\.$/);
  const other = found.find(({ run }) => run === 'other')!;
  t.like(other, { done: null, loss: null, mIoU: null });
  t.true(formatRuns(found, 80).includes('unreadable'));
  const shown = formatRun(other, null, ['strange\u0085name'], 80);
  t.notRegex(shown.replaceAll('\n', ''), /\p{Cc}|\u202e/u);
  t.true(shown.includes('full\\u001b[2J profile') && shown.includes('Bad.\\u001b]0;title\\u0007\\u202e'), shown);
  t.false(formatLogEntry({ note: '\u001b[31m' }).includes('\u001b'));
});

test('cleaning takes the states that are asked for, and never a run that may be running', async (t) => {
  const folder = await runsOf(t, {
    alive: {},
    quiet: { lock: { host: 'other' }, minutes: 60 },
    failed: { state: 'failed', lock: null },
    'failed-long-ago': { state: 'failed', minutes: 3 * 24 * 60, lock: null },
    interrupted: { state: 'interrupted', lock: null },
    killed: { lock: { pid: NO_PROCESS } },
  });
  const all = await inspectRuns(folder);
  const cleanable = (runs: readonly InspectedRun[], wanted: CleanOptions) =>
    cleanableRuns(runs, wanted, () => t.fail());
  const chosen = async (runs: readonly InspectedRun[], wanted: CleanOptions) =>
    (await cleanable(runs, wanted)).map(({ run }) => run.run);
  t.deepEqual(await chosen(all, { states: ['failed'], olderThanDays: 0 }), ['failed', 'failed-long-ago']);
  t.deepEqual(await chosen(all, { states: ['running', 'silent'], olderThanDays: 0 }), []);
  const old = await cleanable(all, { states: ['failed'], olderThanDays: 2 });
  t.deepEqual(
    old.map(({ run, bytes }) => [run.run, bytes > 100]),
    [['failed-long-ago', true]],
  );
  const options = { signal: new AbortController().signal, note: () => t.fail() };
  t.deepEqual(await removeRuns(old, options), { removed: old, left: [] });
  const kept = async () => Object.keys(states(await inspectRuns(folder))).sort();
  t.deepEqual(await kept(), ['alive', 'failed', 'interrupted', 'killed', 'quiet']);

  // Of three that were chosen one is taken by a process, and one goes on and is interrupted again, before they are removed.
  const several = await cleanable(await inspectRuns(folder), {
    states: ['failed', 'interrupted', 'killed'],
    olderThanDays: 0,
  });
  const taken = await Lock.take(path.join(folder, 'a', 'failed', 'lock'), false);
  await writeRun(path.join(folder, 'a', 'interrupted'), { state: 'interrupted', minutes: -1, lock: null });
  const { removed, left } = await removeRuns(several, options);
  await taken.release();
  t.deepEqual(
    removed.map(({ run }) => run.run),
    ['killed'],
  );
  t.deepEqual(
    left.map(({ run }) => run.run),
    ['failed', 'interrupted'],
  );
  t.regex(left[0]!.reason, /failed is in use by process \d+ on/);
  t.regex(left[1]!.reason, /interrupted was resumed meanwhile\.$/);
  t.deepEqual(await kept(), ['alive', 'failed', 'interrupted', 'quiet']);
});

test('runs behind links are found, and not removed; one that is gone or cannot be read prevents no other', async (t) => {
  const folder = await runsOf(t, { failed: { state: 'failed', lock: null }, gone: { state: 'failed', lock: null } });
  const elsewhere = await runsOf(t, { moved: { state: 'failed', lock: null } });
  await symlink(path.join(elsewhere, 'a', 'moved'), path.join(folder, 'a', 'moved'));
  await symlink(path.join(elsewhere, 'a'), path.join(folder, 'linked-row'));
  await writeFiles(folder, { 'a/notes.txt': 'x' });
  const all = await inspectRuns(folder);
  t.deepEqual(
    all.map(({ row, run }) => `${row}/${run}`),
    ['a/failed', 'a/gone', 'a/moved', 'linked-row/moved'],
  );
  await rm(path.join(folder, 'a', 'gone'), { recursive: true });
  const left: string[] = [];
  const chosen = await cleanableRuns(all, { states: ['failed'], olderThanDays: 0 }, (text) => left.push(text));
  t.deepEqual(
    chosen.map(({ run: { row, run } }) => `${row}/${run}`),
    ['a/failed', 'linked-row/moved'],
  );
  t.is(left.length, 2);
  t.regex(left[0]!, /^Left: .*gone does not exist\.$/);
  t.regex(left[1]!, /^Left: .*moved is a link: remove it and its target yourself\.$/);
});

test('a log is read in whole lines, from its end too, and followed until its run ends', async (t) => {
  const folder = await runsOf(t, { one: { state: 'completed', lock: null } });
  const run = path.join(folder, 'a', 'one');
  const log = path.join(run, 'log.jsonl');
  t.deepEqual(readEntries(log, -1000), { entries: [], next: 0 });
  const line = (iteration: number) => `${JSON.stringify({ iteration })}\n`;
  await appendFile(path.join(run, 'log.jsonl'), `${line(1)}${line(2)}{"iter\n${line(3)}{"iteration":`);
  const { entries, next } = readEntries(log, 0);
  t.deepEqual(entries, [{ iteration: 1 }, { iteration: 2 }, { iteration: 3 }]);
  await appendFile(path.join(run, 'log.jsonl'), '4}\n');
  t.deepEqual(readEntries(log, next).entries, [{ iteration: 4 }]);
  t.deepEqual(readEntries(log, -20).entries, [{ iteration: 4 }]);

  const signal = new AbortController().signal;
  const followed: object[] = [];
  for await (const entry of followLog(run, { lines: 2, follow: true, signal })) followed.push(entry);
  t.deepEqual(followed, [{ iteration: 3 }, { iteration: 4 }]);
});

test('lines of a log have columns, with dashes for what is missing or no number', (t) => {
  const step = { iteration: 50, loss: 3.6168123, decodeLoss: 2.5, auxiliaryLoss: 1.1168, accuracy: 12.345 };
  const speed = { learningRate: 0.01, secondsPerIteration: 0.25, peakLiveTensorBytes: 2 ** 20 };
  const lines = [
    LOG_HEADS,
    formatLogEntry({ ...step, ...speed }),
    formatLogEntry({ iteration: 100, loss: 1.2345e38, decodeLoss: null, accuracy: Number.NaN, learningRate: 1e-4 }),
    formatLogEntry({ iteration: 100, mIoU: 0.7225, mAcc: null, aAcc: 0.9 }),
    formatLogEntry({ note: 'resumed' }),
  ];
  t.deepEqual(lines, [
    'iteration mean loss    decode auxiliary  acc %        lr  s/step      peak',
    '       50     3.617       2.5     1.117  12.35      0.01    0.25    1.0 MB',
    '      100   1.2e+38         –         –    NaN    1.0e-4       –         –',
    '      100 mIoU 72.25, mAcc –, aAcc 90.00',
    '{"note":"resumed"}',
  ]);
});

test('watching ends with the last run, or with the signal', async (t) => {
  const folder = await runsOf(t, { alive: {}, done: { state: 'completed', lock: null } });
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

test("figures are in percent, from a record as from a run's progress, and a list shows the progress of ended runs, too", async (t) => {
  const folder = await runsOf(t, { done: { state: 'completed', lock: null }, alive: {} });
  const record = { figures: { mIoU: 15.5, mIoUMsFlip: 16.25 }, error: null, weights: null };
  await writeFiles(path.join(folder, 'a', 'done'), { 'record.json': JSON.stringify(record) });
  const alive = path.join(folder, 'a', 'alive', 'progress.json');
  const progress = JSON.parse(readFileSync(alive, 'utf8')) as Record<string, unknown>;
  await writeFile(alive, JSON.stringify({ ...progress, mIoU: 0.125 }));
  const found = await inspectRuns(folder);
  const figures = new Map(found.map(({ run, mIoU, mIoUMsFlip }) => [run, [mIoU, mIoUMsFlip]]));
  t.deepEqual(figures.get('done'), [15.5, 16.25]);
  t.deepEqual(figures.get('alive'), [12.5, null]);
  const done = found.filter(({ run }) => run === 'done');
  t.regex(formatRuns(done, 120), / 30\/120 \(25 %\) .* 15\.50 +16\.25$/m);
  t.regex(formatRun(done[0]!, null, [], 80), /^mIoU +15\.50$/m);
  const fractions = { last: { iteration: 4, mIoU: 0.5, mIoUMsFlip: null }, best: null };
  t.deepEqual(checkpointPercents(fractions), { last: { iteration: 4, mIoU: 50, mIoUMsFlip: null }, best: null });
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
