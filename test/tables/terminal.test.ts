import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { loadTables } from '../../src/recipe/tables.js';
import { formatSummary, withoutOnlyKept } from '../../src/tables/report.js';
import { makeReport, type Report } from '../../src/tables/table.js';
import { compactReport } from '../../src/tables/terminal.js';
import { fitColumns, wrap } from '../../src/terminal/layout.js';
import { temporaryFolder } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';

const NOTHING = { memoryGB: null, fps: null, mIoU: null, mIoUMsFlip: null };

const CARDS = ['NVIDIA H100 80GB HBM3', 'Tesla V100-SXM2-32GB', 'NVIDIA GeForce RTX 4090'];
const SEEDS = 3;

/** Every published row, in full and in small, with three seeds, on three cards, with marks of every kind. */
function fullReport(seeds: boolean): Report {
  const tables = loadTables();
  const records = tables
    .filter(({ tolerance }) => tolerance !== null)
    .flatMap(({ rows }) => rows)
    .flatMap(({ id: row }) => ['full', 'smoke'].map((profile) => makeRecord({ row, profile })))
    .flatMap((record) => Array.from({ length: SEEDS }, (_, seed) => ({ ...record, seed })))
    .map((record, i) => ({
      ...record,
      experiment: { ...record.experiment, seed: record.seed },
      run: `20261126-${String(i).padStart(6, '0')}-01234567`,
      environment: {
        ...record.environment,
        device: 'gpu' as const,
        gpus: [{ name: CARDS[i % 3]!, driver: '550.54', memoryBytes: 2 ** 35 }],
      },
      weights: { ...record.weights!, source: i % 5 === 0 ? ('given' as const) : ('trained' as const) },
      continued: i % 4 === 0 ? [{ at: record.startedAt, changed: ['code'] }] : [],
      figures: { memoryGB: 11.37, fps: 122.46 + i, mIoU: 70 + (i % 7), mIoUMsFlip: 71 + (i % 5) },
    }));
  return makeReport(tables, records, {
    seeds,
    fileOf: ({ row, run, profile }) => `results/${profile}/${row}.${run}.json`,
  });
}

for (const seeds of [false, true]) {
  test(`lines are as wide as the terminal, ${seeds ? 'with means over seeds' : 'of the newest runs'}`, (t) => {
    const report = fullReport(seeds);
    for (const width of [40, 47, 60, 80]) {
      const text = compactReport(report, width);
      const long = text.split('\n').filter((line) => line.length > width);
      t.deepEqual(long, [], `${width} columns`);
      const leftOut = /\n\nLeft out to fit \d+ columns: .*\. --wide has all columns\.$/.test(
        text.replaceAll('\n  ', ' '),
      );
      t.is(leftOut, width < 72, `${width} columns`);
    }
  });
}

test('every figure has the number of its record, which is listed once', (t) => {
  const report = fullReport(true);
  const lines = compactReport(report).split('\n');
  const listed = lines.flatMap((line) => /^\[(\d+)\] \S+$/.exec(line)?.[1] ?? []);
  t.deepEqual(
    listed.map(Number),
    listed.map((_, i) => i + 1),
  );
  const files = new Set(
    [
      ...report.tables
        .flatMap(({ rows }) => rows.flatMap(({ cells }) => Object.values(cells)))
        .flatMap(({ records }) => records),
      ...report.otherRuns,
      ...report.spreads.flatMap(({ runs }) => runs),
    ].map(({ file }) => file),
  );
  t.is(listed.length, files.size);
  const shown = new Set(
    lines.filter((line) => !/^\[\d+\] \S+$/.test(line)).flatMap((line) => line.match(/\[\d+\]/g) ?? []),
  );
  t.deepEqual([...shown].sort(), listed.map((number) => `[${number}]`).sort());
});

/** How often texts occur in a report whose wrapped lines are joined. */
const occurrences = (text: string, part: string) => text.replaceAll('\n  ', ' ').split(part).length - 1;

test('a note appears once, also if it explains several tables', (t) => {
  const text = compactReport(fullReport(false));
  for (const note of [
    '= reproduced, ↑ above, ↓ below',
    'The published memory and fps are of a',
    'Published; below it',
  ]) {
    t.is(occurrences(text, note), note.startsWith('Published') ? occurrences(text, 'rows have a record') : 1, note);
  }
});

test('each table explains its own dashes, and a title that says the conditions is not repeated', (t) => {
  const records = [[], ['width=16']].map((overrides, i) =>
    makeRecord({ row: 'camvid_r18-d8', overrides }, { run: `run${i}`, figures: { ...NOTHING, mIoU: 50 + i } }),
  );
  const text = compactReport(makeReport(loadTables(), records));
  const tables = text.split('\n\n');
  for (const name of ['ADE20K', 'Pascal VOC 2012 + Aug']) {
    const at = tables.findIndex((part) => part.startsWith(`${name}, as published`));
    t.is(tables[at + 2], 'none: never published (2 × Mem (GB), 2 × Inf time (fps)).', name);
  }
  t.is(occurrences(text, 'Local runs: width=16'), 1);
  t.is(occurrences(text, 'Conditions: width=16'), 0);
  const alone = compactReport(makeReport(loadTables(), records.slice(1)));
  t.is(occurrences(alone, 'Conditions: width=16.'), 1);
});

test('runs that are only kept records can be left out, with their means', async (t) => {
  const runs = await temporaryFolder(t);
  const records = [0, 1, 2, 3].map((seed) =>
    makeRecord({ row: 'camvid_r18-d8', seed }, { run: `run${seed}`, figures: { ...NOTHING, mIoU: 50 + seed } }),
  );
  const fileOf = ({ run }: { run: string }) =>
    run === 'run3' ? 'results/records/run3.json' : `results/local/${run}.json`;
  const full = makeReport(loadTables(), records, { fileOf });
  t.is(full.spreads.length, 1);
  const none = withoutOnlyKept(makeReport(loadTables(), records.slice(0, 3), { fileOf }), runs);
  t.like(none, { leftOut: 3, report: { otherRuns: [], spreads: [] } });
  await mkdir(path.join(runs, 'camvid_r18-d8', 'run1'), { recursive: true });
  const { report, leftOut } = withoutOnlyKept(full, runs);
  t.deepEqual([report.otherRuns.map(({ run }) => run), leftOut, report.spreads.length], [['run1', 'run3'], 2, 1]);
});

test('notes explain only what is shown', (t) => {
  const tables = loadTables().filter(({ name }) => name === 'Cityscapes');
  const row = tables[0]!.rows[0]!.id;
  const textOf = (figures: object | null) => {
    const nothing = { memoryGB: null, fps: null, mIoU: null, mIoUMsFlip: null };
    const records = figures === null ? [] : [makeRecord({ row }, { figures: { ...nothing, ...figures } })];
    return compactReport(makeReport(tables, records, { seeds: false, fileOf: () => null }));
  };
  const noted = (text: string) => ({
    legend: occurrences(text, '= reproduced'),
    nothing: occurrences(text, 'Cityscapes, as published: none of its rows has a record'),
    tolerance: occurrences(text, 'mIoU is reproduced within'),
    hardware: occurrences(text, 'The published memory and fps are of'),
  });
  t.deepEqual(noted(textOf(null)), { legend: 0, nothing: 1, tolerance: 0, hardware: 0 });
  t.deepEqual(noted(textOf({ mIoU: 72 })), { legend: 1, nothing: 0, tolerance: 1, hardware: 0 });
  t.deepEqual(noted(textOf({ fps: 3.5 })), { legend: 1, nothing: 0, tolerance: 0, hardware: 1 });
});

test('a summary has a line for each table, and fits a terminal', (t) => {
  const report = fullReport(false);
  const lines = formatSummary(report, 80).split('\n');
  t.regex(lines[0]!, /^Table +Rows +Measured +Reproduced +Above +Below$/);
  for (const { table, rows } of report.tables) {
    const counts = lines
      .find((line) => line.startsWith(`${table}  `))!
      .slice(table.length)
      .trim()
      .split(/ +/)
      .map(Number);
    const [all, measured, ...verdicts] = counts;
    t.is(all, rows.length, table);
    t.is(measured, rows.filter(({ cells }) => cells.mIoU.reproduced !== null).length, table);
    t.deepEqual(
      verdicts,
      ['reproduced', 'above', 'below'].map(
        (verdict) => rows.filter(({ cells }) => cells.mIoU.verdict === verdict).length,
      ),
      table,
    );
  }
  const smoke = report.otherRuns.filter(({ profile }) => profile === 'smoke').length;
  t.true(lines.some((line) => line.startsWith(`${smoke} smoke runs and `)));
  for (const width of [60, 80]) {
    t.deepEqual(
      formatSummary(report, width)
        .split('\n')
        .filter((line) => line.length > width),
      [],
    );
  }
});

test('columns move together before any is left out, and words may take the rest of a line', (t) => {
  const lines = [
    ['Name', 'Size', 'mIoU'],
    ['one', '8', '72.25'],
    ['', { rest: 'as long as it is' }],
  ];
  const layout = { words: 1, spare: ['Size'] };
  t.deepEqual(fitColumns(lines, { ...layout, width: 80 }), {
    lines: ['Name  Size   mIoU', 'one      8  72.25', '      as long as it is'],
    leftOut: [],
  });
  t.deepEqual(fitColumns(lines.slice(0, 2), { ...layout, width: 15 }), {
    lines: ['Name Size  mIoU', 'one     8 72.25'],
    leftOut: [],
  });
  t.deepEqual(fitColumns(lines.slice(0, 2), { ...layout, width: 14 }), {
    lines: ['Name  mIoU', 'one  72.25'],
    leftOut: ['Size'],
  });
  t.deepEqual(fitColumns(lines.slice(0, 2), { ...layout, width: 5 }).leftOut, ['Size'], 'nothing else may go');
});

test('text is broken between words, and within one that is longer than a line', (t) => {
  t.deepEqual(wrap('a line of words', 9), ['a line of', '  words']);
  t.deepEqual(wrap('a 123456789 b', 6), ['a', '  1234', '  5678', '  9 b']);
  t.deepEqual(wrap('123456789', 6), ['1234', '  5678', '  9']);
  t.deepEqual(wrap('in /runs/tiny: a', 6), ['in', '  /runs/tiny:', '  a'], 'a path stays whole, to be copied');
  t.deepEqual(wrap('', 6), ['']);
});
