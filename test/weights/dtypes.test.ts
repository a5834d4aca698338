import test from 'ava';
import { float32FromBytes } from '../../src/weights/dtypes.js';
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
