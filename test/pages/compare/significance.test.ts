import test from 'ava';
import { predictionTest, studentTwoSided, welchTest } from '../../../src/pages/compare/significance.js';
import { near } from '../../helpers/numeric.js';
import fc from '../../helpers/properties.js';

test("Student's t: closed forms of one and two degrees of freedom, and tabulated values", (t) => {
  for (const value of [0.01, 0.5, 1, 3, 40]) {
    // Measured: 5.6e-16 and 9.8e-15, for the closed forms are differences of 1 and what is nearly 1.
    near(t, studentTwoSided(value, 1), 1 - (2 / Math.PI) * Math.atan(value), 2e-15);
    near(t, studentTwoSided(value, 2), 1 - value / Math.sqrt(2 + value ** 2), 3e-14);
  }
  // Two-sided 5 % points, as printed in tables.
  for (const [degrees, point] of [
    [5, 2.5706],
    [10, 2.2281],
    [30, 2.0423],
    [120, 1.9799],
  ] as const) {
    // Half a unit in the last digit of a point. Measured: 3.5e-6.
    near(t, studentTwoSided(point, degrees), 0.05, 1e-5);
  }
  t.is(studentTwoSided(0, 7), 1);
});

test("Welch's test by hand", (t) => {
  // Means 3 and 6; variances of the means 2.5/5 = 0.5 and 10/5 = 2; t = −3/√2.5; degrees 2.5² / (0.5²/4 + 2²/4).
  const found = welchTest([1, 2, 3, 4, 5], [2, 4, 6, 8, 10])!;
  near(t, found.t, -3 / Math.sqrt(2.5));
  near(t, found.degreesOfFreedom, 6.25 / 1.0625);
  // Half a unit in the last digit.
  near(t, found.p, 0.1075, 5e-5);
  t.deepEqual(found.n, [5, 5]);
  t.is(welchTest([1], [1, 2]), null);
  t.is(welchTest([1, 1], [2, 2]), null);
});

test('one published value beside three seeds, by hand', (t) => {
  // Mean 72, deviation 1: t = (72 − 70) / √(4/3), two degrees of freedom.
  const found = predictionTest([71, 72, 73], 70)!;
  near(t, found.t, 2 / Math.sqrt(4 / 3));
  // A difference of 1 and what is nearly 1. Measured: 4.4e-16.
  near(t, found.p, 1 - found.t / Math.sqrt(2 + found.t ** 2), 1.5e-15);
  t.is(predictionTest([71], 70), null);
});

test('p is a probability, and exchanging the sides only turns t', (t) => {
  const values = fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(values, values, (a, b) => {
      const one = welchTest(a, b);
      const other = welchTest(b, a);
      if (one === null || other === null) return t.is(one, other);
      t.true(one.p >= 0 && one.p <= 1);
      // Of equal means one is 0, the other −0.
      t.true(one.t === -other.t);
      // The sums of variances are in another order. Measured: 1.2e-15.
      near(t, one.p, other.p, 4.5e-15);
    }),
    { numRuns: 200 },
  );
});
