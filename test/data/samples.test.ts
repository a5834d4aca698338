import test from 'ava';
import type { Dataset } from '../../src/data/dataset.js';
import type { LabelMap } from '../../src/data/image.js';
import { convertToTrainingIds, TrainingOrder } from '../../src/data/samples.js';
import { drawAugmentation } from '../../src/data/training-samples.js';
import { TOLERANCES } from '../../src/parity/tolerances.js';
import { transformChecks } from '../../src/parity/verify.js';
import type { DataRecipe } from '../../src/recipe/experiment.js';
import { assertFindings, FULL_SET, PACKAGE_SET, partOf } from '../helpers/reference-set.js';

const RECIPE: DataRecipe = {
  dataset: 'any',
  imageScaleWh: [96, 48],
  ratioRange: [0.5, 2],
  cropHw: [48, 72],
  categoryMaximumRatio: 0.75,
  flipProbability: 0.5,
};

function describe(classes: number, reduceZeroLabel: boolean): Dataset {
  return {
    id: 'any',
    name: 'Any',
    folder: 'any',
    classes: Array.from({ length: classes }, (_, i) => `class ${i}`),
    palette: Array.from({ length: classes }, () => [0, 0, 0] as const),
    ignoreIndex: 255,
    reduceZeroLabel,
    published: null,
    splits: {},
    obtain: '',
  };
}

for (const set of [PACKAGE_SET, FULL_SET]) {
  set.test(`whole training pipelines give the samples of the original (${set.title})`, async (t) => {
    const findings = await transformChecks(partOf(set, 'pipeline'), ['training samples']);
    assertFindings(t, findings);
    // As exact as without HSV: the reference's own vector columns are known.
    for (const { difference, quantity } of findings.checks) t.true(difference <= TOLERANCES.normalised.limit, quantity);
  });

  set.test(`test views are those of the original (${set.title})`, async (t) =>
    assertFindings(t, await transformChecks(partOf(set, 'pipeline'), ['test views'])),
  );
}

FULL_SET.test('the unusable reference of zero-label reduction counts as absent', async (t) => {
  const { checks, absent } = await transformChecks(partOf(FULL_SET, 'pipeline'), ['zero label']);
  t.deepEqual([checks, absent], [[], ['zero-label reduction']]);
});

test('zero-label reduction shifts the classes and ignores 0 and 255', (t) => {
  const data = Uint8Array.from([0, 1, 2, 149, 150, 255]);
  convertToTrainingIds({ height: 1, width: data.length, data }, describe(150, true), 'x.png');
  t.deepEqual([...data], [255, 0, 1, 148, 149, 255]);
  t.throws(
    () => convertToTrainingIds({ height: 1, width: 1, data: Uint8Array.of(151) }, describe(150, true), 'x.png'),
    {
      message:
        'x.png: label value 151 at column 0, row 0 is no class of Any: expected 1 to 150 (or 0: no class), or 255.',
    },
  );
});

test('a label that is no class is an error with file, value and pixel', (t) => {
  const labels: LabelMap = { height: 2, width: 3, data: Uint8Array.from([0, 1, 255, 2, 11, 3]) };
  t.throws(() => convertToTrainingIds(labels, describe(11, false), 'labels/x.png'), {
    name: 'UserError',
    message: 'labels/x.png: label value 11 at column 1, row 1 is no class of Any: expected 0 to 10, or 255.',
  });
});

test('every epoch is a permutation without its last incomplete batch, at whatever iteration it is entered', (t) => {
  const order = new TrainingOrder(7, 11, 3);
  const epochs = [0, 1, 2].map((epoch) => [0, 1, 2].flatMap((i) => [...order.at(epoch * 3 + i)]));
  for (const epoch of epochs) {
    t.is(new Set(epoch).size, 9);
    t.true(epoch.every((index) => index < 11));
  }
  t.notDeepEqual(epochs[0], epochs[1]);
  t.deepEqual([...new TrainingOrder(7, 11, 3).at(7)], epochs[2]!.slice(3, 6));
  t.notDeepEqual([...new TrainingOrder(8, 11, 3).at(7)], epochs[2]!.slice(3, 6));
  t.throws(() => new TrainingOrder(0, 2, 3), { instanceOf: RangeError });
});

test('draws have the published ranges and frequencies', (t) => {
  const samples = Array.from({ length: 2000 }, (_, i) => drawAugmentation(RECIPE, 3, Math.floor(i / 4), i % 4));
  const share = (holds: (sample: (typeof samples)[number]) => boolean) => samples.filter(holds).length / samples.length;
  // Five standard deviations of a frequency of one half in 2000 draws: 5 · √(0.25/2000) = 0.056.
  const half = (value: number) => Math.abs(value - 0.5) < 0.056;
  t.true(half(share(({ flip }) => flip)));
  const steps = samples.flatMap(({ photometric }) => photometric);
  const ranges = { brightness: [-32, 32], contrast: [0.5, 1.5], saturation: [0.5, 1.5], hue: [-18, 17] } as const;
  for (const [operation, [low, high]] of Object.entries(ranges)) {
    const values = steps.filter((step) => step.operation === operation).map(({ value }) => value);
    t.true(half(values.length / samples.length), operation);
    const margin = (high - low) * 0.02;
    t.true(Math.min(...values) >= low && Math.min(...values) <= low + margin, operation);
    t.true(Math.max(...values) <= high && Math.max(...values) >= high - margin, operation);
    if (operation === 'hue') t.true(values.every(Number.isInteger));
  }
  const both = samples.map(({ photometric }) => photometric.map(({ operation }) => operation).join());
  t.true(both.includes('contrast,saturation') && both.includes('saturation,contrast'));
  t.true(samples.every(({ ratio }) => ratio >= 0.5 && ratio < 2));
  const offsets = samples.map(({ cropDraw }) => cropDraw(0, 9));
  t.deepEqual([...new Set(offsets)].sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
