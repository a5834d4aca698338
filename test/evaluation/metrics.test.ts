import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ConfusionMatrix } from '../../src/evaluation/confusion.js';
import { metrics } from '../../src/evaluation/metrics.js';
import { readBytes } from '../helpers/npy.js';
import { sharedPath } from '../helpers/shared.js';

interface MetricsCase {
  num_classes: number;
  ignore_index: number;
  reduce_zero_label: boolean;
  label_map: Record<string, number> | null;
  nan_to_num: number | null;
  pred: string[];
  gt: string[];
  area_v016: Record<'intersect' | 'union' | 'pred' | 'label', number[]>;
  v016: { aAcc: number; mIoU: number; mAcc: number; IoU: (number | null)[]; Acc: (number | null)[] };
}

/** The case's label with its zero-label reduction and label map, which the data set's reader does in the program. */
function prepared(label: Uint8Array, { reduce_zero_label: reduce, label_map: map }: MetricsCase): Uint8Array {
  return label.map((value) => {
    const mapped = map?.[value] ?? value;
    if (!reduce) return mapped;
    return mapped === 0 || mapped === 255 ? 255 : mapped - 1;
  });
}

function close(t: ExecutionContext, actual: number, expected: number | null, what: string): void {
  if (expected === null) t.true(Number.isNaN(actual), `${what}: ${actual}, expected NaN`);
  else t.true(Math.abs(actual - expected) <= 1e-12, `${what}: ${actual}, expected ${expected}`);
}

test('areas and figures equal the reference in every case', (t) => {
  const file = sharedPath('oracle', 'metrics', 'metrics.json');
  if (file === null) {
    t.log('No reference data here: skipped.');
    t.pass();
    return;
  }
  const { dataset_evaluate_v011: _, ...cases } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, MetricsCase>;
  t.true(Object.keys(cases).length >= 12);
  for (const [name, expected] of Object.entries(cases)) {
    const confusion = new ConfusionMatrix(expected.num_classes, expected.ignore_index);
    expected.pred.forEach((prediction, i) => {
      const read = (file_: string) => readBytes(path.join(path.dirname(file), file_)).data;
      confusion.add(read(prediction), prepared(read(expected.gt[i]!), expected));
    });
    const { intersect, pred, label } = expected.area_v016;
    t.deepEqual(confusion.intersections(), intersect, `${name}: intersections`);
    t.deepEqual(confusion.predictionAreas(), pred, `${name}: prediction areas`);
    t.deepEqual(confusion.labelAreas(), label, `${name}: label areas`);

    const figures = metrics(confusion);
    close(t, figures.aAcc, expected.v016.aAcc, `${name}: aAcc`);
    // The reference can also show absent classes as a number, and then counts it in the means; the figures never do.
    const substitute = expected.nan_to_num;
    const absent = (value: number | null) => (substitute !== null && value === substitute ? null : value);
    for (const [k, iou] of expected.v016.IoU.entries()) close(t, figures.iou[k]!, absent(iou), `${name}: IoU of ${k}`);
    for (const [k, accuracy] of expected.v016.Acc.entries())
      close(t, figures.accuracy[k]!, absent(accuracy), `${name}: accuracy of ${k}`);
    const mean = (values: readonly number[], ownMean: number) =>
      substitute === null
        ? ownMean
        : values.reduce((total, value) => total + (Number.isNaN(value) ? substitute : value), 0) / values.length;
    close(t, mean(figures.iou, figures.mIoU), expected.v016.mIoU, `${name}: mIoU`);
    close(t, mean(figures.accuracy, figures.mAcc), expected.v016.mAcc, `${name}: mAcc`);
  }
});

test('a class that was only predicted has IoU 0 and no accuracy; one that occurs nowhere is left out', (t) => {
  const confusion = new ConfusionMatrix(4);
  confusion.add([0, 1, 2, 0], [0, 1, 1, 255]);
  const { iou, accuracy, mIoU, mAcc, aAcc } = metrics(confusion);
  t.deepEqual(iou, [1, 0.5, 0, Number.NaN]);
  t.deepEqual(accuracy, [1, 0.5, Number.NaN, Number.NaN]);
  t.is(mIoU, 0.5);
  t.is(mAcc, 0.75);
  t.is(aAcc, 2 / 3);
});

test('the confusion matrix counts label by prediction and leaves ignored pixels out', (t) => {
  const confusion = new ConfusionMatrix(2);
  confusion.add(Uint8Array.of(0, 1, 1, 1), Uint8Array.of(0, 0, 1, 255));
  confusion.add(Uint8Array.of(1), Uint8Array.of(0));
  t.deepEqual(confusion.toRows(), [
    [1, 2],
    [0, 1],
  ]);
});

test('a label outside the classes counts in the predicted area only', (t) => {
  const confusion = new ConfusionMatrix(2);
  confusion.add([0, 0], [7, 0]);
  t.deepEqual(confusion.predictionAreas(), [2, 0]);
  t.deepEqual(confusion.labelAreas(), [1, 0]);
  t.is(confusion.count(2, 0), 1);
});

test('counts stay exact where float32 and int32 would not', (t) => {
  const confusion = new ConfusionMatrix(1);
  const pixels = new Uint8Array(2 ** 24);
  confusion.add(pixels, pixels);
  confusion.add([0], [0]);
  t.is(confusion.count(0, 0), 2 ** 24 + 1);
});

test('maps of different sizes are refused', (t) => {
  t.throws(() => new ConfusionMatrix(2).add([0], [0, 1]), { message: /1 pixels for a label of 2 pixels/ });
});
