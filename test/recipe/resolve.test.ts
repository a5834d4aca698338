import test from 'ava';
import type { Experiment } from '../../src/recipe/experiment.js';
import { canonicalJson, deviations, hashExperiment, resolve } from '../../src/recipe/resolve.js';
import { loadTables } from '../../src/recipe/tables.js';
import { UserError } from '../../src/support/errors.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const SLIDE_ROW = 'fcn_d6_r50b-d16_769x769_80k_cityscapes';

test('an experiment is frozen all the way down', (t) => {
  const experiment = resolve({ row: ROW });
  t.throws(() => Object.assign(experiment.model.decodeHead, { dilation: 3 }), { instanceOf: TypeError });
  t.throws(() => Object.assign(experiment.data.cropHw, [1, 1]), { instanceOf: TypeError });
});

test('the published recipe deviates in nothing, whatever the seed', (t) => {
  for (const { rows } of loadTables()) {
    for (const { id } of rows) t.deepEqual(deviations(resolve({ row: id, seed: 7 })), []);
  }
});

test('overrides take full paths and unambiguous trailing parts, and are deviations', (t) => {
  const experiment = resolve({
    row: ROW,
    overrides: ['width=32', 'data.cropHw=[256, 512]', 'auxiliaryHead.dropout=0'],
  });
  t.deepEqual(deviations(experiment), [
    { path: 'model.width', published: 64, value: 32 },
    { path: 'model.auxiliaryHead.dropout', published: 0.1, value: 0 },
    { path: 'data.cropHw', published: [512, 1024], value: [256, 512] },
  ]);
});

test('when something is written deviates from nothing', (t) => {
  t.deepEqual(deviations(resolve({ row: ROW, overrides: ['logEvery=1', 'checkpointEvery=10'] })), []);
});

const MISTAKES: readonly [override: string, message: RegExp, next: RegExp][] = [
  ['widht=3', /^--set widht: the recipe has no such value/, /Did you mean width\?/],
  ['model.widht=3', /no such value/, /Did you mean model\.width\?/],
  ['lr=3', /no such value/, /^Did you mean learningRate\?$/],
  ['training.lr=3', /no such value/, /^Did you mean training\.learningRate\?$/],
  ['model.learningRate=3', /no such value/, /^Did you mean training\.learningRate\?$/],
  ['scale=2', /no such value/, /^Did you mean data\.imageScaleWh, lossScale or evaluation\.imageScaleWh\?$/],
  ['head=1', /no such value/, /^Did you mean decodeHead or auxiliaryHead\?$/],
  ['decode_head.dropout=0', /no such value/, /^Did you mean decodeHead\.dropout\?$/],
  ['aux_head.dropout=0', /no such value/, /^Did you mean auxiliaryHead\.dropout\?$/],
  ['channel=3', /no such value/, /^Did you mean decodeHead\.channels or auxiliaryHead\.channels\?$/],
  ['seed=4', /no such value/, /^Use --seed\.$/],
  ['profile=smoke', /no such value/, /^Use --profile\.$/],
  ['method=FCN', /no such value/, /only what a table shows/],
  ['backbone=R-50', /no such value/, /only what a table shows/],
  ['foo=1', /no such value/, /^Its sections are model, data, training, evaluation, benchmark;/],
  ['toString=1', /no such value/, /^Its sections are /],
  ['training.foo=1', /no such value/, /^In training there are: training\.iterations, .*training\.logEvery\.$/],
  ['channels=3', /^--set channels: ambiguous/, /model\.decodeHead\.channels, model\.auxiliaryHead\.channels/],
  ['width=abc', /^--set model\.width: expected a number, got "abc"\.$/, /64/],
  ['width=10.5', /^--set model\.width: expected a whole number, got 10\.5\.$/, /64/],
  ['width=', /^--set model\.width: expected a number, got null\.$/, /64/],
  [
    'decodeHead.convolutions=100000',
    /^--set model\.decodeHead\.convolutions: expected a number of at most 100, got 100000\.$/,
    /2/,
  ],
  ['model.decodeHead=3', /a section, not a value/, /model\.decodeHead\.dilation/],
  ['iterations', /expected path=value/, /width=16/],
  ['depth=34', /expected one of 18\|50\|101, got 34/, /18/],
  ['classes=[', /not a value/, /YAML/],
  ['width=9', /the deep stem's first convolutions have half of it, so it must be even/, /--set/],
  ['evaluation.mode=slide', /evaluation\.cropHw and evaluation\.strideHw must be given/, /--set/],
  ['ratioRange=[2, 1]', /expected \[lowest, highest\]/, /--set/],
  [
    'evaluation.ratios=[1, 0.0001]',
    /evaluation\.ratios has 0\.0001: no pixel of evaluation\.imageScaleWh 2048×1024/,
    /--set/,
  ],
  ['ratioRange=[0.0001, 2]', /data\.ratioRange has 0\.0001: .*expected at least 1 \/ 1024/, /--set/],
  ['dilations=[1, 1, 3, 4]', /model\.dilations has 3/, /--set/],
  ['minimumLearningRate=1', /minimumLearningRate 1 is above training\.learningRate 0\.01/, /--set/],
];

test('a wrong override says what is wrong and what to do', (t) => {
  for (const [override, message, next] of MISTAKES) {
    const error = t.throws(() => resolve({ row: ROW, overrides: [override] }), { instanceOf: UserError, message });
    t.regex(error?.next ?? '', next, override);
  }
});

test('a width gives whole channel numbers or is refused', (t) => {
  t.throws(
    () => resolve({ row: ROW, overrides: ['decodeHead.channels=100', 'width=16', 'auxiliaryHead.channels=50'] }),
    {
      instanceOf: UserError,
      message: /model\.auxiliaryHead would have 50 × 16 \/ 64 = 12\.5 channels/,
    },
  );
});

test('a slide stride larger than the window is refused', (t) => {
  t.throws(() => resolve({ row: SLIDE_ROW, overrides: ['strideHw=[800, 513]'] }), {
    instanceOf: UserError,
    message: /strideHw 800×513 is larger than evaluation\.cropHw 769×769/,
  });
});

test('the smoke profile is the row in small', (t) => {
  const whole = resolve({ row: ROW, profile: 'smoke' });
  t.deepEqual(whole.data.cropHw, [64, 128]);
  t.deepEqual(whole.data.imageScaleWh, [256, 128]);
  t.is(whole.model.pretrained, null);
  t.is(whole.evaluation.mode, 'whole');

  const slide = resolve({ row: SLIDE_ROW, profile: 'smoke' });
  t.deepEqual(slide.data.cropHw, [97, 97]);
  t.deepEqual(slide.evaluation.imageScaleWh, [257, 129]);
  t.deepEqual(slide.evaluation.strideHw, [65, 65]);
  t.deepEqual(slide.model.dilations, [1, 1, 1, 2]);
  t.is(slide.model.stem, '7x7');
  t.true(slide.model.alignCorners);

  t.deepEqual(resolve({ row: 'camvid_r18-d8', profile: 'smoke' }).data.cropHw, [64, 64]);
});

test('every row resolves in both profiles', (t) => {
  for (const { rows } of loadTables()) {
    for (const { id } of rows) t.true(deviations(resolve({ row: id, profile: 'smoke' })).length > 0);
  }
});

test('an unknown profile is refused', (t) => {
  t.throws(() => resolve({ row: ROW, profile: 'quick' }), {
    instanceOf: UserError,
    message: 'Unknown profile: quick.',
  });
});

test('an unknown row is answered with the nearest', (t) => {
  const error = t.throws(() => resolve({ row: 'fcn_r18-d8_512x1024_80k_cityscape' }), {
    instanceOf: UserError,
    message: 'Unknown row: fcn_r18-d8_512x1024_80k_cityscape.',
  });
  t.regex(error?.next ?? '', new RegExp(`Did you mean ${ROW}\\?`));
});

test('the hash depends on the values, not on the order of keys', (t) => {
  const experiment = resolve({ row: ROW });
  const reordered = Object.fromEntries(Object.entries(experiment).reverse()) as unknown as Experiment;
  t.is(hashExperiment(reordered), hashExperiment(experiment));
  t.not(hashExperiment(resolve({ row: ROW, seed: 1 })), hashExperiment(experiment));
  t.is(canonicalJson({ b: [{ d: 1, c: null }], a: 'x' }), '{"a":"x","b":[{"c":null,"d":1}]}');
});
