import test from 'ava';
import { float16FromFloat32, float32FromBytes } from '../../src/weights/dtypes.js';
import { hwioShape, hwioToOihw, oihwShape, oihwToHwio } from '../../src/weights/tensor.js';

test('float16 in all its kinds', (t) => {
  const cases: [number, number][] = [
    [0x0000, 0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3555, 0.333251953125],
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
    [0x7e00, Number.NaN],
    [0x8000, -0],
  ];
  const bytes = new Uint8Array(Uint16Array.from(cases, ([bits]) => bits).buffer);
  t.deepEqual(
    [...float32FromBytes(bytes, 'float16')],
    cases.map(([, value]) => value),
  );
});

test('float32 is copied only if it is not aligned', (t) => {
  const aligned = new Uint8Array(Float32Array.of(1, 2).buffer);
  t.is(float32FromBytes(aligned, 'float32').buffer, aligned.buffer);
  const shifted = new Uint8Array(9);
  shifted.set(aligned, 1);
  t.deepEqual([...float32FromBytes(shifted.subarray(1), 'float32')], [1, 2]);
});

test('OIHW to HWIO and back', (t) => {
  const shape = [2, 3, 2, 2] as const;
  const values = Float32Array.from({ length: 24 }, (_, i) => i);
  const hwio = oihwToHwio(values, shape);
  t.deepEqual(hwioShape(shape), [2, 2, 3, 2]);
  for (let o = 0; o < 2; o++) {
    for (let i = 0; i < 3; i++) {
      for (let h = 0; h < 2; h++) {
        for (let w = 0; w < 2; w++) {
          t.is(hwio[((h * 2 + w) * 3 + i) * 2 + o], values[((o * 3 + i) * 2 + h) * 2 + w]);
        }
      }
    }
  }
  t.deepEqual(oihwShape(hwioShape(shape)), [...shape]);
  t.deepEqual(hwioToOihw(hwio, hwioShape(shape)), values);
});

/** Every finite float16, by its bits. */
const HALVES = Uint16Array.from(
  Array.from({ length: 2 ** 16 }, (_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00),
);

test('every finite float16 is written as it was read', (t) => {
  const values = float32FromBytes(new Uint8Array(HALVES.buffer), 'float16');
  t.deepEqual(float16FromFloat32(values, 'all'), HALVES);
});

test('between two float16, the nearest is written, in the middle the even one', (t) => {
  const positive = HALVES.filter((bits) => bits < 0x7bff);
  const values = float32FromBytes(new Uint8Array(positive.buffer), 'float16');
  const next = float32FromBytes(new Uint8Array(positive.map((bits) => bits + 1).buffer), 'float16');
  const middles = values.map((value, i) => (value + next[i]!) / 2);
  const nudge = (by: number) => middles.map((middle) => step(middle, by));
  t.deepEqual(
    float16FromFloat32(middles, 'middles'),
    positive.map((bits) => bits + (bits & 1)),
  );
  t.deepEqual(float16FromFloat32(nudge(-1), 'below'), positive);
  t.deepEqual(
    float16FromFloat32(nudge(1), 'above'),
    positive.map((bits) => bits + 1),
  );
});

test('values that float16 does not hold are refused by name and place', (t) => {
  t.deepEqual(float16FromFloat32(Float32Array.of(65519.99, -65519.99, 1e-30), 'x'), Uint16Array.of(0x7bff, 0xfbff, 0));
  for (const value of [65520, -1e30, Number.POSITIVE_INFINITY, Number.NaN]) {
    const error = t.throws(() => float16FromFloat32(Float32Array.of(1, value), 'head.weight'));
    t.regex(error!.message, /^head\.weight holds .* \(value 2 of 2\), but float16 ends at 65504/);
  }
});

/** The float32 that many steps after a positive one. */
function step(value: number, by: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0]! += by;
  return new Float32Array(bits.buffer)[0]!;
}
