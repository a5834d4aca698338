/** Resizing and label rows, as src/data/transforms/resize.ts computes them: the same integers, several at a time. */

/**
 * Horizontal sums of a row of RGB pixels, without their lowest 4 bits, as 16-bit integers of at most 255 · 2048 / 16 = 32640.
 * @param offsets Of each output pixel: the first byte of the left source pixel, 32 bits.
 * @param weights Of each output pixel: the weights of the left and the right source pixel, 16 bits each.
 * @param target 6 bytes a pixel, and 2 to spare.
 */
export function sumColumns(row: usize, offsets: usize, weights: usize, target: usize, pixels: usize): void {
  const zero = i8x16.splat(0);
  for (let i: usize = 0; i < pixels; i++) {
    const pair = v128.load64_zero(row + load<u32>(offsets + (i << 2)));
    // Red of both, green of both, blue of both.
    const values = v128.shuffle<u8>(pair, zero, 0, 16, 3, 16, 1, 16, 4, 16, 2, 16, 5, 16, 16, 16, 16, 16);
    const sums = i32x4.shr_s(i32x4.dot_i16x8_s(values, v128.load32_splat(weights + (i << 2))), 4);
    v128.store64_lane(target + i * 6, i16x8.narrow_i32x4_s(sums, sums), 0);
  }
}

/** (upper · a) >> 16 of 8 values. */
// @ts-ignore: decorator
@inline
function upperHalf(x: v128, weight: v128): v128 {
  return i16x8.narrow_i32x4_s(
    i32x4.shr_s(i32x4.extmul_low_i16x8_s(x, weight), 16),
    i32x4.shr_s(i32x4.extmul_high_i16x8_s(x, weight), 16),
  );
}

/** Bytes of an output row from the sums of two source rows and their weights. Writes up to 15 bytes more. */
export function blendRows(upper: usize, lower: usize, a: i32, b: i32, target: usize, length: usize): void {
  const upperWeight = i16x8.splat(<i16>a);
  const lowerWeight = i16x8.splat(<i16>b);
  const two = i16x8.splat(2);
  for (let i: usize = 0; i < length; i += 16) {
    const at = i << 1;
    const low = i16x8.add(
      upperHalf(v128.load(upper + at), upperWeight),
      upperHalf(v128.load(lower + at), lowerWeight),
    );
    const high = i16x8.add(
      upperHalf(v128.load(upper + at, 16), upperWeight),
      upperHalf(v128.load(lower + at, 16), lowerWeight),
    );
    v128.store(
      target + i,
      i8x16.narrow_i16x8_u(i16x8.shr_s(i16x8.add(low, two), 2), i16x8.shr_s(i16x8.add(high, two), 2)),
    );
  }
}

/** Means of 2×2 RGB pixels, rounded half up. `offsets` as of `sumColumns`. */
export function halveRows(upper: usize, lower: usize, offsets: usize, target: usize, pixels: usize): void {
  for (let i: usize = 0; i < pixels; i++) {
    const offset = load<u32>(offsets + (i << 2));
    const above = v128.load64_zero(upper + offset);
    const below = v128.load64_zero(lower + offset);
    const columns = i16x8.add(i16x8.extend_low_i8x16_u(above), i16x8.extend_low_i8x16_u(below));
    const right = v128.shuffle<u8>(columns, columns, 6, 7, 8, 9, 10, 11, 12, 13, 0, 1, 0, 1, 0, 1, 0, 1);
    const mean = i16x8.shr_u(i16x8.add(i16x8.add(columns, right), i16x8.splat(2)), 2);
    v128.store32_lane(target + i * 3, i8x16.narrow_i16x8_u(mean, mean), 0);
  }
}

/** Adds `times` to the count of each label that the columns of a row take. `columns`: 32 bits each; `counts`: 256 of 32 bits. */
export function countLabels(row: usize, columns: usize, pixels: usize, times: u32, counts: usize): void {
  if (pixels === 0) return;
  // Label maps are mostly runs of one value.
  let value: usize = load<u8>(row + load<u32>(columns));
  let run: u32 = 0;
  for (let i: usize = 0; i < pixels; i++) {
    const next: usize = load<u8>(row + load<u32>(columns + (i << 2)));
    if (next !== value) {
      store<u32>(counts + (value << 2), load<u32>(counts + (value << 2)) + run);
      value = next;
      run = 0;
    }
    run += times;
  }
  store<u32>(counts + (value << 2), load<u32>(counts + (value << 2)) + run);
}

/** Training ids of the labels that the columns of a row take, 32 bits each. `ids`: 256 of 32 bits. */
export function takeLabels(row: usize, columns: usize, pixels: usize, ids: usize, target: usize): void {
  for (let i: usize = 0; i < pixels; i++) {
    const value: usize = load<u8>(row + load<u32>(columns + (i << 2)));
    store<u32>(target + (i << 2), load<u32>(ids + (value << 2)));
  }
}
