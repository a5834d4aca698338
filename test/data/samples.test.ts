import test from 'ava';
import { IGNORE_INDEX } from '../../src/data/batch.js';
import type { Dataset } from '../../src/data/datasets/dataset.js';
import type { LabelMap } from '../../src/data/image.js';
import { makeView } from '../../src/data/samples/evaluation.js';
import { toTrainingIds } from '../../src/data/samples/load.js';
import { TrainingOrder } from '../../src/data/samples/order.js';
import { augment, drawAugmentation } from '../../src/data/samples/training.js';
import { normaliseInto } from '../../src/data/transforms/normalise.js';
import type { PhotometricStep } from '../../src/data/transforms/photometric.js';
import type { DataRecipe } from '../../src/experiments/experiment.js';
import { difference, pipelineReference, toPlanes } from '../helpers/pipeline.js';

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

interface FullReference {
  pipelines: Record<
    string,
    {
      pipeline: {
        type: string;
        img_scale?: [number, number];
        ratio_range?: [number, number];
        crop_size?: [number, number];
        cat_max_ratio?: number;
        reduce_zero_label?: boolean;
      }[];
    }
  >;
  cases: {
    tag: string;
    src: string;
    ratio: number;
    tried_offsets_yx: [number, number][];
    flip: boolean;
    photo: { steps: { op: PhotometricStep['operation']; value: number }[] };
    img: string;
    seg: string;
  }[];
}

test('whole training pipelines give the samples of the original', async (t) => {
  const reference = pipelineReference(t, 'full');
  if (!reference) return;
  const { pipelines, cases } = reference.json<FullReference>('cases.json');
  t.is(cases.length, 15);
  for (const { tag, src, ratio, tried_offsets_yx, flip, photo, img, seg } of cases) {
    const { pipeline } = pipelines[tag]!;
    const transform = (type: string) => pipeline.find((step) => step.type === type)!;
    const recipe: DataRecipe = {
      ...RECIPE,
      imageScaleWh: transform('Resize').img_scale!,
      cropHw: transform('RandomCrop').crop_size!,
      categoryMaximumRatio: transform('RandomCrop').cat_max_ratio!,
    };
    const labels = await reference.sourceLabels(src);
    if (transform('LoadAnnotations').reduce_zero_label) toTrainingIds(labels, describe(150, true), src);
    const offsets = tried_offsets_yx.flat();
    const sample = augment({ image: await reference.source(src), labels }, recipe, {
      ratio,
      cropDraw: (draw) => offsets[draw]!,
      flip,
      photometric: photo.steps.map(({ op, value }) => ({ operation: op, value })),
    });

    const [height, width] = recipe.cropHw;
    const image = new Float32Array(height * width * 3);
    normaliseInto(sample.image, image, 0, width);
    t.true(difference(toPlanes(image), reference.floats(img).data).largest <= 1e-6, img);
    const padded = new Uint8Array(height * width).fill(IGNORE_INDEX);
    for (let y = 0; y < sample.labels.height; y++) {
      const row = sample.labels.data.subarray(y * sample.labels.width, (y + 1) * sample.labels.width);
      padded.set(row, y * width);
    }
    t.is(difference(padded, reference.labels(seg).data).largest, 0, seg);
  }
});

test('test views at every ratio are those of the original', async (t) => {
  const reference = pipelineReference(t, 'msflip');
  if (!reference) return;
  const { src, img_scale_wh, cases } = reference.json<{
    src: string;
    img_scale_wh: [number, number];
    cases: { ratio: number; size_hw: [number, number]; flip: boolean; img: string }[];
  }>('cases.json');
  t.is(cases.length, 12);
  const image = await reference.source(src);
  for (const { ratio, size_hw, flip, img } of cases) {
    const view = makeView(image, img_scale_wh, ratio);
    t.deepEqual([view.height, view.width], size_hw);
    const planes = toPlanes(view.image);
    if (flip)
      for (let row = 0; row < planes.length; row += view.width) planes.subarray(row, row + view.width).reverse();
    t.true(difference(planes, reference.floats(img).data).largest <= 1e-6, img);
  }
});

test('zero-label reduction shifts the classes and ignores 0 and 255', (t) => {
  const data = Uint8Array.from([0, 1, 2, 149, 150, 255]);
  toTrainingIds({ height: 1, width: data.length, data }, describe(150, true), 'x.png');
  t.deepEqual([...data], [255, 0, 1, 148, 149, 255]);
  t.throws(() => toTrainingIds({ height: 1, width: 1, data: Uint8Array.of(151) }, describe(150, true), 'x.png'), {
    message:
      'x.png: label value 151 at column 0, row 0 is no class of Any: expected 1 to 150 (or 0: no class), or 255.',
  });
});

test('a label that is no class is an error with file, value and pixel', (t) => {
  const labels: LabelMap = { height: 2, width: 3, data: Uint8Array.from([0, 1, 255, 2, 11, 3]) };
  t.throws(() => toTrainingIds(labels, describe(11, false), 'labels/x.png'), {
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
