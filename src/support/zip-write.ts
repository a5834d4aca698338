import { promisify } from 'node:util';
import { deflateRaw } from 'node:zlib';
import { crc32 } from './checksums.js';
import { UserError } from './errors.js';

/** Signatures and lengths of a zip archive's records (APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16). */
export const END_SIGNATURE = 0x06054b50;
export const END_SIZE = 22;
export const CENTRAL_SIGNATURE = 0x02014b50;
export const CENTRAL_SIZE = 46;
export const LOCAL_SIGNATURE = 0x04034b50;
export const LOCAL_SIZE = 30;
export const METHOD_STORED = 0;
const METHOD_DEFLATED = 8;

/** A file of the archive. `content` is called when its turn comes. */
export interface ZipContent {
  readonly name: string;
  readonly size: number;
  content(): Uint8Array | Promise<Uint8Array>;
}

interface ZipOptions {
  /** `aligned`: stored, each content at a multiple of 64 bytes, so that it can be mapped into memory; or `deflated`. */
  readonly packing: 'aligned' | 'deflated';
  /** What to do if the archive would become too large. */
  readonly advice: string;
}

/** Version 2.0 of the format; names in UTF-8; every entry dated 1980-01-01, so that the same content gives the same archive. */
const VERSION = 20;
const FLAG_UTF8 = 0x0800;
const FIRST_DATE = (1 << 5) | 1;

/** Tag of an extra field that is only padding; PyTorch's writer uses the same ("FB"). */
const EXTRA_PADDING = 0x4246;
const EXTRA_HEADER = 4;
const ALIGNMENT = 64;

/** The most that an archive without ZIP64 records can hold. */
const MOST_ENTRIES = 0xffff - 1;
const MOST_BYTES = 0xffffffff - 1;

const deflate = promisify(deflateRaw);

interface Header {
  readonly name: Buffer;
  readonly method: number;
  readonly checksum: number;
  readonly packedSize: number;
  readonly size: number;
}

/**
 * The bytes of a zip archive (APPNOTE 6.3.10, sections 4.3 to 4.5), in pieces. One content at a time is in memory.
 * @throws UserError, before the first piece, if the archive may reach 4 GiB.
 */
export async function* zipArchive(
  file: string,
  entries: readonly ZipContent[],
  { packing, advice }: ZipOptions,
): AsyncGenerator<Uint8Array> {
  assertSmall(file, entries, advice);
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

/** Assumes the longest padding for every entry; deflating never adds as much. */
function assertSmall(file: string, entries: readonly ZipContent[], advice: string): void {
  const total = entries.reduce((sum, { name, size }) => {
    return sum + size + LOCAL_SIZE + CENTRAL_SIZE + 2 * Buffer.byteLength(name) + EXTRA_HEADER + ALIGNMENT;
  }, END_SIZE);
  if (total <= MOST_BYTES && entries.length <= MOST_ENTRIES) return;
  throw new UserError(
    `${file} would hold ${entries.length} entries in ${total} bytes; zip archives are written up to ${MOST_ENTRIES} entries and 4 GiB.`,
    advice,
  );
}

/** What both headers of an entry share, from the version needed to the two sizes. */
function writeCommon(buffer: Buffer, at: number, { method, checksum, packedSize, size }: Header): void {
  buffer.writeUInt16LE(VERSION, at);
  buffer.writeUInt16LE(FLAG_UTF8, at + 2);
  buffer.writeUInt16LE(method, at + 4);
  buffer.writeUInt16LE(FIRST_DATE, at + 8);
  buffer.writeUInt32LE(checksum, at + 10);
  buffer.writeUInt32LE(packedSize, at + 14);
  buffer.writeUInt32LE(size, at + 18);
}

/** @param offset Where the header begins, to align the content; null: no alignment. */
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
