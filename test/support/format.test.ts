import test from 'ava';
import { formatBytes, formatCount, formatPercent, formatSeconds } from '../../src/support/format.js';

test('times', (t) => {
  t.is(formatSeconds(0.346), '0.35 s');
  t.is(formatSeconds(42.4), '42 s');
  t.is(formatSeconds(59.6), '1 min 00 s');
  t.is(formatSeconds(725), '12 min 05 s');
  t.is(formatSeconds(10_920), '3 h 02 min');
  t.is(formatSeconds(3599.7), '1 h 00 min');
});

test('memory, counts and percentages', (t) => {
  t.is(formatBytes(13_000_000), '12.4 MB');
  t.is(formatBytes(1.38 * 2 ** 30), '1.38 GB');
  t.is(formatCount(12), '12');
  t.is(formatCount(49_497_734), '49.5 M');
  t.is(formatCount(270e9), '270 G');
  t.is(formatPercent(0.72251), '72.25');
});
