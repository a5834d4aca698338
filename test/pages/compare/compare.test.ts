import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { compare } from '../../../src/pages/compare/compare.js';
import { formatComparison } from '../../../src/pages/compare/format.js';
import { inputOfLog } from '../../../src/pages/compare/input.js';
import { runInput, secondInput } from '../../../src/pages/compare/references.js';
import type { ResolveOptions } from '../../../src/recipe/resolve.js';
import { loadTables } from '../../../src/recipe/tables.js';
import { type RunRecord, writeRecord } from '../../../src/records/record.js';
import { makeReport } from '../../../src/tables/table.js';
import { sparkline } from '../../../src/terminal/layout.js';
import { parsePublishedLog } from '../../../src/training-logs/read.js';
import { fcn } from '../../helpers/command.js';
import { NARROW_AND_WIDE } from '../../helpers/experiments.js';
import { temporaryFolder } from '../../helpers/folder.js';
import { near } from '../../helpers/numeric.js';
import { makeRecord } from '../../helpers/record.js';
import { catalogueOf, evaluationOf, logLine, logLines, writeRun } from '../../helpers/runs.js';

const ROW = 'camvid_r18-d8';
const PUBLISHED_ROW = 'fcn_r18-d8_769x769_80k_cityscapes';

test('a sparkline has a column an equal part of the curve, on the common scale', (t) => {
  const samples = [0.1, 0.3, 0.6, 0.9].map((x, i) => ({ x, y: i }));
  t.is(sparkline(samples, 4, [0, 3]), '▁▃▆█');
  t.is(sparkline(samples, 8, [0, 3]), '▁ ▃ ▆  █');
  t.is(sparkline([{ x: 1, y: 5 }], 2, [5, 5]), ' ▅');
});

const NAMES = ['road', 'sky'];
const ALL_RIGHT = [
  [1, 0],
  [0, 1],
];
const evaluated = (confusion: number[][], mIoU: number) => ({
  figures: { memoryGB: null, fps: null, mIoU, mIoUMsFlip: null },
  details: {
    train: null,
    // As many images as Cityscapes has: of less there is no verdict.
    evaluate: { ...evaluationOf(NAMES, confusion), images: 500 },
    'evaluate-ms': null,
    benchmark: null,
  },
});

test('two runs: figures, classes, recipe and environment, by hand', async (t) => {
  const folder = await temporaryFolder(t);
  const folders = { runs: path.join(folder, 'runs'), results: path.join(folder, 'results') };
  const catalogue = catalogueOf(folders);
  const one = [
    [8, 2],
    [0, 10],
  ];
  const other = [
    [5, 5],
    [5, 5],
  ];
  await writeRun(folders.runs, { row: ROW }, { ...evaluated(one, 81.7), run: 'aaa' }, logLines(40));
  const changed = { ...evaluated(other, 33.3), run: 'bbb' };
  const { record } = await writeRun(folders.runs, { row: ROW, overrides: ['width=16'] }, changed, logLines(40));
  t.is(record.environment.cores, 2);
  const a = await runInput('aaa', catalogue);
  const { figures, classes, recipe, environment, stops, notes } = compare(a, await secondInput('bbb', a, catalogue));
  t.is(figures.length, 1);
  near(t, figures[0]!.difference!, 81.7 - 33.3);
  t.is(figures[0]!.verdict, null);
  // IoU of road 8/10 and 5/15, of sky 10/12 and 5/15.
  t.deepEqual(
    classes.map(({ name }) => name),
    ['sky', 'road'],
  );
  near(t, classes[0]!.difference, 100 * (10 / 12 - 5 / 15));
  near(t, classes[1]!.difference, 100 * (8 / 10 - 5 / 15));
  t.deepEqual(recipe, [{ path: 'model.width', a: 64, b: 16 }]);
  t.deepEqual(environment, []);
  t.is(stops.length, 6);
  t.regex(notes.join(), /that takes two seeds of each recipe, and there are 1 and 1/);
});

test('two short runs: no empty columns or lines, and why the hash of one folder differs', async (t) => {
  const folder = await temporaryFolder(t);
  const folders = { runs: path.join(folder, 'runs'), results: path.join(folder, 'results') };
  const catalogue = catalogueOf(folders);
  const experiment = path.join(folder, 'mine.yaml');
  writeFileSync(experiment, NARROW_AND_WIDE);
  const write = (run: string, changes: Partial<RunRecord>) =>
    writeRun(folders.runs, { row: 'narrow', file: experiment }, { run, ...changes }, [logLine(2)]);
  const stages = [{ stage: 'evaluate' as const, startedAt: '2025-01-02T03:04:06.000Z', seconds: 1 }];
  const dataset = { id: 'camvid', fingerprint: 'cd'.repeat(32), synthetic: false };
  await write('aaa', evaluated(ALL_RIGHT, 50));
  await write('bbb', { ...evaluated(ALL_RIGHT, 60), stages, dataset });
  const a = await runInput('aaa', catalogue);
  const text = formatComparison(compare(a, await secondInput('bbb', a, catalogue)));
  t.regex(text, /│ Figure │ A +│ B +│ A − B +│\n/);
  const shares = [...text.matchAll(/│ (\d+) % +│/g)].map(([, share]) => share);
  t.deepEqual(shares, ['100']);
  t.regex(text, /│ data +│ camvid abababababab +│ camvid cdcdcdcdcdcd +│/);
  t.regex(text, /│ stages +│ train +│ evaluate +│/);
  t.regex(text, /\nThe hash of the data is of classes, names and file sizes of the samples in the\n/);
});

test('seeds: their means are compared, and with a published figure', async (t) => {
  const folder = await temporaryFolder(t);
  const folders = { runs: path.join(folder, 'runs'), results: path.join(folder, 'results') };
  const catalogue = catalogueOf(folders);
  for (const [i, mIoU] of [70, 71, 72].entries()) {
    const changes = {
      ...evaluated(ALL_RIGHT, mIoU),
      run: `seed${i}`,
    };
    await writeRun(folders.runs, { row: PUBLISHED_ROW, seed: i }, changes, []);
    const wide = {
      ...evaluated(ALL_RIGHT, mIoU + 5),
      run: `wide${i}`,
    };
    await writeRun(folders.runs, { row: PUBLISHED_ROW, seed: i, overrides: ['width=32'] }, wide, []);
  }
  const a = await runInput('seed1', catalogue);
  t.is(a.seeds.length, 3);
  const [figure] = compare(a, await secondInput('wide1', a, catalogue)).figures;
  // Means 71 and 76, deviations 1: t = −5/√(2/3), four degrees of freedom.
  near(t, figure!.significance!.t, -5 / Math.sqrt(2 / 3));
  near(t, figure!.significance!.degreesOfFreedom, 4);
  const comparison = compare(a, await secondInput(undefined, a, catalogue));
  const mIoU = comparison.figures.find(({ figure }) => figure === 'mIoU')!;
  t.is(mIoU.b, 70.8);
  t.is(mIoU.verdict, 'reproduced');
  near(t, mIoU.significance!.t, (71 - 70.8) / Math.sqrt(4 / 3));
  t.regex(formatComparison(comparison), /mIoU +│ 71\.00 │ 70\.80 │ \+0\.20 │ reproduced, p = 0\.\d{3}/);
});

test('records that are kept are seeds, too: without any run directory', async (t) => {
  const folder = await temporaryFolder(t);
  const [runs, results] = [path.join(folder, 'runs'), path.join(folder, 'results')];
  for (const seed of [0, 1]) {
    const changes = {
      ...evaluated(ALL_RIGHT, 70 + seed),
      run: `seed${seed}`,
    };
    const record = makeRecord({ row: PUBLISHED_ROW, seed }, changes);
    await writeRecord(path.join(results, 'full', `${PUBLISHED_ROW}.seed${seed}.json`), record);
  }
  const catalogue = catalogueOf({ runs, results });
  const a = await runInput('seed0', catalogue);
  const { figures, notes } = compare(a, await secondInput(undefined, a, catalogue));
  t.deepEqual(
    a.seeds.map(({ seed }) => seed),
    [0, 1],
  );
  t.deepEqual(figures.find(({ figure }) => figure === 'mIoU')!.significance!.n, [2, 1]);
  t.notRegex(notes.join(), /cannot be tested/);
});

const V100 = { name: 'Tesla V100-SXM2-16GB', driver: '470.1', memoryBytes: 16 * 2 ** 30 };
const ON_V100 = { ...makeRecord({ row: ROW }).environment, engine: 'tensorflow', device: 'gpu' as const, gpus: [V100] };
/** The parts of a comparison that it takes a kept record for. */
async function beside(t: ExecutionContext, options: ResolveOptions, changes: Partial<RunRecord>, other?: string) {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'results', 'local', 'x.json');
  await writeRecord(file, makeRecord(options, changes));
  const catalogue = catalogueOf({ runs: path.join(folder, 'runs'), results: path.join(folder, 'results') });
  const a = await runInput(file, catalogue);
  const comparison = compare(a, await secondInput(other, a, catalogue));
  const of = (name: string) => comparison.figures.find(({ figure }) => figure === name)!;
  return { comparison, of, text: formatComparison(comparison) };
}

test('beside a row, verdicts and hardware are those of the table', async (t) => {
  const row = 'fcn_r50-d8_512x1024_40k_cityscapes';
  // Published: 5.7 GB, 4.17 fps, 72.25.
  const figures = { memoryGB: 5.8, fps: 3, mIoU: 72.5, mIoUMsFlip: null };
  const record = makeRecord({ row }, { figures, environment: ON_V100 });
  const { of, text } = await beside(t, { row }, record);
  const { cells } = makeReport(loadTables(), [record])
    .tables.flatMap(({ rows }) => rows)
    .find((one) => one.row === row)!;
  for (const figure of ['memoryGB', 'fps', 'mIoU', 'mIoUMsFlip'] as const) {
    t.is(of(figure).verdict, cells[figure].verdict, figure);
  }
  t.deepEqual([of('memoryGB').verdict, of('fps').verdict], ['reproduced', 'below']);
  t.true(of('fps').sameHardware);
  t.regex(text, /│ below, ×0\.72 +│/);
  const elsewhere = await beside(t, { row }, { figures });
  t.is(elsewhere.of('fps').verdict, null);
  t.regex(elsewhere.text, /│ ×0\.72, other hardware +│/);
  t.regex(text, /\nEnvironment: none is published\.\n/);
});

test('what compares with nothing published gets neither verdict nor test', async (t) => {
  const folder = await temporaryFolder(t);
  const results = path.join(folder, 'results');
  for (const seed of [0, 1, 2]) {
    const changes = {
      ...evaluated(ALL_RIGHT, 2 + 0.05 * seed),
      run: `seed${seed}`,
    };
    const record = makeRecord({ row: PUBLISHED_ROW, profile: 'smoke', seed }, changes);
    await writeRecord(path.join(results, 'smoke', `${seed}.json`), record);
  }
  const catalogue = catalogueOf({ runs: path.join(folder, 'runs'), results });
  const a = await runInput('seed0', catalogue);
  t.is(a.seeds.length, 3);
  const comparison = compare(a, await secondInput(undefined, a, catalogue));
  for (const { verdict, significance } of comparison.figures) t.deepEqual([verdict, significance], [null, null]);
  t.regex(comparison.notes.join(), /compare with nothing published \(smoke profile\).*neither verdict nor test/);
});

test('a run of a row of your own alone: its figures, its classes, and what was changed in the row', async (t) => {
  const file = path.join(await temporaryFolder(t), 'mine.yaml');
  writeFileSync(file, NARROW_AND_WIDE);
  const options = { file, row: 'narrow', overrides: ['training.batch=1'] };
  const { comparison, text } = await beside(t, options, evaluated(ALL_RIGHT, 100));
  t.deepEqual(comparison.recipe, [{ path: 'training.batch', a: 1, b: 2 }]);
  t.regex(text, /^B {2}narrow as its experiment file had it$/m);
  t.regex(text, /mIoU +│ 100\.00 │ – /);
  for (const name of NAMES) t.regex(text, new RegExp(`${name} +100\\.00`));
  t.notRegex(text, /published|Environment/);

  writeFileSync(file, NARROW_AND_WIDE.replace('narrow,', 'narrow, published: { mIoU: 90 },'));
  const published = await beside(t, options, evaluated(ALL_RIGHT, 100));
  t.like(published.of('mIoU'), { a: 100, b: 90, verdict: null, significance: null });
  t.regex(published.text.replaceAll(/\s+/g, ' '), /compare with nothing published \(/);
});

test('figures of weights that were given are marked, and nothing is said of chance', async (t) => {
  const weights = { file: 'x.pth', sha256: 'ab'.repeat(32), source: 'given' as const };
  const { text, comparison } = await beside(
    t,
    { row: PUBLISHED_ROW },
    {
      ...evaluated(ALL_RIGHT, 70.5),
      weights,
    },
  );
  t.regex(text, /│ 70\.50 † +│/);
  t.regex(text, /† Evaluated with weights that were given, not trained here\./);
  t.is(comparison.figures.find(({ figure }) => figure === 'mIoU')!.significance, null);
});

test('a published log: recipe of its row, environment, hardware; one of another row is said to be', async (t) => {
  const row = 'fcn_r50-d8_512x1024_40k_cityscapes';
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'fcn_r50-d8_512x1024_40k_cityscapes_20200604_192608.log.json');
  const header = { env_info: 'sys.platform: linux\nGPU 0,1: Tesla V100-SXM2-32GB\n', seed: 0 };
  const line = { mode: 'train', iter: 50, lr: 0.01, loss: 1.5, memory: 5754, time: 0.4 };
  writeFileSync(file, `${JSON.stringify(header)}\n${JSON.stringify(line)}\n`);
  const figures = { memoryGB: 5.8, fps: null, mIoU: null, mIoUMsFlip: null };
  const { comparison, of, text } = await beside(t, { row }, { figures, environment: ON_V100 }, file);
  t.deepEqual(comparison.recipe, []);
  t.true(comparison.environment!.some(({ path, b }) => path === 'GPUs' && b === '2 × Tesla V100-SXM2-32GB'));
  t.true(of('memoryGB').sameHardware);
  t.is(comparison.b.iterations, 40_000);
  for (const printed of text.split('\n')) t.true(printed.length <= 80 || printed.includes(folder), printed);
  const other = await beside(t, { row: PUBLISHED_ROW }, { figures }, file);
  t.regex(
    other.comparison.notes[0]!,
    /^The log belongs to the row fcn_r50-d8_512x1024_40k_cityscapes, and the run to fcn_r18/,
  );
  const renamed = path.join(folder, 'log.json');
  writeFileSync(renamed, `${JSON.stringify(line)}\n`);
  const unknown = await beside(t, { row }, { figures }, renamed);
  t.is(unknown.comparison.recipe, null);
  t.regex(unknown.text, /Recipe: the log does not say which row it belongs to\./);
  t.regex(unknown.text, /×1\.03, hardware unknown/);
  t.regex(unknown.text, /The log does not state: engine and machine, the hardware of its memory\./);
  await t.throwsAsync(runInput(renamed, catalogueOf({ runs: folder, results: folder })), {
    name: 'UserError',
    message: /is a training log: the first of the two must be a run/,
  });
});

test('seeds of one recipe are one sample: nothing is said of chance', async (t) => {
  const folder = await temporaryFolder(t);
  const folders = { runs: path.join(folder, 'runs'), results: path.join(folder, 'results') };
  const catalogue = catalogueOf(folders);
  for (const seed of [0, 1]) {
    const changes = {
      ...evaluated(ALL_RIGHT, 50 + seed),
      run: `seed${seed}`,
    };
    await writeRun(folders.runs, { row: ROW, seed }, changes, []);
  }
  const a = await runInput('seed0', catalogue);
  const { figures, notes, environment } = compare(a, await secondInput('seed1', a, catalogue));
  t.is(figures[0]!.significance, null);
  t.regex(notes.join(), /Both are runs of one recipe/);
  t.deepEqual(environment, [{ path: 'seed', a: '0', b: '1' }]);
});

test('a run beside a published log: curves by the part of the schedule', (t) => {
  const train = Array.from({ length: 800 }, (_, i) => ({
    mode: 'train',
    iter: 50 * (i + 1),
    lr: 0.01,
    loss: 2 - (i + 1) / 800 + 0.05 * (i % 2 === 0 ? 1 : -1),
    memory: 1024,
  }));
  const validation = { mode: 'val', iter: 40_000, mIoU: 0.7225, mAcc: 0.8, aAcc: 0.95, 'IoU.road': 0.97 };
  const text = [...train, validation].map((line) => JSON.stringify(line)).join('\n');
  const input = inputOfLog(parsePublishedLog(text, 'log'), 'log');
  t.is(input.iterations, 40_000);
  t.is(input.figures.mIoU, 72.25);
  t.is(input.figures.memoryGB, 1);
  const { departures: found, stops } = compare({ ...input, kind: 'run' }, input);
  t.deepEqual(found, []);
  for (const { a, b } of stops) t.is(a, b);
});

test('fcn compare prints, and gives JSON; what is not there is said', async (t) => {
  const cwd = await temporaryFolder(t);
  await writeRun(
    path.join(cwd, 'runs'),
    { row: ROW },
    {
      ...evaluated(
        [
          [8, 2],
          [0, 10],
        ],
        81.7,
      ),
      run: 'aaa',
    },
    logLines(40),
  );
  const { code, stdout, stderr } = await fcn(['compare', 'aaa'], { cwd });
  t.is(code, 0, stderr);
  t.regex(stdout, /^A {2}camvid_r18-d8 aaa \(full, seed 0, completed\)\nB {2}camvid_r18-d8 as published \(Local\)\n/);
  t.regex(stdout, /\nRecipe: no difference\.\n/);
  const json = await fcn(['compare', 'aaa', path.join('runs', ROW, 'aaa', 'log.jsonl'), '--json'], { cwd });
  const { stops, departures: found } = JSON.parse(json.stdout) as { stops: unknown[]; departures: unknown[] };
  t.is(stops.length, 6);
  t.deepEqual(found, []);
  const missing = await fcn(['compare', 'aaa', 'bbb'], { cwd });
  t.is(missing.code, 2);
  t.regex(missing.stderr, /No run is called bbb/);
});
