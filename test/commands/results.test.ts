import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { checkResults } from '../../src/report/results/check.js';
import { keepRecords } from '../../src/report/results/keep.js';
import { type RunRecord, readRecord, writeRecord } from '../../src/runs/record.js';
import { UserError } from '../../src/support/errors.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';

const ROW = 'fcn_r50-d8_512x512_20k_voc12aug';

/** An evaluation whose figures follow from its matrix: 3 of 4 and 1 of 2 pixels. */
const EVALUATION: NonNullable<RunRecord['details']['evaluate']> = {
  images: 1449,
  skippedImages: [],
  seconds: 1,
  mIoU: (3 / 4 + 1 / 2) / 2,
  mAcc: (3 / 4 + 1) / 2,
  aAcc: 4 / 5,
  perClass: [
    { name: 'one', iou: 3 / 4, accuracy: 3 / 4 },
    { name: 'two', iou: 1 / 2, accuracy: 1 },
    { name: 'three', iou: null, accuracy: null },
  ],
  confusion: [
    [3, 1, 0],
    [0, 1, 0],
    [0, 0, 0],
  ],
};

function evaluated(run: string, options: Parameters<typeof makeRecord>[0]): RunRecord {
  return makeRecord(options, {
    run,
    stages: [{ stage: 'evaluate', startedAt: '2025-01-02T03:04:06.000Z', seconds: 1 }],
    figures: { memoryGB: null, fps: null, mIoU: 100 * EVALUATION.mIoU, mIoUMsFlip: null },
    details: { train: null, evaluate: EVALUATION, 'evaluate-ms': null, benchmark: null },
  });
}

test('records are kept by kind, listed, found whole, and end in the table of their kind', async (t) => {
  const cwd = await temporaryFolder(t);
  const inbox = path.join(cwd, 'results', 'records');
  await writeRecord(path.join(inbox, 'a.json'), evaluated('full', { row: ROW }));
  await writeRecord(path.join(inbox, 'b.json'), evaluated('small', { row: ROW, profile: 'smoke' }));
  await writeRecord(path.join(inbox, 'c.json'), evaluated('narrow', { row: ROW, overrides: ['width=32'] }));
  const added = await fcn(['results', 'add', path.join('results', 'records')], { cwd });
  t.is(added.code, 0, added.stderr);
  for (const [kind, run] of [
    ['full', 'full'],
    ['smoke', 'small'],
    ['local', 'narrow'],
  ] as const) {
    t.deepEqual(readdirSync(path.join(cwd, 'results', kind)), [`${ROW}.${run}.json`]);
  }
  const again = await fcn(['results', 'add', inbox], { cwd });
  t.regex(again.stdout, /^there already/m);
  t.false(again.stdout.includes('kept '));

  const verified = await fcn(['results', 'verify'], { cwd });
  t.is(verified.stdout, '3 records under results: all as they should be.\n');
  t.is(verified.code, 0);
  t.regex((await fcn(['results', 'list'], { cwd })).stdout, /^3 records: 1 full, 1 smoke, 1 local\.$/m);

  await fcn(['table', '--write', 'results/README.md'], { cwd });
  const written = readFileSync(path.join(cwd, 'results', 'README.md'), 'utf8');
  const [published, smoke, local] = written.split('<!-- end of fcn table');
  t.true(published!.includes(`[62.50](full/${ROW}.full.json)`));
  t.true(smoke!.includes(`[62.50](smoke/${ROW}.small.json)`));
  t.true(local!.includes(`[62.50](local/${ROW}.narrow.json)`));
  t.is((await fcn(['table', '--check', '--write', 'results/README.md'], { cwd })).code, 0);
});

const TAMPERED: readonly [string, (record: RunRecord) => void, RegExp][] = [
  ['a figure', (record) => (record.figures.mIoU = 70), /figures\.mIoU is 70, and the stages give 62\.5/],
  ['an mIoU', (record) => (record.details.evaluate!.mIoU = 0.7), /its classes' mean is 0\.625/],
  [
    'a class',
    (record) => (record.details.evaluate!.perClass[0]!.iou = 0.9),
    /the IoU of one is not that of the confusion/,
  ],
  ['a recipe', (record) => (record.experiment.training.batch = 4), /experimentHash is not that of the experiment/],
  ['a published figure', (record) => (record.experiment.published.mIoU = 62), /experimentHash is not/],
  ['an end', (record) => (record.exitReason = 'failed'), /the run was failed/],
];

for (const [name, change, problem] of TAMPERED) {
  test(`${name} that was changed is found, and such a record is not kept`, async (t) => {
    const results = await temporaryFolder(t);
    const file = path.join(results, 'full', `${ROW}.full.json`);
    await writeRecord(file, evaluated('full', { row: ROW }));
    const record = readRecord(file);
    change(record);
    writeFileSync(file, JSON.stringify(record));
    t.regex(checkResults(results).problems.join('\n'), problem);
    await t.throwsAsync(keepRecords([file], path.join(results, 'elsewhere')), { instanceOf: UserError });
    t.false(existsSync(path.join(results, 'elsewhere')));
  });
}

test('a record in the wrong folder or under another name is found, with exit code 1', async (t) => {
  const cwd = await temporaryFolder(t);
  await writeRecord(path.join(cwd, 'results', 'full', 'mine.json'), evaluated('small', { row: ROW, profile: 'smoke' }));
  const { code, stdout } = await fcn(['results', 'verify'], { cwd });
  t.is(code, 1);
  t.regex(stdout, /mine\.json: expected the name .*small\.json\n.*mine\.json: belongs to results.smoke\n/);
});
