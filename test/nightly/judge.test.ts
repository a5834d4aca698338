import test from 'ava';
import { type Gates, gatesSchema, judgeNight, loadGates } from '../../src/nightly/gates.js';
import type { Measurement, Night, Quantity } from '../../src/nightly/history.js';
import { benchmarkSubject, ON_WEBGPU, partOf } from '../../src/nightly/history.js';
import {
  halfStepMeasurements,
  parityMeasurements,
  recordMeasurements,
  WHOLE_NIGHT,
} from '../../src/nightly/measurements.js';
import { failureLine, nightSummary } from '../../src/nightly/nightly.js';
import type { Check } from '../../src/parity/check.js';
import { sparklineOf } from '../../src/terminal/layout.js';
import { makeNight } from '../helpers/night.js';
import fc from '../helpers/properties.js';
import { makeRecord } from '../helpers/record.js';

const ROWS = ['fcn_r18-d8_512x1024_80k_cityscapes', 'fcn_r50-d8_512x512_20k_voc12aug', 'camvid_r18-d8'];
const HARDWARE = 'Processor 9000, 2 cores (wasm)';

/** Figures of a quiet night, as they were measured for the first of the rows. */
const QUIET: Readonly<Partial<Record<Quantity, number>>> = {
  mIoU: 9.97,
  mIoUMsFlip: 9.44,
  finalLoss: 2.63,
  benchmarkTensorBytes: 14_660_000,
  trainingTensorBytes: 22_830_000,
  trainingProcessBytes: 590_000_000,
  trainingShare: 0.384,
  inferenceShare: 0.777,
  benchmarkTrainingShare: 0.85,
  benchmarkInferenceShare: 0.9,
};

/** As measured on two cores with AVX512-BF16. */
const STEPS = { sizeHw: [256, 512], fullSeconds: 5, halfSeconds: 2.5, timeRatio: 0.5, tensorBytesRatio: 0.7 } as const;

/** Recipes and data of the rows: resolving them takes longer than everything else here. */
const OF_RECORDS = new Map(ROWS.map((row) => [row, recordMeasurements(makeRecord({ row, profile: 'smoke' }))]));

type Change = (measurement: Measurement) => Measurement | Measurement[];

function night(change: Change = (same) => same, changes: Partial<Night> = {}): Night {
  const measurements = ROWS.flatMap((subject): Measurement[] => [
    ...OF_RECORDS.get(subject)!,
    ...Object.entries(QUIET).map(([quantity, value]) => ({
      quantity: quantity as Quantity,
      subject,
      hardware: HARDWARE,
      value,
    })),
  ]);
  const others: Measurement[] = [
    ...parityMeasurements(checks(2e-6), HARDWARE),
    { quantity: 'kernelCost', subject: 'batchNorm', hardware: HARDWARE, value: 1.4 },
    { quantity: 'kernelCost', subject: 'add', hardware: HARDWARE, value: 1.02 },
    ...halfStepMeasurements(STEPS, HARDWARE),
    { quantity: 'startup', subject: 'fcn table', hardware: HARDWARE, value: 6.5 },
  ];
  return {
    format: 1,
    at: '2026-01-01T02:00:00.000Z',
    version: '0.1.0',
    commit: null,
    engine: 'wasm',
    measurements: [...measurements, ...others].flatMap(change),
    problems: [],
    asked: WHOLE_NIGHT,
    leftOut: [],
    failed: [],
    accepted: null,
    ...changes,
  };
}

function checks(gradient: number): Check[] {
  const common = { case: 'r18', unit: 'relative' as const, passed: true, reason: 'rounding' };
  return [
    { ...common, quantity: 'logits', tolerance: 5e-5, difference: 1e-6, at: 'logits.npy' },
    { ...common, quantity: 'gradients of heads', tolerance: 1e-4, difference: gradient, at: 'decode_head' },
  ];
}

const scaled =
  (quantity: Quantity, factor: number, rows: readonly string[] = ROWS): Change =>
  (one) =>
    one.quantity === quantity && rows.includes(one.subject) ? { ...one, value: Number(one.value) * factor } : one;

const HISTORY = [night(), night(), night()];
const gates = await loadGates();

function failedGates(tonight: Night, history: readonly Night[] = HISTORY, by: Gates = gates): string[] {
  const failed = judgeNight(by, tonight, history).filter(({ verdict }) => verdict === 'fail');
  return [...new Set(failed.map(({ gate }) => gate.name))];
}

test('a night like those before passes every gate', (t) => {
  t.deepEqual(failedGates(night()), []);
  const verdicts = new Set(judgeNight(gates, night(), HISTORY).map(({ verdict }) => verdict));
  t.deepEqual([...verdicts], ['pass']);
});

/** A planted regression and the gates that are meant for it. */
const PLANTED: readonly [name: string, change: Change, gates: string[]][] = [
  [
    'a wrong gradient',
    (one) => (one.quantity === 'parity' ? parityMeasurements(checks(0.3), HARDWARE) : one),
    ['parity', 'parity-margin'],
  ],
  [
    'an error that hides within the tolerance',
    (one) => (one.quantity === 'parity' ? parityMeasurements(checks(6e-5), HARDWARE) : one),
    ['parity-margin'],
  ],
  [
    'a gradient that is no number',
    (one) => (one.quantity === 'parity' ? parityMeasurements(checks(Number.POSITIVE_INFINITY), HARDWARE) : one),
    ['parity', 'parity-margin'],
  ],
  ['one kernel of many that takes 30 % longer', scaled('kernelCost', 1.3, ['add']), ['kernel-cost']],
  ['a training step that takes 30 % longer', scaled('benchmarkTrainingShare', 1 / 1.3), ['training-share']],
  ['an inference that takes 30 % longer', scaled('benchmarkInferenceShare', 1 / 1.3), ['inference-share']],
  ['narrow networks at half of their speed', scaled('trainingShare', 1 / 2), ['smoke-training-share']],
  ['a tensor that is never disposed', scaled('trainingTensorBytes', 1.05), ['training-memory']],
  ['a larger training step', scaled('benchmarkTensorBytes', 1.05, [ROWS[1]!]), ['tensor-memory']],
  ['memory that leaks outside of tensors', scaled('trainingProcessBytes', 1.5), ['process-memory']],
  [
    'mixed precision that gains too little',
    scaled('bf16StepTime', 1.8, [benchmarkSubject([256, 512])]),
    ['bf16-step-time'],
  ],
  [
    'mixed precision that keeps images in float32',
    scaled('bf16StepTensorBytes', 1.3, [benchmarkSubject([256, 512])]),
    ['bf16-step-memory'],
  ],
  ['figures that are worse by five points', scaled('mIoU', 0.5), ['smoke-miou', 'smoke-miou-here']],
  ['figures that are better by five points', scaled('mIoU', 1.5), ['smoke-miou', 'smoke-miou-here']],
  ['another multi-scale evaluation', scaled('mIoUMsFlip', 0.5), ['smoke-miou-ms-flip']],
  ['a training that learns less', scaled('finalLoss', 1.2), ['smoke-loss']],
  [
    'a library that is loaded needlessly',
    (one) => (one.quantity === 'startup' ? { ...one, value: 11 } : one),
    ['startup-growth'],
  ],
  [
    'a start that takes a second',
    (one) => (one.quantity === 'startup' ? { ...one, value: 16 } : one),
    ['startup', 'startup-growth'],
  ],
  [
    'a changed recipe',
    (one) =>
      one.quantity === 'recipe' && one.subject === ROWS[0]
        ? recordMeasurements(
            makeRecord({ row: ROWS[0], profile: 'smoke', overrides: ['training.momentum=0.8'] }),
          ).filter(({ quantity }) => quantity === 'recipe')
        : one,
    ['recipe'],
  ],
  ['other painted data', (one) => (one.quantity === 'data' ? { ...one, value: 'ef'.repeat(32) } : one), ['data']],
];

for (const [name, change, expected] of PLANTED) {
  test(`${name} is caught by the gate that is meant for it`, (t) => {
    t.deepEqual(failedGates(night(change)), expected);
  });
}

test('a regression stays one however many nights it lasts, until it is accepted', (t) => {
  const slower = scaled('benchmarkTrainingShare', 0.7);
  const failing = Array.from({ length: 20 }, () => night(slower, { failed: ['training-share'] }));
  t.deepEqual(failedGates(night(slower), [...HISTORY, ...failing]), ['training-share']);
  const accepted = night(slower, { failed: ['training-share'], accepted: 'Exact, and slower.' });
  t.deepEqual(failedGates(night(slower), [...HISTORY, ...failing, accepted]), []);
});

test('nights of another engine are no baseline, and those of other hardware only where that does not matter', (t) => {
  const verdictsOf = (history: readonly Night[], name: string) => [
    ...new Set(
      judgeNight(gates, night(), history)
        .filter(({ gate }) => gate.name === name)
        .map(({ verdict }) => verdict),
    ),
  ];
  const elsewhere = night((one) => ({ ...one, hardware: 'Another, 4 cores (wasm)' }));
  t.deepEqual(verdictsOf([elsewhere], 'training-share'), ['no baseline']);
  t.deepEqual(verdictsOf([elsewhere], 'smoke-miou'), ['pass']);
  t.deepEqual(verdictsOf([night(undefined, { engine: 'tensorflow' })], 'smoke-miou'), ['no baseline']);
  t.deepEqual(verdictsOf([], 'parity'), ['pass'], 'a limit needs no baseline');
});

test('what was not measured is said to be, and passes nothing', (t) => {
  const without = night((one) => (one.quantity === 'parity' ? [] : one));
  const verdicts = judgeNight(gates, without, HISTORY).filter(({ gate }) => gate.quantity === 'parity');
  t.deepEqual(
    verdicts.map(({ verdict }) => verdict),
    ['not measured', 'not measured'],
  );
});

test('noise below a tolerance fails nothing, whatever it is', (t) => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 40, maxLength: 40 }), (noise) => {
      let i = 0;
      const noisy = night((one) => {
        const factor = 1 + noise[i++ % noise.length]! * 0.014;
        return typeof one.value === 'number' ? { ...one, value: one.value * factor } : one;
      });
      t.deepEqual(failedGates(noisy), []);
    }),
    { numRuns: 50 },
  );
});

test('the summary begins with what failed, and shows the course of the nights', (t) => {
  const tonight = night(scaled('mIoU', 0.5), { problems: ['some_row: The loss is not finite.'] });
  const judgements = judgeNight(gates, tonight, HISTORY);
  const summary = nightSummary(tonight, judgements, HISTORY);
  t.regex(summary, /^## Nightly: 7 failed\n/);
  t.regex(
    summary,
    /```\nsome_row: The loss is not finite\.\nsmoke-miou: mIoU of fcn_r18.*: 4\.985, baseline 9\.97; within 3/,
  );
  t.regex(summary, /\| smoke-miou \| .* \| ❌ 3 fail \| 4\.985 \| ███▁ \|/);
  const [failure] = judgements.filter(({ verdict }) => verdict === 'fail').map(failureLine);
  t.true(summary.includes(failure!));
});

test('a sparkline goes from the lowest bar to the highest', (t) => {
  t.is(sparklineOf([0, 1, 2, 3, 4, 5, 6, 7]), '▁▂▃▄▅▆▇█');
  t.is(sparklineOf([5, 5]), '▅▅');
});

test('gates of the package say what they are for, and wrong ones are refused', (t) => {
  for (const { reason } of gates.gates) t.true(reason.length > 15);
  const [first] = gates.gates;
  t.false(gatesSchema.safeParse({ window: 7, gates: [first, first] }).success, 'a name twice');
  const median = { ...first!, of: 'median' };
  t.false(gatesSchema.safeParse({ window: 7, gates: [median] }).success, 'a median of hashes');
});

test('figures of the webgpu engine are a part of their own, with the same limit', (t) => {
  const [worst] = parityMeasurements(checks(6e-5), 'llvmpipe');
  const figure = { ...worst!, subject: `${ON_WEBGPU}${worst!.subject}`, value: 1.2 };
  t.is(partOf(figure), 'webgpu');
  const failed = judgeNight(gates, makeNight({ measurements: [figure] }), []).filter(
    ({ verdict }) => verdict === 'fail',
  );
  t.deepEqual(
    failed.map(({ gate, subject }) => [gate.name, subject]),
    [['parity', figure.subject]],
  );
});
