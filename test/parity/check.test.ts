import test from 'ava';
import {
  angularDistance,
  Collector,
  differenceOfLargest,
  largestDifference,
  meanDifference,
  quantile,
  relativeDifference,
  relativeDistance,
  Worst,
} from '../../src/parity/check.js';
import { isFreeOfTies, type Noise, TOLERANCES } from '../../src/parity/tolerances.js';
import { near } from '../helpers/numeric.js';

const LIMIT = { limit: 1, unit: 'absolute', reason: 'a test' } as const;

function verdict(worst: Worst): boolean {
  const findings = new Collector('case');
  findings.add('quantity', LIMIT, worst);
  return findings.checks[0]!.passed;
}

test('a check passes up to its tolerance and not beyond', (t) => {
  t.true(verdict(new Worst().add(0.5, 'a').add(1, 'b')));
  t.false(verdict(new Worst().add(1.0001, 'a').add(0, 'b')));
});

test('NaN and infinity never pass, whatever comes after them', (t) => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    t.false(verdict(new Worst().add(value, 'a').add(0, 'b')));
    t.false(verdict(new Worst().add(0, 'a').add(value, 'b')));
  }
});

test('a check without any comparison never passes', (t) => {
  t.false(verdict(new Worst()));
  t.false(new Worst().compared);
});

test('the worst difference comes with its place', (t) => {
  const worst = new Worst().add(0.1, 'a').add(-0.7, 'b').add(0.3, 'c');
  t.deepEqual([worst.difference, worst.at], [0.7, 'b']);
});

test('measures of distance', (t) => {
  t.is(largestDifference([1, 2, 5], [1, 3, 3]), 2);
  t.is(meanDifference([1, 2, 5], [1, 3, 3]), 1);
  t.is(differenceOfLargest([1, 2, 5], [1, 3, -4]), 9 / 4);
  t.is(relativeDifference(3, 2), 0.5);
  t.is(relativeDistance([3, 4], [0, 0]), Number.POSITIVE_INFINITY);
  t.is(relativeDistance([6, 8], [3, 4]), 1);
  near(t, angularDistance([1, 0], [0, 1]), 1);
  t.is(quantile([4, 1, 3, 2, 5], 0.5), 3);
  t.is(relativeDifference(0, 0), 0);
});

test('with a NaN or missing value, no measure is finite', (t) => {
  for (const measure of [largestDifference, meanDifference, differenceOfLargest, relativeDistance, angularDistance]) {
    t.false(Number.isFinite(measure([1, Number.NaN, 2], [1, 2, 3])), measure.name);
    t.false(Number.isFinite(measure([1, 2, 3], [Number.NaN, 2, 3])), measure.name);
    t.false(Number.isFinite(measure([1, 2], [1, 2, 3])), measure.name);
  }
  t.true(Number.isNaN(quantile([1, Number.NaN], 0)));
  t.true(Number.isNaN(quantile([], 0.5)));
});

const SILENT: Noise = {
  logits: 0,
  logitsAbsolute: 0,
  firstLoss: 0,
  headGradient: 0,
  backboneGradient: 0,
  gradientNormMedian: 0,
  trajectoryLoss: 0,
  deltaMedian: 0,
  delta95: 0,
};

test('a tolerance grows with the noise of a case, and never falls below the usual one', (t) => {
  t.is(TOLERANCES.logits(50, SILENT).limit, 5e-5);
  t.is(TOLERANCES.logits(50, { ...SILENT, logits: 1e-9 }).limit, 5e-5);
  t.is(TOLERANCES.logits(50, { ...SILENT, logits: 1e-4 }).limit, 4e-4);
});

test('backbone gradients are as exact as the heads’ only if a case shows that no tie is near', (t) => {
  t.true(isFreeOfTies(18, { ...SILENT, backboneGradient: 1e-6 }));
  t.false(isFreeOfTies(18, { ...SILENT, backboneGradient: 1e-3 }));
  t.false(isFreeOfTies(50, { ...SILENT, backboneGradient: 1e-6 }));
  t.false(isFreeOfTies(18, SILENT));
});
