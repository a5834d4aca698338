import test from 'ava';
import { loadTables } from '../../src/recipe/tables.js';
import { whyNotComparable } from '../../src/records/comparability.js';
import type { RunRecord } from '../../src/records/record.js';
import type { Figure } from '../../src/records/verdict.js';
import { markNotes, marksOf } from '../../src/tables/cell.js';
import { makeReport } from '../../src/tables/table.js';
import { near } from '../helpers/numeric.js';
import { makeRecord } from '../helpers/record.js';
import { evaluationOf } from '../helpers/runs.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const figures: RunRecord['figures'] = { memoryGB: 1.5, fps: 3, mIoU: 71.5, mIoUMsFlip: 70 };

function cell(records: readonly RunRecord[], figure: Figure) {
  const { tables } = makeReport(loadTables(), records);
  return tables.flatMap(({ rows }) => rows).find(({ row }) => row === ROW)!.cells[figure];
}

test('a figure of the published recipe stands beside the published one, with its run', (t) => {
  const records = [makeRecord({ row: ROW }, { figures })];
  const { difference, ratio, ...rest } = cell(records, 'mIoU');
  t.deepEqual(rest, {
    published: 71.11,
    reproduced: 71.5,
    deviation: null,
    verdict: 'reproduced',
    tolerance: { value: 1, source: 'chosen here: no deviation over repeated trainings is published' },
    run: '20250102-030405-01234567',
    records: [{ run: '20250102-030405-01234567', seed: 0, file: null }],
    hardware: null,
    givenWeights: false,
    continued: false,
  });
  // The difference of two numbers that are rounded to 1.4e-14. Measured: 5.6e-16.
  near(t, difference!, 0.39, 2e-15);
  near(t, ratio!, 71.5 / 71.11);
  t.is(cell(records, 'mIoUMsFlip').verdict, 'below');
  t.deepEqual(makeReport(loadTables(), records).otherRuns, []);
});

test('memory and fps carry their hardware and get no verdict', (t) => {
  const records = [makeRecord({ row: ROW }, { figures })];
  t.like(cell(records, 'fps'), { reproduced: 3, verdict: null, hardware: 'Processor 9000, 2 cores (wasm)' });
  t.like(cell(records, 'memoryGB'), { reproduced: 1.5, verdict: null });
});

const APART: readonly [name: string, record: RunRecord, reason: string][] = [
  ['a smoke figure', makeRecord({ row: ROW, profile: 'smoke' }, { figures }), 'smoke profile'],
  [
    'a figure of a changed recipe',
    makeRecord({ row: ROW, overrides: ['width=32', 'iterations=100'] }, { figures }),
    'width=32, iterations=100',
  ],
  [
    'a figure on synthetic data',
    makeRecord({ row: ROW }, { figures, dataset: { id: 'cityscapes', fingerprint: 'ab'.repeat(32), synthetic: true } }),
    'synthetic data',
  ],
  [
    'a figure of a recipe that a file gives the name of a published row',
    makeRecord({ row: ROW, overrides: ['batch=4'] }, { figures, overrides: [], deviations: [] }),
    'another training.batch than published',
  ],
  [
    'a figure in the 16-bit float that the hardware has',
    makeRecord(
      { row: ROW, overrides: ['training.precision=bf16'] },
      { figures, overrides: ['training.precision=fp16'] },
    ),
    'precision=bf16',
  ],
  [
    'a smoke figure of a changed recipe',
    makeRecord(
      { row: ROW, profile: 'smoke', overrides: ['width=4', 'evaluation.limit=8', 'data.cropHw=[64, 64]'] },
      { figures },
    ),
    'smoke profile, width=4, data.cropHw=[64,64]',
  ],
  ['a figure of a local row', makeRecord({ row: 'camvid_r18-d8' }, { figures }), 'nothing published'],
];

for (const [name, record, reason] of APART) {
  test(`${name} never stands in a published table`, (t) => {
    const report = makeReport(loadTables(), [record]);
    for (const { rows } of report.tables) {
      for (const { cells } of rows) {
        for (const { reproduced, run } of Object.values(cells)) {
          t.is(reproduced, null);
          t.is(run, null);
        }
      }
    }
    t.deepEqual(
      report.otherRuns.map((other) => [other.row, other.reason, other.figures]),
      [[record.row, reason, figures]],
    );
  });
}

test('a run that did not complete stands nowhere', (t) => {
  const record = makeRecord({ row: ROW }, { figures, exitReason: 'failed', error: 'Disk full.' });
  t.is(cell([record], 'mIoU').verdict, 'not run');
  t.deepEqual(makeReport(loadTables(), [record]).otherRuns, []);
});

test('each figure is of the newest run that measured it', (t) => {
  const nothing = { memoryGB: null, fps: null, mIoU: null, mIoUMsFlip: null };
  const records = [
    makeRecord({ row: ROW }, { run: 'first', figures }),
    makeRecord({ row: ROW }, { run: 'second', figures: { ...nothing, mIoU: 72.5 } }),
  ];
  t.like(cell(records, 'mIoU'), { run: 'second', reproduced: 72.5, verdict: 'above' });
  t.like(cell(records, 'mIoUMsFlip'), { run: 'first', reproduced: 70 });
});

test('a figure of given weights is marked, speed is not', (t) => {
  const weights = { file: 'published.pth', sha256: 'cd'.repeat(32), source: 'given' } as const;
  const records = [makeRecord({ row: ROW }, { figures, weights })];
  t.true(cell(records, 'mIoU').givenWeights);
  t.false(cell(records, 'fps').givenWeights);
});

test('a training stands in a cell before what was merely evaluated, however new that is', (t) => {
  const weights = { file: 'mine.pth', sha256: 'cd'.repeat(32), source: 'given' } as const;
  const nothing = { memoryGB: null, fps: null, mIoU: null, mIoUMsFlip: null };
  const trained = makeRecord({ row: ROW }, { run: 'trained', figures });
  const evaluated = makeRecord({ row: ROW }, { run: 'given', figures: { ...nothing, mIoU: 80 }, weights });
  t.like(cell([trained, evaluated], 'mIoU'), { run: 'trained', givenWeights: false });
  t.like(cell([evaluated], 'mIoU'), { run: 'given', reproduced: 80, givenWeights: true });
});

test('weights of a run have a mark of their own, and stand in a cell only where no training does', (t) => {
  const trainedBy = { row: ROW, run: 'trained', iteration: 40 };
  const weights = { file: 'a.safetensors', sha256: 'cd'.repeat(32), source: 'given', trainedBy } as const;
  const trained = makeRecord({ row: ROW }, { run: 'trained', figures });
  const evaluated = makeRecord({ row: ROW }, { run: 'evaluated', figures: { ...figures, mIoU: 80 }, weights });
  t.like(cell([trained, evaluated], 'mIoU'), { run: 'trained', givenWeights: false });
  const alone = cell([evaluated], 'mIoU');
  t.like(alone, { givenWeights: true, weightsOf: `${ROW}/trained after iteration 40` });
  t.is(marksOf(alone), '¶');
  t.deepEqual(markNotes([alone]), ['¶ Evaluated with weights that another run trained here.']);
  t.is(marksOf(cell([evaluated], 'fps')), '');
});

test('a run that was resumed with changes is marked', (t) => {
  const continued = [{ at: '2025-01-02T03:04:05.000Z', changed: ['code version'] }];
  t.true(cell([makeRecord({ row: ROW }, { figures, continued })], 'mIoU').continued);
  const unchanged = [{ at: '2025-01-02T03:04:05.000Z', changed: [] }];
  t.false(cell([makeRecord({ row: ROW }, { figures, continued: unchanged })], 'mIoU').continued);
});

test('means over seeds stand with the runs that they are of', (t) => {
  const run = (seed: number, overrides: string[] = [], profile?: string) =>
    makeRecord({ row: ROW, seed, overrides, ...(profile && { profile }) }, { run: `${seed}${overrides}`, figures });
  const of = (records: RunRecord[]) => makeReport(loadTables(), records).spreads.map(({ kind }) => kind);
  t.deepEqual(of([run(0), run(1)]), ['published']);
  t.deepEqual(of([run(0, ['width=32']), run(1, ['width=32'])]), ['local']);
  t.deepEqual(of([run(0, [], 'smoke'), run(1, [], 'smoke')]), ['smoke']);
});

test('runs that differ in the seed are taken together', (t) => {
  const run = (seed: number, mIoU: number, overrides = ['width=32']) =>
    makeRecord({ row: 'camvid_r18-d8', overrides, seed }, { run: `${seed} ${mIoU}`, figures: { ...figures, mIoU } });
  const records = [run(0, 99), run(0, 40), run(1, 42), run(2, 44), run(3, 10, ['width=16'])];
  const { spreads } = makeReport(loadTables(), records);
  t.is(spreads.length, 1);
  t.like(spreads[0], { row: 'camvid_r18-d8', changes: ['width=32'], seeds: [0, 1, 2] });
  t.deepEqual(spreads[0]?.figures.mIoU, { mean: 42, deviation: 2 });
});

test('an evaluation of not all images that there are, or were published, stands apart', (t) => {
  const reason = (changes: object) => {
    const evaluate = {
      ...evaluationOf(
        ['road', 'car'],
        [
          [3, 1],
          [1, 3],
        ],
      ),
      images: 500,
      splitImages: 500,
      ...changes,
    };
    const { details } = makeRecord({ row: ROW });
    return whyNotComparable(makeRecord({ row: ROW }, { details: { ...details, evaluate } }), loadTables());
  };
  t.is(reason({}), null);
  t.is(reason({ splitImages: undefined }), null, 'of an earlier version');
  t.is(reason({ images: 499, skippedImages: ['a'] }), '1 validation image skipped');
  t.is(reason({ images: 499 }), '499 of 500 validation images accounted for');
  t.is(reason({ images: 499, splitImages: 499 }), '499 validation images, 500 were published');
  t.is(reason({ images: 499, splitImages: undefined }), '499 validation images, 500 were published');
});

test('figures on a data set that is not the published one stand apart, by what differs', (t) => {
  const dataset = { id: 'cityscapes', fingerprint: 'ab'.repeat(32), synthetic: false };
  const reason = (deviations: NonNullable<NonNullable<RunRecord['dataset']>['deviations']>) =>
    whyNotComparable(makeRecord({ row: ROW }, { dataset: { ...dataset, deviations } }), loadTables());
  t.is(reason([]), null);
  t.is(
    reason([
      { path: 'labels', published: 'a.json', value: 'b.tar' },
      { path: 'images.train', published: 2975, value: 1 },
    ]),
    'labels of b.tar instead of a.json, 1 train image instead of 2975',
  );
});

test('figures of a training that had to do without some images stand apart', (t) => {
  const { details } = makeRecord({ row: ROW });
  const train = {
    iterations: 40000,
    seconds: 1,
    finalLoss: 0.1,
    skippedSteps: 0,
    skippedSamples: ['a', 'b'],
    peakLiveTensorBytes: 1,
    peakProcessBytes: 1,
  };
  const record = makeRecord({ row: ROW }, { details: { ...details, train } });
  t.is(whyNotComparable(record, loadTables()), '2 training images skipped');
});
