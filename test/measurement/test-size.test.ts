import test from 'ava';
import { benchmarkSize } from '../../src/measurement/network-cost.js';
import { median } from '../../src/measurement/roofline.js';

test('speed is measured at the size of a test image', (t) => {
  t.deepEqual(benchmarkSize({ imageScaleWh: [2048, 1024] }), [1024, 2048], 'Cityscapes');
  t.deepEqual(benchmarkSize({ imageScaleWh: [480, 360] }), [360, 480], 'CamVid');
  t.deepEqual(benchmarkSize({ imageScaleWh: [2048, 512] }), [512, 683], 'ADE20K, Pascal VOC');
  t.deepEqual(benchmarkSize({ imageScaleWh: [520, 520] }), [390, 520], 'Pascal Context');
});

test('median', (t) => {
  t.is(median([3]), 3);
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 3, 2]), 2.5);
  t.throws(() => median([]));
});
