import { promisify } from 'node:util';
import { deflateRaw } from 'node:zlib';
import { UserError } from './errors.js';

/** A file of the archive. Its content is asked for when its turn comes. */
export interface ZipContent {
  readonly name: string;
  readonly size: number;
  content(): Uint8Array | Promise<Uint8Array>;
}

interface ZipOptions {
  /** Stored, each content at a multiple of 64, so that it can be mapped into memory; or deflated, one after the other. */
  readonly packing: 'aligned' | 'deflated';
  /** What to do where the archive would become too large. */
  readonly otherwise: string;
}

/** Version 2.0 of the format; the entries' names are UTF-8; 1980-01-01 00:00, since archives of the same content are the same. */
const VERSION = 20;
const FLAG_UTF8 = 0x0800;
const FIRST_DATE = (1 << 5) | 1;

/** Tag of an extra field that only fills, as PyTorch's writer has it ("FB"). */
const EXTRA_PADDING = 0x4246;
const EXTRA_HEADER = 4;
const ALIGNMENT = 64;

/** Beyond these, a header would need a ZIP64 record. */
const MOST_ENTRIES = 0xffff - 1;
const MOST_BYTES = 0xffffffff - 1;

const deflate = promisify(deflateRaw);

/** An entry as its headers describe it. */
interface Header {
  readonly name: Buffer;
  readonly method: number;
  readonly checksum: number;
  readonly packedSize: number;
  readonly size: number;
}

/**
 * The bytes of a zip archive (APPNOTE 6.3.10, sections 4.3 to 4.5), in pieces. One content at a time is in memory.
 * @throws UserError where the archive may be of 4 GiB or more, before anything is written.
 */
export async function* zipArchive(
  file: string,
  entries: readonly ZipContent[],
  { packing, otherwise }: ZipOptions,
): AsyncGenerator<Uint8Array> {
  assertSmall(file, entries, otherwise);
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const entry of entries) {
    const content = await entry.content();
    if (content.length !== entry.size) throw new Error(`${entry.name} has ${content.length} bytes, not ${entry.size}.`);
    const deflated = packing === 'deflated';
    const packed = deflated ? await deflate(content) : content;
    const header: Header = {
      name: Buffer.from(entry.name),
      method: deflated ? METHOD_DEFLATED : METHOD_STORED,
      checksum: crc32(content),
      packedSize: packed.length,
      size: entry.size,
    };
    const local = localHeader(header, deflated ? null : offset);
    directory.push(centralHeader(header, offset));
    yield local;
    yield packed;
    offset += local.length + packed.length;
  }
  const size = directory.reduce((sum, header) => sum + header.length, 0);
  yield* directory;
  yield endRecord(entries.length, size, offset);
}

/** With the longest padding that any entry may need; what is deflated hardly grows by as much. */
function assertSmall(file: string, entries: readonly ZipContent[], otherwise: string): void {
  const total = entries.reduce((sum, { name, size }) => {
    return sum + size + LOCAL_SIZE + CENTRAL_SIZE + 2 * Buffer.byteLength(name) + EXTRA_HEADER + ALIGNMENT;
  }, END_SIZE);
  if (total <= MOST_BYTES && entries.length <= MOST_ENTRIES) return;
  throw new UserError(
    `${file} would hold ${entries.length} entries in ${total} bytes; zip archives are written up to ${MOST_ENTRIES} entries and 4 GiB.`,
    otherwise,
  );
}

/** What both headers of an entry have in common, from the version needed to the two sizes. */
function writeCommon(buffer: Buffer, at: number, { method, checksum, packedSize, size }: Header): void {
  buffer.writeUInt16LE(VERSION, at);
  buffer.writeUInt16LE(FLAG_UTF8, at + 2);
  buffer.writeUInt16LE(method, at + 4);
  buffer.writeUInt16LE(FIRST_DATE, at + 8);
  buffer.writeUInt32LE(checksum, at + 10);
  buffer.writeUInt32LE(packedSize, at + 14);
  buffer.writeUInt32LE(size, at + 18);
}

/** `offset`: where the header begins, so that the content is aligned; null where it need not be. */
function localHeader(header: Header, offset: number | null): Uint8Array {
  const { name } = header;
  const padding = offset === null ? 0 : -(offset + LOCAL_SIZE + name.length + EXTRA_HEADER) & (ALIGNMENT - 1);
  const extra = offset === null ? 0 : EXTRA_HEADER + padding;
  const buffer = Buffer.alloc(LOCAL_SIZE + name.length + extra);
  buffer.writeUInt32LE(LOCAL_SIGNATURE, 0);
  writeCommon(buffer, 4, header);
  buffer.writeUInt16LE(name.length, 26);
  buffer.writeUInt16LE(extra, 28);
  name.copy(buffer, LOCAL_SIZE);
  if (extra === 0) return buffer;
  buffer.writeUInt16LE(EXTRA_PADDING, LOCAL_SIZE + name.length);
  buffer.writeUInt16LE(padding, LOCAL_SIZE + name.length + 2);
  return buffer;
}

function centralHeader(header: Header, offset: number): Uint8Array {
  const { name } = header;
  const buffer = Buffer.alloc(CENTRAL_SIZE + name.length);
  buffer.writeUInt32LE(CENTRAL_SIGNATURE, 0);
  buffer.writeUInt16LE(VERSION, 4);
  writeCommon(buffer, 6, header);
  buffer.writeUInt16LE(name.length, 28);
  buffer.writeUInt32LE(offset, 42);
  name.copy(buffer, CENTRAL_SIZE);
  return buffer;
}

function endRecord(count: number, directorySize: number, directoryOffset: number): Uint8Array {
  const record = Buffer.alloc(END_SIZE);
  record.writeUInt32LE(END_SIGNATURE, 0);
  record.writeUInt16LE(count, 8);
  record.writeUInt16LE(count, 10);
  record.writeUInt32LE(directorySize, 12);
  record.writeUInt32LE(directoryOffset, 16);
  return record;
}

/** Signatures and lengths of a zip archive's records (APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16). */

export const END_SIGNATURE = 0x06054b50;
export const END_SIZE = 22;
export const CENTRAL_SIGNATURE = 0x02014b50;
export const CENTRAL_SIZE = 46;
export const LOCAL_SIGNATURE = 0x04034b50;
export const LOCAL_SIZE = 30;
export const METHOD_STORED = 0;
const METHOD_DEFLATED = 8;

/** Polynomials, lowest power in the highest bit: of ISO 3309, and Castagnoli's. */
const POLYNOMIAL = { iso: 0xedb88320, castagnoli: 0x82f63b78 } as const;
/** Bytes that are folded in at once. */
const SLICE = 8;

/** Of each polynomial, tables[k][b]: what byte b does to the checksum when k further bytes follow it ("slicing by 8", Kounavis and Berry 2005). */
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

/** CRC-32 as PNG and zip use it (ISO 3309). Node's own is younger than the oldest Node that this runs on. */
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
