/** Polynomials, lowest power in the highest bit: of ISO 3309, and Castagnoli's. */
const POLYNOMIAL = { iso: 0xedb88320, castagnoli: 0x82f63b78 } as const;
/** Bytes that one step of the loop takes in. */
const SLICE = 8;

/** Per polynomial, tables[k][b]: what byte b does to the checksum when k more bytes follow it ("slicing by 8", Kounavis and Berry 2005). */
const TABLES = { iso: makeTables(POLYNOMIAL.iso), castagnoli: makeTables(POLYNOMIAL.castagnoli) };

function makeTables(polynomial: number): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
  const tables = [first];
  for (let k = 1; k < SLICE; k++) tables.push(tables[k - 1]!.map((crc) => (crc >>> 8) ^ first[crc & 0xff]!));
  return tables;
}

/** CRC-32 as PNG and zip use it (ISO 3309). Node 20.3, the oldest supported, has none of its own. */
export function crc32(bytes: Uint8Array): number {
  return checksum(TABLES.iso, bytes);
}

/** CRC-32C (RFC 3720, section 12.1), as TensorFlow's record files use it. */
export function crc32c(bytes: Uint8Array): number {
  return checksum(TABLES.castagnoli, bytes);
}

function checksum(tables: readonly Uint32Array[], bytes: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
    ...[Uint32Array, Uint32Array, Uint32Array, Uint32Array],
    ...[Uint32Array, Uint32Array, Uint32Array, Uint32Array],
  ];
  let crc = 0xffffffff;
  let at = 0;
  for (const end = bytes.length - (bytes.length % SLICE); at < end; at += SLICE) {
    crc =
      t7[(crc ^ bytes[at]!) & 0xff]! ^
      t6[((crc >>> 8) ^ bytes[at + 1]!) & 0xff]! ^
      t5[((crc >>> 16) ^ bytes[at + 2]!) & 0xff]! ^
      t4[(crc >>> 24) ^ bytes[at + 3]!]! ^
      t3[bytes[at + 4]!]! ^
      t2[bytes[at + 5]!]! ^
      t1[bytes[at + 6]!]! ^
      t0[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]!) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}
