import test from 'ava';
import { ConfusionMatrix, metrics } from '../../src/evaluation/confusion.js';
import { metricsChecks } from '../../src/parity/metrics.js';
import { assertFindings, FULL_SET, PACKAGE_SET, partOf } from '../helpers/reference-set.js';

for (const { set, checks, absent } of [
  // Seven cases with areas and figures.
  { set: PACKAGE_SET, checks: 14, absent: ['city19', 'voc21', 'pc60', 'ade150', 'ade150_nor'] },
  // Twelve, two of them as printed, too.
  { set: FULL_SET, checks: 26, absent: [] },
]) {
  set.test(`areas and figures equal the reference in every case (${set.title})`, (t) => {
    const findings = metricsChecks(partOf(set, 'metrics'));
    assertFindings(t, findings, absent);
    t.is(findings.checks.length, checks);
  });
}

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

test('a matrix of the counts of another, those outside the classes too, has the same figures', (t) => {
  const confusion = new ConfusionMatrix(3);
  confusion.add([0, 1, 1, 0, 2, 9, 9], [0, 1, 0, 7, 7, 1, 7]);
  const outside = confusion.outside();
  t.deepEqual(outside, { labels: [1, 0, 1], predictions: [0, 1, 0] });
  t.deepEqual(metrics(ConfusionMatrix.fromRows(confusion.toRows(), outside)), metrics(confusion));
  const without = ConfusionMatrix.fromRows(confusion.toRows(), null);
  t.is(without.outside(), null);
  t.notDeepEqual(metrics(without), metrics(confusion));
  t.throws(() => ConfusionMatrix.fromRows([[1, 2], [3]], null), { message: /not of 2 classes/ });
  t.throws(() => ConfusionMatrix.fromRows([[1]], { labels: [], predictions: [0] }), { message: /not of 1 classes/ });
});
