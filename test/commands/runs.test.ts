import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { findRecords } from '../../src/records/folder.js';
import { fcn, fcnProcess } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';
import { logLine, writeRun } from '../helpers/runs.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const TINY = ['--profile', 'smoke', '--engine', 'wasm', '--set', 'width=4', '--set', 'training.batch=2'];

test.serial('a row goes through every stage into the table, and stays out of the published one', async (t) => {
  const cwd = await cityscapesFolder(t);

  const changes = ['--set', 'iterations=2', '--set', 'evaluation.limit=1', '--set', 'ratios=[0.5, 1]'];
  const { code, stdout, stderr } = await fcn(['reproduce', ROW, ...TINY, ...changes, '--seed', '5'], { cwd });
  t.is(code, 0, stderr);
  for (const stage of ['Train', 'Evaluate (single scale)', 'Evaluate (multi-scale + flip)', 'Benchmark']) {
    t.true(stderr.includes(`> ${stage}\n`), stage);
  }
  t.regex(stdout, /Compares with nothing published: smoke profile, synthetic data, width=4/);
  t.regex(stdout, /\n\nSingle scale, each class in %: mIoU .*\nClass +IoU +Acc.*\nroad /);

  const record = findRecords(path.join(cwd, 'results'), path.join(cwd, 'none'))[0]?.record;
  t.like(record, { row: ROW, profile: 'smoke', seed: 5, exitReason: 'completed', error: null });
  t.deepEqual(
    record?.stages.map(({ stage }) => stage),
    ['train', 'evaluate', 'evaluate-ms', 'benchmark'],
  );
  t.true(record?.dataset?.synthetic);
  t.is(record?.weights?.source, 'trained');
  for (const value of Object.values(record?.figures ?? {})) t.is(typeof value, 'number');

  const folder = path.join(cwd, 'runs', ROW, record!.run);
  t.deepEqual(readdirSync(folder).sort(), [
    'checkpoints',
    'environment.json',
    'experiment.json',
    'log.jsonl',
    'progress.json',
    'record.json',
    'run.json',
    'stages',
    'status.json',
  ]);
  t.like(JSON.parse(readFileSync(path.join(folder, 'status.json'), 'utf8')), { state: 'completed', stage: null });

  const weights = path.join(folder, 'checkpoints', record!.weights!.file);
  const evaluated = await fcn(['evaluate', ROW, ...TINY, ...changes, '--weights', weights, '--json'], { cwd });
  t.is(evaluated.code, 0, evaluated.stderr);
  t.regex(evaluated.stderr, /^> Evaluate \(single scale\)\n(.*\n)? {2}mIoU /m, 'progress is shown under --json');
  const again = (JSON.parse(evaluated.stdout) as { record: NonNullable<typeof record> }).record;
  t.is(again.weights?.source, 'given');
  t.is(again.weights?.sha256, record?.weights?.sha256);
  t.is(again.figures.mIoU, record!.figures.mIoU, 'the same weights give the same figure');
  t.is(again.figures.fps, null);

  const table = await fcn(['table', '--json'], { cwd });
  t.is(table.code, 0, table.stdout);
  const { tables, otherRuns } = JSON.parse(table.stdout) as {
    tables: { rows: { cells: Record<string, { reproduced: number | null }> }[] }[];
    otherRuns: { run: string }[];
  };
  t.is(otherRuns.length, 2);
  for (const { rows } of tables) {
    for (const { cells } of rows) for (const { reproduced } of Object.values(cells)) t.is(reproduced, null);
  }
});

test.serial(
  'a run continues if nobody reads its progress, and a watching command ends if nobody reads its output',
  async (t) => {
    const cwd = await cityscapesFolder(t);
    const endless = ['train', ROW, ...TINY, '--set', 'iterations=100000', '--set', 'logEvery=1'];
    // Progress is reported every five seconds, by a clock that runs a thousand times as fast.
    const preload = path.join(cwd, 'clock.mjs');
    writeFileSync(preload, 'const now = performance.now.bind(performance); performance.now = () => 1000 * now();');
    const { code } = await fcnProcess(endless, {
      cwd,
      env: { NODE_OPTIONS: `--import ${pathToFileURL(preload).href}` },
      onStart: async (child) => {
        const runs = path.join(cwd, 'runs', ROW);
        const lines = () => {
          const [run = ''] = existsSync(runs) ? readdirSync(runs) : [];
          const log = path.join(runs, run, 'log.jsonl');
          return existsSync(log) ? readFileSync(log, 'utf8').split('\n').length : 0;
        };
        const untilLines = async (count: number) => {
          while (child.exitCode === null && lines() < count) await sleep(50);
        };
        await untilLines(1);
        child.stderr?.destroy();
        // Each of them reports progress.
        await untilLines(lines() + 5);
        t.is(child.exitCode, null, 'it goes on');
        for (const command of [
          ['logs', ROW, '--follow', '--lines', '1'],
          ['watch', '--interval', '1'],
        ]) {
          const closed = await fcnProcess(['runs', ...command], {
            cwd,
            onStart: (looking) => looking.stdout?.once('data', () => looking.stdout?.destroy()),
          });
          t.is(closed.code, 0, closed.stderr);
          t.is(closed.stderr, '');
        }
        if (process.platform !== 'win32') {
          const looked = await fcnProcess(['runs', 'watch', ROW], {
            cwd,
            onStart: (looking) => looking.stdout?.once('data', () => looking.kill('SIGTERM')),
          });
          t.is(looked.code, 143, looked.stderr);
        }
        child.kill('SIGINT');
      },
    });
    t.is(code, 130);
  },
);

test.serial(
  'runs are listed, shown, watched, read and cleaned up; TensorBoard’s files are written on request',
  async (t) => {
    const cwd = await cityscapesFolder(t);
    const changes = ['--set', 'iterations=2', '--set', 'logEvery=1', '--tensorboard'];
    const parameters = ['reproduce', ROW, ...TINY, ...changes, '--stage', 'train', '--stage', 'evaluate'];
    const trained = await fcn(parameters, { cwd });
    t.is(trained.code, 0, trained.stderr);
    const json = async (...command: string[]) => {
      const { code, stdout, stderr } = await fcn(['runs', ...command, '--json'], { cwd });
      t.is(code, 0, stdout);
      t.regex(stderr, /^(No runs in runs\.\n)?$/);
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    const [run] = (await json('list')) as unknown as Record<string, unknown>[];
    t.like(run, { row: ROW, state: 'completed', profile: 'smoke', secondsLeft: null });
    t.is(typeof run?.['loss'], 'number');
    t.is(typeof run?.['mIoU'], 'number');
    t.true(((await json('show', ROW))['files'] as string[]).includes('tensorboard'));
    t.is(
      readdirSync(path.join(cwd, run!['folder'] as string, 'tensorboard')).length,
      2,
      'of training and of evaluation',
    );
    const log = (await json('logs')) as unknown as { iteration: number }[];
    t.deepEqual(
      log.map(({ iteration }) => iteration),
      [1, 2],
    );
    const listed = await fcn(['runs', 'list'], { cwd });
    t.regex(listed.stdout, new RegExp(`^${ROW}/${run!['run']}\n +completed .* [\\d.]+ `, 'm'));
    t.true(listed.stdout.split('\n').every((line) => line.length <= 80));
    const watched = await fcn(['runs', 'watch', ROW], { cwd });
    t.regex(watched.stdout, new RegExp(`^${ROW}/${run!['run']}: completed.*, last loss [\\d.]+, mIoU [\\d.]+\n$`));

    const dry = await fcn(['runs', 'clean', '--state', 'completed'], { cwd });
    t.regex(dry.stdout, /Would be removed: 1 run, /);
    t.true(existsSync(path.join(cwd, run!['folder'] as string)));
    const cleaned = await fcn(['runs', 'clean', '--state', 'completed', '--yes'], { cwd });
    t.regex(cleaned.stdout, /Removed: 1 run, /);
    t.deepEqual(await json('list'), [] as unknown as Record<string, unknown>);
    t.is(readdirSync(path.join(cwd, 'results', 'records')).length, 1, 'the kept record stays');
  },
);

test.serial('every command that takes a run accepts every form in which another command prints it', async (t) => {
  const cwd = await temporaryFolder(t);
  const run = '20250101-000000-aaaaaaaa';
  const changes = { run, exitReason: 'failed' as const, error: 'Full.' };
  const { directory } = await writeRun(path.join(cwd, 'runs'), { row: ROW }, changes, [logLine(7)]);
  await writeRun(path.join(cwd, 'runs'), { row: 'camvid_r18-d8' }, { run: '20250102-000000-bbbbbbbb' }, [logLine(1)]);
  const forms = [
    ...[`${ROW}/${run}`, run, '20250101', ROW, path.join('runs', ROW, run), path.join('runs', ROW, run, 'record.json')],
    directory,
  ];
  const json = async (...parameters: string[]) => {
    const { code, stdout } = await fcn([...parameters, '--json'], { cwd });
    t.is(code, 0, `${parameters.join(' ')}: ${stdout}`);
    return JSON.parse(stdout) as unknown;
  };
  const shown = forms.map(async (form) => t.like(await json('runs', 'show', form), { row: ROW, run }, form));
  const others = forms.slice(0, -1).map(async (form, i) => {
    // Each of these three gets two of the forms, to save processes.
    if (i % 3 === 0) t.like((await json('runs', 'logs', form)) as unknown[], [{ iteration: 7 }], form);
    if (i % 3 === 1) t.like((await json('runs', 'watch', form)) as unknown[], [{ row: ROW, run }], form);
    if (i % 3 === 2) {
      const label = `${ROW} ${run} (full, seed 0, failed)`;
      t.like(await json('compare', form, forms[4]!), { a: { label }, b: { label } }, form);
    }
  });
  await Promise.all([...shown, ...others]);
  const reported = await json('report', ...forms, '--out', 'report');
  t.like(reported, { runs: [{ row: ROW, run }] });
  const cleanable = (await json('runs', 'clean', ...forms)) as { runs: { run: string }[] };
  t.deepEqual(
    cleanable.runs.map((one) => one.run),
    [run],
  );
});

test.serial('runs clean removes the named runs, and says which are in another state', async (t) => {
  const cwd = await temporaryFolder(t);
  const [runs, row] = [path.join(cwd, 'runs'), 'camvid_r18-d8'];
  for (const [i, exitReason] of (['failed', 'failed', 'interrupted', 'completed'] as const).entries()) {
    await writeRun(runs, { row }, { run: `2025010${i}-x`, exitReason, error: null }, []);
  }
  const left = () => readdirSync(path.join(runs, row));
  const named = ['runs', 'clean', '20250100', '20250102', `${row}/20250103-x`, '--yes'];
  const removed = await fcn(named, { cwd });
  t.is(removed.code, 0, removed.stderr);
  const others = `${row}/20250102-x (interrupted), ${row}/20250103-x (completed)`;
  t.is(removed.stderr, `Left, because --state selects failed: ${others}.\n`);
  t.deepEqual(left(), ['20250101-x', '20250102-x', '20250103-x']);
  // An ambiguous beginning of a name, or an empty variable in a script, removes nothing: it is not the working folder.
  const refuse = (reference: string, where: string) =>
    fcn(['runs', 'clean', reference, '--yes', '--state', 'completed', '--runs', runs], { cwd: where });
  const refused = [refuse('2025', cwd), refuse('', path.join(runs, row, '20250103-x')), refuse('.', cwd)];
  for (const { code, stderr } of await Promise.all(refused)) t.is(code, 2, stderr);
  t.is(left().length, 3);
  const ofRow = await fcn(['runs', 'clean', row, '--state', 'failed', '--state', 'interrupted', '--yes'], { cwd });
  t.is(ofRow.code, 0, ofRow.stderr);
  t.deepEqual(left(), ['20250103-x']);
});
