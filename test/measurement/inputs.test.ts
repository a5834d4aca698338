import test from 'ava';
import { normalValues, randomBatch, randomView } from '../../src/measurement/roofline.js';

test('values are standard normal, the same for a seed and different between seeds and streams', (t) => {
  const values = normalValues(200_000, 3, 0);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  // Of 65,521 different values: standard errors 0.004 and 0.006. These, which do not change, are 0.0044 and 0.0042 off.
  t.true(Math.abs(mean) < 0.016);
  t.true(Math.abs(variance - 1) < 0.016);
  t.deepEqual(normalValues(1000, 3, 0), values.slice(0, 1000));
  t.notDeepEqual(normalValues(1000, 4, 0), values.slice(0, 1000));
  t.notDeepEqual(normalValues(1000, 3, 1), values.slice(0, 1000));
});

test('an input longer than the period is filled to its end', (t) => {
  const values = normalValues(300_000, 3, 0);
  t.is(values.indexOf(0), -1);
  t.is(values[65_521 * 4 + 17], values[17]);
});

test('a view and a batch have the shapes they say', (t) => {
  const view = randomView([20, 30], 0);
  t.deepEqual([view.height, view.width, view.ratio, view.image.length], [20, 30, 1, 1800]);
  const batch = randomBatch(2, [128, 512], 19, 0);
  t.deepEqual([batch.count, batch.height, batch.width], [2, 128, 512]);
  t.is(batch.images.length, 2 * 128 * 512 * 3);
  t.is(batch.labels.length, 2 * 128 * 512);
  t.is(batch.names.length, 2);
  t.deepEqual(
    [...new Set(batch.labels)].sort((a, b) => a - b),
    Array.from({ length: 19 }, (_, k) => k),
  );
});
