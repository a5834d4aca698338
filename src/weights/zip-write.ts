import { crc32 } from '../support/crc32.js';
import { UserError } from '../support/errors.js';
import { CENTRAL_SIGNATURE, CENTRAL_SIZE, END_SIGNATURE, END_SIZE, LOCAL_SIGNATURE, LOCAL_SIZE } from './zip.js';

/** A file of the archive. Its content is asked for when its turn comes. */
export interface ZipContent {
  readonly name: string;
  readonly size: number;
  content(): Uint8Array | Promise<Uint8Array>;
}

/** Version 2.0 of the format; the entries' names are UTF-8; 1980-01-01 00:00, since archives of the same content are the same. */
const VERSION = 20;
const FLAG_UTF8 = 0x0800;
const FIRST_DATE = (1 << 5) | 1;

/** Tag of an extra field that only fills, as PyTorch's writer has it ("FB"). */
const EXTRA_PADDING = 0x4246;
const EXTRA_HEADER = 4;
/** Values begin at multiples of this, so that they can be mapped into memory. */
const ALIGNMENT = 64;

/** Beyond these, a header would need a ZIP64 record. */
const MOST_ENTRIES = 0xffff - 1;
const MOST_BYTES = 0xffffffff - 1;

/**
 * The bytes of a zip archive of stored (uncompressed) entries whose contents begin at multiples of 64 (APPNOTE 6.3.10, sections
 * 4.3 to 4.5), in pieces. One content at a time is in memory.
 * @throws UserError where the archive would be of 4 GiB or more, before anything is written.
 */
export async function* zipArchive(file: string, entries: readonly ZipContent[]): AsyncGenerator<Uint8Array> {
  assertSmall(file, entries);
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const entry of entries) {
    const content = await entry.content();
    if (content.length !== entry.size) throw new Error(`${entry.name} has ${content.length} bytes, not ${entry.size}.`);
    const checksum = crc32(content);
    const local = localHeader(entry, checksum, offset);
    directory.push(centralHeader(entry, checksum, offset));
    yield local;
    yield content;
    offset += local.length + content.length;
  }
  const size = directory.reduce((sum, header) => sum + header.length, 0);
  yield* directory;
  yield endRecord(entries.length, size, offset);
}

/** With the longest padding that any entry may need. */
function assertSmall(file: string, entries: readonly ZipContent[]): void {
  const total = entries.reduce((sum, { name, size }) => {
    return sum + size + LOCAL_SIZE + CENTRAL_SIZE + 2 * Buffer.byteLength(name) + EXTRA_HEADER + ALIGNMENT;
  }, END_SIZE);
  if (total <= MOST_BYTES && entries.length <= MOST_ENTRIES) return;
  throw new UserError(
    `${file} would hold ${entries.length} entries in ${total} bytes; .pth files are written up to ${MOST_ENTRIES} entries and 4 GiB.`,
    'Write a .safetensors file instead.',
  );
}

/** What both headers of an entry have in common, from the version needed to the two sizes. */
function writeCommon(header: Buffer, at: number, { size }: ZipContent, checksum: number): void {
  header.writeUInt16LE(VERSION, at);
  header.writeUInt16LE(FLAG_UTF8, at + 2);
  header.writeUInt16LE(FIRST_DATE, at + 8);
  header.writeUInt32LE(checksum, at + 10);
  header.writeUInt32LE(size, at + 14);
  header.writeUInt32LE(size, at + 18);
}

function localHeader(entry: ZipContent, checksum: number, offset: number): Uint8Array {
  const name = Buffer.from(entry.name);
  const padding = -(offset + LOCAL_SIZE + name.length + EXTRA_HEADER) & (ALIGNMENT - 1);
  const header = Buffer.alloc(LOCAL_SIZE + name.length + EXTRA_HEADER + padding);
  header.writeUInt32LE(LOCAL_SIGNATURE, 0);
  writeCommon(header, 4, entry, checksum);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(EXTRA_HEADER + padding, 28);
  name.copy(header, LOCAL_SIZE);
  header.writeUInt16LE(EXTRA_PADDING, LOCAL_SIZE + name.length);
  header.writeUInt16LE(padding, LOCAL_SIZE + name.length + 2);
  return header;
}

function centralHeader(entry: ZipContent, checksum: number, offset: number): Uint8Array {
  const name = Buffer.from(entry.name);
  const header = Buffer.alloc(CENTRAL_SIZE + name.length);
  header.writeUInt32LE(CENTRAL_SIGNATURE, 0);
  header.writeUInt16LE(VERSION, 4);
  writeCommon(header, 6, entry, checksum);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt32LE(offset, 42);
  name.copy(header, CENTRAL_SIZE);
  return header;
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
