/** Rows of a PNG. Targets and sources have 16 bytes to spare behind them. */

/** The sum of a vector's 4 integers. */
// @ts-ignore: decorator
@inline
function total(sums: v128): u32 {
  return (
    i32x4.extract_lane(sums, 0) +
    i32x4.extract_lane(sums, 1) +
    i32x4.extract_lane(sums, 2) +
    i32x4.extract_lane(sums, 3)
  );
}

/** The Adler-32 checksum (RFC 1950) of what `adler` was that of, followed by `length` more bytes. */
export function adler32(adler: u32, from: usize, length: usize): u32 {
  let a: u32 = adler & 0xffff;
  let b: u32 = adler >> 16;
  let at = from;
  let left = length;
  const high = i16x8(16, 15, 14, 13, 12, 11, 10, 9);
  const low = i16x8(8, 7, 6, 5, 4, 3, 2, 1);
  while (left >= 16) {
    // No more than 5,552 bytes fit between two divisions (RFC 1950); this is a multiple of 16.
    const part = min(left & ~15, 5536);
    const end = at + part;
    /** The sum of the bytes, that of the sums before each 16 bytes, and that of the bytes by their place in the 16. */
    let bytes = i32x4.splat(0);
    let before = i32x4.splat(0);
    let placed = i32x4.splat(0);
    for (; at < end; at += 16) {
      const x = v128.load(at);
      before = i32x4.add(before, bytes);
      bytes = i32x4.add(bytes, i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(x)));
      placed = i32x4.add(placed, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(x), high));
      placed = i32x4.add(placed, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(x), low));
    }
    b = (b + a * <u32>part + (total(before) << 4) + total(placed)) % 65521;
    a = (a + total(bytes)) % 65521;
    left -= part;
  }
  for (; left > 0; left--) {
    a += load<u8>(at++);
    b += a;
  }
  return (b % 65521 << 16) | a % 65521;
}

/** The running sums of every third byte in the first 15. */
// @ts-ignore: decorator
@inline
function sumsByThree(x: v128): v128 {
  const zero = i8x16.splat(0);
  let sums = i8x16.add(x, v128.shuffle<u8>(zero, x, 0, 0, 0, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28));
  sums = i8x16.add(sums, v128.shuffle<u8>(zero, sums, 0, 0, 0, 0, 0, 0, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25));
  return i8x16.add(sums, v128.shuffle<u8>(zero, sums, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 17, 18, 19));
}

function undoSubOfColours(source: usize, target: usize, length: usize): void {
  let last = i8x16.splat(0);
  for (let i: usize = 0; i < length; i += 15) {
    const sums = i8x16.add(sumsByThree(v128.load(source + i)), last);
    v128.store(target + i, sums);
    last = v128.shuffle<u8>(sums, sums, 12, 13, 14, 12, 13, 14, 12, 13, 14, 12, 13, 14, 12, 13, 14, 12);
  }
}

function undoSub(source: usize, target: usize, length: usize): void {
  let last: u8 = 0;
  for (let i: usize = 0; i < length; i++) {
    last += load<u8>(source + i);
    store<u8>(target + i, last);
  }
}

function undoUp(source: usize, above: usize, target: usize, length: usize): void {
  for (let i: usize = 0; i < length; i += 16) {
    v128.store(target + i, i8x16.add(v128.load(source + i), v128.load(above + i)));
  }
}

function undoAverageOfColours(source: usize, above: usize, target: usize, length: usize): void {
  let left = i8x16.splat(0);
  const one = i8x16.splat(1);
  for (let i: usize = 0; i < length; i += 3) {
    const up = v128.load32_zero(above + i);
    // The instruction rounds up, PNG down.
    const mean = i8x16.sub(i8x16.avgr_u(left, up), v128.and(v128.xor(left, up), one));
    left = i8x16.add(mean, v128.load32_zero(source + i));
    v128.store32_lane(target + i, left, 0);
  }
}

function undoAverage(source: usize, above: usize, target: usize, length: usize): void {
  let left: u32 = 0;
  for (let i: usize = 0; i < length; i++) {
    left = (load<u8>(source + i) + ((left + load<u8>(above + i)) >> 1)) & 255;
    store<u8>(target + i, <u8>left);
  }
}

/** PNG's prediction from the left, above and the diagonal, of 16-bit integers. */
// @ts-ignore: decorator
@inline
function paeth(left: v128, up: v128, diagonal: v128): v128 {
  const toLeft = i16x8.sub(up, diagonal);
  const toUp = i16x8.sub(left, diagonal);
  const farLeft = i16x8.abs(toLeft);
  const farUp = i16x8.abs(toUp);
  const farDiagonal = i16x8.abs(i16x8.add(toLeft, toUp));
  const least = i16x8.min_s(i16x8.min_s(farLeft, farUp), farDiagonal);
  return v128.bitselect(left, v128.bitselect(up, diagonal, i16x8.eq(least, farUp)), i16x8.eq(least, farLeft));
}

/** `step` is 1 or 3, the bytes of a pixel. */
function undoPaeth(source: usize, above: usize, target: usize, length: usize, step: usize): void {
  let left = i8x16.splat(0);
  let diagonal = i8x16.splat(0);
  const bytes = i16x8.splat(255);
  for (let i: usize = 0; i < length; i += step) {
    const up = i16x8.extend_low_i8x16_u(v128.load32_zero(above + i));
    const value = i16x8.extend_low_i8x16_u(v128.load32_zero(source + i));
    left = v128.and(i16x8.add(paeth(left, up, diagonal), value), bytes);
    diagonal = up;
    v128.store32_lane(target + i, i8x16.narrow_i16x8_u(left, left), 0);
  }
}

/**
 * Undoes the filter of a row's first `length` bytes, which stand behind the filter's number. `above` is the row before, undone; 0 for
 * the first row.
 * @param step Bytes of a pixel: 1 or 3.
 * @returns Whether there is such a filter.
 */
export function unfilter(row: usize, above: usize, target: usize, length: usize, step: usize): bool {
  const source = row + 1;
  switch (load<u8>(row)) {
    case 0:
      memory.copy(target, source, length);
      return true;
    case 1:
      if (step === 3) undoSubOfColours(source, target, length);
      else undoSub(source, target, length);
      return true;
    case 2:
      undoUp(source, above, target, length);
      return true;
    case 3:
      if (step === 3) undoAverageOfColours(source, above, target, length);
      else undoAverage(source, above, target, length);
      return true;
    case 4:
      undoPaeth(source, above, target, length, step);
      return true;
    default:
      return false;
  }
}

/** Sets seen[v] to 1 for every value v of `length` bytes. */
export function markValues(from: usize, length: usize, seen: usize): void {
  const end = from + length;
  let at = from;
  // Label maps are mostly runs of one value.
  while (at + 16 <= end) {
    const value = load<u8>(at);
    if (i8x16.all_true(i8x16.eq(v128.load(at), i8x16.splat(value)))) {
      store<u8>(seen + value, 1);
      at += 16;
    } else {
      for (const part = at + 16; at < part; at++) store<u8>(seen + load<u8>(at), 1);
    }
  }
  for (; at < end; at++) store<u8>(seen + load<u8>(at), 1);
}
