/** Photometric distortion and normalising, as src/data/transforms computes them: the same roundings, several pixels at a time. */

/** Replaces bytes by their entries in a table of 256. */
export function applyTable(bytes: usize, length: usize, table: usize): void {
  for (let i: usize = 0; i < length; i++) store<u8>(bytes + i, load<u8>(table + load<u8>(bytes + i)));
}

/** Looks RGB bytes up in a table of 32-bit floats for each channel: [3, 256]. */
export function normalise(bytes: usize, pixels: usize, tables: usize, target: usize): void {
  for (let i: usize = 0; i < pixels; i++) {
    const from = bytes + i * 3;
    const to = target + i * 12;
    store<u32>(to, load<u32>(tables + (<usize>load<u8>(from) << 2)));
    store<u32>(to, load<u32>(tables + (<usize>load<u8>(from, 1) << 2), 1024), 4);
    store<u32>(to, load<u32>(tables + (<usize>load<u8>(from, 2) << 2), 2048), 8);
  }
}

/** A float below 2^22 plus this is rounded to an integer, ties to even, which is then in the lowest bits of the sum. */
const TO_INTEGER: f32 = 8388608;

/**
 * round(numerator / x) · factor / 4096, rounded half up, for integers of a byte: OpenCV's division by a table. The quotient is never
 * between two integers for the numerators that are used, and every product is an integer below 2^24: each step is exact.
 */
// @ts-ignore: decorator
@inline
function divide(numerator: f32, x: v128, factor: v128): v128 {
  const magic = f32x4.splat(TO_INTEGER);
  // 0 only divides 0, which stays 0.
  const quotient = f32x4.div(f32x4.splat(numerator), f32x4.pmax(x, f32x4.splat(1)));
  const product = f32x4.mul(f32x4.sub(f32x4.add(quotient, magic), magic), factor);
  return f32x4.floor(f32x4.mul(f32x4.add(product, f32x4.splat(2048)), f32x4.splat(1 / (4096 as f32))));
}

/** 1 − a·b, rounded once to 32 bits like the fused multiply-add that OpenCV uses: the product of two floats is exact in 64 bits. */
// @ts-ignore: decorator
@inline
function oneMinusProduct(a: v128, b: v128): v128 {
  const one = f64x2.splat(1);
  const highA = v128.shuffle<u64>(a, a, 1, 1);
  const highB = v128.shuffle<u64>(b, b, 1, 1);
  const low = f64x2.sub(one, f64x2.mul(f64x2.promote_low_f32x4(a), f64x2.promote_low_f32x4(b)));
  const high = f64x2.sub(one, f64x2.mul(f64x2.promote_low_f32x4(highA), f64x2.promote_low_f32x4(highB)));
  return v128.shuffle<u64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}

/** The byte of each float of 0 … 1, in the lowest 8 bits: cut off, or rounded to the nearest, ties to even. Bits 8 to 23 are 0. */
// @ts-ignore: decorator
@inline
function toBytes(x: v128, isRounded: bool): v128 {
  const scaled = f32x4.mul(x, f32x4.splat(255));
  return f32x4.add(isRounded ? scaled : f32x4.trunc(scaled), f32x4.splat(TO_INTEGER));
}

const BYTE_TO_UNIT: f32 = 1 / (255 as f32);
const SECTORS_A_HUE: f32 = (6 as f32) / (180 as f32);

/** One channel of 4 RGB pixels as floats; `places` are those of its bytes. */
// @ts-ignore: decorator
@inline
function channel(pixels: v128, places: v128): v128 {
  return f32x4.convert_i32x4_s(v128.swizzle(pixels, places));
}

/** What `changeHsv` does, for 4 pixels at `at`. */
// @ts-ignore: decorator
@inline
function changeFour(at: usize, shift: v128, factor: v128, isRounded: bool): void {
  const zero = f32x4.splat(0);
  const pixels = v128.load(at);
  const red = channel(pixels, i8x16(0, -1, -1, -1, 3, -1, -1, -1, 6, -1, -1, -1, 9, -1, -1, -1));
  const green = channel(pixels, i8x16(1, -1, -1, -1, 4, -1, -1, -1, 7, -1, -1, -1, 10, -1, -1, -1));
  const blue = channel(pixels, i8x16(2, -1, -1, -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1));

  const value = f32x4.pmax(f32x4.pmax(red, green), blue);
  const range = f32x4.sub(value, f32x4.pmin(f32x4.pmin(red, green), blue));
  const twice = f32x4.add(range, range);
  const ofGreen = f32x4.add(f32x4.sub(blue, red), twice);
  const ofBlue = f32x4.add(f32x4.sub(red, green), f32x4.add(twice, twice));
  const ofOthers = v128.bitselect(ofGreen, ofBlue, f32x4.eq(value, green));
  const angle = v128.bitselect(f32x4.sub(green, blue), ofOthers, f32x4.eq(value, red));
  const saturation = divide(<f32>(255 << 12), value, range);

  const turn = f32x4.splat(180);
  let hue = divide(<f32>((180 << 12) / 6), range, angle);
  hue = f32x4.add(hue, v128.and(turn, f32x4.lt(hue, zero)));
  hue = f32x4.add(hue, shift);
  hue = f32x4.add(hue, v128.and(turn, f32x4.lt(hue, zero)));
  hue = f32x4.sub(hue, v128.and(turn, f32x4.ge(hue, turn)));
  const saturated = f32x4.trunc(f32x4.pmin(f32x4.mul(saturation, factor), f32x4.splat(255)));

  const position = f32x4.mul(hue, f32x4.splat(SECTORS_A_HUE));
  const sector = f32x4.floor(position);
  const fraction = f32x4.sub(position, sector);
  const one = f32x4.splat(1);
  const sectorBits = f32x4.add(sector, f32x4.splat(TO_INTEGER));
  const isOdd = i32x4.shr_s(i32x4.shl(sectorBits, 31), 31);
  const weight = v128.bitselect(fraction, f32x4.sub(one, fraction), isOdd);
  const unit = f32x4.splat(BYTE_TO_UNIT);
  const depth = f32x4.mul(saturated, unit);
  const most = f32x4.mul(value, unit);
  const largest = toBytes(most, isRounded);
  const middle = toBytes(f32x4.mul(most, oneMinusProduct(depth, weight)), isRounded);
  const smallest = toBytes(f32x4.mul(most, f32x4.sub(one, depth)), isRounded);

  // Bytes 0, 1 and 2 of each pixel: the largest, the middle and the smallest value.
  const sorted = v128.or(largest, v128.or(i32x4.shl(middle, 8), i32x4.shl(smallest, 16)));
  // Which of them red is, by sector, repeated; green is as red four sectors later, and blue two.
  const ofRed = i8x16(0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1, 2, 2);
  const sectors = v128.swizzle(sectorBits, i8x16(0, 0, 0, 4, 4, 4, 8, 8, 8, 12, 12, 12, -1, -1, -1, -1));
  const later = i8x16.add(sectors, i8x16(0, 4, 2, 0, 4, 2, 0, 4, 2, 0, 4, 2, 0, 0, 0, 0));
  const places = i8x16.add(v128.swizzle(ofRed, later), i8x16(0, 0, 0, 4, 4, 4, 8, 8, 8, 12, 12, 12, 0, 0, 0, 0));
  const result = v128.swizzle(sorted, places);
  v128.store64_lane(at, result, 0);
  v128.store32_lane(at, result, 2, 8);
}

/**
 * Adds `shift` (−180 … 180) to H and multiplies S of the 8-bit HSV of a row of RGB pixels, in place. The first `truncated` pixels, a
 * multiple of 4, are cut off to bytes and the rest rounded, as OpenCV does. 9 bytes behind the row are changed, too.
 */
export function changeHsv(bytes: usize, pixels: usize, truncated: usize, shift: f32, factor: f32): void {
  const shifts = f32x4.splat(shift);
  const factors = f32x4.splat(factor);
  let at = bytes;
  for (const end = bytes + truncated * 3; at < end; at += 12) changeFour(at, shifts, factors, false);
  for (const end = bytes + pixels * 3; at < end; at += 12) changeFour(at, shifts, factors, true);
}
