import test from 'ava';
import type { Engine } from '../../src/engines/engine.js';
import { hashExperiment } from '../../src/recipe/resolve.js';
import { loadTables } from '../../src/recipe/tables.js';
import { recordProblems } from '../../src/records/problems.js';
import type { RunRecord } from '../../src/records/record.js';
import { figuresOf } from '../../src/records/verdict.js';
import { inAvailablePrecision } from '../../src/runs/precision.js';
import { makeCompleteRecord, makeEvaluation } from '../helpers/complete-record.js';
import fc from '../helpers/properties.js';

const TABLES = loadTables();
const ROW = 'fcn_r50-d8_512x512_20k_voc12aug';

const DATASET = 'voc2012-aug';
/** Published number of images in the validation split of that data set. */
const IMAGES = 1449;

type Evaluation = NonNullable<RunRecord['details']['evaluate']>;

/** Changes both evaluations. */
function inBoth(record: RunRecord, change: (evaluation: Evaluation) => void): void {
  change(record.details.evaluate!);
  change(record.details['evaluate-ms']!);
}

const TAMPERED: readonly [string, (record: RunRecord) => void, RegExp][] = [
  ['a figure', (record) => (record.figures.mIoU = 70), /figures\.mIoU is 70, but the stages give/],
  ['a figure that was left out', (record) => (record.figures.fps = null), /figures\.fps is null, but the stages give/],
  [
    'an mIoU',
    ({ details, figures }) => {
      details.evaluate!.mIoU = 0.7;
      figures.mIoU = 70;
    },
    /details\.evaluate: mIoU is 0\.7, but the confusion matrix gives/,
  ],
  ['an mAcc', ({ details }) => (details.evaluate!.mAcc = 0.99), /mAcc is 0\.99, but the confusion matrix gives/],
  ['an aAcc', ({ details }) => (details['evaluate-ms']!.aAcc = 0.99), /evaluate-ms: aAcc is 0\.99, but the confusion/],
  [
    'a class',
    ({ details }) => (details.evaluate!.perClass[0]!.iou = 0.9),
    /the IoU of background is 0\.9, but the confusion/,
  ],
  [
    "a class's accuracy",
    ({ details }) => (details.evaluate!.perClass[0]!.accuracy = null),
    /the accuracy of background is null, but the confusion matrix gives 0\.625/,
  ],
  [
    'all figures of an evaluation, halved,',
    ({ details: { evaluate }, figures }) => {
      evaluate!.mIoU /= 2;
      figures.mIoU = 100 * evaluate!.mIoU;
      for (const figures of evaluate!.perClass) if (figures.iou !== null) figures.iou /= 2;
    },
    /details\.evaluate: mIoU is .*\n.*the IoU of background/,
  ],
  [
    'classes of IoU 0, left out of a mean,',
    ({ details: { evaluate }, figures }) => {
      for (const figures of evaluate!.perClass) if (figures.iou === 0) figures.iou = null;
      const ious = evaluate!.perClass.flatMap(({ iou }) => iou ?? []);
      evaluate!.mIoU = ious.reduce((sum, iou) => sum + iou, 0) / ious.length;
      figures.mIoU = 100 * evaluate!.mIoU;
    },
    /the IoU of train is null, but the confusion matrix gives 0/,
  ],
  [
    'a count of the matrix',
    ({ details }) => (details.evaluate!.confusion[0]![0]! += 100_000),
    /details\.evaluate: mIoU is .*confusion matrix/,
  ],
  ['a matrix', ({ details }) => (details.evaluate!.confusion = [[1]]), /confusion is not 21 × 21 counts of pixels/],
  ['a matrix without counts', ({ details }) => (details.evaluate!.confusion = []), /confusion is not 21 × 21 counts/],
  ['a negative count', ({ details }) => (details.evaluate!.confusion[0]![5] = -1), /confusion is not 21 × 21 counts/],
  [
    'a matrix with all its figures',
    ({ details, figures }) => {
      const { confusion } = details.evaluate!;
      confusion[0]![0]! += 100_000;
      details.evaluate = makeEvaluation(DATASET, confusion, IMAGES);
      figures.mIoU = 100 * details.evaluate.mIoU;
    },
    /background is labelled on 101000 pixels in details\.evaluate, 1000 in details\.evaluate-ms/,
  ],
  [
    'labels outside the classes',
    ({ details }) =>
      (details.evaluate!.outside = { labels: [7, ...Array(20).fill(0)], predictions: Array(21).fill(0) }),
    /the IoU of background is/,
  ],
  [
    'the names of two classes',
    ({ details: { evaluate } }) => {
      const [first, second] = evaluate!.perClass;
      [first!.name, second!.name] = [second!.name, first!.name];
    },
    /class 0 is aeroplane, but background in the data set/,
  ],
  [
    'classes that are missing',
    ({ details }) => details.evaluate!.perClass.pop(),
    /perClass has 20 classes, but the recipe has 21/,
  ],
  [
    'fps',
    ({ details, figures }) => {
      details.benchmark!.fps = 999;
      figures.fps = 999;
    },
    /details\.benchmark\.fps is 999, but its secondsPerImage give 14\.28/,
  ],
  [
    'fps with its seconds',
    ({ details, figures }) => {
      details.benchmark!.fps = 1000;
      details.benchmark!.secondsPerImage = 1 / 1000;
      figures.fps = 1000;
    },
    /roofline\.inferenceShare is .*, but the seconds give/,
  ],
  [
    'seconds of a step',
    ({ details }) => (details.benchmark!.trainingSecondsPerStep = 0.125),
    /roofline\.trainingShare is .*, but the seconds give/,
  ],
  [
    'steps that are skipped in float32',
    ({ details }) => (details.train!.skippedSteps = 1),
    /skippedSteps is 1, of 20000 iterations in fp32/,
  ],
  ['seconds of a stage', ({ details }) => (details.train!.seconds = 13), /train\.seconds is 13, but the stage took 12/],
  [
    "a data set's name",
    (record) => (record.dataset!.id = 'ade20k'),
    /the data set is ade20k, but the recipe's is voc2012/,
  ],
  [
    'images',
    ({ details }) => (details.evaluate!.images = 500),
    /500 images and 0 skipped ones, but the split has 1449/,
  ],
  [
    'images of one evaluation',
    ({ details }) => {
      details.evaluate!.images = 500;
      delete details.evaluate!.splitImages;
    },
    /details\.evaluate has 500 images, details\.evaluate-ms has 1449/,
  ],
  [
    'images beyond those published',
    (record) =>
      inBoth(record, (evaluation) => {
        evaluation.images = 5000;
        delete evaluation.splitImages;
      }),
    /5000 images, but 1449 were published/,
  ],
  ['stages', (record) => (record.stages = []), /no stage was done\n.*details\.train is of a stage that was not done/],
  ['details', (record) => (record.details.train = null), /the stage train has no details/],
  [
    'iterations',
    ({ details }) => (details.train!.iterations = 80_000),
    /train\.iterations is 80000, but the recipe says 20000/,
  ],
  ['images timed', ({ details }) => (details.benchmark!.images = 1), /benchmark\.images is 1, but the recipe says/],
  ['weights', (record) => (record.weights = null), /the stage train makes or needs weights, but there are none/],
  ['their source', (record) => (record.weights!.source = 'given'), /recorded as given, but the stages say trained/],
  ['a data set', (record) => (record.dataset = null), /the stage train needs a data set, but there is none/],
  ['a recipe', (record) => (record.experiment.training.batch = 4), /experimentHash is not that of the experiment/],
  ['a published figure', (record) => (record.experiment.published.mIoU = 62), /experimentHash is not/],
  ['a seed', (record) => (record.seed = 1), /seed is 1, but the experiment says 0/],
  ['an end', (record) => (record.exitReason = 'failed'), /the run failed/],
  ['an error', (record) => (record.error = 'boo'), /the run completed, but error is "boo"/],
  [
    'a deviation that is none',
    (record) => record.deviations.push({ path: 'training.batch', published: 8, value: 16 }),
    /training\.batch is among the deviations, but is as in the published recipe/,
  ],
];

/** Changes to a record of a changed recipe. */
const TAMPERED_CHANGES: readonly [string, (record: RunRecord) => void, RegExp][] = [
  [
    'what a deviation says was published',
    (record) => (record.deviations[0]!.published = 48),
    /the deviation of model\.width says that 48 was published, not 64/,
  ],
  [
    'the value of a deviation',
    (record) => (record.deviations[0]!.value = 64),
    /the deviation of model\.width says 64, but the experiment says 32/,
  ],
  [
    'deviations',
    (record) => (record.deviations = []),
    /model\.width differs from the published recipe, but is not among the deviations/,
  ],
  ['overrides', (record) => (record.overrides = []), /model\.width is 32, but the profile and the overrides give 64/],
  ['an override', (record) => (record.overrides = ['widht=32']), /the overrides give no experiment: --set widht/],
  ['a repeated deviation', (record) => record.deviations.push(record.deviations[0]!), /model\.width is twice among/],
];

for (const [name, change, problem] of TAMPERED_CHANGES) {
  test(`${name} of a changed recipe that was changed is found`, (t) => {
    const record = makeCompleteRecord({ row: ROW, overrides: ['width=32'] }, 'narrow', IMAGES);
    t.deepEqual(recordProblems(record, TABLES), []);
    change(record);
    t.regex(recordProblems(record, TABLES).join('\n'), problem);
  });
}

test('a recipe in float16 may have run in bfloat16 on a CPU, and in no other way', (t) => {
  const row = 'fcn_r101-d8_fp16_512x1024_80k_cityscapes';
  const asked = makeCompleteRecord({ row, overrides: [] }, 'fp16', 500);
  const replaced = { halfPrecision: 'bf16', device: 'cpu', name: 'tensorflow' } as Engine;
  const { experiment, deviations } = inAvailablePrecision(replaced, asked);
  const record: RunRecord = {
    ...asked,
    experiment: structuredClone(experiment) as RunRecord['experiment'],
    experimentHash: hashExperiment(experiment),
    deviations: [...deviations],
  };
  t.deepEqual(recordProblems(record, TABLES), []);
  const onGpu: RunRecord = { ...record, environment: { ...record.environment, device: 'gpu' } };
  t.regex(recordProblems(onGpu, TABLES).join(), /precision is "bf16", but the profile and the overrides give "fp16"/);
});

test('a record of a row outside the package is checked against itself', (t) => {
  const record = makeCompleteRecord({ row: ROW, overrides: ['width=32'] }, 'own', IMAGES);
  t.deepEqual(recordProblems(record, []), []);
  record.deviations[0]!.value = 16;
  t.regex(recordProblems(record, []).join(), /the deviation of model\.width says 16, but the experiment says 32/);
});

test('labels outside the classes are in the record, but its figures follow from them', (t) => {
  const record = makeCompleteRecord({ row: ROW }, 'outside', IMAGES);
  const labels = Array.from({ length: 21 }, (_, k) => k);
  const outside = { labels, predictions: Array(21).fill(0) };
  for (const stage of ['evaluate', 'evaluate-ms'] as const) {
    record.details[stage] = makeEvaluation(DATASET, record.details[stage]!.confusion, IMAGES, outside);
  }
  record.figures = figuresOf(record.details);
  t.deepEqual(recordProblems(record, TABLES), []);
  delete record.details.evaluate!.outside;
  t.regex(recordProblems(record, TABLES).join('\n'), /details\.evaluate: mIoU is/);
});

/** Figures of stages that follow from nothing else in a record: measured, or about the system. */
const MEASURED = /seconds$|finalLoss$|peak|Peak|deviceBytes$|startedAt$/;

/** Paths of all figures of the stages that follow from others. */
function figurePaths(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => figurePaths(inner, [...path, key]));
  }
  const isFigure = typeof value === 'number' || (value === null && /^(iou|accuracy)$/.test(path.at(-1)!));
  return isFigure && !MEASURED.test(path.join('.')) ? [[...path]] : [];
}

/** Another figure; a whole number for a whole number, so that the record can still be read. */
function otherThan(value: number | null): fc.Arbitrary<number | null> {
  const some: fc.Arbitrary<number | null> =
    value !== null && Number.isInteger(value)
      ? fc.oneof(fc.integer({ min: 1, max: 2 ** 31 }), fc.constantFrom(value + 1, Math.abs(value - 1)))
      : fc.oneof(fc.double({ min: 1e-9, max: 1e9, noNaN: true }), fc.constant((value ?? 0) * (1 + 2 ** -52)));
  return some.filter((other) => other !== value);
}

test('a change of any single figure of the stages is found', (t) => {
  const whole = makeCompleteRecord({ row: ROW }, 'full', IMAGES);
  t.deepEqual(recordProblems(whole, TABLES), []);
  const paths = figurePaths(whole.details);
  t.true(paths.length > 2 * 21 * 21);
  const at = (path: readonly string[]) =>
    path.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], whole.details) as number | null;
  // Most figures are counts of the matrices; the others are tried as often.
  const isCount = (path: readonly string[]) => path.includes('confusion');
  const anyPath = fc.oneof(
    fc.constantFrom(...paths.filter(isCount)),
    fc.constantFrom(...paths.filter((path) => !isCount(path))),
  );
  const anyChange = anyPath.chain((path) => fc.tuple(fc.constant(path), otherThan(at(path))));
  fc.assert(
    fc.property(anyChange, ([path, value]) => {
      const record = structuredClone(whole);
      const holder = path
        .slice(0, -1)
        .reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], record.details);
      (holder as Record<string, unknown>)[path.at(-1)!] = value;
      return recordProblems(record, TABLES).length > 0;
    }),
    { numRuns: 500 },
  );
  t.pass();
});

for (const [name, change, problem] of TAMPERED) {
  test(`${name} that was changed is found`, (t) => {
    const record = makeCompleteRecord({ row: ROW }, 'full', IMAGES);
    t.deepEqual(recordProblems(record, TABLES), []);
    change(record);
    t.regex(recordProblems(record, TABLES).join('\n'), problem);
  });
}

test('an evaluation has no more images than the limit of its recipe', (t) => {
  const record = makeCompleteRecord({ row: ROW, profile: 'smoke' }, 'small', 8);
  record.dataset!.synthetic = true;
  t.deepEqual(recordProblems(record, TABLES), []);
  inBoth(record, (evaluation) => {
    evaluation.images = 500;
    evaluation.splitImages = 500;
  });
  t.regex(recordProblems(record, TABLES).join('\n'), /500 images, but the recipe's limit is 8/);
});

test('additional images are accepted if the data set records their number', (t) => {
  const row = 'fcn_r101-d8_480x480_40k_pascal_context';
  const record = makeCompleteRecord({ row }, 'full', 5105);
  t.regex(recordProblems(record, TABLES).join('\n'), /5105 images, but 5104 were published/);
  record.dataset!.deviations = [{ path: 'images.val', published: 5104, value: 5105 }];
  t.deepEqual(recordProblems(record, TABLES), []);
  inBoth(record, (evaluation) => {
    evaluation.images = 5106;
    evaluation.splitImages = 5106;
  });
  t.regex(recordProblems(record, TABLES).join('\n'), /5106 images, but its data set has 5105/);
});
