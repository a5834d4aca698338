import test from 'ava';
import { loadTables } from '../../src/recipe/tables.js';
import { recordProblems } from '../../src/records/problems.js';
import { type RunRecord, recordSchema } from '../../src/records/record.js';
import { figuresOf } from '../../src/records/verdict.js';
import { makeCompleteRecord, makeEvaluation } from '../helpers/complete-record.js';

const TABLES = loadTables();
const ROW = 'fcn_r50-d8_512x512_20k_voc12aug';

/** A record whose checkpoint of iteration 4,000 is better than the last. */
function withBest(): RunRecord {
  const record = makeCompleteRecord({ row: ROW }, 'best', 1449);
  const { evaluate, train } = record.details;
  const better = evaluate!.confusion.map((row, k) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    return row.map((_, i) => (i === k ? total : 0));
  });
  const evaluation = makeEvaluation(record.experiment.data.dataset, better, 1449);
  evaluate!.best = { ...evaluation, iteration: 4000, file: 'iteration-4000.safetensors', sha256: 'ef'.repeat(32) };
  train!.bestValidation = { iteration: 4000, mIoU: evaluation.mIoU };
  return record;
}

test('a record holds the best checkpoint beside the last, of which its figures are', (t) => {
  const record = withBest();
  t.deepEqual(recordProblems(record, TABLES), []);
  t.is(record.figures.mIoU, record.details.evaluate!.mIoU * 100);
  t.true(record.details.evaluate!.best!.mIoU > record.details.evaluate!.mIoU);
  t.deepEqual(figuresOf(record.details), record.figures);
  t.like(recordSchema.parse(record).details.evaluate, { best: { iteration: 4000 } });
});

const TAMPERED: readonly [string, (record: RunRecord) => void, RegExp][] = [
  ['figures', ({ details }) => (details.evaluate!.best!.mIoU = 0.999), /details\.evaluate\.best: mIoU is 0\.999, but/],
  ['an iteration', ({ details }) => (details.evaluate!.best!.iteration = 20_000), /of iteration 20000 of 20000/],
  ['its iteration', ({ details }) => (details.evaluate!.best!.iteration = 8000), /its iteration is 8000, but/],
  [
    'a best that is worse',
    ({ details: { evaluate, train } }) => (train!.bestValidation!.mIoU = evaluate!.mIoU),
    /its mIoU during training is not above that of the last checkpoint/,
  ],
];

for (const [name, change, problem] of TAMPERED) {
  test(`${name}, changed in the best checkpoint of a record, is found`, (t) => {
    const record = withBest();
    change(record);
    t.regex(recordProblems(record, TABLES).join('\n'), problem);
  });
}
