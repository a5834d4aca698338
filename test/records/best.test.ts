import test from 'ava';
import { loadTables } from '../../src/recipe/tables.js';
import { formatBest, markedCheckpoints } from '../../src/records/checkpoint-figures.js';
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
  record.details['evaluate-ms']!.best = { ...evaluate!.best };
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

test('the last and the best checkpoint are named with their figures', (t) => {
  const record = withBest();
  const { train, evaluate, 'evaluate-ms': multiScale } = record.details;
  const marked = markedCheckpoints(record)!;
  t.deepEqual(marked.last, { iteration: 20_000, mIoU: evaluate!.mIoU, mIoUMsFlip: multiScale!.mIoU });
  t.deepEqual(marked.best, { iteration: 4000, mIoU: evaluate!.best!.mIoU, mIoUMsFlip: multiScale!.best!.mIoU });
  t.regex(formatBest(marked)!, /^after iteration 4000: mIoU \d+\.\d\d, ms\+flip \d+\.\d\d$/);

  delete evaluate!.best;
  delete multiScale!.best;
  train!.bestValidation!.mIoU = evaluate!.mIoU;
  t.regex(formatBest(markedCheckpoints(record)!)!, /^the last, after iteration 20000: /);
  delete train!.bestValidation;
  t.is(formatBest(markedCheckpoints(record)!), null);
  record.details.train = null;
  t.is(markedCheckpoints(record), null);
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
  [
    'other weights with multi-scale + flip',
    ({ details }) => (details['evaluate-ms']!.best!.sha256 = 'ab'.repeat(32)),
    /details\.evaluate\.best: the SHA-256 of its weights is "ef.*, but details\.evaluate-ms\.best has/,
  ],
];

for (const [name, change, problem] of TAMPERED) {
  test(`${name}, changed in the best checkpoint of a record, is found`, (t) => {
    const record = withBest();
    change(record);
    t.regex(recordProblems(record, TABLES).join('\n'), problem);
  });
}
