import test from 'ava';
import { Draws, Purpose, philox } from '../../src/support/random.js';

/** Words of one Philox block, in hexadecimal. */
function block(counter: [number, number, number, number], key: [number, number]): string[] {
  const out = new Uint32Array(4);
  philox(out, counter, key);
  return Array.from(out, (word) => word.toString(16).padStart(8, '0'));
}

test('Philox-4x32-10 gives the known answers of its authors', (t) => {
  t.deepEqual(block([0, 0, 0, 0], [0, 0]), ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']);
  const ones = 0xffffffff;
  t.deepEqual(block([ones, ones, ones, ones], [ones, ones]), ['408f276d', '41c83b0e', 'a20bc7c6', '6d5451fd']);
  t.deepEqual(block([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]), [
    'd16cfe09',
    '94fdcceb',
    '5001e420',
    '24126ea1',
  ]);
});

test('a draw depends on seed, purpose, iteration and index, and on nothing else', (t) => {
  const draw = (seed: number, purpose: Purpose, iteration: number, index: number) =>
    new Draws(seed, purpose, iteration).uniform(index);
  const draws = new Draws(1, Purpose.crop, 2);
  draws.uniform(7);
  t.is(draws.uniform(3), draw(1, Purpose.crop, 2, 3));
  const all = [
    draw(1, Purpose.crop, 2, 3),
    draw(2, Purpose.crop, 2, 3),
    draw(1, Purpose.flip, 2, 3),
    draw(1, Purpose.crop, 3, 3),
    draw(1, Purpose.crop, 2, 4),
    draw(1, Purpose.crop, 2 + 2 ** 32, 3),
    draw(1, Purpose.crop, 2, 3 + 2 ** 32),
  ];
  t.is(new Set(all).size, all.length);
});

test('uniform draws fill [0, 1), integers their whole range', (t) => {
  const draws = new Draws(0, Purpose.scale, 0);
  const values = Array.from({ length: 10_000 }, (_, i) => draws.uniform(i));
  t.true(values.every((value) => value >= 0 && value < 1));
  // The mean's standard deviation is 1/√(12·10,000) = 0.0029.
  t.true(Math.abs(values.reduce((sum, value) => sum + value, 0) / values.length - 0.5) < 0.015);
  const integers = new Set(Array.from({ length: 1000 }, (_, i) => draws.integer(i, -1, 2)));
  t.deepEqual([...integers].sort(), [-1, 0, 1, 2]);
});

test('normal draws have mean 0 and the deviation asked for, and do not depend on the length', (t) => {
  const values = new Float32Array(100_001);
  new Draws(0, Purpose.initialisation, 5).fillNormal(values, 2);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const kurtosis = values.reduce((sum, value) => sum + (value - mean) ** 4, 0) / values.length / variance ** 2;
  // Standard deviations of the three: 0.0063, 0.018, 0.015. These draws, which do not change, are 0.0020, 0.0012 and 0.0009
  // off.
  t.true(Math.abs(mean) < 0.0063);
  t.true(Math.abs(variance - 4) < 0.0048);
  t.true(Math.abs(kurtosis - 3) < 0.0034);
  const shorter = new Float32Array(10);
  new Draws(0, Purpose.initialisation, 5).fillNormal(shorter, 2);
  t.deepEqual(shorter, values.slice(0, 10));
});

test('a permutation holds every number once, another one each epoch', (t) => {
  const permutation = (epoch: number) => Array.from(new Draws(3, Purpose.shuffle, epoch).permutation(50));
  t.deepEqual(
    permutation(0).sort((a, b) => a - b),
    Array.from({ length: 50 }, (_, i) => i),
  );
  t.deepEqual(permutation(4), permutation(4));
  t.notDeepEqual(permutation(0), permutation(1));
});
