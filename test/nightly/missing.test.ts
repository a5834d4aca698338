import test from 'ava';
import type { Measurement, Quantity } from '../../src/nightly/history.js';
import { BENCHMARK_ROW, benchmarkSubject, CAMVID_ROW, partOf } from '../../src/nightly/history.js';
import { missingFigures, WHOLE_NIGHT } from '../../src/nightly/measurements.js';
import { makeNight } from '../helpers/night.js';

const figure = (quantity: Quantity, subject: string): Measurement => ({
  quantity,
  subject,
  hardware: 'Processor 9000',
  value: 10,
});
const GATED: ReadonlySet<Quantity> = new Set([
  'mIoU',
  'finalLoss',
  'kernelCost',
  'bf16StepTime',
  'benchmarkTensorBytes',
]);
const SIZE = [256, 512] as const;

const past = [
  makeNight({
    measurements: [
      figure('mIoU', 'row'),
      figure('finalLoss', 'row'),
      figure('trainingProcessBytes', 'row'),
      figure('mIoU', 'other'),
      figure('mIoU', CAMVID_ROW),
      figure('kernelCost', 'batchNorm'),
      figure('benchmarkTensorBytes', benchmarkSubject(SIZE)),
      figure('bf16StepTime', benchmarkSubject(SIZE)),
    ],
  }),
];

test('every figure is of the part that measures it', (t) => {
  t.is(partOf(figure('mIoU', BENCHMARK_ROW)), 'smoke');
  t.is(partOf(figure('mIoU', CAMVID_ROW)), 'camvid');
  t.is(partOf(figure('recipe', benchmarkSubject(SIZE))), 'benchmark');
  t.is(partOf(figure('kernelCost', 'batchNorm')), 'kernels');
  t.is(partOf(figure('startup', 'fcn table')), 'startup');
});

test('figures that earlier nights have and this one lacks are named, with their subject', (t) => {
  const night = makeNight({ asked: { parts: ['smoke', 'kernels'], rows: ['row', 'oth*'] } });
  t.deepEqual(
    missingFigures({ ...night, measurements: [...night.measurements, figure('kernelCost', 'add')] }, past, GATED),
    [
      'row: not measured, though earlier nights have it: finalLoss',
      'other: not measured, though earlier nights have it: mIoU',
      'batchNorm: not measured, though earlier nights have it: kernelCost',
    ],
  );
});

test('what was not asked for, failed or was left out is not missing', (t) => {
  const missing = (changes: Parameters<typeof makeNight>[0]) => missingFigures(makeNight(changes), past, GATED);
  const both = [figure('mIoU', 'row'), figure('finalLoss', 'row')];
  t.deepEqual(missing({ measurements: both }), [], 'other parts and rows were not asked for');
  t.deepEqual(missing({ problems: ['row: The loss is not finite.'] }), [], 'the row failed');
  const camvid = { measurements: both, asked: { parts: ['smoke' as const, 'camvid' as const], rows: ['row'] } };
  t.deepEqual(missing({ ...camvid, leftOut: [{ part: 'camvid', reason: 'not there' }] }), []);
  t.deepEqual(missing({ ...camvid, problems: ['camvid: broken'] }), []);
  t.deepEqual(missing(camvid), [
    'camvid: nothing was measured',
    `${CAMVID_ROW}: not measured, though earlier nights have it: mIoU`,
  ]);
});

test('only the quantities of a part that were left out are excused', (t) => {
  const night = makeNight({
    measurements: [figure('recipe', benchmarkSubject(SIZE))],
    asked: { parts: ['benchmark'], rows: null },
    leftOut: [{ part: 'benchmark', quantities: ['bf16StepTime'], reason: 'no bfloat16' }],
  });
  t.deepEqual(missingFigures(night, past, GATED), [
    `${benchmarkSubject(SIZE)}: not measured, though earlier nights have it: benchmarkTensorBytes`,
  ]);
});

test('of a whole night every part and every published row is wanted, before there is any other night', (t) => {
  const missing = missingFigures(makeNight({ asked: WHOLE_NIGHT }), [], GATED);
  t.true(missing.includes('parity: nothing was measured'));
  t.true(missing.includes(`${BENCHMARK_ROW}: not measured`));
  t.is(missing.length, 6 + 41);
});
