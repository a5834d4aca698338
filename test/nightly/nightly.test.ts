import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {
  appendNight,
  BENCHMARK_ROW,
  CAMVID_ROW,
  NIGHT_PARTS,
  readNightHistory,
  readNights,
} from '../../src/nightly/history.js';
import { startupMeasurements } from '../../src/nightly/measurements.js';
import { selectRows } from '../../src/recipe/select.js';
import { packageRoot } from '../../src/support/package.js';
import { wildcardExpression } from '../../src/support/suggest.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { makeNight } from '../helpers/night.js';

test('fcn nightly joins parts, judges them, adds them to the history and exits with 1 where a gate fails', async (t) => {
  const cwd = await temporaryFolder(t);
  const write = (name: string, value: number) =>
    appendNight(
      path.join(cwd, name),
      makeNight({
        measurements: [{ quantity: 'mIoU', subject: name, hardware: 'Processor 9000', value }],
        asked: { parts: ['smoke'], rows: [name] },
      }),
    );
  await write('1.jsonl', 10);
  await write('2.jsonl', 20);
  const parts = ['nightly', '--from', '1.jsonl', '--from', '2.jsonl', '--history', 'history.jsonl'];
  const first = await fcn(parts, { cwd });
  t.is(first.code, 0, first.stderr);
  t.regex(first.stdout, /^## Nightly: No gate failed\n/);
  t.regex(first.stdout, /\| smoke-miou \| .* \| 2 no baseline \|/);

  writeFileSync(path.join(cwd, '2.jsonl'), '');
  await write('2.jsonl', 14);
  const second = await fcn([...parts, '--summary', 'page.md'], { cwd });
  t.is(second.code, 1);
  t.regex(second.stderr, /^failed: smoke-miou: mIoU of 2\.jsonl: 14, baseline 20; within 3 of the baseline: /m);
  t.is(readFileSync(path.join(cwd, 'page.md'), 'utf8'), second.stdout);
  t.deepEqual(
    readNightHistory(path.join(cwd, 'history.jsonl')).map(({ failed }) => failed),
    [[], ['smoke-miou', 'smoke-miou-here']],
  );

  const accepted = await fcn([...parts, '--accept', 'Meant so.'], { cwd });
  t.is(accepted.code, 1, 'it is said once more');
  t.is((await fcn(parts, { cwd })).code, 0);
});

const CAMVID = ['nightly', '--part', 'camvid', '--engine', 'wasm', '--data-root', 'data'];

test('CamVid that is not there is left out and said to be; alone it is no night', async (t) => {
  const cwd = await temporaryFolder(t);
  const measured = await fcn([...CAMVID, '--measure', 'camvid.jsonl'], { cwd });
  t.is(measured.code, 0, measured.stderr);
  const [night] = readNights(path.join(cwd, 'camvid.jsonl'));
  t.like(night?.leftOut?.[0], { part: 'camvid' });
  const alone = await fcn(['nightly', '--from', 'camvid.jsonl', '--history', 'history.jsonl'], { cwd });
  t.is(alone.code, 2);
  t.regex(alone.stderr, /^error: Nothing was measured\. camvid is left out: CamVid is not present/);
  t.deepEqual(readNightHistory(path.join(cwd, 'history.jsonl')), []);

  await appendNight(path.join(cwd, 'row.jsonl'), makeNight({ version: night!.version, commit: night!.commit }));
  const joined = await fcn(['nightly', '--from', 'row.jsonl', '--from', 'camvid.jsonl'], { cwd });
  t.is(joined.code, 0, joined.stderr);
  t.regex(joined.stdout, /^- left out: camvid: CamVid is not present: no folder .*camvid$/m);
  t.regex(joined.stdout, /^- not asked for: startup, benchmark, kernels, parity, webgpu$/m);
  t.regex(joined.stdout, /^- smoke runs only of `row`$/m);
});

test('CamVid that is there and broken is a problem, which --measure shows and exits with 1 for', async (t) => {
  const cwd = await temporaryFolder(t);
  mkdirSync(path.join(cwd, 'data', 'camvid'), { recursive: true });
  const { code, stderr } = await fcn([...CAMVID, '--measure', 'camvid.jsonl'], { cwd });
  t.is(code, 1);
  t.regex(stderr, /^failed: camvid: CamVid: /m);
  const [night] = readNights(path.join(cwd, 'camvid.jsonl'));
  t.is(night?.problems.length, 1);
  t.deepEqual(night?.leftOut, []);
});

test('a whole night of which a part or a row is in no file fails, with each of them named', async (t) => {
  const cwd = await temporaryFolder(t);
  const [first, ...others] = selectRows({ all: true }).map(({ id }) => id);
  const figure = { quantity: 'mIoU', subject: first!, hardware: 'Processor 9000', value: 10 } as const;
  await appendNight(path.join(cwd, '1.jsonl'), makeNight({ measurements: [figure] }));
  const { code, stderr } = await fcn(['nightly', '--from', '1.jsonl', '--whole'], { cwd });
  t.is(code, 1);
  for (const part of ['startup', 'camvid', 'benchmark', 'kernels', 'parity', 'webgpu']) {
    t.true(stderr.includes(`failed: ${part}: nothing was measured\n`), part);
  }
  for (const row of others) t.true(stderr.includes(`failed: ${row}: not measured\n`), row);
  t.false(stderr.includes(`failed: ${first}`));
});

test('flags that would have no effect, and an acceptance without a reason, are refused', async (t) => {
  const cwd = await temporaryFolder(t);
  const mistakes: [string[], RegExp][] = [
    [['--rows', 'fcn*', '--part', 'parity'], /--rows has no effect/],
    [['--measure', 'x', '--history', 'h'], /--history has no effect/],
    [['--measure', 'x', '--gates', 'g.yaml'], /--gates has no effect/],
    [['--measure', 'x', '--from', 'y'], /--from has no effect/],
    [['--from', 'x', '--part', 'parity'], /--part has no effect/],
    [['--whole'], /--whole has no effect/],
    [['--accept', ' '], /--accept gives no reason/],
    [['--from', 'empty.jsonl'], /empty\.jsonl is empty/],
    [['--rows', CAMVID_ROW, '--engine', 'wasm'], /Unknown row: camvid_r18-d8 among the published ones/],
  ];
  writeFileSync(path.join(cwd, 'empty.jsonl'), '\n');
  // What the environment sets is for other commands, too.
  const env = { FCN_HISTORY: 'history.jsonl', FCN_SUMMARY: 'summary.md' };
  for (const [parameters, message] of mistakes) {
    const { code, stderr } = await fcn(['nightly', ...parameters], { cwd, env });
    t.is(code, 2, parameters.join(' '));
    t.regex(stderr, message);
  }
});

test.serial('the start of commands is measured whatever records and settings are around', async (t) => {
  const cwd = await temporaryFolder(t);
  mkdirSync(path.join(cwd, 'records'));
  writeFileSync(path.join(cwd, 'records', 'broken.json'), '{');
  process.env['FCN_RESULTS'] = cwd;
  t.teardown(() => {
    delete process.env['FCN_RESULTS'];
  });
  const measured = startupMeasurements('Processor 9000', 1);
  t.deepEqual(
    measured.map(({ subject }) => subject),
    ['fcn --version', 'fcn --help', 'fcn list', 'fcn table'],
  );
  for (const { value } of measured) t.true(Number.isFinite(value) && Number(value) > 0);
});

test("the GitLab example's patterns match every published row once, and no other", (t) => {
  const docs = readFileSync(path.join(packageRoot(), 'docs', 'nightly.md'), 'utf8');
  const patterns = JSON.parse(docs.match(/- ROWS: (\[.*\])/)![1]!) as string[];
  for (const { id } of selectRows({ all: true })) {
    t.is(patterns.filter((pattern) => wildcardExpression(pattern).test(id)).length, 1, id);
  }
});

test('rows that parts are made of are in the tables, and docs and workflow name every part', (t) => {
  t.true(selectRows({ all: true }).some(({ id }) => id === BENCHMARK_ROW));
  t.false(selectRows({ all: true }).some(({ id }) => id === CAMVID_ROW));
  for (const file of ['docs/nightly.md', '.github/workflows/nightly.yml']) {
    const text = readFileSync(path.join(packageRoot(), file), 'utf8');
    for (const part of NIGHT_PARTS) t.true(text.includes(`--part ${part}`), `${file}: ${part}`);
  }
});
