/**
 * Decompression of a zlib stream (RFC 1950, RFC 1951) in pieces, so that its output stays in the processor's cache and the code is
 * optimised while it runs. It is strict: what it takes, every other decoder takes with the same result; what it refuses (it returns
 * 0) is left to another decoder, which also says what is wrong.
 *
 * Bits wait in a 64-bit buffer, lowest first. Only the lowest 6 bits of a shift count, so a table's entry can be shifted by as it is.
 */

/** Bits that look up a literal or length, and a distance, at once; longer codes need a second table. */
const LITERAL_BITS: u32 = 11;
const DISTANCE_BITS: u32 = 9;

/**
 * An entry of a table, 32 bits:
 *   0–5    bits that it takes, with the extra bits that follow the code
 *   6      neither a literal nor a length or distance: a second table, the end of the block, or no code
 *   7      one literal or two
 *   8–11   bits of the code alone; of literals: how many there are less one; of a second table: the bits that it is looked up by
 *   12     the end of the block
 *   13     a second table
 *   16–31  the literals; the smallest length or distance; the second table's first entry
 */
const SPECIAL: u32 = 1 << 6;
const LITERAL: u32 = 1 << 7;
const END: u32 = 1 << 12;
const SECOND: u32 = 1 << 13;

/** The second tables hold at most 8 entries for each two of 286 symbols, and 64 for each two of 30. */
const LITERALS = memory.data((2048 + 2304) * 4, 16);
const DISTANCES = memory.data((512 + 960) * 4, 16);
const LENGTHS_OF_LENGTHS = memory.data(128 * 4, 16);

/** Of each symbol: the bits of its code. First literals and lengths, then distances. */
const CODE_LENGTHS = memory.data(320 + 16);
const SORTED = memory.data(320 * 2, 2);
const COUNTS = memory.data(16 * 4, 4);
const OFFSETS = memory.data(16 * 4, 4);
/** Of each start of long codes: the bits beyond it of the longest. */
const LONGEST = memory.data(2048);

const LENGTH_BASES = memory.data<u16>([
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
]);
const LENGTH_EXTRA = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
]);
/** The order in which lengths of the codes of lengths are stored. */
const ORDER = memory.data<u8>([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]);

/** What a symbol stands for. */
const enum Meaning {
  literal,
  distance,
  length,
}

const enum State {
  header,
  stored,
  coded,
  done,
}

let input: usize = 0;
let inputEnd: usize = 0;
let bits: u64 = 0;
/** Bits in the buffer. */
let count: u32 = 0;
let state: State = State.header;
let isLast: bool = false;
let storedLeft: u32 = 0;
let window: u32 = 0;

/** The entry of a symbol whose code has `length` bits. */
function entryOf(symbol: u32, length: u32, meaning: Meaning): u32 {
  if (meaning === Meaning.length) return (symbol << 16) | length;
  if (meaning === Meaning.distance) {
    if (symbol > 29) return SPECIAL;
    const extra: u32 = symbol < 4 ? 0 : (symbol >> 1) - 1;
    const base: u32 = symbol < 4 ? symbol + 1 : ((2 + (symbol & 1)) << extra) + 1;
    return (base << 16) | (length << 8) | (length + extra);
  }
  if (symbol < 256) return (symbol << 16) | LITERAL | length;
  if (symbol === 256) return SPECIAL | END | length;
  if (symbol > 285) return SPECIAL;
  const extra: u32 = load<u8>(LENGTH_EXTRA + symbol - 257);
  const base: u32 = load<u16>(LENGTH_BASES + ((symbol - 257) << 1));
  return (base << 16) | (length << 8) | (length + extra);
}

/** The lowest `length` bits of a code in reverse: codes are stored from their highest bit on. */
function reversed(code: u32, length: u32): u32 {
  let x = ((code & 0x5555) << 1) | ((code >> 1) & 0x5555);
  x = ((x & 0x3333) << 2) | ((x >> 2) & 0x3333);
  x = ((x & 0x0f0f) << 4) | ((x >> 4) & 0x0f0f);
  return (((x & 0xff) << 8) | (x >> 8)) >> (16 - length);
}

/** Sorts `symbols` symbols by the length of their codes. Returns how much of the codes' space is left over; negative: too little. */
function sortSymbols(lengths: usize, symbols: u32): i32 {
  memory.fill(COUNTS, 0, 64);
  for (let i: u32 = 0; i < symbols; i++) {
    const at = COUNTS + (<u32>load<u8>(lengths + i) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  store<u32>(COUNTS, 0);
  let left: i32 = 1;
  let offset: u32 = 0;
  for (let length: u32 = 1; length < 16; length++) {
    const codes = load<u32>(COUNTS + (length << 2));
    left = (left << 1) - codes;
    if (left < 0) return left;
    store<u32>(OFFSETS + (length << 2), offset);
    offset += codes;
  }
  for (let i: u32 = 0; i < symbols; i++) {
    const length = <u32>load<u8>(lengths + i);
    if (length === 0) continue;
    const at = OFFSETS + (length << 2);
    const place = load<u32>(at);
    store<u16>(SORTED + (place << 1), <u16>i);
    store<u32>(at, place + 1);
  }
  return left;
}

/** Fills the second tables with the symbols from `place` on, whose codes are longer than `tableBits`, from `code` on. */
function fillSecondTables(table: usize, tableBits: u32, meaning: Meaning, place: u32, code: u32): void {
  const mask: u32 = (1 << tableBits) - 1;
  memory.fill(LONGEST, 0, 1 << tableBits);
  let next = code;
  let at = place;
  for (let length = tableBits + 1; length < 16; length++, next <<= 1) {
    for (let i = load<u32>(COUNTS + (length << 2)); i > 0; i--, next++) {
      // Lengths only grow, so the last is the longest.
      store<u8>(LONGEST + (reversed(next, length) & mask), <u8>(length - tableBits));
    }
  }
  let free: u32 = 1 << tableBits;
  next = code;
  let lastStart: u32 = -1;
  let first: u32 = 0;
  let secondBits: u32 = 0;
  for (let length = tableBits + 1; length < 16; length++, next <<= 1) {
    for (let i = load<u32>(COUNTS + (length << 2)); i > 0; i--, next++, at++) {
      const path = reversed(next, length);
      const start = path & mask;
      if (start !== lastStart) {
        // Codes with the same start follow one another.
        lastStart = start;
        secondBits = load<u8>(LONGEST + start);
        first = free;
        free += 1 << secondBits;
        store<u32>(table + (start << 2), (first << 16) | SECOND | SPECIAL | (secondBits << 8));
      }
      const entry = entryOf(load<u16>(SORTED + (at << 1)), length, meaning);
      const step: u32 = 1 << (length - tableBits);
      for (let to = path >> tableBits; to < (1 as u32) << secondBits; to += step) {
        store<u32>(table + ((first + to) << 2), entry);
      }
    }
  }
}

/** Builds a table from the lengths of the codes of `symbols` symbols. @returns Whether they are a set of codes. */
function buildTable(table: usize, tableBits: u32, lengths: usize, symbols: u32, meaning: Meaning): bool {
  const left = sortSymbols(lengths, symbols);
  if (left < 0) return false;
  if (left > 0) {
    // Only distances may be incomplete: none at all, or one of one bit.
    if (meaning !== Meaning.distance || left < 1 << 14) return false;
    if (left !== 1 << 15 && load<u32>(COUNTS + 4) !== 1) return false;
    for (let i: usize = 0; i < (1 as usize) << tableBits; i++) store<u32>(table + (i << 2), SPECIAL);
    if (left === 1 << 15) return true;
    const entry = entryOf(load<u16>(SORTED), 1, meaning);
    for (let i: usize = 0; i < (1 as usize) << tableBits; i += 2) store<u32>(table + (i << 2), entry);
    return true;
  }
  let code: u32 = 0;
  let place: u32 = 0;
  // The part of the table that codes up to a length need is doubled for the next length.
  for (let length: u32 = 1; length <= tableBits; length++) {
    for (let i = load<u32>(COUNTS + (length << 2)); i > 0; i--, code++, place++) {
      store<u32>(table + (reversed(code, length) << 2), entryOf(load<u16>(SORTED + (place << 1)), length, meaning));
    }
    code <<= 1;
    if (length < tableBits) memory.copy(table + ((<usize>4) << length), table, (<usize>4) << length);
  }
  fillSecondTables(table, tableBits, meaning, place, code);
  if (meaning === Meaning.literal) pairLiterals();
  return true;
}

/** Makes one entry of two literals whose codes fit into one look-up. */
function pairLiterals(): void {
  // From the end: an entry looks only at entries before itself.
  for (let i: i32 = (1 << LITERAL_BITS) - 1; i >= 0; i--) {
    const entry = load<u32>(LITERALS + (<usize>i << 2));
    if (!(entry & LITERAL)) continue;
    const second = load<u32>(LITERALS + (<usize>((<u32>i) >> (entry & 63)) << 2));
    const sum = (entry & 63) + (second & 63);
    if (!(second & LITERAL) || sum > LITERAL_BITS) continue;
    store<u32>(LITERALS + (<usize>i << 2), ((second >> 16) << 24) | (entry & 0xff0000) | LITERAL | (1 << 8) | sum);
  }
}

/** Fills the buffer to at least 56 bits. What is read beyond the input's end is found out at the stream's end. */
// @ts-ignore: decorator
@inline
function refill(): void {
  bits |= load<u64>(input) << (<u64>count);
  input += (63 - count) >> 3;
  count |= 56;
}

// @ts-ignore: decorator
@inline
function take(length: u32): u32 {
  const value = <u32>bits & ((1 << length) - 1);
  bits >>= <u64>length;
  count -= length;
  return value;
}

/** Reads the tables of a block. */
function readTables(): bool {
  refill();
  const literals = take(5) + 257;
  const distances = take(5) + 1;
  const stored = take(4) + 4;
  if (literals > 286 || distances > 30) return false;
  memory.fill(CODE_LENGTHS, 0, 19);
  for (let i: u32 = 0; i < stored; i++) {
    if (i === 10) refill();
    store<u8>(CODE_LENGTHS + load<u8>(ORDER + i), <u8>take(3));
  }
  if (!buildTable(LENGTHS_OF_LENGTHS, 7, CODE_LENGTHS, 19, Meaning.length)) return false;
  const total = literals + distances;
  for (let i: u32 = 0; i < total; ) {
    if (input > inputEnd + 8) return false;
    refill();
    const entry = load<u32>(LENGTHS_OF_LENGTHS + (<usize>(<u32>bits & 127) << 2));
    take(entry & 63);
    const symbol = entry >> 16;
    if (symbol < 16) {
      store<u8>(CODE_LENGTHS + i++, <u8>symbol);
      continue;
    }
    if (symbol === 16 && i === 0) return false;
    const repeated: u32 = symbol === 16 ? <u32>load<u8>(CODE_LENGTHS + i - 1) : 0;
    const times = symbol === 16 ? take(2) + 3 : symbol === 17 ? take(3) + 3 : take(7) + 11;
    if (i + times > total) return false;
    memory.fill(CODE_LENGTHS + i, <u8>repeated, times);
    i += times;
  }
  if (load<u8>(CODE_LENGTHS + 256) === 0) return false;
  return (
    buildTable(DISTANCES, DISTANCE_BITS, CODE_LENGTHS + literals, distances, Meaning.distance) &&
    buildTable(LITERALS, LITERAL_BITS, CODE_LENGTHS, literals, Meaning.literal)
  );
}

/** The tables of blocks that bring none. */
function fixedTables(): bool {
  memory.fill(CODE_LENGTHS, 8, 144);
  memory.fill(CODE_LENGTHS + 144, 9, 112);
  memory.fill(CODE_LENGTHS + 256, 7, 24);
  memory.fill(CODE_LENGTHS + 280, 8, 8);
  memory.fill(CODE_LENGTHS + 288, 5, 32);
  return (
    buildTable(DISTANCES, DISTANCE_BITS, CODE_LENGTHS + 288, 32, Meaning.distance) &&
    buildTable(LITERALS, LITERAL_BITS, CODE_LENGTHS, 288, Meaning.literal)
  );
}

/** Gives whole bytes in the buffer back to the input and drops the rest of the last one. */
function alignToByte(): void {
  input -= count >> 3;
  bits = 0;
  count = 0;
}

function readBlockHeader(): bool {
  refill();
  isLast = take(1) === 1;
  switch (take(2)) {
    case 0: {
      alignToByte();
      if (input + 4 > inputEnd) return false;
      storedLeft = load<u16>(input);
      if (storedLeft !== (<u32>load<u16>(input + 2) ^ 0xffff)) return false;
      input += 4;
      if (input + storedLeft > inputEnd) return false;
      state = State.stored;
      return true;
    }
    case 1:
      state = State.coded;
      return fixedTables();
    case 2:
      state = State.coded;
      return readTables();
    default:
      return false;
  }
}

/** Of each distance below 16: where the bytes of 16 repetitions come from, and how many of them are whole periods. */
const PERIODS = memory.data(256, 16);
const STEPS = memory.data(16);

/** To be called once. */
export function prepareInflate(): void {
  for (let distance: u32 = 1; distance < 16; distance++) {
    for (let i: u32 = 0; i < 16; i++) store<u8>(PERIODS + (distance << 4) + i, <u8>(i % distance));
    store<u8>(STEPS + distance, <u8>(16 - (16 % distance)));
  }
}

/** Copies the `length` bytes from `distance` before `to` on. Writes up to 15 bytes more. */
// @ts-ignore: decorator
@inline
function copyMatch(to: usize, distance: u32, length: u32): void {
  const end = to + length;
  let from = to - distance;
  if (distance >= 16) {
    do {
      v128.store(to, v128.load(from));
      to += 16;
      from += 16;
    } while (to < end);
    return;
  }
  const pattern = v128.swizzle(v128.load(from), v128.load(PERIODS + (distance << 4)));
  const step: usize = load<u8>(STEPS + distance);
  do {
    v128.store(to, pattern);
    to += step;
  } while (to < end);
}

/** Decodes symbols until `limit` is reached or the block ends. @returns The end of the output; 0: damaged. */
function decodeSymbols(out: usize, limit: usize, history: usize): usize {
  // In local variables, which are kept in registers.
  let buffer = bits;
  let held = count;
  let from = input;
  const fromEnd = inputEnd + 8;
  const farthest: usize = window;
  const literalMask: u64 = (1 << LITERAL_BITS) - 1;
  const distanceMask: u64 = (1 << DISTANCE_BITS) - 1;
  while (out < limit) {
    if (from > fromEnd) return 0;
    buffer |= load<u64>(from) << (<u64>held);
    from += (63 - held) >> 3;
    held |= 56;
    let entry = load<u32>(LITERALS + (<usize>(buffer & literalMask) << 2));
    // Three look-ups take 33 bits, a length at most 20.
    if (entry & LITERAL) {
      store<u16>(out, <u16>(entry >> 16));
      out += 1 + ((entry >> 8) & 1);
      buffer >>= <u64>entry;
      held -= entry & 63;
      entry = load<u32>(LITERALS + (<usize>(buffer & literalMask) << 2));
      if (entry & LITERAL) {
        store<u16>(out, <u16>(entry >> 16));
        out += 1 + ((entry >> 8) & 1);
        buffer >>= <u64>entry;
        held -= entry & 63;
        entry = load<u32>(LITERALS + (<usize>(buffer & literalMask) << 2));
        if (entry & LITERAL) {
          store<u16>(out, <u16>(entry >> 16));
          out += 1 + ((entry >> 8) & 1);
          buffer >>= <u64>entry;
          held -= entry & 63;
          continue;
        }
      }
    }
    if (entry & SPECIAL) {
      if (entry & SECOND) {
        const index = <u32>(buffer >> LITERAL_BITS) & ((1 << ((entry >> 8) & 15)) - 1);
        entry = load<u32>(LITERALS + (<usize>((entry >> 16) + index) << 2));
        if (entry & LITERAL) {
          store<u8>(out++, <u8>(entry >> 16));
          buffer >>= <u64>entry;
          held -= entry & 63;
          continue;
        }
      }
      if (entry & SPECIAL) {
        if (!(entry & END)) return 0;
        buffer >>= <u64>entry;
        held -= entry & 63;
        state = isLast ? State.done : State.header;
        break;
      }
    }
    const length = (entry >> 16) + (<u32>(buffer & (((1 as u64) << (<u64>entry)) - 1)) >> ((entry >> 8) & 15));
    buffer >>= <u64>entry;
    held -= entry & 63;
    buffer |= load<u64>(from) << (<u64>held);
    from += (63 - held) >> 3;
    held |= 56;
    entry = load<u32>(DISTANCES + (<usize>(buffer & distanceMask) << 2));
    if (entry & SPECIAL) {
      if (!(entry & SECOND)) return 0;
      const index = <u32>(buffer >> DISTANCE_BITS) & ((1 << ((entry >> 8) & 15)) - 1);
      entry = load<u32>(DISTANCES + (<usize>((entry >> 16) + index) << 2));
      if (entry & SPECIAL) return 0;
    }
    const distance = (entry >> 16) + (<u32>(buffer & (((1 as u64) << (<u64>entry)) - 1)) >> ((entry >> 8) & 15));
    buffer >>= <u64>entry;
    held -= entry & 63;
    if (<usize>distance > out - history || <usize>distance > farthest) return 0;
    copyMatch(out, distance, length);
    out += length;
  }
  bits = buffer;
  count = held;
  input = from;
  return out;
}

/** Begins with a stream of `length` bytes at `from`, behind which 32 bytes can be read. @returns Whether its header is right. */
export function startInflate(from: usize, length: usize): bool {
  input = from + 2;
  // The stream ends with a checksum of 4 bytes.
  inputEnd = from + length - 4;
  bits = 0;
  count = 0;
  state = State.header;
  isLast = false;
  if (length < 8) return false;
  const method: u32 = load<u8>(from);
  const flags: u32 = load<u8>(from + 1);
  if ((method & 15) !== 8 || method >> 4 > 7 || flags & 32 || ((method << 8) | flags) % 31 !== 0) return false;
  window = (1 as u32) << ((method >> 4) + 8);
  return true;
}

/**
 * Decompresses to `out` until `limit` is reached or the stream ends.
 * @param limit May be exceeded by 288 bytes; 16 more are written to.
 * @param history The first byte of earlier output that is still there; of the last 32 KiB all must be.
 * @returns The end of the output; 0: the stream is damaged.
 */
export function inflate(out: usize, limit: usize, history: usize): usize {
  while (out < limit && state !== State.done) {
    if (state === State.header) {
      if (input > inputEnd + 8 || !readBlockHeader()) return 0;
    } else if (state === State.stored) {
      const length = min(<usize>storedLeft, limit - out);
      memory.copy(out, input, length);
      out += length;
      input += length;
      storedLeft -= <u32>length;
      if (storedLeft === 0) state = isLast ? State.done : State.header;
    } else {
      out = decodeSymbols(out, limit, history);
      if (out === 0) return 0;
    }
  }
  return out;
}

/** Whether the stream has ended, exactly where its `length` says, with the checksum `adler` of the output. */
export function hasEnded(adler: u32): bool {
  if (state !== State.done) return false;
  alignToByte();
  return input === inputEnd && bswap<u32>(load<u32>(input)) === adler;
}
