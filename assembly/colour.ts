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

/** round(numerator / x), and 0 for 0, for integers x of a byte. Exact for the two numerators that are used. */
// @ts-ignore: decorator
@inline
function divide(numerator: f32, x: v128): v128 {
  const quotient = f32x4.div(f32x4.splat(numerator), f32x4.convert_i32x4_s(x));
  const rounded = i32x4.trunc_sat_f32x4_s(f32x4.add(quotient, f32x4.splat(0.5)));
  return v128.andnot(rounded, i32x4.eq(x, i32x4.splat(0)));
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

/** An integer of 0 … 255 for each float of 0 … 1: cut off, or rounded to the nearest, ties to even. */
// @ts-ignore: decorator
@inline
function toBytes(x: v128, isRounded: bool): v128 {
  const scaled = f32x4.mul(x, f32x4.splat(255));
  return i32x4.trunc_sat_f32x4_s(isRounded ? f32x4.nearest(scaled) : scaled);
}

/** Whether the integers are one of two. */
// @ts-ignore: decorator
@inline
function isOneOf(x: v128, first: i32, second: i32): v128 {
  return v128.or(i32x4.eq(x, i32x4.splat(first)), i32x4.eq(x, i32x4.splat(second)));
}

const BYTE_TO_UNIT: f32 = 1 / (255 as f32);
const SECTORS_A_HUE: f32 = (6 as f32) / (180 as f32);

/** What `changeHsv` does, for 4 pixels at `at`. */
// @ts-ignore: decorator
@inline
function changeFour(at: usize, shift: i32, factor: f32, isRounded: bool): void {
  const zero = i32x4.splat(0);
  const pixels = v128.load(at);
  const red = v128.shuffle<u8>(pixels, zero, 0, 16, 16, 16, 3, 16, 16, 16, 6, 16, 16, 16, 9, 16, 16, 16);
  const green = v128.shuffle<u8>(pixels, zero, 1, 16, 16, 16, 4, 16, 16, 16, 7, 16, 16, 16, 10, 16, 16, 16);
  const blue = v128.shuffle<u8>(pixels, zero, 2, 16, 16, 16, 5, 16, 16, 16, 8, 16, 16, 16, 11, 16, 16, 16);

  const value = i32x4.max_s(i32x4.max_s(red, green), blue);
  const range = i32x4.sub(value, i32x4.min_s(i32x4.min_s(red, green), blue));
  const half = i32x4.splat(1 << 11);
  const ofGreen = i32x4.add(i32x4.sub(blue, red), i32x4.shl(range, 1));
  const ofBlue = i32x4.add(i32x4.sub(red, green), i32x4.shl(range, 2));
  const ofOthers = v128.bitselect(ofGreen, ofBlue, i32x4.eq(value, green));
  const angle = v128.bitselect(i32x4.sub(green, blue), ofOthers, i32x4.eq(value, red));
  let hue = i32x4.shr_s(i32x4.add(i32x4.mul(angle, divide(<f32>((180 << 12) / 6), range)), half), 12);
  const saturation = i32x4.shr_s(i32x4.add(i32x4.mul(range, divide(<f32>(255 << 12), value)), half), 12);

  const turn = i32x4.splat(180);
  hue = i32x4.add(hue, v128.and(turn, i32x4.lt_s(hue, zero)));
  hue = i32x4.add(hue, i32x4.splat(shift));
  hue = i32x4.add(hue, v128.and(turn, i32x4.lt_s(hue, zero)));
  hue = i32x4.sub(hue, v128.and(turn, i32x4.ge_s(hue, turn)));
  const scaled = f32x4.min(f32x4.mul(f32x4.convert_i32x4_s(saturation), f32x4.splat(factor)), f32x4.splat(255));
  const saturated = f32x4.convert_i32x4_s(i32x4.trunc_sat_f32x4_s(scaled));

  const position = f32x4.mul(f32x4.convert_i32x4_s(hue), f32x4.splat(SECTORS_A_HUE));
  const sector = i32x4.trunc_sat_f32x4_s(position);
  const fraction = f32x4.sub(position, f32x4.convert_i32x4_s(sector));
  const one = f32x4.splat(1);
  const isOdd = i32x4.eq(v128.and(sector, i32x4.splat(1)), i32x4.splat(1));
  const weight = v128.bitselect(fraction, f32x4.sub(one, fraction), isOdd);
  const unit = f32x4.splat(BYTE_TO_UNIT);
  const depth = f32x4.mul(saturated, unit);
  const most = f32x4.mul(f32x4.convert_i32x4_s(value), unit);
  const largest = toBytes(most, isRounded);
  const middle = toBytes(f32x4.mul(most, oneMinusProduct(depth, weight)), isRounded);
  const smallest = toBytes(f32x4.mul(most, f32x4.sub(one, depth)), isRounded);

  const newRed = v128.bitselect(
    largest,
    v128.bitselect(middle, smallest, isOneOf(sector, 1, 4)),
    isOneOf(sector, 0, 5),
  );
  const newGreen = v128.bitselect(
    largest,
    v128.bitselect(middle, smallest, isOneOf(sector, 0, 3)),
    isOneOf(sector, 1, 2),
  );
  const newBlue = v128.bitselect(
    largest,
    v128.bitselect(middle, smallest, isOneOf(sector, 2, 5)),
    isOneOf(sector, 3, 4),
  );
  const packed = v128.or(newRed, v128.or(i32x4.shl(newGreen, 8), i32x4.shl(newBlue, 16)));
  const result = v128.shuffle<u8>(packed, packed, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 3, 3, 3, 3);
  v128.store64_lane(at, result, 0);
  v128.store32_lane(at, result, 2, 8);
}

/**
 * Adds `shift` (−180 … 180) to H and multiplies S of the 8-bit HSV of a row of RGB pixels, in place. The first `truncated` pixels, a
 * multiple of 4, are cut off to bytes and the rest rounded, as OpenCV does. 9 bytes behind the row are changed, too.
 */
export function changeHsv(bytes: usize, pixels: usize, truncated: usize, shift: i32, factor: f32): void {
  let at = bytes;
  for (const end = bytes + truncated * 3; at < end; at += 12) changeFour(at, shift, factor, false);
  for (const end = bytes + pixels * 3; at < end; at += 12) changeFour(at, shift, factor, true);
}
